"""One worker on the model store of a fleet, with a time of its own, for the tests of its parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.units import SECOND
from engine.fleet.rounds import Round, Rounds
from engine.loading.load import load
from engine.rule_history import RuleHistory
from engine.storage.base import Commit, Entry, StoreError, partition_of
from engine.storage.fleet import Presence, Role, Roll
from engine.storage.memory_fleet import MemoryFleetStore
from engine.triggers import KINDS

START = 1_774_605_600 * SECOND
FAIL = """
version: 1
rules:
  - {id: fail, trigger: {event: fail}, message: {type: suggestion, text: "{{ session.events }} fail"}}
"""
IDLE = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 1m}, message: {type: question, text: "idle"}}
"""


def compiled(text: str) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


class StubbornFleetStore(MemoryFleetStore):
    """Refuses so many commits, or makes them and says that it cannot tell; ``before_commit`` is awaited once."""

    refusals = 0
    lost_answers = 0
    unconfirmed = 0
    tells_refused = 0
    deaf = 0
    looks = 0  # at who is at a gateway
    faults = 0  # of ours: what is asked next raises what is no `StoreError`
    unpublished = 0
    unheard = 0
    beat_faults = 0
    gone: frozenset[int] = frozenset()  # partitions out of reach
    deaf_gateways: frozenset[str] = frozenset()
    rules_are_gone = False
    before_commit: Callable[[], Awaitable[None]] | None = None
    before_tell: Callable[[], Awaitable[None]] | None = None

    def _fault(self) -> None:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a fault")

    def out_of_reach(self) -> frozenset[int]:
        return self.gone

    def cannot_be_told(self, gateways: Iterable[str]) -> frozenset[str]:
        return self.deaf_gateways.intersection(gateways)

    def _reach(self, partitions: Iterable[int]) -> None:
        if self.gone.intersection(partitions):
            raise StoreError("its primary is gone")

    async def take(self, worker: str, partitions: list[int], **limits: Any) -> Any:
        return await super().take(worker, [number for number in partitions if number not in self.gone], **limits)

    async def ingest(self, entries: Any, presence: Any = (), gateway: str = "") -> Any:
        self._reach(partition_of(entry.user, self.partition_count) for entry in entries)
        return await super().ingest(entries, presence, gateway)

    async def rule_moments(self) -> list[tuple[int, str]]:
        if self.rules_are_gone:
            raise StoreError("its primary is gone")
        return await super().rule_moments()

    async def commit(self, commits: list[Commit]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("the disk said no")
        if self.before_commit is not None:
            before, self.before_commit = self.before_commit, None
            await before()
        await super().commit(commits)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreError("no answer")

    async def confirm(self, partitions: Collection[int] | None = None) -> None:
        if self.unconfirmed:
            self.unconfirmed -= 1
            raise StoreError("no replica has it")

    async def beat(self, role: Role, name: str, lasts_ms: int) -> Roll:
        if self.unheard:
            self.unheard -= 1
            raise StoreError("no answer")
        if self.beat_faults:
            self.beat_faults -= 1
            raise RuntimeError("a fault")
        return await super().beat(role, name, lasts_ms)

    async def present_users(self, partitions: Collection[int] | None = None) -> list[tuple[str, bytes]]:
        self._fault()
        self._reach(range(self.partition_count) if partitions is None else partitions)
        return await super().present_users(partitions)

    async def sessions_at(self, gateway: str, partition: int) -> dict[str, list[str]]:
        self.looks += 1
        self._fault()
        if self.deaf:
            self.deaf -= 1
            raise StoreError("no answer")
        return await super().sessions_at(gateway, partition)

    async def publish_rules(self, rules_hash: str) -> int:
        moment = await super().publish_rules(rules_hash)
        if self.unpublished:
            self.unpublished -= 1
            raise StoreError("no answer")
        return moment

    async def tell(self, notices: Any) -> dict[str, int]:
        if self.tells_refused:
            self.tells_refused -= 1
            raise StoreError("no answer")
        if self.before_tell is not None:
            before, self.before_tell = self.before_tell, None
            await before()
        if self.deaf_gateways.intersection(notices):
            raise StoreError("its primary is gone")
        return await super().tell(notices)


class World:
    """The worker ``w1`` makes its rounds when it is told to."""

    def __init__(self, partition_count: int = 1) -> None:
        self.now = START
        self.store = StubbornFleetStore(lambda: self.now, partition_count)
        self.rounds = Rounds(self.store, "w1", rules=RuleHistory(self.store))
        self.partitions = list(range(partition_count))

    @classmethod
    async def started(cls, text: str, partition_count: int = 1) -> World:
        """With these rules, which are evaluated."""
        world = cls(partition_count)
        await world.publish(text)
        await world.round()
        return world

    async def publish(self, text: str) -> int:
        """The moment, to which time has come."""
        rules = compiled(text)
        await self.store.save_rules(rules.hash, rules.sources)
        self.now = max(self.now, await self.store.publish_rules(rules.hash))
        return self.now

    def put_rules(self) -> int:
        """Rules of which it is not decided whether they hold; their moment, to which time has come."""
        self.now += 1
        for partition in self.store._partitions:
            partition.put(Entry("rules", self.now, rules_hash="somebody's"))
        return self.now

    async def say(self, user: str, kind: str, session: str | None = None, **data: Any) -> None:
        presence = []
        if session is not None:
            presence = [Presence(user, session, is_there=kind == "session.start")]
        event = Event(kind, user, 0, data, session=session)
        await self.store.ingest([Entry("event", 0, user, event)], presence, "g1")

    async def round(self, untold: Collection[int] = ()) -> Round:
        return await self.rounds.make(self.partitions, untold)
