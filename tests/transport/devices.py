"""Devices of users on a driver whose turns are taken by hand. It claims nothing itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from live_world import World, compiled

from engine.core.model import Message
from engine.storage.base import OutboxMessage
from engine.transport.auth import Identity
from engine.transport.delivery import Delivery
from engine.transport.frames import Hello
from engine.transport.hub import Hub
from engine.transport.ledger import Ledger
from engine.transport.limits import Pacer
from engine.transport.outgoing import Outgoing
from engine.transport.session import Session
from engine.transport.sessions import Sessions

RULES = """
version: 1
rules:
  - {id: ask, trigger: {event: hello}, message: {type: question, text: "How is it going?", options: [well, badly]}}
"""
OPEN = Identity(None, "open")
Result = TypeVar("Result")


@dataclass
class Devices(World):
    """A world with sessions and deliveries, as a server has them."""

    rate: int | None = None
    seconds: float = 0.0
    sessions: Sessions = field(init=False)
    delivery: Delivery = field(init=False)
    hub: Hub = field(init=False)
    ledger: Ledger = field(init=False)

    async def restart(self) -> World:
        await super().restart()
        self.hub, self.ledger = Hub(lambda: self.seconds), Ledger()
        self.delivery = Delivery(self.hub, self.ledger, Pacer(self.rate), lambda: self.seconds)
        self.live._deliver = self.delivery.deliver
        self.live._after_turn = self.delivery.after_turn
        self.sessions = Sessions(self.live, self.ledger, clock=lambda: self.now, is_kept_back=self.delivery.is_paced)
        self.delivery.bind(self.live, self.sessions)
        self.live.on_abandoned(self.sessions.abandoned)
        return self

    async def turning(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it, with turns taken for what it waits for."""
        task = asyncio.ensure_future(work)
        for _ in range(20):
            await asyncio.sleep(0)
            if task.done():
                break
            await self.live.take_turn(self.now)
        return await task

    async def open(
        self,
        client: str,
        user: str | None = "ann",
        resume: tuple[str, int] | None = None,
        attempt: tuple[str, int] | None = None,
    ) -> Device:
        hello = Hello(client, user=user, resume=resume, attempt=attempt)
        session = await self.turning(self.sessions.open(hello, OPEN))
        device = Device(self, session, Outgoing())
        session.attach(device.outgoing, "websocket")
        return device

    async def settle(self) -> None:
        """Let whatever waits have its turn."""
        for _ in range(5):
            await asyncio.sleep(0)
            await self.live.take_turn(self.now)

    async def send(self, name: str, user: str = "ann", client: str = "", expires: int | None = None) -> None:
        message = Message(name, "question", "ok?", expires_at=None if expires is None else self.now + expires)
        await self.turning(self.live.send([OutboxMessage(user, message, self.now, client=client)]))

    async def outbox(self, user: str = "ann") -> list[str]:
        return [outgoing.message.id for outgoing in await self.store.pending(user, self.now)]

    async def types(self) -> list[str]:
        return [entry.event.type for entry in await self.entries("event")]


@dataclass
class Device:
    world: Devices
    session: Session
    outgoing: Outgoing

    def frames(self) -> list[dict[str, Any]]:
        found = []
        while (text := self.outgoing.take_nowait()) is not None:
            found.append(json.loads(text))
        return found

    def ids(self) -> list[str]:
        return [frame["id"] for frame in self.frames() if "seq" in frame]

    async def received(self, seq: int) -> None:
        self.world.sessions.received(self.session, seq)
        await self.world.settle()

    def lose(self) -> None:
        self.session.detach(self.outgoing, self.world.now)


async def devices(**settings: Any) -> Devices:
    world = Devices(rules=compiled(RULES), **settings)
    await world.start()
    return world
