"""Sessions of level 1 over real WebSockets, with a real store behind them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine import ChatMessage, Server
from engine.core.units import SECOND
from engine.settings import Limits

WITHIN_S = 20.0  # only a hang takes as long


class Device:
    """A client of level 1 that keeps every frame it has heard."""

    def __init__(self, socket: ClientConnection, client: str, user: str) -> None:
        self.socket = socket
        self.client = client
        self.user = user
        self.session = ""
        self.frames: list[dict[str, Any]] = []
        self._given: set[int] = set()

    async def say(self, **fields: Any) -> None:
        await self.socket.send(json.dumps(fields))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            frame = json.loads(await self.socket.recv())
        assert isinstance(frame, dict)
        self.frames.append(frame)
        return frame

    async def hear_of(self, kind: str) -> dict[str, Any]:
        """The next of that type that nobody has asked for; in which order types come is nobody's promise."""
        while True:
            for frame in self.frames:
                if frame["type"] == kind and id(frame) not in self._given:
                    self._given.add(id(frame))
                    return frame
            await self.hear()

    async def hello(self, **more: Any) -> dict[str, Any]:
        await self.say(type="hello", protocol=1, clientId=self.client, user=self.user, **more)
        welcome = await self.hear_of("welcome")
        self.session = welcome["session"]
        return welcome

    async def closed(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(WITHIN_S):
            with suppress(ConnectionClosed):
                while True:
                    await self.hear()
        return self.socket.close_code, self.socket.close_reason


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def device_of(server: Server, opened: AsyncExitStack, client: str = "laptop", user: str = "ann") -> Device:
    return Device(await opened.enter_async_context(connect(server.ws_url, compression=None)), client, user)


async def greeted(
    server: Server, opened: AsyncExitStack, client: str = "laptop", user: str = "ann", **more: Any
) -> Device:
    device = await device_of(server, opened, client, user)
    await device.hello(**more)
    return device


async def recorded(server: Server) -> Counter[tuple[str, str, str]]:
    """User, type and id of every event in the log."""
    store = server._parts().store
    entries = [entry for part in range(store.partition_count) for entry in await store.log(part, 0, 100_000)]
    return Counter((one.user, one.event.type, one.event.id) for one in entries if one.event is not None)


async def until(it_holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not it_holds():  # noqa: ASYNC110 - there is nothing to wait for that would not be made for the test
            await asyncio.sleep(0)


async def test_hello_is_answered_by_all_that_a_client_needs_to_know(server: Server, opened: AsyncExitStack) -> None:
    device = await device_of(server, opened)
    welcome = await device.hello(timezone="Europe/Paris", traits={"skill": "beginner"}, capabilities=["stream"])
    assert list(welcome) == ["type", "session", "user", "serverTime", "heartbeat", "resumed", "limits"]
    assert (welcome["user"], welcome["heartbeat"], welcome["resumed"]) == ("ann", 20.0, False)
    wishes = await device.hear_of("preferences")
    assert (wishes["level"], wishes["muted"], wishes["snoozedUntil"]) == ("normal", [], None)
    state = await server._parts().live._turns.state_of("ann")
    assert state is not None
    assert state.attributes == {"timezone": "Europe/Paris", "skill": "beginner"}


async def test_an_event_is_acknowledged_when_it_is_in_the_log_and_a_repeat_is_not_handled_again(
    server: Server, opened: AsyncExitStack
) -> None:
    device = await greeted(server, opened)
    await device.say(type="test.failed", test="t1", id="e1")
    assert (await device.hear_of("ack"))["ids"] == ["e1"]
    assert (await recorded(server))["ann", "test.failed", "laptop/e1"] == 1
    message = await device.hear_of("backend_message")
    await device.say(type="test.failed", test="t1", id="e1")
    assert (await device.hear_of("ack"))["ids"] == ["e1"]
    await device.say(type="ping")
    await device.hear_of("pong")
    assert (await recorded(server))["ann", "test.failed", "laptop/e1"] == 1
    assert [frame["id"] for frame in device.frames if frame["type"] == "backend_message"] == [message["id"]]


async def test_the_same_id_of_another_device_is_another_event(server: Server, opened: AsyncExitStack) -> None:
    for client in ("laptop", "phone"):
        device = await greeted(server, opened, client)
        await device.say(type="file.saved", id=7)
        assert (await device.hear_of("ack"))["ids"] == [7], "as the client wrote it"
    found = await recorded(server)
    assert found["ann", "file.saved", "laptop/7"] == found["ann", "file.saved", "phone/7"] == 1


async def test_frames_do_not_wait_for_one_another_and_all_are_acknowledged_in_their_order(
    start_server: Any, opened: AsyncExitStack
) -> None:
    server = await start_server(limits=Limits(client_events_per_s=None, user_events_per_s=None))
    device = await greeted(server, opened)
    for number in range(1000):
        await device.say(type="file.saved", id=f"e{number}")
    await device.say(type="events", events=[{"type": "a", "id": "x"}, {"type": "b"}, {"type": "c", "id": "y"}])
    told: list[str] = []
    acks = 0
    while len(told) < 1002:
        told += (await device.hear_of("ack"))["ids"]
        acks += 1
    assert told == [*(f"e{number}" for number in range(1000)), "x", "y"]
    assert acks < 1000, "what one turn made durable is acknowledged together"
    found = await recorded(server)
    assert sum(count for (_, kind, _), count in found.items() if kind == "file.saved") == 1000


async def test_messages_are_numbered_and_those_not_received_come_again(server: Server, opened: AsyncExitStack) -> None:
    device = await greeted(server, opened)
    for name in ("t1", "t2", "t3"):
        await device.say(type="test.failed", test=name)
    messages = [await device.hear_of("backend_message") for _ in range(3)]
    assert [message["seq"] for message in messages] == [1, 2, 3]
    await device.say(type="received", seq=2)
    await device.say(type="ping")
    await device.hear_of("pong")
    device.socket.transport.abort()
    again = await device_of(server, opened)
    welcome = await again.hello(resume={"session": device.session, "received": 2})
    assert welcome["resumed"]
    message = await again.hear_of("backend_message")
    assert (message["id"], message["seq"]) == (messages[2]["id"], 3)


async def test_a_session_goes_on_in_the_next_process_and_loses_nothing(server: Server, opened: AsyncExitStack) -> None:
    settings = server.settings
    await server.stop()
    async with Server(settings) as server:
        device = await greeted(server, opened)
        await device.say(type="test.failed", test="t1", id="e1")
        message = await device.hear_of("backend_message")
    assert (await device.closed())[0] == 1001
    async with Server(settings) as server:
        again = await device_of(server, opened)
        assert (await again.hello(resume={"session": device.session, "received": 0}))["resumed"]
        assert (await again.hear_of("backend_message"))["id"] == message["id"]
        await again.say(type="test.failed", test="t1", id="e1")
        assert (await again.hear_of("ack"))["ids"] == ["e1"]
        found = await recorded(server)
        assert found["ann", "test.failed", "laptop/e1"] == 1
        assert sum(count for (_, kind, _), count in found.items() if kind.startswith("session.")) == 1
        await again.socket.close()


async def test_an_answer_on_one_device_withdraws_the_question_from_the_others(
    server: Server, opened: AsyncExitStack
) -> None:
    laptop, phone = await greeted(server, opened, "laptop"), await greeted(server, opened, "phone")
    await laptop.say(type="test.failed", test="t1")
    question = await phone.hear_of("backend_message")
    assert (await laptop.hear_of("backend_message"))["id"] == question["id"]
    await laptop.say(type="user_response", questionId=question["id"], response="Yes please", id="e9")
    assert (await laptop.hear_of("ack"))["ids"] == ["e9"]
    assert await phone.hear_of("withdrawn") == {"type": "withdrawn", "id": question["id"], "reason": "answered"}


async def test_an_answer_comes_in_pieces_and_then_whole_with_a_number_and_the_id_it_answers(
    start_server: Any, opened: AsyncExitStack
) -> None:
    async def respond(message: ChatMessage) -> Any:
        for piece in ("To ", message.user, "."):
            yield piece

    server = await start_server(responder=respond)
    device = await greeted(server, opened)
    await device.say(type="chat_message", message="To whom?", id="q1")
    whole = await device.hear_of("chat_response")
    deltas = [frame for frame in device.frames if frame["type"] == "chat_response_delta"]
    assert [frame["delta"] for frame in deltas] == ["To ", "ann", "."]
    assert {frame["to"] for frame in deltas} == {"q1"}
    assert (whole["message"], whole["seq"], whole["to"]) == ("To ann.", 1, "q1")


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        ({}, '"protocol" to be 1'), ({"protocol": 2, "clientId": "x"}, '"protocol" to be 1'),
        ({"protocol": True, "clientId": "x"}, '"protocol" to be 1'), ({"protocol": 1}, '"clientId"'),
        ({"protocol": 1, "clientId": ""}, '"clientId"'), ({"protocol": 1, "clientId": "x", "resume": 3}, '"resume"'),
        ({"protocol": 1, "clientId": "x", "resume": {"session": "s", "received": -1}}, '"received"'),
        ({"protocol": 1, "clientId": "x", "timezone": "Mars/Base"}, '"timezone"'),
        ({"protocol": 1, "clientId": "x", "traits": []}, '"traits"'),
        ({"protocol": 1, "clientId": "x", "token": ""}, '"token"'),
    ],
)  # fmt: skip
async def test_a_hello_that_cannot_be_meant_is_refused_and_may_be_mended(
    server: Server, opened: AsyncExitStack, hello: dict[str, Any], why: str
) -> None:
    device = await device_of(server, opened)
    await device.say(type="hello", id="h1", **hello)
    error = await device.hear_of("error")
    assert (error["code"], error["frameId"]) == ("bad_frame", "h1")
    assert why in error["message"]
    await device.hello()


