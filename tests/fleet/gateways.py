"""Gateways on the model store in one process, and somebody who stands in for the workers. It claims nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from transport.devices import OPEN, Device

from engine.core.model import Message, derive_id
from engine.core.units import SECOND
from engine.fleet.front import Front
from engine.intake import Input
from engine.responders import plain
from engine.stale import GRACE
from engine.storage.base import Commit, Entry, OutboxMessage, StoreError
from engine.storage.fleet import FleetStore, Notice, Presence
from engine.storage.memory_fleet import MemoryFleetStore
from engine.transport.answers import Answers
from engine.transport.delivery import Delivery
from engine.transport.desk import Desk
from engine.transport.frames import Hello
from engine.transport.here import People
from engine.transport.hub import Hub
from engine.transport.ledger import Ledger
from engine.transport.limits import Pacer
from engine.transport.outgoing import Outgoing
from engine.transport.sessions import Sessions

START = 1_774_605_600 * SECOND
ASK = "how is it going?"
WITHIN_S = 20.0
TOLD = ("message.answered", "message.dismissed", "message.muted", "user.preferences")


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Returns when it holds; fails where it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


async def until_known(look: Callable[[], Awaitable[object]], expected: object) -> None:
    found = None
    try:
        async with asyncio.timeout(WITHIN_S):
            while (found := await look()) != expected:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"expected {expected!r}, found {found!r}") from None


def over(user: str, session: str) -> Presence:
    return Presence(user, session, is_there=False)


class Stubborn:
    """The store; it refuses what `refusals` names so many times, after doing it where ``done`` is True."""

    def __init__(self, inner: FleetStore) -> None:
        self.inner = inner
        self.refusals: dict[str, int] = {}
        self.done = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not self.refusals.get(name):
            return found

        async def refused(*given: Any, **named: Any) -> Any:
            self.refusals[name] -= 1
            if self.done:
                await found(*given, **named)
            raise StoreError("no answer")

        return refused


@dataclass
class Gate:
    """One gateway without its doors. ``ahead``: microseconds by which its machine's clock is before the store's."""

    fleet: Fleet
    store: FleetStore
    ahead: int = 0
    front: Front = field(init=False)
    sessions: Sessions = field(init=False)
    hub: Hub = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.front = Front(
            self.store, clock=lambda: self.fleet.now + self.ahead, retry_seconds=(0.0, 0.0),
            erase_within_s=self.fleet.erase_within_s, resume_within=self.fleet.resume_within,
        )  # fmt: skip
        self.hub, ledger = Hub(time.monotonic), Ledger()
        delivery = Delivery(self.hub, ledger, Pacer(None), time.monotonic)
        self.sessions = Sessions(self.front, ledger, clock=self.front.now, is_kept_back=delivery.is_paced)
        delivery.bind(self.front, self.sessions)
        self.front.on_abandoned(self.sessions.abandoned)
        people = People(self.hub, self.sessions, delivery)
        self.front.bind(people)
        answers = Answers(plain.respond, 5.0)
        forgetting = [delivery.forget]
        self.desk = people.desk = Desk(
            self.front, self.hub, self.sessions, answers, clock=self.front.now, expires=60 * SECOND,
            is_kept_back=delivery.is_paced, forgetting=forgetting,
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.front.name

    @property
    def now(self) -> int:
        return self.front.now()

    async def settle(self) -> None:
        await self.front.settled()

    async def open(self, client: str, user: str = "ann", resume: tuple[str, int] | None = None) -> Person:
        session = await self.sessions.open(Hello(client, user=user, resume=resume), OPEN)
        device = Person(self, session, Outgoing())  # type: ignore[arg-type]
        session.attach(device.outgoing, "websocket")
        return device

    async def name_plainly(self, client: str, connection: str | None = None) -> Outgoing:
        """A plain connection says who it is, as `Peer` has it."""
        connection = connection or f"c_{client}_{self.name}"
        outgoing = self.hub.connect(connection)
        self.hub.identify(connection, client)
        await self.desk.hand_waiting(connection, client)
        await self.desk.submit([Input(client, "session.start", {}, session=connection)], "websocket")
        return outgoing

    async def die(self) -> None:
        """As by kill -9: nothing is said any more, to anybody."""
        tasks = [self.front._loop, *self.front._beside]
        for task in tasks:
            assert task is not None
            task.cancel()
        await asyncio.wait([task for task in tasks if task is not None])


class Person(Device):
    """A device of level 1 that knows messages by their ids."""

    def hear(self) -> list[dict[str, Any]]:
        """All frames by now, the oldest first; what has a number is acknowledged."""
        if not hasattr(self, "heard"):
            self.heard: list[dict[str, Any]] = []
        frames = self.frames()
        self.heard += frames
        numbers = [frame["seq"] for frame in frames if "seq" in frame]
        if numbers:
            self.world.sessions.received(self.session, numbers[-1])
        return self.heard

    def shown(self) -> list[str]:
        return [frame.get("message", "") for frame in self.hear() if "seq" in frame]

    def withdrawn(self) -> dict[str, str]:
        return {frame["id"]: frame["reason"] for frame in self.hear() if frame["type"] == "withdrawn"}

    async def say(self, kind: str, event_id: str = "", **data: Any) -> list[str]:
        gate: Any = self.world
        session = self.session
        known = f"{session.id_prefix}{event_id}" if event_id else ""
        return await gate.desk.record([Input(session.user, kind, data, known, session.name, None, bool(event_id))])


class StandIn:
    """Works for all partitions: to every ``go`` it says something, and it tells what it has to.

    ``silent``: it commits, and nobody is told. While it ``rests`` nothing is evaluated. It is on no roll.
    """

    def __init__(self, store: MemoryFleetStore) -> None:
        self.store = store
        self.entries: list[Entry] = []
        self.silent = False
        self.rests = False

    async def run(self) -> None:
        while True:
            if not self.rests:
                await self.work()
            await asyncio.sleep(0.001)

    async def work(self) -> None:
        store = self.store
        shares = await store.take("w", list(range(store.partition_count)), lease_ms=1000)
        commits = []
        notices: list[tuple[str, Notice]] = []
        for share in shares:
            batch = share.batch
            if not batch.entries:
                continue
            commit = Commit(batch.partition, batch.version, batch.cursor + len(batch.entries))
            commits.append(commit)
            for entry in batch.entries:
                self.entries.append(entry)
                self._evaluate(entry, commit, notices)
        if not commits:
            return
        await store.commit(commits)
        if self.silent:
            return
        where = await store.where([user for user, _ in notices])
        told: dict[str, list[Notice]] = {}
        for user, notice in notices:
            for gateway in where.get(user, []):
                told.setdefault(gateway, []).append(notice)
        await store.tell(told)

    def _evaluate(self, entry: Entry, commit: Commit, notices: list[tuple[str, Notice]]) -> None:
        event = entry.event
        if entry.message is not None:
            message = OutboxMessage(entry.user, entry.message, entry.at, client=entry.client)
        elif event is not None and event.type == "go":
            text = str(event.data.get("text", ASK))
            asked = Message(derive_id(event.id), "question", text, prompt=str(event.data.get("prompt", "")))
            message = OutboxMessage(entry.user, asked, entry.at, "ask")
        else:
            if event is not None and event.type in TOLD:
                notices.append((entry.user, Notice(user=entry.user, entry=entry)))
            return
        commit.outbox.append(message)
        notices.append((entry.user, Notice(user=entry.user, message=message)))

    def types(self, user: str = "ann") -> list[str]:
        return [entry.event.type for entry in self.entries if entry.event is not None and entry.user == user]


@dataclass
class Fleet:
    """Gateways on one store. Its time stands until a test says so."""

    partition_count: int = 2
    erase_within_s: tuple[float, float] = (WITHIN_S, 0.0)
    resume_within: int = GRACE
    now: int = START
    store: MemoryFleetStore = field(init=False)
    worker: StandIn = field(init=False)
    gates: list[Gate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryFleetStore(lambda: self.now, self.partition_count)
        self.worker = StandIn(self.store)

    async def gate(self, store: Any = None, ahead: int = 0) -> Gate:
        gate = Gate(self, store or self.store, ahead)
        await gate.front.start()
        self.gates.append(gate)
        for each in self.gates:
            if not each.front._loop.done():  # type: ignore[union-attr]
                await each.front._beating.beat()
        return gate

    async def outbox(self, user: str = "ann") -> list[str]:
        return [outgoing.message.text for outgoing in await self.store.pending(user, self.now)]

    async def where(self, user: str = "ann") -> list[str]:
        return (await self.store.where([user])).get(user, [])

    async def names(self) -> Mapping[str, str]:
        return {gate.name: str(number) for number, gate in enumerate(self.gates)}


@asynccontextmanager
async def a_fleet(gateways: int = 2, **given: Any) -> AsyncIterator[tuple[Fleet, list[Gate]]]:
    fleet = Fleet(**given)
    async with AsyncExitStack() as running:
        working = asyncio.create_task(fleet.worker.run())

        async def stop() -> None:
            working.cancel()
            await asyncio.wait([working])

        running.push_async_callback(stop)
        yield fleet, [await fleet.gate() for _ in range(gateways)]
        for gate in fleet.gates:
            await gate.desk.close()
            if not gate.front._loop.done():  # type: ignore[union-attr]
                await gate.front.stop()
