"""Rule sets of one rule with one trigger, and what it makes of a history."""

from __future__ import annotations

from functools import cache

from engine.core.evaluate import apply
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.loading.load import load
from engine.triggers import KINDS


@cache
def rule_set(rule_id: str, kind: str, written: str) -> RuleSet:
    """``written`` are the keys of the trigger, as within braces."""
    page = f"""
version: 1
policy: {{simultaneous: 100}}
rules: [{{id: {rule_id}, trigger: {{{kind}: {{{written}}}}}, message: {{type: question, text: x}}}}]
"""
    return load({"rules.yaml": page}, KINDS)


def decisions_of(rules: RuleSet, events: list[Event], *, written: bool = False) -> tuple[list[Decision], UserState]:
    """``written``: the state is written and read again between any two events."""
    state, decisions = UserState("ann"), list[Decision]()
    for event in events:
        apply(Timeline(rules), state, event, decisions)
        if written:
            state = UserState.decode(state.encode())
    return decisions, state
