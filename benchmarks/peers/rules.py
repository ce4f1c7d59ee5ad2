"""The dozen rules that all engines are given: six on one event, three counts, two sequences, one silence.

It says what the rules mean and no engine's words for it; each peer's file puts them into its own. It must not import
anything that is not in the standard library, for peers run without the environment of the project.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SECOND = 1_000  # moments and spans are milliseconds: the finest that the clock of Drools knows
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

Event = Mapping[str, Any]  # user, at, type, and the fields of its data beside them
Firing = tuple[str, str, int]  # user, rule, moment

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<": operator.lt,
    "in": lambda value, values: value in values,
}


@dataclass(frozen=True)
class Matcher:
    """Events of a type of which all ``tests`` hold: (field, operator, value). An event that lacks the field fails."""

    type: str
    tests: tuple[tuple[str, str, Any], ...] = ()

    def holds(self, event: Event) -> bool:
        return event["type"] == self.type and all(
            field in event and OPERATORS[symbol](event[field], value) for field, symbol, value in self.tests
        )


@dataclass(frozen=True)
class Plain:
    """Fires at every matching event."""

    id: str
    on: Matcher


@dataclass(frozen=True)
class Count:
    """Fires at the event that makes ``at_least`` matches in (t - within, t], which are then forgotten.

    ``by``: only events with the same value of that field are counted together.
    """

    id: str
    on: Matcher
    at_least: int
    within: int
    by: str | None = None


@dataclass(frozen=True)
class Sequence:
    """Fires at ``then`` if ``first`` was at most ``within`` before; every ``first`` until now is then forgotten."""

    id: str
    first: Matcher
    then: Matcher
    within: int


@dataclass(frozen=True)
class Idle:
    """Fires once, ``after`` so long without any event of the user; an event at the very deadline comes too late."""

    id: str
    after: int


Rule = Plain | Count | Sequence | Idle

RULES: tuple[Rule, ...] = (
    Plain("hard-failure", Matcher("test.failed", (("level", ">=", 90),))),
    Plain("easy-build", Matcher("build.failed", (("level", "<", 10),))),
    Plain("first-pages", Matcher("page.view", (("item", "in", ("i1", "i2", "i3", "i4", "i5")),))),
    Plain("one-save", Matcher("save", (("item", "==", "i7"),))),
    Plain("middle-edit", Matcher("edit", (("level", ">=", 45), ("level", "<", 50)))),
    Plain("late-debug", Matcher("debug.start", (("level", ">=", 95), ("item", "!=", "i0")))),
    Count("three-failures", Matcher("test.failed"), at_least=3, within=10 * MINUTE),
    Count("two-builds", Matcher("build.failed", (("level", ">=", 50),)), at_least=2, within=10 * MINUTE),
    Count("same-page", Matcher("page.view"), at_least=2, within=HOUR, by="item"),
    Sequence("failure-debug", Matcher("test.failed"), Matcher("debug.start"), within=10 * MINUTE),
    Sequence("build-save", Matcher("build.failed", (("level", ">=", 50),)), Matcher("save"), within=10 * MINUTE),
    Idle("idle", after=5 * MINUTE),
)

PLAIN = tuple(rule for rule in RULES if isinstance(rule, Plain))
COUNTS = tuple(rule for rule in RULES if isinstance(rule, Count))
SEQUENCES = tuple(rule for rule in RULES if isinstance(rule, Sequence))
IDLE = tuple(rule for rule in RULES if isinstance(rule, Idle))


def chosen(ids: list[str]) -> tuple[Rule, ...]:
    """The rules of these ids, in the order of `RULES`."""
    return tuple(rule for rule in RULES if rule.id in ids)