async def test_a_session_speaks_for_its_own_client_alone(server: Server, opened: AsyncExitStack) -> None:
    device = await greeted(server, opened)
    await device.say(type="file.saved", clientId="phone", id="e1")
    error = await device.hear_of("error")
    assert (error["code"], error["frameId"]) == ("bad_frame", "e1")
    for frame in ({"type": "received", "seq": 0}, {"type": "pong"}):
        await device.say(**frame, clientId="phone")
        assert (await device.hear_of("error"))["code"] == "bad_frame"
        await device.say(**frame, clientId="laptop")
    await device.say(type="file.saved", clientId="laptop", id="e2")
    assert (await device.hear_of("ack"))["ids"] == ["e2"]
    assert sum(count for (_, kind, _), count in (await recorded(server)).items() if kind == "file.saved") == 1


async def test_many_bad_frames_in_a_row_close_a_session_s_connection_and_others_do_not(
    server: Server, opened: AsyncExitStack
) -> None:
    device = await greeted(server, opened)
    for _ in range(2):
        for _ in range(19):
            await device.say(type="message.delivered")
            assert (await device.hear_of("error"))["code"] == "reserved_type"
        await device.say(type="ping")
        await device.hear_of("pong")
    for _ in range(20):
        await device.say(type="message.delivered")
    assert await device.closed() == (4000, '{"code":"too_many_bad_frames"}')


