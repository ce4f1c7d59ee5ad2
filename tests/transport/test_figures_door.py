"""The HTTP door of a worker: clients that are slow, or too many, keep nobody from its figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest

from engine.core.model import Json
from engine.settings import Auth
from engine.transport.auth import Authenticator
from engine.transport.figures_door import CONNECTIONS_MAX, FiguresDoor
from engine.transport.http_listener import Slowness
from engine.transport.routes_about import About

WITHIN_S = 20.0
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def how() -> dict[str, Json]:
    return {"ready": True}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    about = About(how, how, lambda accept: (b"figures", "text/plain"))
    door = FiguresDoor(about, Authenticator(Auth(), lambda: 0), Slowness(headers_s=0.05, look_s=0.02))
    yield f"http://127.0.0.1:{await door.open('127.0.0.1', 0)}"
    await door.close()


async def speak(url: str, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(said)
    return reader, writer


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\nHost: local"], ids=["nothing", "half a request"])
async def test_who_does_not_come_to_the_end_of_a_request_is_cut_off_and_others_are_not(url: str, said: bytes) -> None:
    async with aiohttp.ClientSession(url) as http:
        async with http.get("/healthz") as reply:
            assert reply.status == 200
        reader, writer = await speak(url, said)
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.close()
        async with http.get("/metrics") as reply:
            assert await reply.text() == "figures"


async def test_of_connections_that_wait_for_a_request_those_beyond_the_limit_are_cut_off_the_longest_silent_first(
    url: str,
) -> None:
    waiting = [await speak(url, REQUEST) for _ in range(CONNECTIONS_MAX + 1)]
    async with asyncio.timeout(WITHIN_S):
        first, _ = waiting[0]
        with suppress(ConnectionError):
            await first.read()  # to its end
        for reader, writer in waiting[1:]:
            await reader.readuntil(b"}")
            writer.write(REQUEST)
            await reader.readuntil(b"HTTP/1.1 200 ")
    for _, writer in waiting:
        writer.close()


async def test_headers_have_a_bound(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        async with http.get("/healthz", headers={f"X-{number}": "x" for number in range(200)}) as reply:
            assert reply.status == 400
        async with http.get("/healthz") as reply:
            assert reply.status == 200
