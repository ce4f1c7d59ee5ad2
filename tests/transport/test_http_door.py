from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from engine import Server


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.http_url) as session:
        yield session


async def post(http: aiohttp.ClientSession, path: str, body: Any, **given: Any) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, str) else json.dumps(body)
    async with http.post(path, data=BytesIO(text.encode()), **given) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def test_a_chat_message_is_answered_with_what_waited(http: aiohttp.ClientSession, server: Server) -> None:
    await server.send_backend_message_to_client("ann", "Welcome back", "suggestion")
    chat = {"type": "chat_message", "message": "I am stuck", "clientId": "ann"}
    status, reply = await post(http, "/chat", chat)
    assert status == 200
    assert list(reply) == ["type", "message", "timestamp", "messages"]
    assert reply["type"] == "chat_response"
    assert [frame["message"] for frame in reply["messages"]] == ["Welcome back", "Where are you stuck?"]
    _, reply = await post(http, "/chat", {**chat, "message": "Hm"})
    assert reply["messages"] == []


async def test_a_chat_needs_no_client_id(http: aiohttp.ClientSession) -> None:
    status, reply = await post(http, "/chat", {"type": "chat_message", "message": "Hi"})
    assert (status, reply["messages"]) == (200, [])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_what_its_headers_say_is_a_bad_request(
    http: aiohttp.ClientSession, encoding: str
) -> None:
    status, reply = await post(http, "/events", "no such thing", headers={"Content-Encoding": encoding})
    assert (status, reply["message"]) == (400, "expected a body as its headers describe it, got something else")


async def test_only_a_chat_message_is_chat(http: aiohttp.ClientSession) -> None:
    status, reply = await post(http, "/chat", {"type": "file.saved"})
    assert status == 400
    assert reply["message"] == 'expected a frame of type "chat_message", got "file.saved"; events go to /events'
    assert await post(http, "/chat", {"type": "ping"}) == (200, {"type": "pong"})


async def test_events_are_acknowledged_with_their_ids(http: aiohttp.ClientSession) -> None:
    event = {"type": "file.saved", "clientId": "ann", "id": "e1"}
    assert await post(http, "/events", event) == (202, {"ids": ["e1"]})
    status, reply = await post(http, "/events", [event, {**event, "id": "e2"}])
    assert (status, len(reply["ids"])) == (202, 2)
    lines = "\n".join(json.dumps({**event, "id": f"line {number}"}) for number in range(3))
    assert await post(http, "/events", lines) == (202, {"ids": ["line 0", "line 1", "line 2"]})
    assert await post(http, "/events", "[]") == (202, {"ids": []})


async def test_outcomes_and_preferences_are_events_among_others(http: aiohttp.ClientSession, server: Server) -> None:
    answer = {"type": "user_response", "questionId": "q1", "response": "Yes", "clientId": "ann", "id": "e1"}
    wish = {"type": "preferences", "muted": ["failing"], "clientId": "ann", "id": "e2"}
    outcome = {"type": "outcome", "id": "q1", "outcome": "dismissed", "clientId": "ann"}
    status, reply = await post(http, "/events", [answer, wish, outcome])
    assert (status, reply["ids"][:2], len(reply["ids"])) == (202, ["e1", "e2"], 3)
    # Whoever muted a rule is spared it.
    await post(http, "/events", {"type": "test.failed", "test": "t1", "clientId": "ann"})
    _, reply = await post(http, "/chat", {"type": "chat_message", "message": "Hi", "clientId": "ann"})
    assert reply["messages"] == []


async def test_what_fires_on_an_event_waits_for_the_next_request(http: aiohttp.ClientSession) -> None:
    await post(http, "/events", {"type": "test.failed", "test": "t1", "clientId": "ann"})
    _, reply = await post(http, "/chat", {"type": "chat_message", "message": "Hi", "clientId": "ann"})
    assert [frame["message"] for frame in reply["messages"]] == ["t1 fails. Want a hint?"]


