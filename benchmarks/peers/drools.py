"""drools_jpy: the engine of ansible-rulebook, Drools in a Java virtual machine, told the time of the log.

The plain rules are one ruleset. Each rule with a memory has a ruleset of its own, since an event is gone for all rules
once one has matched (and where all may match, old starts fire again); it gets the events whose types it names. A count
of two is a throttle, ``accumulate_within``; one of more is as many patterns within a ``timeout``, each later than the
one before, for that throttle's window begins with its first event and loses all when it ends. A sequence is two
patterns.

It cannot say the silence of one user: ``not_all`` within a ``timeout`` and ``once_after`` wait for all users together,
and a further event does not put them off.

The log's time needs an option that the Python package does not hand through; it is asked of the Java class below it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.peers import rules
from benchmarks.peers.measuring import Work, measure
from benchmarks.peers.rules import Event, Firing, Matcher, Rule

# Both are read when the package starts the virtual machine: where that is, and not to log each event.
os.environ.setdefault("JAVA_HOME", str(Path(shutil.which("java") or "java").resolve().parent.parent))
logging.root.setLevel(logging.ERROR)

import drools.ruleset  # noqa: E402
from drools.rule import Rule as Called  # noqa: E402

Json = dict[str, Any]
OPTION = "org.drools.ansible.rulebook.integration.api.RuleConfigurationOption"
EXPRESSIONS = {
    "==": "EqualsExpression",
    "!=": "NotEqualsExpression",
    ">=": "GreaterThanOrEqualToExpression",
    "<": "LessThanExpression",
    "in": "ItemInListExpression",
}

_numbers = count()  # rulesets are found by name, and each run has its own


def prepare(events: Sequence[Event], told: Sequence[Rule]) -> Work:
    fired: list[Firing] = []
    plain = [rule for rule in told if isinstance(rule, rules.Plain)]
    sets = [Clocked(plain, {rule.on.type for rule in plain}, fired)] if plain else []
    for rule in told:
        if isinstance(rule, rules.Count):
            sets.append(Clocked([rule], {rule.on.type}, fired))
        elif isinstance(rule, rules.Sequence):
            sets.append(Clocked([rule], {rule.first.type, rule.then.type}, fired))
    inputs = [(event["at"], json.dumps(event), [one for one in sets if event["type"] in one.types]) for event in events]

    def work() -> list[Firing]:
        for at, event, wanting in inputs:
            for one in wanting:
                one.take(at, event)
        for one in sets:
            one.rules.end_session()
        return fired

    return work


class Clocked:
    """A ruleset whose clock is put on to each event that it gets. ``now`` is None until the first."""

    def __init__(self, told: Sequence[Rule], types: set[str], fired: list[Firing]) -> None:
        self.types = types
        self.now: int | None = None
        page = {
            "name": f"rules-{next(_numbers)}",
            "hosts": ["all"],
            "sources": [],
            "match_multiple_rules": len(told) > 1,
            "rules": [{"Rule": _rule(rule)} for rule in told],
        }
        self.rules = Virtual(page["name"], json.dumps(page))
        for rule in told:
            self.rules.add_rule(Called(rule.id, _speaking(rule.id, fired)))

    def take(self, at: int, event: str) -> None:
        if self.now is not None and at > self.now:
            self.rules.advance_time(at - self.now, "MILLISECONDS")
        self.now = at
        self.rules.assert_event(event)


class Virtual(drools.ruleset.Ruleset):
    """A ruleset of the peer that nothing but `advance_time` moves."""

    def start_session(self) -> int:
        import jpy  # there is such a module only once the virtual machine runs

        if self._session_id is None:
            option = jpy.get_type(OPTION)
            options = jpy.array(option, [option.USE_PSEUDO_CLOCK, option.FULLY_MANUAL_PSEUDOCLOCK])
            self._session_id = self._api.createRuleset(self.serialized_ruleset, options)
        return self._session_id


def _speaking(rule: str, fired: list[Firing]) -> Callable[[Any], None]:
    def speak(matched: Any) -> None:
        last = max(matched.data.values(), key=lambda event: event["at"])
        fired.append((last["user"], rule, last["at"]))

    return speak


def _rule(rule: Rule) -> Json:
    made: Json = {"name": rule.id, "enabled": True, "actions": [{"Action": {"action": "debug", "action_args": {}}}]}
    match rule:
        case rules.Plain():
            made["condition"] = {"AllCondition": [_matcher(rule.on)]}
        case rules.Count(at_least=2):
            made["condition"] = {"AllCondition": [_matcher(rule.on)]}
            grouped = ["event.user"] + ([f"event.{rule.by}"] if rule.by else [])
            made["throttle"] = {
                "accumulate_within": _span(rule.within),
                "threshold": rule.at_least,
                "group_by_attributes": grouped,
            }
        case rules.Count():
            fields = ["user"] + ([rule.by] if rule.by else [])
            made["condition"] = _in_order([rule.on] * rule.at_least, fields, rule.within)
        case rules.Sequence():
            made["condition"] = _in_order([rule.first, rule.then], ["user"], rule.within)
        case _:
            raise TypeError(rule)
    return made


def _in_order(matchers: list[Matcher], same: list[str], within: int) -> Json:
    """Events that match one after the other, of equal values in the fields ``same``, all within the span."""
    patterns = []
    for place, matcher in enumerate(matchers):
        tests = [_matcher(matcher)]
        if place:
            before = f"e{place - 1}"
            tests += [_binary("EqualsExpression", field, {"Events": f"{before}.{field}"}) for field in same]
            tests.append(_binary("GreaterThanExpression", "at", {"Events": f"{before}.at"}))
        patterns.append({"AssignmentExpression": {"lhs": {"Events": f"e{place}"}, "rhs": _and(tests)}})
    return {"AllCondition": patterns, "timeout": _span(within)}


def _matcher(matcher: Matcher) -> Json:
    tests = [("type", "==", matcher.type), *matcher.tests]
    return _and([_binary(EXPRESSIONS[symbol], field, _literal(value)) for field, symbol, value in tests])


def _and(tests: list[Json]) -> Json:
    return reduce(lambda left, right: {"AndExpression": {"lhs": left, "rhs": right}}, tests)


def _binary(expression: str, field: str, right: Any) -> Json:
    return {expression: {"lhs": {"Event": field}, "rhs": right}}


def _literal(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_literal(one) for one in value]
    return {"Integer": value} if isinstance(value, int) else {"String": value}


def _span(milliseconds: int) -> str:
    return f"{milliseconds // 1_000} seconds"


if __name__ == "__main__":
    measure(prepare)
