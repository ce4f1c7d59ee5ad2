"""Every gate is asked, in its order, and called as it is documented."""

from __future__ import annotations

import re
from pathlib import Path

from engine.core.gates import GATES, closed
from engine.core.model import Event
from engine.core.rules import Rule
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import parse_at
from engine.core.verdicts import verdicts
from engine.loading.load import load
from engine.triggers import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "delivery.md"
AT = parse_at("2026-03-27T10:00:00Z")
RULES = """
version: 1
policy: {quiet_hours: {morning: {from: "09:00", to: "11:00"}}, holdout: 100%}
rules:
  - {id: r, trigger: {event: e}, condition: event.n > 1, warmup: 5m, message: {type: question, text: x}}
"""


def scope_of(rule: Rule, n: int) -> Scope:
    state = UserState("ann")
    state.present_since = AT
    rules = load({"rules.yaml": RULES}, KINDS)
    return Scope(state, Event("e", "ann", AT, {"n": n}), AT, rules.policy)


def test_all_gates_that_are_closed_say_so_and_the_first_is_the_outcome() -> None:
    rule = load({"rules.yaml": RULES}, KINDS).by_id["r"]
    found = verdicts(rule, scope_of(rule, 1), ["other"])
    assert [verdict.gate for verdict in found if verdict.reason is not None] == [
        "condition", "warmup", "simultaneous", "quiet hours", "holdout",
    ]  # fmt: skip
    assert closed(rule, scope_of(rule, 1), ["other"]) == (found[0].outcome, found[0].reason)
    assert verdicts(rule, scope_of(rule, 2), [])[0].reason is None


def test_gates_are_called_as_on_the_page() -> None:
    rule = load({"rules.yaml": RULES}, KINDS).by_id["r"]
    found = verdicts(rule, scope_of(rule, 1), [])
    rows = re.findall(r"^\| \d+ \| ([a-z ]+) \|.*\| `(\w+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [(verdict.gate, verdict.outcome) for verdict in found] == rows
    assert len(found) == len(GATES)
