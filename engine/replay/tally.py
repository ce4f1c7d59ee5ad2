"""What a dry run comes to, counted user by user: it keeps numbers, and the few things that are shown.

It prints nothing. Two tallies of different users join to that of all, whatever the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from engine.core.model import Decision
from engine.replay.driver import FaultFound, Ran

FAULTS_SHOWN_MAX = 3


@dataclass(slots=True)
class RuleCount:
    """What has become of one rule's candidates in the end, and how many users it ``reached`` with a message."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reached: int = 0

    @property
    def candidates(self) -> int:
        return self.outcomes.total()


@dataclass(slots=True)
class Tally:
    """``first`` and ``last`` are the moments of the first and the last event, None where there is none.

    ``types`` are the events by type. Of ``faults`` those of the first users by name are kept, ``fault_count`` is of
    all. ``left_out`` is what the log has beside these events.
    """

    users: int = 0
    events: int = 0
    first: int | None = None
    last: int | None = None
    left_out: int = 0
    candidates: int = 0
    reached: int = 0
    rules: dict[str, RuleCount] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    fault_count: int = 0
    faults: list[FaultFound] = field(default_factory=list)

    def see(self, ran: Ran) -> None:
        events, evaluated = ran.happened, ran.evaluated[0]
        self.users += 1
        self.events += len(events)
        self._within(ran.events[0].at, ran.events[-1].at)
        self.types.update(map(_type_of, events))
        if evaluated.decisions:
            self.decided(evaluated.decisions)
        if evaluated.faults:
            self.fault_count += len(evaluated.faults)
            self._show(ran.faults())

    def decided(self, decisions: Iterable[Decision]) -> None:
        """What one user's decisions come to; they are in the order in which they were made.

        A message that was held under a rule's former id counts for that, for there its candidate was made. A candidate
        is a decision that nothing of the same message went before.
        """
        held_by: dict[str, str] = {}  # id of a message that is held → the rule that holds it
        reached: set[str] = set()
        for decision in decisions:
            name = decision.rule
            if decision.message is not None:
                if decision.outcome == "held":
                    held_by[decision.message.id] = name
                elif decision.was == "held":
                    name = held_by.pop(decision.message.id, name)
            count = self.rules.get(name)
            if count is None:
                count = self.rules[name] = RuleCount()
            count.outcomes[decision.outcome] += 1
            if decision.was is None:
                self.candidates += 1
            else:
                # The same candidate as before, which has come further.
                count.outcomes[decision.was] -= 1
            if decision.outcome == "sent":
                reached.add(name)
        for name in reached:
            self.rules[name].reached += 1
        self.reached += bool(reached)

    def merge(self, other: Tally) -> None:
        """Add what is known of other users."""
        self.users += other.users
        self.events += other.events
        if other.first is not None and other.last is not None:
            self._within(other.first, other.last)
        self.left_out += other.left_out
        self.candidates += other.candidates
        self.reached += other.reached
        for name, theirs in other.rules.items():
            mine = self.rules.setdefault(name, RuleCount())
            mine.outcomes.update(theirs.outcomes)
            mine.reached += theirs.reached
        self.types.update(other.types)
        self.fault_count += other.fault_count
        self._show(other.faults)

    def _within(self, first: int, last: int) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def _show(self, faults: list[FaultFound]) -> None:
        self.faults = sorted([*self.faults, *faults], key=attrgetter("user"))[:FAULTS_SHOWN_MAX]


_type_of = attrgetter("type")


def count_rules(decisions: Iterable[Decision]) -> dict[str, RuleCount]:
    """By rule. Each user's ``decisions`` are in the order in which they were made."""
    by_user: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_user.setdefault(decision.user, []).append(decision)
    tally = Tally()
    for made in by_user.values():
        tally.decided(made)
    return tally.rules
