from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine import ChatMessage, Server
from engine.settings import Limits

WITHIN_S = 20.0  # only a hang takes as long
QUESTION_KEYS = ["type", "message", "messageType", "timestamp", "id", "questionId", "rule"]


class Client:
    """A raw client: JSON in, JSON out."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **fields: Any) -> None:
        await self.socket.send(json.dumps(fields))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            frame = json.loads(await self.socket.recv())
        assert isinstance(frame, dict)
        return frame

    async def hear_of(self, kind: str) -> dict[str, Any]:
        """The next frame of that type; the order in which answers and messages come is nobody's promise."""
        while True:
            frame = await self.hear()
            if frame["type"] == kind:
                return frame

    async def closed(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(WITHIN_S):
            with suppress(ConnectionClosed):
                async for _ in self.socket:
                    pass
        return self.socket.close_code, self.socket.close_reason


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def client_of(server: Server, opened: AsyncExitStack) -> Client:
    return Client(await opened.enter_async_context(connect(server.ws_url, compression=None)))


async def named(server: Server, opened: AsyncExitStack, name: str) -> Client:
    """A client that the server knows by now."""
    client = await client_of(server, opened)
    await client.say(type="ping", clientId=name)
    await client.hear_of("pong")
    return client


@pytest.fixture
async def client(server: Server, opened: AsyncExitStack) -> Client:
    return await client_of(server, opened)


async def until(it_holds: Callable[[], bool]) -> None:
    """Returns when it does: for what the server does by itself, and tells nobody."""
    async with asyncio.timeout(WITHIN_S):
        while not it_holds():  # noqa: ASYNC110 - there is nothing to wait for that would not be made for the test
            await asyncio.sleep(0)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://localhost.elsewhere.example"])
async def test_a_page_from_elsewhere_may_not_speak_in_a_persons_name(server: Server, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(server.ws_url, additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"])
async def test_a_page_on_this_machine_may_connect(server: Server, origin: str) -> None:
    async with connect(server.ws_url, additional_headers={"Origin": origin}) as socket:
        await socket.send('{"type": "ping"}')
        assert await socket.recv() == '{"type":"pong"}'


async def recorded(server: Server) -> list[tuple[str, str]]:
    """User and type of every event in the log, in no order across users."""
    store = server._parts().store
    assert store is not None
    entries = [entry for part in range(store.partition_count) for entry in await store.log(part, 0, 10_000)]
    return [(entry.user, entry.event.type) for entry in entries if entry.event is not None]


async def test_a_ping_is_answered(client: Client) -> None:
    await client.say(type="ping")
    assert await client.hear() == {"type": "pong"}


async def test_a_chat_message_is_answered_in_the_shape_of_level_0(client: Client) -> None:
    await client.say(type="chat_message", message="How?", mode="ask", context={}, clientId="ann")
    reply = await client.hear()
    assert list(reply) == ["type", "message", "timestamp"]
    assert reply["type"] == "chat_response"
    assert reply["message"].startswith("No AI is configured on this server, so I cannot answer.")
    assert type(reply["timestamp"]) is int


async def test_a_rule_speaks_and_is_answered(start_server: Any, opened: AsyncExitStack) -> None:
    answers: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    async def on_user_response(client_id: str, question_id: str, response: str) -> None:
        await answers.put((client_id, question_id, response))

    server = await start_server(on_user_response=on_user_response)
    client = await client_of(server, opened)
    await client.say(type="chat_message", message="I am stuck!", clientId="ann")
    question = await client.hear_of("backend_message")
    assert list(question) == QUESTION_KEYS
    assert (question["message"], question["messageType"]) == ("Where are you stuck?", "question")
    await client.say(type="user_response", questionId=question["questionId"], response="In a loop", clientId="ann")
    async with asyncio.timeout(WITHIN_S):
        assert await answers.get() == ("ann", question["questionId"], "In a loop")
    assert ("ann", "user_response") in await recorded(server)


async def test_an_unknown_type_is_an_activity_event(client: Client) -> None:
    await client.say(type="test.failed", test="t1")
    message = await client.hear()
    assert (message["message"], message["options"]) == ("t1 fails. Want a hint?", ["Yes please", "Not now"])


async def test_several_events_come_in_one_frame(client: Client, server: Server) -> None:
    await client.say(
        type="events", clientId="ann", events=[{"type": "file.saved"}, {"type": "test.failed", "test": "t2"}]
    )
    assert (await client.hear())["message"] == "t2 fails. Want a hint?"
    said = [kind for user, kind in await recorded(server) if not kind.startswith("message.")]
    assert said == ["session.start", "file.saved", "test.failed"]


async def test_what_became_of_a_message_is_told_in_the_order_in_which_it_happened(
    client: Client, server: Server
) -> None:
    await client.say(type="test.failed", test="t1", clientId="ann")
    message = await client.hear()
    await client.say(type="outcome", id=message["id"], outcome="seen", clientId="ann")
    await client.say(type="user_response", questionId=message["id"], response="Not now", clientId="ann")
    await client.say(type="ping", clientId="ann")
    assert await client.hear() == {"type": "pong"}
    assert [kind for _, kind in await recorded(server)] == [
        "session.start", "test.failed", "message.delivered", "message.seen", "user_response", "message.answered",
    ]  # fmt: skip


async def test_a_message_of_another_type_is_a_frame_of_its_own(client: Client) -> None:
    await client.say(type="code.wanted", clientId="ann")
    frame = await client.hear()
    assert {
        "type": "code_suggestion",
        "code": "print(1)",
        "language": "python",
        "explanation": "It prints.",
    }.items() <= (frame.items())
    assert type(frame["timestamp"]) is int


async def test_the_session_of_a_client_begins_with_its_first_frame_and_ends_with_the_connection(
    start_server: Any,
) -> None:
    server = await start_server()
    async with connect(server.ws_url) as socket:
        client = Client(socket)
        await client.say(type="ping", clientId="ann")
        await client.hear()
    await until(lambda: server._parts().hub.connection_count == 0)
    await server.stop()
    server = await start_server()
    assert await recorded(server) == [("ann", "session.start"), ("ann", "session.end")]


async def test_each_client_gets_its_own_messages(server: Server, opened: AsyncExitStack) -> None:
    ann, bob = await named(server, opened, "ann"), await named(server, opened, "bob")
    await ann.say(type="test.failed", test="of ann", clientId="ann")
    await bob.say(type="test.failed", test="of bob", clientId="bob")
    assert (await ann.hear())["message"] == "of ann fails. Want a hint?"
    assert (await bob.hear())["message"] == "of bob fails. Want a hint?"


async def test_a_message_waits_for_its_client_and_comes_once(server: Server, opened: AsyncExitStack) -> None:
    sent = await server.send_backend_message_to_client("ann", "Welcome back", "suggestion")
    assert sent.waiting == ["ann"]
    first = await client_of(server, opened)
    await first.say(type="ping", clientId="ann")
    assert (await first.hear())["message"] == "Welcome back"
    second = await client_of(server, opened)
    await second.say(type="ping", clientId="ann")
    assert await second.hear() == {"type": "pong"}


@pytest.mark.parametrize(
    "bad",
    [
        "no json",
        "[]",
        '{"type": 5}',
        '{"type": "session.end"}',
        '{"type": "file saved!!"}',
        '{"type": "user.identify", "timezone": "Paris"}',
        '{"type": "user.preferences", "level": "loud"}',
        b"\x00",
    ],
)
async def test_a_bad_frame_is_answered_and_closes_nothing(client: Client, bad: str | bytes) -> None:
    await client.socket.send(bad)
    error = await client.hear()
    assert list(error) == ["type", "code", "message"]
    assert error["type"] == "error"
    await client.say(type="ping")
    assert await client.hear() == {"type": "pong"}


async def test_twenty_bad_frames_in_a_row_close_the_connection(client: Client) -> None:
    for _ in range(20):
        await client.socket.send("bad")
    assert await client.closed() == (4000, '{"code":"too_many_bad_frames"}')


async def test_a_frame_of_the_greatest_size_is_taken_and_one_byte_more_closes(client: Client, server: Server) -> None:
    size = server.settings.limits.frame_bytes
    frame = '{"type":"x","a":"%s"}'
    await client.socket.send(frame % ("a" * (size - len(frame) + 2)))
    await client.say(type="ping")
    assert await client.hear() == {"type": "pong"}
    await client.socket.send(frame % ("a" * (size - len(frame) + 3)))
    assert (await client.closed())[0] == 1009


async def test_a_slow_answer_holds_up_no_other_frame_and_answers_keep_their_order(
    start_server: Any, opened: AsyncExitStack
) -> None:
    may_answer = asyncio.Event()

    async def answer(message: ChatMessage) -> str:
        if message.message == "first":
            await may_answer.wait()
        return f"to {message.message}"

    client = await client_of(await start_server(responder=answer), opened)
    await client.say(type="chat_message", message="first")
    await client.say(type="chat_message", message="second")
    await client.say(type="ping")
    assert await client.hear() == {"type": "pong"}
    may_answer.set()
    assert [(await client.hear())["message"] for _ in range(2)] == ["to first", "to second"]


async def test_a_responder_that_fails_is_not_quoted_to_the_client(start_server: Any, opened: AsyncExitStack) -> None:
    async def answer(message: ChatMessage) -> str:
        raise RuntimeError("the key is sk-123")

    client = await client_of(await start_server(responder=answer), opened)
    await client.say(type="chat_message", message="Hi")
    assert await client.hear() == {
        "type": "error",
        "code": "responder_failed",
        "message": "Something went wrong while answering. Please try again.",
    }


async def test_a_client_that_does_not_read_is_closed_and_the_server_goes_on(
    start_server: Any, opened: AsyncExitStack
) -> None:
    server = await start_server(limits=Limits(queue_frames=8))
    slow = await named(server, opened, "slow")
    slow.socket.transport.pause_reading()
    # Each is far more than the buffers of two sockets hold, all together.
    for _ in range(200):
        await server.send_backend_message_to_client("slow", "x" * 100_000, "question")
        if not server._parts().hub.is_connected("slow"):
            break
    await until(lambda: not server._parts().hub.is_connected("slow"))
    slow.socket.transport.abort()
    other = await named(server, opened, "other")
    await other.say(type="test.failed", test="t1", clientId="other")
    assert (await other.hear())["type"] == "backend_message"


async def test_a_server_that_stops_says_that_it_goes_away_and_leaves_sessions_open(
    start_server: Any, opened: AsyncExitStack
) -> None:
    server = await start_server()
    client = await named(server, opened, "ann")
    before = await recorded(server)
    closing = asyncio.create_task(client.closed())
    await server.stop()
    assert await closing == (1001, '{"code":"going_away","retryAfter":1}')
    again = await start_server()
    assert await recorded(again) == before == [("ann", "session.start")]
