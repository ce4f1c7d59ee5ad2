"""A live driver on the model store with a time of its own, for the tests of the driver and what lies around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engine.core.model import Event
from engine.core.rules import Fired, Policy, RuleSet, Trigger
from engine.core.scope import Scope
from engine.core.shapes import AnyValue, Fields, Kind
from engine.core.state import UserState
from engine.core.units import SECOND
from engine.intake import Input
from engine.live import Live
from engine.loading.load import load
from engine.storage.base import Commit, Entry, OutboxMessage, StoreError
from engine.storage.memory import MemoryStore
from engine.triggers import KINDS

START = 1_774_605_600 * SECOND  # 2026-03-27T10:00:00Z
IDLE = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 5m}, message: {type: question, text: "idle after {{ event.type }}"}}
  - {id: seen, trigger: {event: hello}, message: {type: notification, text: hi}}
"""


def compiled(text: str = IDLE) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


def said(user: str = "ann", event_type: str = "hello", session: str | None = None, **data: object) -> Input:
    return Input(user, event_type, dict(data), session=session)


class Faulty(Trigger):
    """Raises on events that say so (``boom``), and at its moment, 5 minutes after one that says ``late``."""

    __slots__ = ()
    kind = "faulty"
    has_timer = True

    def __init__(self, key: str) -> None:
        super().__init__(key, event_types=("*",))

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        assert scope.event is not None
        if scope.event.data.get("boom"):
            raise RuntimeError("boom at an event")
        if scope.event.data.get("late"):
            state.memory[self.key] = state.now + 300 * SECOND
            state.wake_by(state.now + 300 * SECOND)
        return None

    def due(self, state: UserState, policy: Policy) -> int | None:
        moment: int | None = state.memory.get(self.key)
        return moment if moment is not None and moment > state.now else None

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        raise RuntimeError("boom in time")


class Hoarding(Trigger):
    """Remembers whatever an event gives it, without any bound."""

    __slots__ = ()
    kind = "hoarding"

    def __init__(self, key: str) -> None:
        super().__init__(key, event_types=("hoard",))

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        assert scope.event is not None
        state.memory[self.key] = scope.event.data["much"]
        return Fired({}, scope.event)


BAD_KINDS = {
    **KINDS,
    "faulty": Kind("faulty", Fields(keys={"x": AnyValue()}), lambda values, key: Faulty(key)),
    "hoarding": Kind("hoarding", Fields(keys={"x": AnyValue()}), lambda values, key: Hoarding(key)),
}


def badly_compiled(text: str) -> RuleSet:
    return load({"rules.yaml": text}, BAD_KINDS)


class StubbornStore:
    """The model store; it refuses the next ``refusals`` commits after ``spared``.

    Of the next ``lost_answers`` the answer is lost. With ``hold`` set the next commit never returns (``held`` says
    that it has come so far); it is made before that where ``hold`` is True. The next ``unreadable`` looks at the
    log, ``pastless`` at histories, ``blind`` at the wake-ups and ``shut`` at the outbox are refused.
    """

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.spared = 0
        self.refusals = 0
        self.lost_answers = 0
        self.unreadable = 0
        self.pastless = 0
        self.blind = 0
        self.shut = 0
        self.hold: bool | None = None
        self.held = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def commit(self, commits: list[Commit]) -> None:
        if self.spared:
            self.spared -= 1
        elif self.refusals:
            self.refusals -= 1
            raise StoreError("the disk said no")
        if self.hold is not None:
            made, self.hold = self.hold, None
            if made:
                await self.inner.commit(commits)
            self.held.set()
            await asyncio.Event().wait()
        await self.inner.commit(commits)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreError("no answer")

    async def log(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        if self.unreadable:
            self.unreadable -= 1
            raise StoreError("the log cannot be read")
        return await self.inner.log(partition, after, entries_max)

    async def history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        if self.pastless:
            self.pastless -= 1
            raise StoreError("the past cannot be read")
        return await self.inner.history(users, before, events_max)

    async def next_wake(self) -> int | None:
        if self.blind:
            self.blind -= 1
            raise StoreError("the wake-ups cannot be read")
        return await self.inner.next_wake()

    async def pending(self, user: str, now: int) -> list[OutboxMessage]:
        if self.shut:
            self.shut -= 1
            raise StoreError("the outbox cannot be read")
        return await self.inner.pending(user, now)


@dataclass
class World:
    """Takes its turns by hand: nothing happens unless a test says so."""

    rules: RuleSet = field(default_factory=compiled)
    partition_count: int = 2
    now: int = START
    delivered: list[OutboxMessage] = field(default_factory=list)
    accept: Callable[[OutboxMessage], bool] = lambda message: True
    store: StubbornStore = field(init=False)
    live: Live = field(init=False)

    async def start(self) -> World:
        """A new process on an empty store. Its rules hold from `START` on, the moment after it looked at the clock."""
        self.store = StubbornStore(MemoryStore(self.partition_count))
        self.now = START - 1
        await self.restart()
        self.now = START
        return self

    async def restart(self) -> World:
        """A new process on the same store."""
        self.live = Live(self.store, self.rules, clock=lambda: self.now, deliver=self.deliver, retry_seconds=(0, 0))
        await self.live.recover()
        return self

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        handed = [message for message in messages if self.accept(message)]
        self.delivered += handed
        return [message.message.id for message in handed]

    async def say(self, *inputs: Input) -> list[Any]:
        """Submit each by itself, all in one turn; what each came to: ids, or the exception."""
        tasks = [asyncio.ensure_future(self.live.submit([item])) for item in inputs]
        await asyncio.sleep(0)  # lets them stand in the queue
        with suppress(StoreError):  # the callers are told
            await self.live.take_turn(self.now)
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def come_to(self, now: int) -> None:
        self.now = now
        await self.live.take_turn(now)

    def texts(self) -> list[tuple[str, str]]:
        return [(message.user, message.message.text) for message in self.delivered]

    async def state(self, user: str = "ann") -> UserState:
        return UserState.decode((await self.store.load([user]))[user])

    async def entries(self, kind: str) -> list[Any]:
        found = []
        for number in range(self.partition_count):
            found += [entry for entry in await self.store.log(number, 0, 10_000) if entry.kind == kind]
        return found
