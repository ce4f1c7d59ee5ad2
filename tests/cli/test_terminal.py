"""The running client, with a screen that is a list, against real servers and one that says what a test wants."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import urlopen

import pytest
from guarded_server import SECRET, token
from websockets.asyncio.server import ServerConnection, serve

from engine.app import Server
from engine.cli.commands import HINT
from engine.cli.ending import FORGOTTEN, WANTS_TOKEN
from engine.cli.outbox import WAITING_MAX, Outbox
from engine.cli.screen import Complete, End, Enter
from engine.cli.shown import Piece, Shown
from engine.cli.terminal import Terminal
from engine.responders.base import ChatMessage
from engine.settings import Auth, Tokens

WITHIN_S = 30.0
NO_HEADERS: dict[str, str] = {}


class Listed:
    """What is said, shown and written, one after the other; what is typed comes from the test."""

    def __init__(self, *, is_typed_at: bool) -> None:
        self.is_typed_at = is_typed_at
        self.seen: list[str] = []
        self._enter: Enter | None = None
        self._more = asyncio.Event()

    def read(self, enter: Enter, complete: Complete) -> None:
        self._enter = enter

    def type(self, *lines: str | End) -> None:
        assert self._enter is not None
        for line in lines:
            self._enter(line)

    def show(self, shown: Shown) -> None:
        self._add(f"{shown.kind}: {shown.text}")

    def write(self, piece: Piece) -> None:
        self._add(f"piece: {piece.text}")

    def break_off(self) -> None:
        pass

    def say(self, text: str) -> None:
        self._add(text)

    def _add(self, line: str) -> None:
        self.seen.append(line)
        self._more.set()

    async def until(self, line: str) -> list[str]:
        """What was seen up to this line; it is taken out."""
        while line not in self.seen:
            self._more.clear()
            await self._more.wait()
        end = self.seen.index(line) + 1
        before, self.seen = self.seen[:end], self.seen[end:]
        return before


class Client:
    """A terminal that runs. ``code`` is awaited for its exit code."""

    def __init__(self, url: str, client: str = "ann", *, typed_at: bool = True, **given: Any) -> None:
        self.screen: Listed = given.get("screen") or Listed(is_typed_at=typed_at)
        self.outbox: Outbox = given.get("outbox") or Outbox()
        headers = given.get("headers") or (lambda: NO_HEADERS)
        self.terminal = Terminal(client, given.get("user"), url, headers, self.screen, self.outbox)
        self.code = asyncio.create_task(self.terminal.run())

    async def type(self, *lines: str | End) -> None:
        await asyncio.sleep(0)  # it begins to read in its first turn
        self.screen.type(*lines)


@asynccontextmanager
async def running(url: str, client: str = "ann", **given: Any) -> AsyncIterator[Client]:
    one = Client(url, client, **given)
    try:
        async with asyncio.timeout(WITHIN_S):
            yield one
    finally:
        one.code.cancel()
        await asyncio.gather(one.code, return_exceptions=True)


def connected(url: str, who: str = "ann") -> str:
    return f"connected to {url} as {who}; {HINT}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


StartServer = Callable[..., Awaitable[Server]]


async def test_a_session_outlives_a_restart_and_what_was_typed_meanwhile_arrives_in_order_and_once(
    start_server: StartServer,
) -> None:
    port = free_port()
    first = await start_server(ws_port=port)
    async with running(first.ws_url, user="ann", client="laptop") as client:
        await client.screen.until(connected(first.ws_url, "ann (laptop)"))
        await first.stop()
        await client.screen.until("the server is going away; trying again at once")
        await client.type("One", "/level less", "Two")
        assert (await client.screen.until("waits for a connection: Two"))[-3:] == [
            "waits for a connection: One",
            "waits for a connection: level: less",
            "waits for a connection: Two",
        ]
        second = await start_server(ws_port=port)
        await client.type("")  # nobody likes to wait
        await client.screen.until("connected again")
        seen = await client.screen.until("3 lines that waited sent")
        await client.type("/quit")
        assert await client.code == 0
    assert not any("level" in line for line in seen)
    events = await asyncio.to_thread(events_of, second, "ann")
    typed = [event for event in events if event["type"] in ("chat_message", "user.preferences")]
    assert [event["data"].get("message", "level") for event in typed] == ["One", "level", "Two"]


def events_of(server: Server, user: str) -> list[dict[str, Any]]:
    """What happened to a user, oldest first."""
    with urlopen(f"{server.http_url}/users/{user}/timeline") as reply:
        items = json.load(reply)["items"]
    return [item for item in reversed(items) if item["kind"] == "event"]


async def test_a_question_that_is_answered_on_another_device_is_said_and_closed(server: Server) -> None:
    async with running(server.ws_url, "desk", user="ann") as desk, running(server.ws_url, "sofa", user="ann") as sofa:
        for client, name in ((desk, "desk"), (sofa, "sofa")):
            await client.screen.until(connected(server.ws_url, f"ann ({name})"))
        await desk.type("/event chat_message message=stuck")
        for client in (desk, sofa):
            await client.screen.until("question: Where are you stuck?")
        await sofa.type("In a loop", "/level more")
        await sofa.screen.until("level: more")
        seen = await desk.screen.until("level: more")
        assert "answered elsewhere: Where are you stuck?" in seen
        await desk.type("1")
        await desk.screen.until("no question is open that 1 could answer; to say it all the same: /chat 1")


async def test_an_answer_comes_in_pieces_where_somebody_types(start_server: StartServer) -> None:
    async def respond(message: ChatMessage) -> AsyncIterator[str]:
        for piece in ("In ", "a ", "loop"):
            yield piece

    server = await start_server(responder=respond)
    async with running(server.ws_url) as client:
        await client.screen.until(connected(server.ws_url))
        await client.type("Where?")
        seen = await client.screen.until("answer: In a loop")
        assert seen == ["piece: In ", "piece: a ", "piece: loop", "answer: In a loop"]


async def test_through_a_pipe_three_hundred_lines_go_through_an_outbox_of_a_hundred(start_server: StartServer) -> None:
    server = await start_server()
    async with running(server.ws_url, typed_at=False) as client:
        await client.type(*(f"/event saved number={number}" for number in range(3 * WAITING_MAX)), End())
        assert await client.code == 0
        assert client.screen.seen == [connected(server.ws_url)]


async def test_more_than_may_wait_is_refused_and_says_so() -> None:
    async with running(f"ws://127.0.0.1:{free_port()}") as client:
        await client.type(*["Hello"] * (WAITING_MAX + 1))
        await client.screen.until(f"{WAITING_MAX} wait already; this one was not kept")
        await client.type("/quit")
        assert await client.code == 1
        assert len(client.outbox) == WAITING_MAX


async def test_what_is_too_long_is_told_and_the_next_goes(server: Server) -> None:
    async with running(server.ws_url, typed_at=False) as client:
        await client.type("x" * 70_000, "short", End())
        assert await client.code == 1
        said, *rest = [line for line in client.screen.seen if not line.startswith("connected")]
        assert said == "that was longer than the server takes (65536 bytes); it was not sent"
        assert [line.partition(":")[0] for line in rest] == ["answer"]


async def test_nobody_is_told_the_same_trouble_again_and_again() -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    async with running(url) as client:
        await client.screen.until(f"nobody is listening at {url}; trying again")
        client.terminal.headers = lambda: client.screen.say("tried") or NO_HEADERS  # type: ignore[func-returns-value]
        await client.type("")
        await client.screen.until("tried")
        await client.type("/quit")
        assert await client.code == 0
        assert not any("listening" in line for line in client.screen.seen)


# A server that says what a test wants.

Script = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    async with serve(script, "127.0.0.1", 0) as server:
        [listener] = server.sockets
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"


async def heard(socket: ServerConnection) -> dict[str, Any]:
    frame = json.loads(await socket.recv())
    assert isinstance(frame, dict)
    return frame


async def say(socket: ServerConnection, *frames: dict[str, Any]) -> None:
    for frame in frames:
        await socket.send(json.dumps(frame))


async def test_a_server_of_before_sessions_is_talked_to_in_its_own_way() -> None:
    got: list[dict[str, Any]] = []

    async def old(socket: ServerConnection) -> None:
        while True:
            frame = await heard(socket)
            got.append(frame)
            if frame["type"] == "ping":
                await say(socket, {"type": "pong"})
            elif frame["type"] == "chat_message":
                await say(socket, {"type": "chat_response", "message": "So", "timestamp": 0})
                if frame["message"] == "Bye":
                    return

    async with scripted(old) as url, running(url, typed_at=False) as client:
        await client.type("Hello", "/level less", "Bye", End())
        assert await client.code == 0
        seen = [line for line in client.screen.seen if line not in ("level: less", "answer: So")]
        assert seen[:2] == [
            connected(url),
            "this server knows no sessions: what is under way when a connection breaks may be lost",
        ]
    said = [{name: value for name, value in frame.items() if name != "id"} for frame in got]
    assert [frame["type"] for frame in said[:2]] == ["hello", "ping"]
    assert said[2:5] == [
        {"type": "chat_message", "message": "Hello", "clientId": "ann"},
        {"type": "preferences", "level": "less", "clientId": "ann"},
        {"type": "chat_message", "message": "Bye", "clientId": "ann"},
    ]


WELCOME = {"type": "welcome", "session": "s_1", "user": "ann", "resumed": False, "limits": {}}


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (4001, '{"code":"replaced"}', "another terminal or program is this device now"),
        (1008, '{"code":"erased"}', FORGOTTEN),
        (1008, '{"code":"unauthorized"}', WANTS_TOKEN),
    ],
)
async def test_where_coming_back_makes_no_sense_it_says_so_and_leaves(code: int, reason: str, said: str) -> None:
    async def ends(socket: ServerConnection) -> None:
        await say(socket, WELCOME)
        await socket.close(code, reason)

    async with scripted(ends) as url, running(url) as client:
        assert await client.code == 1
        assert client.screen.seen == [connected(url), said]


async def test_of_whom_the_server_has_forgotten_nothing_is_kept_here_either() -> None:
    async def forgets(socket: ServerConnection) -> None:
        await say(socket, WELCOME)
        while (await heard(socket))["type"] != "chat_message":
            pass
        await socket.close(1008, '{"code":"erased"}')

    async with scripted(forgets) as url, running(url) as client:
        await client.screen.until(connected(url))
        await client.type("Hello")
        assert await client.code == 1
        assert client.screen.seen == [FORGOTTEN, "1 line not sent, and forgotten here too"]
        assert len(client.outbox) == 0


async def test_a_fresh_token_in_its_file_is_taken_where_the_old_one_has_ended() -> None:
    shown: list[str | None] = []

    async def asks(socket: ServerConnection) -> None:
        assert socket.request is not None
        shown.append(socket.request.headers.get("Authorization"))
        if shown[-1] == "old":
            tokens.append("new")
            await socket.close(1008, '{"code":"unauthorized"}')
        await say(socket, WELCOME)
        await socket.wait_closed()

    tokens = ["old"]
    async with scripted(asks) as url, running(url, headers=lambda: {"Authorization": tokens[-1]}) as client:
        assert await client.screen.until(connected(url)) == [
            "there is a fresh token; trying again at once",
            connected(url),
        ]
        assert shown == ["old", "new"]


async def test_a_server_that_goes_away_again_and_again_is_not_run_after() -> None:
    async def goes(socket: ServerConnection) -> None:
        await say(socket, WELCOME)
        await socket.close(1001, '{"code":"going_away","retryAfter":1}')

    async with scripted(goes) as url, running(url) as client:
        seen = await client.screen.until("the server is going away; trying again")
        assert seen == [connected(url), "the server is going away; trying again at once", "connected again", seen[-1]]


async def test_what_is_no_frame_is_shown_and_the_connection_goes_on() -> None:
    async def babbles(socket: ServerConnection) -> None:
        for text in ("no json", "[]", "[" * 5000, b"\xff\x1b"):
            await socket.send(text)
        await say(socket, WELCOME)
        await socket.wait_closed()

    async with scripted(babbles) as url, running(url) as client:
        seen = await client.screen.until(connected(url))
        assert seen[:2] == ["unreadable: no json", "unreadable: []"]
        assert seen[3] == "unreadable: \ufffd\ufffd"


async def test_without_a_token_there_is_plain_chat_where_the_server_allows_it(start_server: StartServer) -> None:
    server = await start_server(auth=Auth(Tokens(secret=SECRET)))
    async with running(server.ws_url, typed_at=False) as client:
        await client.type("Hello", "/level less", End())
        assert await client.code == 0
        assert client.screen.seen[:3] == [
            "the server opens sessions with a token alone; trying again at once",
            connected(server.ws_url),
            f"without a token there is only chat; {WANTS_TOKEN}",
        ]
        assert "error: expected a token with anything but a chat message or a ping" in client.screen.seen


async def test_without_a_token_there_is_nothing_where_the_server_allows_nothing(start_server: StartServer) -> None:
    server = await start_server(auth=Auth(Tokens(secret=SECRET), anonymous_chat=False))
    async with running(server.ws_url, typed_at=False) as client:
        assert await client.code == 1
        assert client.screen.seen[-1] == WANTS_TOKEN


async def test_a_token_says_who_one_is(start_server: StartServer) -> None:
    server = await start_server(auth=Auth(Tokens(secret=SECRET)))

    def headers() -> dict[str, str]:
        return {"Authorization": f"Bearer {token('ann')}"}

    async with running(server.ws_url, "laptop", headers=headers) as client:
        await client.screen.until(connected(server.ws_url, "ann (laptop)"))
    async with running(server.ws_url, "laptop", headers=headers, user="bob") as client:
        assert await client.code == 1
        assert client.screen.seen == ["the token is another user's; leave --user out"]
