"""durable_rules: its rules are patterns over the events that one user (its ``sid``) has pending, matched in C.

An event that a rule has matched is gone for the other rules of its ruleset, so each rule has a ruleset of its own, and
an event is posted to those that want its type. A count is as many patterns, each later than the one before and all
within the window; of a sequence the newest start is noted in the user's context, for as a pattern older starts would
stay and fire again. Both compare the moments that the events carry.

It cannot say silence of a log: its timers run on the clock of the machine, which nothing can move. Events that
never match stay pending for ever; there is no way to let them go.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce
from itertools import count
from typing import Any

from durable import engine
from durable.lang import c, get_host, m, ruleset, s, when_all

from benchmarks.peers import rules
from benchmarks.peers.measuring import Work, measure
from benchmarks.peers.rules import OPERATORS, Event, Firing, Matcher, Rule

_numbers = count()  # rulesets live as long as the process, so each run needs names of its own


def prepare(events: Sequence[Event], told: Sequence[Rule]) -> Work:
    fired: list[Firing] = []
    wanting: dict[str, list[str]] = {}  # type of events → the rulesets that want them
    for rule in told:
        name = f"{rule.id}-{next(_numbers)}"
        with ruleset(name):
            _declare(rule, _speaking(rule.id, fired))
        for event_type in _types(rule):
            wanting.setdefault(event_type, []).append(name)
    host = get_host()  # compiles what has been declared
    inputs = [(wanting.get(event["type"], ()), {**event, "sid": event["user"]}) for event in events]

    def work() -> list[Firing]:
        for names, event in inputs:
            for name in names:
                with suppress(engine.MessageNotHandledException):  # so it says of every event that fires nothing
                    host.post(name, event)
        return fired

    return work


def _speaking(rule: str, fired: list[Firing]) -> Callable[[Any], None]:
    return lambda event: fired.append((event.user, rule, event.at))


def _types(rule: Rule) -> set[str]:
    return {rule.first.type, rule.then.type} if isinstance(rule, rules.Sequence) else {rule.on.type}


def _declare(rule: Rule, speak: Callable[[Any], None]) -> None:
    match rule:
        case rules.Plain():
            when_all(_pattern(rule.on))(lambda found: speak(found.m))
        case rules.Count():
            last = f"e{rule.at_least - 1}"
            when_all(*_counting(rule))(lambda found: speak(getattr(found, last)))
        case rules.Sequence():
            _declare_sequence(rule, speak)
        case _:
            raise TypeError(rule)


def _counting(rule: rules.Count) -> list[Any]:
    patterns = [c.e0 << _pattern(rule.on)]
    for place in range(1, rule.at_least):
        pattern = _pattern(rule.on) & (m.at > getattr(c, f"e{place - 1}").at) & (m.at < c.e0.at + rule.within)
        if rule.by:
            pattern &= getattr(m, rule.by) == getattr(c.e0, rule.by)
        patterns.append(getattr(c, f"e{place}") << pattern)
    return patterns


def _declare_sequence(rule: rules.Sequence, speak: Callable[[Any], None]) -> None:
    def start(found: Any) -> None:
        found.s.since = found.m.at

    def fire(found: Any) -> None:
        speak(found.then)
        found.s.since = 0

    when_all(_pattern(rule.first))(start)
    when_all(
        c.context << (s.since > 0),
        c.then << _pattern(rule.then) & (m.at > c.context.since) & (m.at <= c.context.since + rule.within),
    )(fire)


def _pattern(matcher: Matcher) -> Any:
    pattern = m.type == matcher.type
    for field, symbol, value in matcher.tests:
        if symbol == "in":
            pattern &= reduce(operator.or_, [getattr(m, field) == one for one in value])
        else:
            pattern &= OPERATORS[symbol](getattr(m, field), value)
    return pattern


if __name__ == "__main__":
    measure(prepare)
