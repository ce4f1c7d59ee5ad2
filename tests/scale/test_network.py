"""The proxy that stands in for a cable does what a scenario takes for granted: cut, it lets nothing through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.scale.network import Proxy


@asynccontextmanager
async def an_echo(mark: bytes) -> AsyncIterator[int]:
    """The port of a server that answers with its mark and what it was told."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(mark + line)
        await closed(writer)
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()
    await done.wait()
    await server.wait_closed()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def a_proxy(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    await proxy.open()
    yield proxy
    await proxy.close()


async def test_what_is_said_while_it_is_cut_arrives_when_it_is_mended() -> None:
    async with an_echo(b"a ") as port, a_proxy(port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.store_port)
        writer.write(b"one\n")
        assert await reader.readline() == b"a one\n"
        proxy.cut()
        writer.write(b"two\n")
        answer = asyncio.create_task(reader.readline())
        done, _ = await asyncio.wait([answer], timeout=0.05)
        assert not done
        proxy.mend()
        assert await answer == b"a two\n"
        await closed(writer)


async def test_what_was_on_its_way_when_it_is_dropped_never_arrives() -> None:
    async with an_echo(b"a ") as port, an_echo(b"b ") as other, a_proxy(port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.store_port)
        writer.write(b"one\n")
        assert await reader.readline() == b"a one\n"
        proxy.cut()
        writer.write(b"lost\n")
        proxy.lead_to(other)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        await closed(writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.store_port)
        writer.write(b"two\n")
        assert await reader.readline() == b"b two\n"
        await closed(writer)
