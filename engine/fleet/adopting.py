"""Who of the present users has yet to adopt the latest rules, by which a wake-up may come sooner than by the former.

It evaluates nothing: the rounds let some of them adopt in each round, where the log says how far time has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from engine.rule_history import RuleHistory
from engine.states import Damage, readable
from engine.storage.base import StoreError, partition_of
from engine.storage.fleet import FleetStore
from engine.turn_work import Work

# Users who adopt new rules in one round; fewer where thousands of events of each are run once more for it.
CATCH_UP, CATCH_UP_WITH_PAST = 200, 20


@dataclass(slots=True)
class _Wish:
    """Users of ``partitions`` are to adopt the latest rules, and ``ticks`` are to be written."""

    partitions: set[int]
    ticks: set[int]
    is_lost: bool = False


class Adopting:
    """Knows of the worker's own partitions only; what is known of one that has gone to another is `drop`\\ ped."""

    def __init__(self, store: FleetStore, rules: RuleHistory, damage: Damage) -> None:
        self._store = store
        self._rules = rules
        self._damage = damage
        self._to_look: set[int] = set()
        self._users: dict[int, dict[str, None]] = {}
        self._ticks: set[int] = set()  # partitions in whose logs a tick is wanted, whoever is due
        self._wishes: list[_Wish] = []
        self._room = 0
        self._turned = asyncio.Event()

    @property
    def is_to_look(self) -> bool:
        return bool(self._to_look)

    @property
    def count(self) -> int:
        """How many are known to be behind."""
        return sum(map(len, self._users.values()))

    def look_at(self, partitions: Iterable[int]) -> None:
        """Rules have begun to hold in these, or nobody knows whether all have adopted those that do."""
        self._to_look.update(partitions)

    async def look(self) -> None:
        """Find out who is behind. Raises `StoreError`: then it is to be looked again."""
        partitions, self._to_look = self._to_look, set()
        try:
            timeline = self._rules.timeline
            if timeline is None:
                return
            latest = timeline.moments[-1]
            present = await self._store.present_users(partitions)
            count = self._store.partition_count
            async for state in readable(present, self._damage.tell):
                if state.rules_since < latest:
                    self._users.setdefault(partition_of(state.user, count), {})[state.user] = None
        except BaseException:
            self._to_look |= partitions
            raise

    async def adopt(self, users: list[str], held: set[int]) -> None:
        """Returns when these have adopted the latest rules, durably, and all of ``held`` have a tick behind that.

        Raises `StoreError` where the partition of a user is another worker's, or goes to another meanwhile.
        """
        count = self._store.partition_count
        wish = _Wish({partition_of(user, count) for user in users}, set(held))
        wish.is_lost = not wish.partitions <= held
        if not wish.is_lost:
            for user in users:
                self._users.setdefault(partition_of(user, count), {})[user] = None
            self._ticks |= held
        self._wishes.append(wish)
        try:
            while not wish.is_lost and (self._ticks & wish.ticks or any(map(self._users.get, wish.partitions))):
                self._turned.clear()
                await self._turned.wait()
        finally:
            self._wishes.remove(wish)
        if wish.is_lost:
            raise StoreError("users who are to adopt rules belong to another worker by now")

    def begin_round(self) -> None:
        timeline = self._rules.timeline
        with_past = timeline is not None and bool(timeline.wants_history(timeline.moments[-1] - 1))
        self._room = CATCH_UP_WITH_PAST if with_past else CATCH_UP

    def waits(self, partition: int) -> bool:
        """Whether anybody there is behind, or a tick is wanted there."""
        return (self._room > 0 and bool(self._users.get(partition))) or partition in self._ticks

    def join(self, work: Work, partition: int) -> None:
        """Let some of those who are behind be due in this work."""
        known = set(work.due)
        for user in list(self._users.get(partition, ()))[: self._room]:
            self._room -= 1
            if user not in known:
                work.due.append(user)

    def adopted(self, partition: int, work: Work) -> None:
        """The work is durable."""
        users = self._users.get(partition)
        if users is not None:
            for user in work.due:
                users.pop(user, None)
            if not users:
                del self._users[partition]
        if work.complete:
            self._ticks.discard(partition)
        self._turned.set()

    def drop(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        self._to_look -= gone
        self._ticks -= gone
        for number in gone:
            self._users.pop(number, None)
        for wish in self._wishes:
            wish.is_lost |= bool(wish.partitions & gone)
        self._turned.set()
