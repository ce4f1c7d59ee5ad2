"""All people of a simulation together, as one log in order of time. It writes nothing and reads no clock.

At any moment it holds one thing to come of each person and no more, so the room it needs does not grow with the days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from heapq import merge
from operator import attrgetter
from typing import Protocol

from engine.core.model import Event, Json
from engine.simulate.chat import Chatter
from engine.simulate.people import REST, Person, person, sittings
from engine.simulate.sitting import Sitting
from engine.simulate.tutor import Learner

USERS_MAX = 100_000
DAYS_MAX = 366
START = date(2026, 3, 2)  # a Monday


class Doer(Protocol):
    """Somebody who does something whenever they sit down."""

    def sits(self, sitting: Sitting) -> Iterator[Event]: ...


KINDS: Mapping[str, Callable[[Person, int], Doer]] = {"tutor": Learner, "chat": Chatter}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate: ``kind`` is one of `KINDS`, ``start`` the first day, by each person's own calendar.

    Person 7 does the same things whatever the number of users.
    """

    kind: str = "tutor"
    users: int = 100
    days: int = 7
    seed: int = 1
    start: date = START

    @property
    def header(self) -> dict[str, Json]:
        """The first line of the log, which says that nobody did any of this."""
        made = f"--kind {self.kind} --users {self.users} --days {self.days} --seed {self.seed} --start {self.start}"
        return {"log": {"synthetic": True, "by": f"proactive simulate {made}"}}


def simulate(plan: Plan) -> Iterator[Event]:
    """All events by moment, those of one moment by the number of the person. A plan has one log, on every machine."""
    return merge(*(_life(plan, number) for number in range(1, plan.users + 1)), key=attrgetter("at"))


def _life(plan: Plan, number: int) -> Iterator[Event]:
    someone = person(plan.seed, number, plan.days)
    doer = KINDS[plan.kind](someone, plan.seed)
    free_from = 0
    for session, start, dice in sittings(someone, plan.seed, plan.start, plan.days):
        sitting = Sitting(someone, session, max(start, free_from), dice)
        yield from doer.sits(sitting)
        free_from = sitting.now + REST
