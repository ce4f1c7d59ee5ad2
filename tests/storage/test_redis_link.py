"""What the way to one Redis takes for durable, by its answers; a stand-in gives those that no real one gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis
import pytest
from redis.exceptions import ResponseError

from engine.storage.redis_link import Address, Link
from engine.storage.redis_replicas import NotReplicated, Promise

MOVED = b"-MOVED 1 127.0.0.1:1\r\n"
IS_A_REPLICA = b"-ERR WAIT cannot be used with replica instances.\r\n"


@asynccontextmanager
async def answering(answers: dict[bytes, bytes]) -> AsyncIterator[Address]:
    """A server that answers a command, by its last word, as is said here, and any other with OK."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader()
        while asked := await reader.read(65_536):
            parser.feed(asked)
            while (words := parser.gets()) is not False:
                writer.write(answers.get(words[0], answers.get(words[-1], b"+OK\r\n")))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Address("127.0.0.1", port, 0, shown="stand-in")


async def test_where_one_of_the_commands_was_done_and_nobody_has_it_nothing_counts_as_durable() -> None:
    async with answering({b"moved": MOVED, b"WAIT": IS_A_REPLICA}) as address:
        link = Link(address, promise=Promise("replicated"))
        with pytest.raises(NotReplicated):
            await link.exchange([("SET", "a", "there"), ("SET", "b", "moved")], durable=True)
        await link.close()


async def test_where_none_was_done_what_they_were_answered_says_more() -> None:
    async with answering({b"moved": MOVED, b"WAIT": IS_A_REPLICA}) as address:
        link = Link(address, promise=Promise("replicated"))
        [reply] = await link.exchange([("SET", "b", "moved")], durable=True)
        assert isinstance(reply, ResponseError)
        await link.close()