async def test_who_leaves_on_purpose_ends_the_session_and_who_is_cut_off_does_not(
    server: Server, opened: AsyncExitStack
) -> None:
    parts = server._parts()
    device = await greeted(server, opened)
    device.socket.transport.abort()
    await until(lambda: parts.hub.connection_count == 0)
    assert parts.sessions.find(device.session) is not None
    again = await greeted(server, opened, resume={"session": device.session, "received": 0})
    assert again.session == device.session
    await again.socket.close(1000)
    await until(lambda: parts.sessions.find(device.session) is None)
    await parts.live.settled()
    assert sum(count for (_, kind, _), count in (await recorded(server)).items() if kind == "session.end") == 1


async def test_the_same_client_elsewhere_takes_the_session_over(server: Server, opened: AsyncExitStack) -> None:
    older = await greeted(server, opened)
    newer = await greeted(server, opened, resume={"session": older.session, "received": 0})
    assert await older.closed() == (4001, '{"code":"replaced"}')
    assert newer.session == older.session
    await newer.say(type="test.failed", test="t1")
    assert (await newer.hear_of("backend_message"))["seq"] == 1


async def test_who_sends_too_much_is_told_when_to_come_again_and_loses_nothing(
    start_server: Any, opened: AsyncExitStack
) -> None:
    server = await start_server(limits=Limits(client_events_per_s=1))
    device = await greeted(server, opened)
    for number in range(12):
        await device.say(type="file.saved", id=f"e{number}")
    error = await device.hear_of("error")
    assert (error["code"], error["frameId"]) == ("rate_limited", "e10")
    assert error["retryAfter"] >= 1
    acknowledged: list[str] = []
    while len(acknowledged) < 10:
        acknowledged = [name for frame in device.frames if frame["type"] == "ack" for name in frame["ids"]]
        if len(acknowledged) < 10:
            await device.hear()
    assert acknowledged == [f"e{number}" for number in range(10)]


async def test_a_user_has_so_many_connections(start_server: Any, opened: AsyncExitStack) -> None:
    server = await start_server(limits=Limits(user_connections=2))
    first, _ = await greeted(server, opened, "a"), await greeted(server, opened, "b")
    third = await device_of(server, opened, "c")
    await third.say(type="hello", protocol=1, clientId="c", user="ann")
    assert (await third.hear_of("error"))["code"] == "too_many_connections"
    assert (await third.closed())[0] == 4008
    await first.socket.close()
    await until(lambda: server._parts().hub.connection_count == 1)
    await greeted(server, opened, "c")


async def test_an_erased_user_is_cut_off_and_nothing_is_written_of_the_end(
    server: Server, opened: AsyncExitStack
) -> None:
    device = await greeted(server, opened)
    other = await greeted(server, opened, "tab", "bob")
    await device.say(type="test.failed", test="t1", id="e1")
    await device.hear_of("ack")
    assert (await server._parts().desk.erase("ann")).rows > 0
    assert await device.closed() == (1008, '{"code":"erased"}')
    await until(lambda: server._parts().hub.connection_count == 1)
    await server._parts().live.settled()
    assert {user for user, _, _ in await recorded(server)} == {"bob"}
    await other.say(type="file.saved", id="e1")
    assert (await other.hear_of("ack"))["ids"] == ["e1"]


async def test_nobody_comes_back_in_time(start_server: Any, opened: AsyncExitStack) -> None:
    server = await start_server(resume_within=SECOND)
    device = await greeted(server, opened)
    device.socket.transport.abort()
    await until(lambda: server._parts().sessions.find(device.session) is None)
    again = await device_of(server, opened)
    welcome = await again.hello(resume={"session": device.session, "received": 0})
    assert not welcome["resumed"]
    assert welcome["session"] != device.session
