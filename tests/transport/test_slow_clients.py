"""A slow or silent client harms no other: a crowd before a real server, some of which do not read at all.

Nothing is timed here. Each message is waited for where it has to arrive, and what a client that does not read is
owed is looked up in the server, and then in what that client gets when it comes back.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine import Server
from engine.core.units import MINUTE
from engine.settings import Limits
from engine.storage.base import OUTBOX_PER_USER_MAX
from engine.transport.outgoing import SLOW_CONSUMER_CODE, Outgoing
from engine.transport.session import UNRECEIVED_MAX, Session
from tests.level1_client import (
    Connection,
    EventStreamConnection,
    Gone,
    Level1Client,
    LongPollConnection,
    WebSocketConnection,
    converse,
)

WITHIN_S = 60.0  # only a hang takes as long
QUEUE = 8  # frames that wait for one connection
SENT_MAX = 100  # messages by which a client that does not read has to be noticed
FILLING = "x" * 400_000  # so that few messages fill what the system holds of a connection, megabytes of it
NEVER_DROPPED = ("question", "suggestion")  # from no queue
READERS = {WebSocketConnection: 16, EventStreamConnection: 8, LongPollConnection: 6}


@dataclass
class Crowd:
    """``sent`` are the texts to everybody, with their type, in their order; ``personal`` those to one user besides."""

    server: Server
    readers: list[Level1Client] = field(default_factory=list)
    slow: list[Level1Client] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    personal: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    deepest: int = 0
    most_owed: int = 0

    def for_user(self, client: Level1Client) -> list[tuple[str, str]]:
        everybody = [*self.sent, *self.personal.get(client.user or "", ())]
        return sorted(everybody, key=lambda one: int(one[1]))

    async def send(self, kind: str, to: Level1Client | None = None, filling: str = "") -> str:
        """One more message, numbered; to everybody unless it says to whom. Those who read have it when it returns."""
        number = str(len(self.sent) + sum(len(texts) for texts in self.personal.values()))
        text = f"{number} {filling}"
        if to is None:
            await self.server.broadcast_to_all_clients(text, kind)
            self.sent.append((kind, number))
        else:
            assert to.user is not None
            await self.server.send_backend_message_to_client(to.user, text, kind)
            self.personal.setdefault(to.user, []).append((kind, number))
        concerned = [one for one in self.readers if to is None or one.user == to.user]
        await until(lambda: all(heard(one)[-1:] == [(kind, number)] for one in concerned))
        for session in self.sessions():
            self.deepest = max(self.deepest, len(session.outgoing or ()))
            self.most_owed = max(self.most_owed, len(session.unreceived))
        return number

    async def fill(self, slow: Unread) -> None:
        """Send it so much that its queue is full of notifications, and nothing more can be written."""
        assert slow.outgoing is not None
        while len(slow.outgoing) < QUEUE:
            await self.send("notification", slow.client, FILLING)
            assert len(self.personal[slow.client.user or ""]) < SENT_MAX

    def sessions(self) -> Iterable[Session]:
        for client in (*self.readers, *self.slow):
            session = self.server._parts().sessions.find(client.session or "")
            if session is not None:
                yield session

    def session_of(self, client: Level1Client) -> Session:
        session = self.server._parts().sessions.find(client.session or "")
        assert session is not None
        return session


def heard(client: Level1Client) -> list[tuple[str, str]]:
    """Type and number of the messages, in the order in which each came first."""
    return [(frame["messageType"], frame["message"].split()[0]) for frame in client.messages.values()]


async def until(it_holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not it_holds():  # noqa: ASYNC110 - there is nothing to wait for that would not be made for the test
            await asyncio.sleep(0.001)


class Unread:
    """A connection whose client reads its `welcome` and then nothing, with as little room in its system as can be."""

    def __init__(self, client: Level1Client) -> None:
        self.client = client
        self.outgoing: Outgoing | None = None  # the server's end of it
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._socket.setblocking(False)

    async def _connect(self, url: str) -> socket.socket:
        host, _, port = url.partition("//")[2].rpartition(":")
        await asyncio.get_running_loop().sock_connect(self._socket, (host, int(port)))
        return self._socket

    def attached(self, server: Server) -> None:
        session = server._parts().sessions.find(self.client.session or "")
        assert session is not None
        self.outgoing = session.outgoing
        assert self.outgoing is not None


class UnreadWebSocket(Unread):
    async def open(self, server: Server, opened: AsyncExitStack) -> UnreadWebSocket:
        line = await self._connect(server.ws_url)
        # One frame in its queue, and the library reads no further.
        self.socket = await connect(server.ws_url, sock=line, compression=None, max_queue=1, ping_interval=None)
        opened.callback(self.socket.transport.abort)
        await self.socket.send(json.dumps(self.client.hello()))
        while self.client.preferences is None:
            await self.read()
        self.attached(server)
        return self

    async def read(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            self.client.receive(json.loads(await self.socket.recv()))

    async def read_to_the_end(self) -> int | None:
        """All that comes until the server closes: its close code, 1006 where it has cut the line."""
        with suppress(ConnectionClosed):
            while True:
                await self.read()
        return self.socket.close_code


class UnreadStream(Unread):
    async def open(self, server: Server, opened: AsyncExitStack) -> UnreadStream:
        hello = self.client.hello()
        async with aiohttp.ClientSession(server.http_url) as http, http.post("/hello", json=hello) as response:
            self.client.receive(await response.json())
        line = await self._connect(server.http_url)
        reader, writer = await asyncio.open_connection(sock=line, limit=2048)

        async def leave() -> None:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

        opened.push_async_callback(leave)
        writer.write(f"GET /stream?session={self.client.session} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(WITHIN_S):
            await reader.readuntil(b'"preferences"')
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        self.attached(server)
        return self


async def opened_by(kind: Any, server: Server, client: Level1Client) -> Connection:
    url = server.ws_url if kind is WebSocketConnection else server.http_url
    connection: Connection = await kind.open(url, client)
    return connection


async def live(server: Server, kind: Any, client: Level1Client) -> None:
    """As a device does: connect, listen, come back when the connection is lost; for ever."""
    while True:
        with suppress(Gone):
            await converse(client, await opened_by(kind, server, client), asyncio.Event())
        await asyncio.sleep(0.001)


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def comes(server: Server, opened: AsyncExitStack, kind: Any, client: Level1Client) -> None:
    """From now on the client is there and reads."""
    task = asyncio.create_task(live(server, kind, client))

    async def leave() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    opened.push_async_callback(leave)


@pytest.fixture
async def crowd(start_server: Any, opened: AsyncExitStack) -> Crowd:
    """Everybody who reads is there."""
    limits = Limits(queue_frames=QUEUE, messages_per_s=None)
    found = Crowd(await start_server(limits=limits, resume_within=10 * MINUTE))
    for kind, count in READERS.items():
        for _ in range(count):
            client = Level1Client(f"reader{len(found.readers)}", f"user{len(found.readers)}")
            found.readers.append(client)
            comes(found.server, opened, kind, client)
    await until(lambda: all(one.preferences is not None for one in found.readers))
    return found


async def unread(crowd: Crowd, opened: AsyncExitStack, kind: Any, name: str, user: str = "") -> Any:
    client = Level1Client(name, user or name)
    crowd.slow.append(client)
    return await kind(client).open(crowd.server, opened)


def assert_that_readers_have_all(crowd: Crowd) -> None:
    for reader in crowd.readers:
        assert heard(reader) == crowd.for_user(reader), reader.client
        assert (reader.repeated, reader.complaints, reader.errors, reader.resumed) == (0, [], [], 0), reader.client


async def test_who_does_not_read_loses_its_connection_and_no_message_and_nobody_else_notices(
    crowd: Crowd, opened: AsyncExitStack
) -> None:
    # One of them has a second device, which reads: a message waits for both.
    sockets = [await unread(crowd, opened, UnreadWebSocket, f"slow{number}") for number in range(4)]
    sockets.append(await unread(crowd, opened, UnreadWebSocket, "phone", "user0"))
    streams = [await unread(crowd, opened, UnreadStream, f"idle{number}") for number in range(3)]
    stuck = [one.outgoing for one in (*sockets, *streams)]

    for one in (*sockets, *streams):
        await crowd.fill(one)
    while not all(outgoing.dropped for outgoing in stuck):
        await crowd.send("notification")
        assert len(crowd.sent) < SENT_MAX
    assert [outgoing.closing for outgoing in stuck] == [None] * len(stuck)
    hub = crowd.server._parts().hub
    assert hub.dropped >= sum(outgoing.dropped for outgoing in stuck) >= len(stuck)
    assert hub.queued()[0] >= sum(len(outgoing) for outgoing in stuck) >= len(stuck)

    important = 0
    while not all(outgoing.closing for outgoing in stuck):
        kind = ("question", "suggestion", "notification")[len(crowd.sent) % 3]
        important += kind in NEVER_DROPPED
        await crowd.send(kind)
        for client in (crowd.readers[0], crowd.slow[0], crowd.slow[-1]):
            await crowd.send(NEVER_DROPPED[len(crowd.sent) % 2], client)
        assert len(crowd.sent) < SENT_MAX
    assert {outgoing.closing[0] for outgoing in stuck} == {SLOW_CONSUMER_CODE}
    # Eight notifications had to make room first: to those, that is, to whom no more than the broadcasts were sent.
    assert important > QUEUE
    for one in sockets:
        assert await one.read_to_the_end() in (SLOW_CONSUMER_CODE, 1006)  # which, the time that reading takes decides
    await until(lambda: all(crowd.session_of(client).outgoing is None for client in crowd.slow))
    assert crowd.deepest == QUEUE  # whoever comes back is owed more, all at once

    # What comes while they are away is owed to them as well, unless it expires meanwhile.
    brief = await sent_for_a_moment(crowd, crowd.slow[0])
    await crowd.send("question")
    await until(lambda: brief not in crowd.session_of(crowd.slow[0]).unreceived)
    for one in sockets:
        comes(crowd.server, opened, WebSocketConnection, one.client)
    for one in streams:
        comes(crowd.server, opened, EventStreamConnection, one.client)
    await crowd.send("suggestion")
    await until(lambda: all(heard(one)[-1:] == crowd.sent[-1:] for one in crowd.slow))
    for client in crowd.slow:
        # Also the notifications for which there was no room.
        assert heard(client) == crowd.for_user(client), client.client
        assert brief not in client.messages
        assert (client.complaints, len(client.sessions)) == ([], 1), client.client
    assert_that_readers_have_all(crowd)
    assert crowd.most_owed <= UNRECEIVED_MAX
    await until(lambda: not any(session.unreceived for session in crowd.sessions()))


async def sent_for_a_moment(crowd: Crowd, client: Level1Client) -> str:
    order = {"to": {"user": client.user}, "type": "question", "text": "Are you there?", "expires": "1s"}
    async with aiohttp.ClientSession(crowd.server.http_url) as http, http.post("/messages", json=order) as response:
        [message_id] = (await response.json())["ids"]
    return str(message_id)


async def test_who_reads_again_in_time_has_missed_the_oldest_notifications_of_its_queue_and_keeps_its_connection(
    crowd: Crowd, opened: AsyncExitStack
) -> None:
    late = await unread(crowd, opened, UnreadWebSocket, "late")
    await crowd.fill(late)
    for _ in range(QUEUE // 2):
        await crowd.send("question")
    for _ in range(QUEUE):
        await crowd.send("notification")
    outgoing = late.outgoing
    assert len(outgoing) == QUEUE
    assert outgoing.dropped >= QUEUE // 2
    everything = crowd.for_user(late.client)
    while len(late.client.messages) < len(everything) - outgoing.dropped:
        await late.read()
    had = heard(late.client)
    dropped = [one for one in everything if one not in had]
    assert had == [one for one in everything if one not in dropped], "in their order, each once"
    assert {kind for kind, _ in dropped} == {"notification"}
    # Half of the queue are the questions that stood behind the oldest notifications, the other half the newest.
    assert had[-QUEUE:] == [*crowd.sent[: QUEUE // 2], *crowd.sent[-QUEUE // 2 :]]
    assert int(dropped[-1][1]) < int(had[-QUEUE // 2][1]), "the oldest go first"
    assert late.client.complaints == [], "what was dropped has left no gap in the numbers"
    assert outgoing.closing is None
    assert_that_readers_have_all(crowd)


async def test_a_client_that_never_polls_again_is_owed_so_much_and_no_more_and_its_next_session_gets_what_waits(
    crowd: Crowd, opened: AsyncExitStack
) -> None:
    client = Level1Client("silent", "silent")
    connection = await LongPollConnection.open(crowd.server.http_url, client)
    opened.push_async_callback(connection.close)
    for frame in await connection.receive():
        client.receive(frame)
    session = crowd.session_of(client)
    for number in range(OUTBOX_PER_USER_MAX + 1):
        await crowd.server.send_backend_message_to_client("silent", f"{number}", "question")
        assert (session.outgoing, session.polls) == (None, 0)
    assert len(session.unreceived) <= UNRECEIVED_MAX
    await crowd.send("suggestion")
    assert_that_readers_have_all(crowd)
    crowd.server._parts().sessions.end([session])  # as when nobody has come back within `resume_within`
    await until(lambda: not crowd.server._parts().live.resumable("silent"))

    comes(crowd.server, opened, LongPollConnection, client)
    await until(lambda: len(client.messages) == OUTBOX_PER_USER_MAX)
    latest = [("question", str(number)) for number in range(2, OUTBOX_PER_USER_MAX + 1)]
    assert heard(client) == [*latest, *crowd.sent]
    assert (client.complaints, client.resumed, len(client.sessions)) == ([], 0, 2)


async def test_a_plain_client_for_whom_more_waits_than_may_be_queued_gets_all_of_it_in_several_connections(
    start_server: Any,
) -> None:
    server = await start_server(limits=Limits(queue_frames=QUEUE))
    told = [f"{number}" for number in range(3 * QUEUE)]
    for text in told:
        await server.send_backend_message_to_client("ann", text, "question")
    got: list[str] = []
    codes: list[int | None] = []
    async with asyncio.timeout(WITHIN_S):
        while len(got) < len(told):
            async with connect(server.ws_url, compression=None) as line:
                await line.send(json.dumps({"type": "ping", "clientId": "ann"}))
                with suppress(ConnectionClosed):
                    while len(got) < len(told):
                        frame = json.loads(await line.recv())
                        got += [frame["message"]] if frame["type"] == "backend_message" else []
            codes.append(line.close_code)
    assert got == told
    assert set(codes[:-1]) == {SLOW_CONSUMER_CODE}
