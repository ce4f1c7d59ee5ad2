"""Clients of the HTTP door that are slow, silent or wrong: nobody else waits for them, and all of it has a bound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp
import pytest
from event_source import EventSource
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Server
from engine.core.units import MILLISECOND
from engine.doors import http_door
from engine.settings import Limits
from engine.transport.http_listener import Slowness
from engine.transport.session import Session

WITHIN_S = 20.0
IMPATIENT = Slowness(headers_s=0.05, body_s=0.05, look_s=0.02)

OpenDoor = Callable[[Server], Awaitable[str]]


@pytest.fixture
async def impatient() -> AsyncIterator[OpenDoor]:
    """The address of a second door of a server, one that waits for nobody."""
    async with AsyncExitStack() as opened:

        async def open_door(server: Server) -> str:
            door = http_door(server.settings, server._parts(), server.health, IMPATIENT)
            opened.push_async_callback(door.close)
            return f"http://127.0.0.1:{await door.open('127.0.0.1', 0)}"

        yield open_door


async def send_raw(url: str, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    return reader, writer


async def until_left(server: Server, session: Session) -> None:
    async with asyncio.timeout(WITHIN_S):
        while session.outgoing is not None:
            await server.health()


async def test_a_body_that_does_not_come_is_not_waited_for(server: Server, impatient: OpenDoor) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    reader, writer = await send_raw(await impatient(server), head, b'{"type"')
    async with asyncio.timeout(WITHIN_S):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    reply = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert reply == {
        "type": "error", "code": "too_slow", "message": "expected the body within 0.05 seconds, got a part of it",
    }  # fmt: skip
    writer.close()


async def test_a_first_request_without_an_end_is_cut_off(server: Server, impatient: OpenDoor) -> None:
    url = await impatient(server)
    async with aiohttp.ClientSession(url) as http:
        async with http.get("/healthz") as response:
            assert response.status == 200
        reader, writer = await send_raw(url, b"POST /events HTTP/1.1\r\nHost: local")
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.close()
        # Who has come to the end of a request may take as long for the next as connections are kept.
        async with http.get("/healthz") as response:
            assert response.status == 200


async def test_of_connections_that_wait_for_a_request_those_beyond_the_limit_are_cut_off(
    start_server: Any, impatient: OpenDoor
) -> None:
    server = await start_server(limits=Limits(address_connections=3))
    url = await impatient(server)
    async with aiohttp.ClientSession(url) as http:
        stream = await EventSource(http, "/stream?clientId=tab").open()
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        waiting = [await send_raw(url, request) for _ in range(5)]
        async with asyncio.timeout(WITHIN_S):
            for reader, _ in waiting[:3]:
                with suppress(ConnectionError):
                    await reader.read()
            for reader, _ in waiting[3:]:
                await reader.readuntil(b"}")
            for reader, writer in waiting[3:]:
                writer.write(request)
                await reader.readuntil(b"HTTP/1.1 200 ")
        assert server._parts().reception.admission.count == 1, "the stream is still there"
        stream.cut()
        for _, writer in waiting:
            writer.close()


@pytest.mark.parametrize("headers", [{"X-Long": "x" * 9000}, {f"X-{number}": "x" for number in range(200)}])
async def test_headers_have_a_bound(server: Server, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(server.http_url) as http, http.get("/healthz", headers=headers) as response:
        assert response.status == 400


async def test_a_stream_beats_while_nothing_is_said(start_server: Any, impatient: OpenDoor) -> None:
    url = await impatient(await start_server(heartbeat=20 * MILLISECOND))
    async with aiohttp.ClientSession(url) as http:
        stream = await EventSource(http, "/stream?clientId=tab").open()
        headers = stream.response.headers
        assert (headers["X-Accel-Buffering"], headers["Cache-Control"]) == ("no", "no-cache, no-transform")
        assert stream.response.content_type == "text/event-stream"
        assert [(await stream.frame())["type"] for _ in range(2)] == ["welcome", "preferences"]
        await stream.comment()
        await stream.comment()
        stream.cut()


async def test_a_stream_whose_client_is_gone_is_noticed(server: Server, impatient: OpenDoor) -> None:
    async with aiohttp.ClientSession(await impatient(server)) as http:
        stream = await EventSource(http, "/stream?clientId=tab").open()
        session = server._parts().sessions.find((await stream.frame())["session"])
        assert session is not None
        assert session.outgoing is not None
        assert server._parts().reception.admission.count == 1
        stream.cut()
        await until_left(server, session)
    assert server._parts().reception.admission.count == 0


async def test_a_client_that_does_not_read_its_stream_is_cut_off(start_server: Any) -> None:
    server = await start_server(limits=Limits(queue_frames=8, messages_per_s=None))
    request = b"GET /stream?clientId=tab HTTP/1.1\r\nHost: localhost\r\n\r\n"
    reader, writer = await send_raw(server.http_url, request)
    async with asyncio.timeout(WITHIN_S):
        await reader.readuntil(b"welcome")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    [session] = server._parts().sessions.of_client("tab")
    async with asyncio.timeout(WITHIN_S):
        while session.outgoing is not None:
            await server.send_backend_message_to_client("tab", "x" * 100_000, "question")
    assert session.unreceived, "what did not arrive waits for the next connection"
    writer.transport.abort()  # type: ignore[attr-defined]


async def test_a_user_has_so_many_streams_and_no_more(start_server: Any) -> None:
    server = await start_server(limits=Limits(user_connections=1))
    async with aiohttp.ClientSession(server.http_url) as http:
        first = await EventSource(http, "/stream?clientId=one&user=ann").open()
        second = await EventSource(http, "/stream?clientId=two&user=ann").open()
        assert (first.response.status, second.response.status) == (200, 429)
        assert second.response.headers["Retry-After"] == "5"
        other = await EventSource(http, "/stream?clientId=two&user=bob").open()
        assert other.response.status == 200
        for stream in (first, second, other):
            stream.cut()


PARAMETERS = ["session", "after", "timeout", "user", "before", "limit", "x"]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["/stream", "/poll", "/users/{}/timeline", "/hello", "/nowhere/{}"]),
    name=st.text(max_size=8),
    params=st.dictionaries(st.sampled_from(PARAMETERS), st.text(max_size=8), max_size=3),
    last=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
)
async def test_whatever_stands_in_an_address_is_answered_in_the_words_of_the_protocol(
    server: Server, path: str, name: str, params: dict[str, str], last: str
) -> None:
    async with aiohttp.ClientSession(server.http_url) as http:
        headers = {"Last-Event-ID": last}
        async with http.get(path.format(name or "a"), params=params, headers=headers) as response:
            reply = await response.json()
    assert response.status < 500
    assert response.status == 200 or reply["type"] == "error"
