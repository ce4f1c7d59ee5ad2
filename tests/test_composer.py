"""Messages that a responder writes: through a real server, and by the composer alone."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect

from engine import ChatMessage, Server
from engine.composer import AT_ONCE, WAITING_MAX, Composer
from engine.core.model import Message
from engine.core.units import SECOND
from engine.intake import Input
from engine.replay.recording import read_recording
from engine.settings import OpenAI
from engine.storage.base import OutboxMessage, StoreError
from tests.responders.openai_server import model_server, saying

WITHIN_S = 20.0  # only a hang takes as long
RULES = """
version: 1
rules:
  - id: hint
    trigger: {event: test.failed}
    message: {type: suggestion, text: "Want a hint?", compose: "Offer a hint about {{ event.test }} in a sentence."}
"""
TAKEN_BACK = """
version: 1
rules:
  - id: goodbye
    trigger: {session: end}
    offline: keep
    expires: 12h
    message: {type: notification, text: "Saved.", compose: "Say goodbye."}
    deliver: {cancel_on: work.opened}
"""


async def messages_of(server: Server, opened: AsyncExitStack, count: int, **event: Any) -> list[dict[str, Any]]:
    socket = await opened.enter_async_context(connect(server.ws_url))
    await socket.send(json.dumps({"type": "hello", "protocol": 1, "clientId": "laptop", "user": "ann"}))
    await socket.send(json.dumps({"type": "test.failed", **event}))
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN_S):
        while len(found) < count:
            frame = json.loads(await socket.recv())
            if frame["type"] == "backend_message":
                found.append(frame)
    return found


async def events(server: Server) -> list[tuple[str, dict[str, Any]]]:
    store = server._parts().store
    entries = [one for part in range(store.partition_count) for one in await store.log(part, 0, 1000)]
    return [(one.event.type, one.event.data) for one in entries if one.event is not None]


async def test_a_model_writes_the_message_and_a_replay_needs_none(start_server: Any) -> None:
    async with model_server(saying("Look at", " the loop.")) as model, AsyncExitStack() as opened:
        given = OpenAI(url=model.url, model="tutor")
        server = await start_server(RULES, responder="openai", openai=given)
        [message] = await messages_of(server, opened, 1, test="t1")
        assert message["message"] == "Look at the loop."
        assert "prompt" not in message
        assert model.asked[0]["messages"] == [{"role": "user", "content": "Offer a hint about t1 in a sentence."}]
        [composed] = [data for kind, data in await events(server) if kind == "message.composed"]
        assert composed == {"message_id": message["id"], "text": "Look at the loop.", "by": "tutor"}
        path = server.settings.store.removeprefix("sqlite:")
        await server.stop()
    recording = await read_recording(path)
    [line] = recording.decisions["ann"]
    said = json.loads(line)["message"]
    assert (said["text"], said["prompt"]) == ("Want a hint?", "Offer a hint about t1 in a sentence.")


async def test_a_model_that_stalls_leaves_the_plain_text(start_server: Any) -> None:
    async def stalls(message: ChatMessage) -> str:
        await asyncio.Event().wait()
        return "never"

    async with AsyncExitStack() as opened:
        server = await start_server(RULES, responder=stalls, compose_timeout=SECOND // 10)
        [message] = await messages_of(server, opened, 1, test="t1")
        assert message["message"] == "Want a hint?"
        assert "message.composed" not in [kind for kind, _ in await events(server)]


async def test_an_application_writes_the_message(start_server: Any) -> None:
    async def writes(message: ChatMessage) -> str:
        assert message.mode == "compose"
        return f"Written: {message.message}"

    async with AsyncExitStack() as opened:
        server = await start_server(RULES, responder=writes)
        [message] = await messages_of(server, opened, 1, test="t2")
        assert message["message"] == "Written: Offer a hint about t2 in a sentence."


# The composer alone.


def outgoing(name: str, user: str = "ann") -> OutboxMessage:
    return OutboxMessage(user, Message(name, "question", "plain", prompt="Write."), 0, "hint")


class World:
    def __init__(self, *, refuses: bool = False) -> None:
        self.handed: list[tuple[str, str]] = []
        self.recorded: list[Input] = []
        self.go = asyncio.Event()
        self.asked = 0
        self.refuses = refuses
        self.composer = Composer(self.respond, WITHIN_S, record=self.record, hand_over=self.hand_over)

    async def respond(self, message: ChatMessage) -> str:
        self.asked += 1
        await self.go.wait()
        return " written "

    async def record(self, inputs: list[Input]) -> None:
        if self.refuses:
            raise StoreError("the disk said no")
        self.recorded += inputs

    def hand_over(self, messages: list[OutboxMessage]) -> None:
        self.handed += [(one.message.id, one.message.text) for one in messages]

    async def until_handed(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while len(self.handed) < count:  # noqa: ASYNC110 - nothing would tell
                await asyncio.sleep(0)


async def test_so_many_are_written_at_once_and_each_is_handed_over_once() -> None:
    world = World()
    world.composer.compose([outgoing(f"m{number}") for number in range(AT_ONCE + 2)])
    world.composer.compose([outgoing("m0")])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.asked == AT_ONCE
    assert world.composer.is_composing("m0")
    world.go.set()
    await world.until_handed(AT_ONCE + 2)
    assert sorted(world.handed) == sorted((f"m{number}", "written") for number in range(AT_ONCE + 2))
    assert not world.composer.is_composing("m0")
    assert len(world.recorded) == AT_ONCE + 2
    await world.composer.close()


async def test_what_comes_while_others_are_written_is_written_beside_them() -> None:
    world = World()
    world.composer.compose([outgoing(f"m{number}") for number in range(AT_ONCE - 3)])
    await asyncio.sleep(0)
    world.composer.compose([outgoing(f"n{number}") for number in range(3)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.asked == AT_ONCE
    await world.composer.close()


async def test_beyond_what_may_wait_messages_say_their_plain_text_at_once() -> None:
    world = World()
    most = AT_ONCE + WAITING_MAX
    world.composer.compose([outgoing(f"m{number}") for number in range(most + 1)])
    assert world.handed == [(f"m{most}", "plain")]
    await world.composer.close()


async def test_what_cannot_be_recorded_is_not_shown() -> None:
    world = World(refuses=True)
    world.go.set()
    world.composer.compose([outgoing("m1")])
    await world.until_handed(1)
    assert world.handed == [("m1", "plain")]
    await world.composer.close()


async def test_what_is_under_way_when_the_server_stops_is_handed_over_by_nobody() -> None:
    world = World()
    world.composer.compose([outgoing("m1"), outgoing("m2")])
    await asyncio.sleep(0)
    await world.composer.close()
    assert world.handed == []


async def test_of_who_is_erased_nothing_is_written_recorded_or_handed_over() -> None:
    world = World()
    for number in range(AT_ONCE):
        user = "ann" if number % 2 else "bob"
        world.composer.compose([outgoing(f"under-way-{number}", user)])
    world.composer.compose([outgoing("waits", "ann"), outgoing("waits-too", "bob")])
    await asyncio.sleep(0)
    world.composer.forget("ann")
    assert not world.composer.is_composing("waits")
    world.go.set()
    await world.until_handed(AT_ONCE // 2 + 1)
    await asyncio.sleep(0)
    assert {item.user for item in world.recorded} == {"bob"}
    assert sorted(name for name, _ in world.handed) == [
        "under-way-0",
        "under-way-2",
        "under-way-4",
        "under-way-6",
        "waits-too",
    ]
    await world.composer.close()


async def test_a_responder_that_does_not_let_itself_be_cancelled_writes_for_nobody_who_is_erased() -> None:
    world = World()
    went_on = asyncio.Event()

    async def stubborn(message: ChatMessage) -> str:
        try:
            await world.go.wait()
        except asyncio.CancelledError:
            went_on.set()
        return "written"

    composer = Composer(stubborn, WITHIN_S, record=world.record, hand_over=world.hand_over)
    composer.compose([outgoing("m1"), outgoing("m2", "bob")])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    composer.forget("ann")
    world.go.set()
    await world.until_handed(1)
    await went_on.wait()
    await composer.close()
    assert world.handed == [("m2", "written")]
    assert [item.user for item in world.recorded] == ["bob"]


async def test_what_is_settled_meanwhile_is_neither_written_on_nor_shown_and_nobody_settles_what_is_anothers() -> None:
    world = World()
    names = [f"m{number}" for number in range(AT_ONCE + 2)]
    world.composer.compose([outgoing(name) for name in names])
    await asyncio.sleep(0)
    under_way, waits, *others = names[0], names[-1], *names[1:-1]
    for name in (under_way, waits, "unknown"):
        world.composer.settle("ann", name)
        assert not world.composer.is_composing(name)
    world.composer.settle("bob", others[0])
    world.go.set()
    await world.until_handed(AT_ONCE)
    assert sorted(world.handed) == sorted((name, "written") for name in others)
    assert len(world.recorded) == AT_ONCE
    await world.composer.close()


async def test_what_a_rule_takes_back_while_it_is_being_written_is_never_shown(start_server: Any) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def writes(message: ChatMessage) -> str:
        asked.set()
        await go.wait()
        return "a model's words"

    server = await start_server(TAKEN_BACK, responder=writes)
    async with asyncio.timeout(WITHIN_S):
        async with connect(server.ws_url) as socket:
            await socket.send('{"type": "ping", "clientId": "ann"}')
            await socket.recv()
        await asked.wait()
        await server.record_event("ann", {"type": "work.opened"})
        async with connect(server.ws_url) as socket:
            await socket.send('{"type": "chat_message", "message": "Hi", "clientId": "ann"}')
            go.set()
            assert json.loads(await socket.recv())["type"] == "chat_response"
            assert "message.composed" not in [kind for kind, _ in await events(server)]


async def test_the_same_message_decided_anew_after_the_erasure_is_another() -> None:
    world = World()
    world.composer.compose([outgoing("m1")])
    await asyncio.sleep(0)
    world.composer.forget("ann")
    world.composer.compose([outgoing("m1")])
    world.go.set()
    await world.until_handed(1)
    assert world.handed == [("m1", "written")]
    await world.composer.close()


@pytest.mark.parametrize("text", ["", "   "])
async def test_an_empty_text_is_none(text: str) -> None:
    world = World()

    async def says_nothing(message: ChatMessage) -> str:
        return text

    composer = Composer(says_nothing, WITHIN_S, record=world.record, hand_over=world.hand_over)
    composer.compose([outgoing("m1")])
    await world.until_handed(1)
    assert world.handed == [("m1", "plain")]
    await composer.close()
