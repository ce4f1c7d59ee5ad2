"""Who may ask what over HTTP where tokens and keys are asked for: every route, every sort of caller."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from event_source import EventSource

from engine import Server
from engine.settings import Auth, Tokens
from engine.transport.auth import SCOPES
from engine.transport.keys import new_key, write_keys
from engine.transport.openapi import openapi

SECRET = "s" * 32
CHAT = {"type": "chat_message", "message": "Hm", "clientId": "tab"}
FAILED = {"type": "test.failed", "test": "t1", "clientId": "tab"}
HELLO = {"type": "hello", "protocol": 1, "clientId": "tab"}
BODIES = {"/chat": CHAT, "/events": FAILED, "/hello": HELLO}
BODIES["/messages"] = {"to": {"user": "ann"}, "type": "notification", "text": "Hi"}
# Of each route, which scope a key needs, "any" for whatever key, "" for none that would do; whether a token does.
NEEDS = {
    "/chat": ("", True), "/events": ("events", True), "/hello": ("", True), "/stream": ("", True), "/poll": ("", True),
    "/messages": ("messages", False), "/users/{id}/timeline": ("users", False), "/users/{id}": ("users", False),
    "/rules/reload": ("rules", False), "/metrics": ("metrics", False), "/openapi.json": ("any", True),
    "/asyncapi.json": ("any", True), "/protocol.schema.json": ("any", True), "/demo": ("any", True),
    "/demo/widget.js": ("any", True),
}  # fmt: skip
OPEN = ("/healthz", "/readyz")


def token(user: str = "ann", **claims: Any) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + 86_400, **claims}, SECRET, algorithm="HS256")


@dataclass
class Guarded:
    server: Server
    http: aiohttp.ClientSession
    keys: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, bearer: str | None = None, body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        data = None if body is None else json.dumps(body)
        async with self.http.request(method, path, headers=headers, data=data) as response:
            if response.content_type != "application/json":
                return response.status, {}
            return response.status, await response.json()


@pytest.fixture
async def guarded(start_server: Any, tmp_path: Path) -> AsyncIterator[Guarded]:
    path = tmp_path / "keys.json"
    made = {scope: new_key(scope, [scope], "now") for scope in SCOPES}
    write_keys(path, [kept for _, kept in made.values()])
    server = await start_server(auth=Auth(tokens=Tokens(secret=SECRET), backend_keys=path))
    async with aiohttp.ClientSession(server.http_url) as http:
        yield Guarded(server, http, {name: key for name, (key, _) in made.items()})


def test_every_route_is_in_the_table() -> None:
    assert {*NEEDS, *OPEN} == set(openapi()["paths"])


@pytest.mark.parametrize(
    ("method", "path"),
    [(method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods if path in NEEDS],
)
async def test_a_route_is_open_to_whom_it_is_for_and_to_nobody_else(guarded: Guarded, method: str, path: str) -> None:
    scope, takes_token = NEEDS[path]
    address = path.replace("{id}", "ann")
    if path == "/stream":
        address += "?session=s_0"  # which is not there: whoever gets so far is told
    if path == "/poll":
        address += "?session=s_0"
    body = BODIES.get(path)
    if path != "/chat":
        assert (await guarded.ask(method, address, body=body))[0] == 401
    for bad in ("nonsense", "pk_nonsense", token(exp=1)):
        status, reply = await guarded.ask(method, address, bad, body)
        assert (status, reply["code"]) == (401, "unauthorized")
    status, reply = await guarded.ask(method, address, token(), body)
    assert (status not in (401, 403)) == takes_token, reply
    for name, key in guarded.keys.items():
        status, reply = await guarded.ask(method, address, key, body)
        assert (status not in (401, 403)) == (scope in (name, "any")), (name, reply)


async def test_the_server_says_how_it_is_to_anybody(guarded: Guarded) -> None:
    for path in OPEN:
        assert (await guarded.ask("GET", path))[0] == 200


async def test_whose_events_they_are_the_token_says(guarded: Guarded) -> None:
    await guarded.ask("POST", "/events", token("ann"), [{**FAILED, "clientId": "bob"}, {**FAILED, "id": "e1"}])
    users = guarded.keys["users"]
    _, ann = await guarded.ask("GET", "/users/ann/timeline", users)
    _, bob = await guarded.ask("GET", "/users/bob/timeline", users)
    assert [item["type"] for item in ann["items"] if item["kind"] == "event"] == ["test.failed"] * 2
    assert bob["items"] == []


async def test_a_backend_tells_events_of_anybody(guarded: Guarded) -> None:
    events = [{**FAILED, "clientId": "ann"}, {**FAILED, "clientId": "bob"}]
    assert (await guarded.ask("POST", "/events", guarded.keys["events"], events))[0] == 202
    for user in ("ann", "bob"):
        _, timeline = await guarded.ask("GET", f"/users/{user}/timeline", guarded.keys["users"])
        assert len(timeline["items"]) == 2


async def test_chat_without_a_token_is_nobodys_and_gets_nothing_of_others(guarded: Guarded) -> None:
    order = {"to": {"user": "tab"}, "type": "notification", "text": "Secret"}
    await guarded.ask("POST", "/messages", guarded.keys["messages"], order)
    status, reply = await guarded.ask("POST", "/chat", None, CHAT)
    assert (status, reply["messages"]) == (200, [])
    _, reply = await guarded.ask("POST", "/chat", token("tab"), CHAT)
    assert [frame["message"] for frame in reply["messages"]] == ["Secret"]


async def test_a_client_s_name_alone_is_nobody_s_address_where_tokens_are_checked(guarded: Guarded) -> None:
    order = {"to": {"client": "phone"}, "type": "question", "text": "Whose?"}
    status, error = await guarded.ask("POST", "/messages", guarded.keys["messages"], order)
    assert (status, error["code"]) == (400, "bad_frame")
    assert 'expected "user" beside "client"' in error["message"]
    order["to"] = {"user": "ann", "client": "phone"}
    status, sent = await guarded.ask("POST", "/messages", guarded.keys["messages"], order)
    assert (status, sent["clients"]) == (202, ["ann"])


async def test_a_session_is_its_users_alone(guarded: Guarded) -> None:
    _, welcome = await guarded.ask("POST", "/hello", token("ann"), HELLO)
    assert welcome["user"] == "ann"
    session = welcome["session"]
    for method, path in (
        ("GET", f"/poll?session={session}&timeout=0"),
        ("POST", f"/events?session={session}"),
        ("GET", f"/stream?session={session}"),
    ):
        status, reply = await guarded.ask(method, path, token("bob"), [] if method == "POST" else None)
        assert (status, reply["code"]) == (404, "no_session")
    assert (await guarded.ask("GET", f"/poll?session={session}&timeout=0", token("ann")))[0] == 200
    status, reply = await guarded.ask("POST", "/hello", token("bob"), {**HELLO, "user": "ann"})
    assert (status, reply["code"]) == (403, "forbidden")


async def test_a_browser_brings_its_token_in_the_address_of_a_stream(guarded: Guarded) -> None:
    stream = await EventSource(guarded.http, f"/stream?clientId=tab&token={token('ann')}").open()
    assert (await stream.frame())["user"] == "ann"
    stream.cut()
    async with guarded.http.get(f"/poll?session=s_0&token={token('ann')}") as response:
        assert response.status == 400, "nowhere else: addresses end up in logs"


async def test_a_stream_ends_when_its_token_does(start_server: Any) -> None:
    server = await start_server(auth=Auth(tokens=Tokens(secret=SECRET, leeway=0)))
    async with aiohttp.ClientSession(server.http_url) as http:
        brief = token("ann", exp=int(time.time()) + 2)
        stream = await EventSource(http, f"/stream?clientId=tab&token={brief}").open()
        events = [await stream.next() for _ in range(3)]
        assert [event.kind for event in events if event is not None] == ["message", "message", "close"]
        assert events[-1] is not None
        assert events[-1].frame["code"] == 1008
        stream.cut()
