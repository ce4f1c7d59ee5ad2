"""Who may speak over a WebSocket where tokens are asked for, and for how long."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine import Server
from engine.settings import Auth, Tokens

SECRET = "s" * 32
WITHIN_S = 20.0  # only a hang takes as long
RULES = """\
version: 1
rules:
  - id: greeted
    trigger: {event: {event: note}}
    message: {type: notification, text: "{{ user.id }} wrote"}
"""


def token(user: str = "ann", exp: float | None = None, secret: str = SECRET) -> str:
    return jwt.encode({"sub": user, "exp": exp or int(time.time()) + 86_400}, secret, algorithm="HS256")


@pytest.fixture
async def server(start_server: Any) -> Server:
    guarded: Server = await start_server(rules=RULES, auth=Auth(Tokens(secret=SECRET, leeway=0)))
    return guarded


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


class Line:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def hear_of(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                frame = json.loads(await self.socket.recv())
                if frame["type"] == kind:
                    return dict(frame)

    async def hello(self, client: str = "laptop", **more: Any) -> None:
        await self.say("hello", protocol=1, clientId=client, **more)

    async def closed(self) -> int | None:
        async with asyncio.timeout(WITHIN_S):
            with suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code


async def line(server: Server, opened: AsyncExitStack, query: str = "", **headers: str) -> Line:
    socket = connect(server.ws_url + query, additional_headers=headers)
    return Line(await opened.enter_async_context(socket))


async def test_a_session_is_the_tokens_users_wherever_the_token_stands(server: Server, opened: AsyncExitStack) -> None:
    for client, query, headers, more in (
        ("a", "", {"Authorization": f"Bearer {token()}"}, {}),
        ("b", f"/?token={token()}", {}, {}),
        ("c", "", {}, {"token": token()}),
        ("d", "", {"Authorization": f"Bearer {token('bob')}"}, {"token": token()}),
    ):
        one = await line(server, opened, query, **headers)
        await one.hello(client, **more)
        assert (await one.hear_of("welcome"))["user"] == "ann"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "unauthorized"),
        ({"user": "ann"}, "unauthorized"),
        ({"token": "nonsense"}, "unauthorized"),
        ({"token": token(secret="t" * 32)}, "unauthorized"),
        ({"token": token(exp=1)}, "unauthorized"),
        ({"token": token(), "user": "bob"}, "forbidden"),
    ],
)
async def test_nobody_else_has_a_session(
    server: Server, opened: AsyncExitStack, more: dict[str, Any], code: str
) -> None:
    one = await line(server, opened)
    await one.hello(**more)
    assert (await one.hear_of("error"))["code"] == code
    assert await one.closed() == 1008


async def test_a_plain_client_with_a_token_speaks_for_its_user_alone(server: Server, opened: AsyncExitStack) -> None:
    one = await line(server, opened, Authorization=f"Bearer {token()}")
    await one.say("note", clientId="bob")
    assert (await one.hear_of("backend_message"))["message"] == "ann wrote"


async def test_a_plain_client_without_one_may_chat_and_nothing_else(server: Server, opened: AsyncExitStack) -> None:
    one = await line(server, opened)
    await one.say("note", clientId="ann")
    assert (await one.hear_of("error"))["code"] == "unauthorized"
    await one.say("chat_message", message="Hm", clientId="ann")
    assert (await one.hear_of("chat_response"))["type"] == "chat_response"


async def test_a_connection_ends_with_its_token_unless_a_fresh_one_comes(
    server: Server, opened: AsyncExitStack
) -> None:
    ends_at = int(time.time()) + 2
    brief = token(exp=ends_at)
    refreshed = await line(server, opened)
    await refreshed.hello("a", token=brief)
    welcome = await refreshed.hear_of("welcome")
    assert welcome["tokenExpiresAt"] == ends_at
    name = welcome["session"]
    await refreshed.hello("a", token=token())
    assert 'expected "resume"' in (await refreshed.hear_of("error"))["message"]
    await refreshed.hello("a", token=token(), resume={"session": name, "received": 0})
    welcome = await refreshed.hear_of("welcome")
    assert (welcome["session"], welcome["resumed"]) == (name, True)
    assert welcome["tokenExpiresAt"] > ends_at
    session, plain = await line(server, opened), await line(server, opened, Authorization=f"Bearer {brief}")
    await session.hello("b", token=brief)
    await session.hear_of("welcome")
    await plain.say("ping")
    await plain.hear_of("pong")
    await plain.say("note")
    await plain.hear_of("backend_message")
    assert await session.closed() == 1008
    assert await plain.closed() == 1008
    await refreshed.say("ping")
    assert await refreshed.hear_of("pong")
