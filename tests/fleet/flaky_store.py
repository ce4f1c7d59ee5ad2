"""The store of a fleet where each call may come late, fail or be made in part, and a process may crash, by chance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.core.units import SECOND
from engine.storage.base import Commit, Conflict, Entry, StoreError, partition_of
from engine.storage.fleet import Presence
from engine.storage.memory_fleet import MemoryFleetStore


class Crash(BaseException):
    """The process is gone."""


class Chance:
    """What goes wrong; nothing any more once it is ``calm``."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.calm = False
        self.badness = self.random.choice((0.0, 0.02, 0.1, 0.3))
        self.crashes = self.random.choice((0.0, 0.0, 0.01, 0.05))
        self.failed = 0

    def happens(self, probability: float) -> bool:
        return not self.calm and self.random.random() < probability

    async def pause(self) -> None:
        for _ in range(0 if self.calm else self.random.choice((0, 0, 1, 1, 2, 5))):
            await asyncio.sleep(0)

    def fails(self, *, may_crash: bool) -> None:
        if may_crash and self.happens(self.crashes):
            raise Crash
        if self.happens(self.badness):
            self.failed += 1
            raise StoreError("no answer")


class SlowRules(MemoryFleetStore):
    """Puts rules into one partition after the other, and decides then: what a store of many machines has to do."""

    chance: Chance

    async def publish_rules(self, rules_hash: str) -> int:
        while True:
            at = self._clock() + self.chance.random.choice((1, 5, SECOND))
            at = max([at, *(moment + 1 for moment in self._decided)])
            for partition in self.chance.random.sample(self._partitions, len(self._partitions)):
                await self.chance.pause()
                self.chance.fails(may_crash=False)  # whoever publishes is gone in the middle
                if partition.last_at >= at:
                    self._decided.setdefault(at, "")
                    break
                partition.put(Entry("rules", at, rules_hash=rules_hash))
            await self.chance.pause()
            if self._decided.setdefault(at, rules_hash) == rules_hash:
                self._moments[at, rules_hash] = None
                return at


class Flaky:
    """The store as one process sees it: each call late, failing before or after it took effect, or made in part."""

    def __init__(self, inner: SlowRules, chance: Chance, *, may_crash: bool = True) -> None:
        self.partition_count = inner.partition_count
        self.inner = inner
        self._chance = chance
        self._may_crash = may_crash
        self._gone: frozenset[int] = frozenset()  # partitions of which nothing can be had; with the first, nor of rules

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        async def call(*args: Any, **named: Any) -> Any:
            self._reach([0] if name in ("beat", "rule_moments", "are_decided", "load_rules") else ())
            return await self._done(lambda: method(*args, **named))

        return call

    def out_of_reach(self) -> frozenset[int]:
        return self._gone

    @property
    def held_up(self) -> Mapping[int, str]:
        return dict.fromkeys(self._gone, "its primary is gone")

    def cannot_be_told(self, gateways: Iterable[str]) -> frozenset[str]:
        return frozenset(name for name in gateways if partition_of(name, self.partition_count) in self._gone)

    def _reach(self, partitions: Iterable[int]) -> None:
        if self._gone.intersection(partitions):
            raise StoreError("its primary is gone")

    async def take(self, worker: str, partitions: list[int], **limits: Any) -> Any:
        """Now and then a primary goes, or comes back."""
        if self._chance.calm or self._chance.happens(self._chance.badness / 4):
            several = [] if self._chance.calm else self._chance.random.choices(range(self.partition_count), k=2)
            self._gone = frozenset(self._chance.random.choice([several, several[:1], []]))
        some = [number for number in partitions if number not in self._gone]
        return await self._done(lambda: self.inner.take(worker, some, **limits))

    async def where(self, users: Sequence[str]) -> Any:
        self._reach(partition_of(user, self.partition_count) for user in users)
        return await self._done(lambda: self.inner.where(users))

    async def load(self, users: list[str]) -> Any:
        self._reach(partition_of(user, self.partition_count) for user in users)
        return await self._done(lambda: self.inner.load(users))

    async def tell(self, notices: Mapping[str, Any]) -> Any:
        self._reach(partition_of(name, self.partition_count) for name in notices)
        return await self._done(lambda: self.inner.tell(notices))

    async def commit(self, commits: list[Commit]) -> None:
        """Of each partition all or nothing, in any order, and the answer may be lost at any place."""
        await self._chance.pause()
        refused = set()
        for commit in self._chance.random.sample(commits, len(commits)):
            self._reach([commit.partition])
            self._chance.fails(may_crash=self._may_crash)
            try:
                await self.inner.commit([commit])
            except Conflict:
                refused.add(commit.partition)
            self._chance.fails(may_crash=self._may_crash)
        await self._chance.pause()
        if refused:
            raise Conflict("somebody was faster", frozenset(refused))

    async def ingest(self, entries: Sequence[Entry], presence: Sequence[Presence] = (), gateway: str = "") -> Any:
        await self._chance.pause()
        taken = []
        for number in range(self.partition_count):
            some = [entry for entry in entries if partition_of(entry.user, self.partition_count) == number]
            there = [each for each in presence if partition_of(each.user, self.partition_count) == number]
            if some or there:
                self._chance.fails(may_crash=self._may_crash)
                taken += await self.inner.ingest(some, there, gateway)
        await self._chance.pause()
        self._chance.fails(may_crash=self._may_crash)
        return taken

    async def _done(self, make: Callable[[], Awaitable[Any]]) -> Any:
        await self._chance.pause()
        self._chance.fails(may_crash=self._may_crash)
        result = await make()
        await self._chance.pause()
        self._chance.fails(may_crash=self._may_crash)
        return result
