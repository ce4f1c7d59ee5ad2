"""One finding, and the table of their codes. It finds nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.loading.wording import with_hint

# Code → what it says, in the order of docs/lint.md. A code is written into comments, so it never changes its meaning.
CODES: Mapping[str, str] = MappingProxyType({
    "limit-never-binds": "a cap, a cooldown or a limit of a budget that others, or the triggers, always keep",
    "never-speaks": "a rule none of whose candidates can become a message",
    "unreachable-rule": "a rule that only answers to rules that never speak, or to itself",
    "answers-itself": "rules that answer themselves, or each other, without end",
    "always-outranked": "a rule that another, which always speaks at the same moment, leaves no turn",
    "always-quiet": "a schedule, or a whole rule, that lies in quiet hours from end to end",
    "never-fires": "a trigger that cannot fire",
    "covered": "a trigger, an event type or a word that another one already covers",
    "longer-than-session": "an inactivity that outlasts a session which nobody opened",
    "within-session": "a session that lasts no longer than one does of which the log has a single event",
    "every-over-a-day": "an interval from the start of a session that is longer than a day",
    "never-holds": "an expression that is true for no event and no user",
    "always-holds": "an expression that is true, or never false, for every event and every user",
    "impossible-value": "a comparison with a value that the name never has",
    "expires-while-held": "a message that expires before its wait for a good moment, or for the morning, is over",
    "wait-without-effect": "a wait that can only end in one way, or a withdrawal of what never waits",
    "without-effect": "a key that changes nothing",
    "count-of-one": "a count of one, which is an event",
    "unused": "a budget, quiet hours, a list or defaults that no rule uses",
    "unknown-type": "an event type that no event of the logs has",
    "unknown-field": "a field that no event of the rule's types has, or an attribute that no user has, in the logs",
    "other-kind": "a comparison with another kind of value than the logs have",
    "unused-accept": "a comment that accepts a finding which is not there",
})  # fmt: skip
# Those that only a look at logs can find.
LOG_CODES = frozenset({"within-session", "unknown-type", "unknown-field", "other-kind"})


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """``line`` and ``column`` count from 1. ``rule`` is the id of the rule it is about, or "". Sorts as one reads.

    ``rules`` are the ids of all of them where it is about several, ``rule`` then the first.
    """

    path: str
    line: int
    column: int
    message: str
    code: str
    hint: str = ""
    rule: str = ""
    rules: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {with_hint(self.message, self.hint)} [{self.code}]"

    def at(self, path: str) -> Finding:
        """The same with the path as the user would open it."""
        return replace(self, path=path)
