"""proactive itself: says all twelve rules. What is measured is `replay`, every decision with its reason.

The limits that no peer has are left out: no cooldowns, no caps, and as many messages at once as there are rules.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.peers import rules
from benchmarks.peers.measuring import Work, measure
from benchmarks.peers.rules import Event, Firing, Matcher, Rule
from engine.core import model
from engine.core.rules import RuleSet, Timeline
from engine.loading.load import load
from engine.replay.driver import replay
from engine.triggers import KINDS

MICROSECONDS = 1_000  # in a millisecond


def prepare(events: Sequence[Event], told: Sequence[Rule]) -> Work:
    timeline = Timeline(rule_set(told))
    inputs = [
        model.Event(
            event["type"],
            event["user"],
            event["at"] * MICROSECONDS,
            {field: value for field, value in event.items() if field not in ("type", "user", "at")},
            id=f"e{number}",
        )
        for number, event in enumerate(events)
    ]

    def work() -> list[Firing]:
        return [
            (decision.user, decision.rule, decision.at // MICROSECONDS)
            for decision in replay(inputs, timeline).decisions()
        ]

    return work


def rule_set(told: Sequence[Rule]) -> RuleSet:
    """JSON is YAML, so the file of rules is written as such."""
    page = {
        "version": 1,
        "policy": {"simultaneous": len(rules.RULES)},
        "rules": [{"id": rule.id, "trigger": _trigger(rule), "message": _MESSAGE} for rule in told],
    }
    return load({"peers.yaml": json.dumps(page)}, KINDS)


_MESSAGE = {"type": "suggestion", "text": "A hint?"}


def _trigger(rule: Rule) -> dict[str, Any]:
    match rule:
        case rules.Plain():
            return {"event": _matcher(rule.on)}
        case rules.Count():
            counted = {**_matcher(rule.on), "at_least": rule.at_least, "within": f"{rule.within}ms"}
            return {"count": counted | ({"group_by": rule.by} if rule.by else {})}
        case rules.Sequence():
            return {"sequence": {"steps": [_matcher(rule.first), _matcher(rule.then)], "within": f"{rule.within}ms"}}
        case rules.Idle():
            return {"inactivity": f"{rule.after}ms"}


def _matcher(matcher: Matcher) -> dict[str, str]:
    made = {"event": matcher.type}
    if matcher.tests:
        made["where"] = " and ".join(
            f"event.{field} {symbol} {json.dumps(value)}" for field, symbol, value in matcher.tests
        )
    return made


if __name__ == "__main__":
    measure(prepare)
