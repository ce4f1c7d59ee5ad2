"""A user is erased from a real server: connections closed, nothing left in the file, nothing written afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine import Server
from engine.cli.main import app_for

WITHIN_S = 20.0  # only a hang takes as long
ERASED = (1008, '{"code":"erased"}')
# Names and words that stand nowhere else, so that their bytes tell.
ANN = "ann-7f3a91"
WORDS = "qwzxv-private-words"


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def hear_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of that type; a message of a rule is known by its ``rule``."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if kind in (frame["type"], frame.get("rule")):
                return frame


async def say(socket: ClientConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(WITHIN_S):
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code, socket.close_reason


async def in_session(server: Server, opened: AsyncExitStack, user: str, client: str) -> ClientConnection:
    socket = await opened.enter_async_context(connect(server.ws_url, compression=None))
    await say(socket, type="hello", protocol=1, clientId=client, user=user)
    await hear_of(socket, "welcome")
    return socket


async def plain(server: Server, opened: AsyncExitStack, *clients: str) -> ClientConnection:
    socket = await opened.enter_async_context(connect(server.ws_url, compression=None))
    for client in clients:
        await say(socket, type="ping", clientId=client)
        await hear_of(socket, "pong")
    return socket


async def erase(server: Server, user: str) -> int:
    async with aiohttp.ClientSession(server.http_url) as http, http.delete(f"/users/{user}") as response:
        reply = await response.json()
    assert response.status == 200
    return int(reply["erased"])


def bytes_kept(server: Server) -> bytes:
    path = Path(str(server.settings.store).removeprefix("sqlite:"))
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(path.name + "*")))


async def events_of(server: Server, user: str) -> list[str]:
    store = server._parts().store
    entries = [entry for part in range(store.partition_count) for entry in await store.log(part, 0, 10_000)]
    return [entry.event.type for entry in entries if entry.event is not None and entry.user == user]


async def test_of_an_erased_user_no_byte_is_left_and_connections_are_closed(
    server: Server, opened: AsyncExitStack
) -> None:
    phone = await in_session(server, opened, ANN, "phone")
    tablet = await plain(server, opened, ANN)
    bob = await in_session(server, opened, "bob", "bobs")
    for number in range(50):
        await say(phone, type="test.failed", id=f"e{number}", test=f"{WORDS} {number}")
    await say(bob, type="test.failed", id="b1", test="t1")
    for socket in (phone, tablet, bob):
        await hear_of(socket, "failing")
    assert WORDS.encode() in bytes_kept(server)
    assert await erase(server, ANN) > 50
    kept = bytes_kept(server)
    assert WORDS.encode() not in kept
    assert ANN.encode() not in kept
    assert b"bob" in kept
    assert await closed(phone) == await closed(tablet) == ERASED
    # What the end of a connection brings about has had its turn when something that came later has.
    await say(bob, type="test.failed", id="b2", test="t2")
    await hear_of(bob, "ack")
    await server._parts().live.settled()
    assert ANN.encode() not in bytes_kept(server)
    assert await events_of(server, ANN) == []


async def test_what_waits_for_its_turn_is_erased_as_well(server: Server, opened: AsyncExitStack) -> None:
    phone = await in_session(server, opened, ANN, "phone")
    live = server._parts().live
    async with live._one_at_a_time:  # a turn that takes its time
        for number in range(20):
            await say(phone, type="test.failed", id=f"e{number}", test=f"{WORDS} {number}")
        async with asyncio.timeout(WITHIN_S):
            while live.inbox.count < 20:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        erasing = asyncio.create_task(erase(server, ANN))
        assert await closed(phone) == ERASED
        assert not erasing.done()
    assert await erasing > 20
    await live.settled()
    assert await events_of(server, ANN) == []
    assert WORDS.encode() not in bytes_kept(server)


async def test_others_who_speak_over_the_same_connection_leave_as_ever(server: Server, opened: AsyncExitStack) -> None:
    shared = await plain(server, opened, ANN, "bob")
    await erase(server, ANN)
    assert await closed(shared) == ERASED
    async with asyncio.timeout(WITHIN_S):
        while await events_of(server, "bob") != ["session.start", "session.end"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    assert await events_of(server, ANN) == []


async def test_the_recording_of_the_others_goes_on_leading_to_their_decisions(
    server: Server, opened: AsyncExitStack
) -> None:
    sockets = {user: await in_session(server, opened, user, user) for user in (ANN, "bob", "cat", "dan")}
    for socket in sockets.values():
        await say(socket, type="test.failed", id="e1", test="t1")
        await hear_of(socket, "failing")
    await erase(server, ANN)
    again = await in_session(server, opened, ANN, "phone")
    await say(again, type="test.failed", id="e1", test="t2")
    await hear_of(again, "failing")
    path = str(server.settings.store).removeprefix("sqlite:")
    result = await asyncio.to_thread(CliRunner().invoke, app_for(["replay"]), ["replay", path, "--verify"])
    assert result.exit_code == 0, result.output
    assert "verified: 4 decisions of 4 users reproduced exactly" in result.output