async def test_a_broadcast_reaches_who_was_there_over_http(http: aiohttp.ClientSession, server: Server) -> None:
    await post(http, "/events", {"type": "file.saved", "clientId": "ann"})
    sent = await server.broadcast_to_all_clients("How is it going?", "question")
    assert (sent.clients, sent.waiting) == (["ann"], ["ann"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "message"),
    [
        ("POST", "/events", '{"type": "x",\n}', 400, "bad_frame", "2:1: expected JSON: trailing comma in object"),
        ("POST", "/chat", "", 400, "bad_frame", "1:1: expected JSON: the text is empty"),
        (
            "POST", "/events", '{"type": "x"}', 400, "no_client",
            'expected "clientId" in event 0: nothing else says whose event it is',
        ),
        (
            "POST", "/events", '{"type": "session.end", "clientId": "a"}', 400, "reserved_type",
            'events of type "session.end" are told by the server alone',
        ),
        (
            "POST", "/events", '[{"type": "outcome", "id": "m", "outcome": "read", "clientId": "a"}]', 400, "bad_frame",
            '[0]: expected "outcome" to be seen, engaged, answered, dismissed or muted, got "read"',
        ),
        (
            "POST", "/events", '{"type": "user.identify", "timezone": "Paris", "clientId": "a"}', 400, "bad_frame",
            'expected "timezone" to be an IANA time zone such as "Europe/Paris", got "Paris"',
        ),
        (
            "POST", "/events", '[{"type": "user.preferences", "theme": "dark", "clientId": "a"}]', 400, "bad_frame",
            "[0]: expected only level, muted, mute, unmute, snoozedUntil, snoozed "
            'besides type, clientId, id, session, at, got "theme"',
        ),
        (
            "POST", "/messages", "{}", 400, "bad_frame",
            'expected "to" to be {"user": NAME}, {"user": NAME, "client": NAME}, {"client": NAME} or '
            '{"all": true}',
        ),
        (
            "POST", "/events", "x" * (1024 * 1024 + 1), 413, "too_big",
            "expected a body of at most 1048576 bytes, got more",
        ),
        ("GET", "/chat", "", 405, "bad_method", "expected POST, got GET"),
        (
            "GET", "/", "", 404, "not_found",
            "no such path: GET /openapi.json describes all that there are",
        ),
    ],
)  # fmt: skip
async def test_errors_are_json_and_say_what_was_expected(
    http: aiohttp.ClientSession, method: str, path: str, body: str, status: int, code: str, message: str
) -> None:
    async with http.request(method, path, data=BytesIO(body.encode())) as response:
        assert response.status == status
        assert await response.json() == {"type": "error", "code": code, "message": message}


async def test_a_body_of_the_greatest_size_is_read(http: aiohttp.ClientSession) -> None:
    event = '{"type":"x","clientId":"a","b":"%s"}'
    status, _ = await post(http, "/events", event % ("b" * (1024 * 1024 - len(event) + 2)))
    assert status == 202


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://127.0.0.1", "http://127.0.0.2:1", "http://[::1]:80"]
)
async def test_a_page_of_this_machine_may_call(http: aiohttp.ClientSession, origin: str) -> None:
    async with http.options("/chat", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}) as allowed:
        assert allowed.status == 204
        assert allowed.headers["Access-Control-Allow-Origin"] == origin
        assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    async with http.post("/chat", data="bad", headers={"Origin": origin}) as refused:
        assert refused.headers["Access-Control-Allow-Origin"] == origin, "a page may read why it was refused"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "null", "http://127.0.0.1.evil.example"]
)
async def test_a_page_from_elsewhere_may_not_call(http: aiohttp.ClientSession, server: Server, origin: str) -> None:
    event = {"type": "x", "clientId": "a"}
    status, reply = await post(http, "/events", event, headers={"Origin": origin})
    assert (status, reply["code"]) == (403, "bad_origin")
    assert (await server.health())["live"]["events"] == 0


async def test_a_message_is_sent_to_one_or_all(http: aiohttp.ClientSession) -> None:
    status, reply = await post(http, "/messages", {"to": {"client": "ann"}, "type": "question", "text": "Well?"})
    assert (status, reply["clients"], reply["waiting"], reply["unnamed"]) == (202, ["ann"], ["ann"], 0)
    assert len(reply["ids"]) == 1
    status, reply = await post(http, "/messages", {"to": {"all": True}, "type": "notification", "text": "Hello"})
    assert (status, reply) == (202, {"ids": [], "clients": [], "waiting": [], "unnamed": 0})


async def test_health_tells_the_rules_and_the_store(http: aiohttp.ClientSession) -> None:
    async with http.get("/healthz") as response:
        assert response.status == 200
        health = await response.json()
    assert health["status"] == "ok"
    assert (health["rules"]["loaded"], health["rules"]["problems"]) == (3, [])
    assert health["store"]["trouble"] is None
