"""Questions of clients with a responder and a log, without any socket. It claims nothing itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from engine.core.model import Event, Json
from engine.core.units import SECOND
from engine.intake import Input
from engine.pending import Pending
from engine.responders.base import ChatMessage
from engine.storage.base import Entry, OutboxMessage, StoreError
from engine.transport.answers import Answers
from engine.transport.chats import Chats, Question
from engine.transport.outgoing import Outgoing
from engine.transport.session import Session

START = 1_700_000_000 * SECOND


class World:
    """A log that outlasts processes, and a responder that can be made to wait or to fail."""

    def __init__(self) -> None:
        self.now = START
        self.log: list[Entry] = []
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.readable = asyncio.Event()
        self.readable.set()
        self.reads = 0
        self.fails = False
        self.log_fails = False
        self.store_fails = ""  # "at once" or "later"
        self.restart()

    def restart(self) -> None:
        self.answers = Answers(self.respond, 60.0)
        self.chats = Chats(
            self.answers, send=self.send, record=self.record, newest=self.newest, clock=lambda: self.now
        )  # fmt: skip

    async def end_process(self) -> None:
        await self.chats.close()
        await self.answers.close()
        self.restart()

    async def respond(self, chat: ChatMessage) -> str:
        self.asked.append(chat.message)
        await self.go.wait()
        if self.fails:
            raise OSError("no model")
        return f"to {chat.message}"

    def send(self, messages: list[OutboxMessage]) -> Pending[list[Entry]]:
        done: Pending[list[Entry]] = Pending()
        if self.store_fails == "at once":
            raise StoreError("the disk is full")
        if self.store_fails:
            done.set_exception(StoreError("the disk is full"))
            return done
        for one in messages:
            self.log.append(Entry("send", self.now, one.user, message=one.message, client=one.client))
        done.set_result(self.log[-len(messages) :])
        return done

    def record(self, inputs: list[Input]) -> None:
        for item in inputs:
            self.log.append(Entry("event", self.now, item.user, Event(item.type, item.user, self.now, item.data)))

    async def newest(self, user: str, most: int) -> list[Entry]:
        self.reads += 1
        await self.readable.wait()
        if self.log_fails:
            raise StoreError("the disk cannot be read")
        return [entry for entry in reversed(self.log) if entry.user == user][:most]

    def open(self, name: str = "s_1", client: str = "laptop", user: str = "ann", *, is_there: bool = True) -> Device:
        session = Session(name, user, client, left_at=self.now)
        session.on_end = lambda: self.chats.ended(session)
        device = Device(self, session)
        if is_there:
            device.attach()
        self.chats.opened(session)
        return device

    def answered(self) -> list[tuple[str, str, str]]:
        """By the log: client, text and id of all answers."""
        return [(each.client, each.message.text, each.message.id) for each in self.log if each.message is not None]


class Device:
    def __init__(self, world: World, session: Session) -> None:
        self.world = world
        self.session = session
        self.outgoing = Outgoing()

    def attach(self) -> None:
        self.outgoing = Outgoing()
        self.session.attach(self.outgoing, "websocket")

    def asks(self, text: str, name: str = "", *, is_repeat: bool = False) -> str:
        """The id that the question has in the log."""
        user, client = self.session.user, self.session.client
        question = f"{client}/{name}" if name else f"0-{len(self.world.log)}"
        data: dict[str, Json] = {"message": text}
        if not is_repeat:
            event = Event("chat_message", user, self.world.now, data, question, self.session.name)
            self.world.log.append(Entry("event", self.world.now, user, event))
        self.world.chats.ask(self.session, Question(question, data))
        return question

    def end(self) -> None:
        self.session.is_over = True
        assert self.session.on_end is not None
        self.session.on_end()

    def errors(self) -> list[tuple[str, str | None]]:
        found: list[dict[str, Any]] = []
        while (text := self.outgoing.take_nowait()) is not None:
            found.append(json.loads(text))
        return [(frame["code"], frame.get("frameId")) for frame in found if frame["type"] == "error"]


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)
