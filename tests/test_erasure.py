"""A user is erased from a real server: connections closed, nothing left in the file, nothing written afterwards."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine import ChatMessage, Overloaded, Server
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


COMPOSING = """
version: 1
rules:
  - id: hint
    trigger: {event: test.failed}
    message: {type: suggestion, text: "Want a hint?", compose: "Offer a hint about {{ event.test }}."}
"""


class Mind:
    """A responder that answers when it is let go; what is asked of it cannot be cancelled."""

    def __init__(self) -> None:
        self.asked = asyncio.Queue[str]()
        self.go = asyncio.Event()

    async def respond(self, message: ChatMessage) -> str:
        self.asked.put_nowait(message.message)
        while not self.go.is_set():
            with suppress(asyncio.CancelledError):
                await self.go.wait()
        return f"{WORDS} to {message.message}"


async def settle(server: Server) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
    await server._parts().live.settled()


async def test_what_a_responder_writes_for_a_user_does_not_begin_them_anew_after_the_erasure(
    start_server: Any, opened: AsyncExitStack
) -> None:
    mind = Mind()
    server = await start_server(COMPOSING, responder=mind.respond)
    phone = await in_session(server, opened, ANN, "phone")
    await say(phone, type="test.failed", id="e1", test="t1")
    async with asyncio.timeout(WITHIN_S):
        await mind.asked.get()
        await say(phone, type="chat_message", id="c1", message="How?")
        await mind.asked.get()
        await erase(server, ANN)
        assert await closed(phone) == ERASED
        again = await in_session(server, opened, ANN, "phone")
        mind.go.set()
        await settle(server)
    await say(again, type="ping")
    await hear_of(again, "pong")
    assert await events_of(server, ANN) == ["session.start"]
    assert WORDS.encode() not in bytes_kept(server)


async def test_a_chat_over_http_is_told_that_its_user_was_forgotten_and_leaves_nothing(
    start_server: Any, opened: AsyncExitStack
) -> None:
    mind = Mind()
    server = await start_server(COMPOSING, responder=mind.respond)
    async with aiohttp.ClientSession(server.http_url) as http, asyncio.timeout(WITHIN_S):
        chatting = asyncio.create_task(
            http.post("/chat", json={"type": "chat_message", "message": "How?", "clientId": ANN})
        )
        await mind.asked.get()
        await erase(server, ANN)
        mind.go.set()
        async with await chatting as response:
            reply = await response.json()
    assert (response.status, reply["type"], reply["code"]) == (502, "error", "responder_failed")
    await settle(server)
    assert await events_of(server, ANN) == []
    assert ANN not in server._parts().desk.present()


async def test_while_a_user_is_erased_nothing_is_taken_in_of_them_and_they_are_told_to_come_again(
    server: Server, opened: AsyncExitStack
) -> None:
    await in_session(server, opened, ANN, "phone")
    await settle(server)
    live = server._parts().live
    late = await opened.enter_async_context(connect(server.ws_url, compression=None))
    plain_late = await plain(server, opened)
    async with asyncio.timeout(WITHIN_S):
        async with live._one_at_a_time:  # the erasure is under way, and waits for a turn that takes its time
            erasing = asyncio.create_task(erase(server, ANN))
            while ANN not in server._parts().sessions.erasing:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            await say(late, type="hello", protocol=1, clientId="phone", user=ANN)
            await say(plain_late, type="test.failed", clientId=ANN, test=WORDS)
            for socket in (late, plain_late):
                refused = await hear_of(socket, "error")
                assert (refused["code"], refused["retryAfter"]) == ("overloaded", 1)
            async with aiohttp.ClientSession(server.http_url) as http:
                async with http.post("/events", json={"type": "test.failed", "clientId": ANN}) as response:
                    assert (response.status, (await response.json())["retryAfter"]) == (503, 1)
                order = {"to": {"user": ANN}, "type": "question", "text": WORDS}
                async with http.post("/messages", json=order) as response:
                    assert response.status == 503
            with pytest.raises(Overloaded):
                await server.record_event(ANN, {"type": "test.failed"})
        assert await erasing > 0
    await settle(server)
    assert await events_of(server, ANN) == []
    assert WORDS.encode() not in bytes_kept(server)
    await say(late, type="hello", protocol=1, clientId="phone", user=ANN)
    await hear_of(late, "welcome")


async def test_a_session_of_an_earlier_process_does_not_end_after_the_erasure(
    start_server: Any, tmp_path: Path, opened: AsyncExitStack
) -> None:
    store = f"sqlite:{tmp_path / 'kept.db'}"
    first = await start_server(store=store)
    await in_session(first, opened, ANN, "phone")
    await first.stop()
    server = await start_server(store=store)
    live = server._parts().live
    assert len(live.resumable(ANN)) == 1
    async with live._one_at_a_time:
        erasing = asyncio.create_task(erase(server, ANN))
        while ANN not in server._parts().sessions.erasing:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        assert live.resumable(ANN) == []
    assert await erasing > 0


async def test_an_erasure_that_a_reader_is_in_the_way_of_says_what_is_done_and_what_is_not(
    server: Server, opened: AsyncExitStack
) -> None:
    phone = await in_session(server, opened, ANN, "phone")
    await say(phone, type="test.failed", id="e1", test=WORDS)
    await hear_of(phone, "ack")
    path = str(server.settings.store).removeprefix("sqlite:")
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM log").fetchall()
    async with aiohttp.ClientSession(server.http_url) as http:
        async with http.delete(f"/users/{ANN}") as response:
            refused = await response.json()
        assert (response.status, refused["code"]) == (503, "not_stored")
        assert "the user is erased, but former contents of the file are not overwritten yet" in refused["message"]
        assert await events_of(server, ANN) == []
        reader.execute("COMMIT")
        reader.close()
        async with http.delete(f"/users/{ANN}") as response:
            done = await response.json()
        assert (response.status, done["erased"], done["overwritten"] > 0) == (200, 0, True)
        async with http.delete(f"/users/{ANN}") as response:
            assert await response.json() == {"user": ANN, "erased": 0, "overwritten": 0}
    assert WORDS.encode() not in bytes_kept(server)
