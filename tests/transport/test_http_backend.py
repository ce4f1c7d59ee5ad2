"""What a backend may ask of the server over HTTP: messages, timelines, erasure, rules; and how the server is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from engine import Server
from engine.settings import Limits
from engine.transport.limits import Refusal

FAILED = {"type": "test.failed", "test": "t1", "clientId": "ann"}
RULE = "  - {id: %s, trigger: {event: {event: %s}}, message: {type: suggestion, text: Hi}}\n"


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.http_url) as session:
        yield session


async def ask(http: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body)
    async with http.request(method, path, data=data) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def chat(http: aiohttp.ClientSession, user: str) -> list[dict[str, Any]]:
    """Says something that no rule hears, and takes what waits."""
    _, reply = await ask(http, "POST", "/chat", {"type": "chat_message", "message": "Hm", "clientId": user})
    messages: list[dict[str, Any]] = reply["messages"]
    return messages


# Messages


async def test_a_message_with_an_id_is_sent_once_however_often_it_is_asked_for(http: aiohttp.ClientSession) -> None:
    order = {"to": {"user": "ann"}, "type": "notification", "text": "Well?", "id": "m1"}
    _, first = await ask(http, "POST", "/messages", order)
    assert await ask(http, "POST", "/messages", order) == (202, first)
    assert [frame["id"] for frame in await chat(http, "ann")] == first["ids"]
    assert await ask(http, "POST", "/messages", order) == (202, first)
    assert await chat(http, "ann") == []
    _, other = await ask(http, "POST", "/messages", {**order, "to": {"user": "bob"}})
    assert other["ids"] != first["ids"]


async def test_a_message_to_a_client_reaches_that_device_alone(http: aiohttp.ClientSession) -> None:
    sessions = {}
    for client in ("phone", "laptop"):
        hello = {"type": "hello", "protocol": 1, "clientId": client, "user": "ann"}
        _, sessions[client] = await ask(http, "POST", "/hello", hello)
    order = {"to": {"client": "phone"}, "type": "notification", "text": "Only you", "data": {"seq": 9, "page": 3}}
    status, sent = await ask(http, "POST", "/messages", order)
    assert (status, sent["clients"]) == (202, ["ann"])
    polled = {}
    for client, welcome in sessions.items():
        _, reply = await ask(http, "GET", f"/poll?session={welcome['session']}&timeout=0")
        if client == "phone" and len(reply["frames"]) == 1:  # the wishes came first
            _, reply = await ask(http, "GET", f"/poll?session={welcome['session']}")
        polled[client] = [frame for frame in reply["frames"] if frame["type"] == "backend_message"]
    assert polled["laptop"] == []
    [frame] = polled["phone"]
    assert (frame["message"], frame["page"], frame["seq"]) == ("Only you", 3, 1)


async def test_a_message_expires_when_the_backend_says(http: aiohttp.ClientSession) -> None:
    order = {"to": {"user": "ann"}, "type": "notification", "text": "Now", "expires": "1ms"}
    assert (await ask(http, "POST", "/messages", order))[0] == 202
    await ask(http, "GET", "/healthz")
    assert await chat(http, "ann") == []


# Timelines


async def test_a_timeline_tells_events_decisions_and_what_became_of_messages(http: aiohttp.ClientSession) -> None:
    await ask(http, "POST", "/events", {**FAILED, "id": "e1"})
    [hint] = await chat(http, "ann")
    outcome = {"type": "outcome", "id": hint["id"], "outcome": "answered", "response": "Not now", "clientId": "ann"}
    identify = {"type": "user.identify", "skill": "beginner", "clientId": "ann"}
    wish = {"type": "preferences", "level": "less", "clientId": "ann"}
    await ask(http, "POST", "/events", [outcome, identify, wish])
    order = {"to": {"user": "ann"}, "type": "question", "text": "Well?", "options": ["Yes"], "data": {"n": 1}}
    _, sent = await ask(http, "POST", "/messages", order)
    status, timeline = await ask(http, "GET", "/users/ann/timeline")
    assert status == 200
    assert (timeline["user"], timeline["attributes"], timeline["next"]) == ("ann", {"skill": "beginner"}, None)
    assert timeline["preferences"]["level"] == "less"
    assert timeline["waiting"] == sent["ids"]
    items = timeline["items"]
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)
    assert items[0]["kind"] == "message"
    assert items[0]["message"]["options"] == ["Yes"]
    [decision] = [item for item in items if item["kind"] == "decision" and item["rule"] == "failing"]
    assert (decision["outcome"], decision["event"], decision["message"]["id"]) == ("sent", "e1", hint["id"])
    became = [(each["outcome"], each.get("response")) for each in decision["message"]["became"]]
    assert became == [("delivered", None), ("answered", "Not now")]
    [event] = [item for item in items if item.get("id") == "e1"]
    assert (event["type"], event["data"]) == ("test.failed", {"test": "t1"})
    assert items.index(decision) < items.index(event), "what came of an event is newer than the event"


async def test_a_decision_says_in_words_why_not(start_server: Any) -> None:
    rules = "version: 1\nrules:\n" + RULE.replace("id: %s", "id: %s, cooldown: 1h") % ("hi", "greeted")
    server = await start_server(rules=rules)
    async with aiohttp.ClientSession(server.http_url) as http:
        await ask(http, "POST", "/events", [{"type": "greeted", "clientId": "ann"}] * 2)
        _, timeline = await ask(http, "GET", "/users/ann/timeline")
    newest, first = [item for item in timeline["items"] if item["kind"] == "decision"]
    assert (first["outcome"], first["reason"]) == ("sent", None)
    assert newest["outcome"] == "cooldown"
    assert newest["reason"].startswith("cooldown of 1h until ")


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_a_timeline_is_read_page_by_page_without_gaps_or_repeats(http: aiohttp.ClientSession, limit: int) -> None:
    await ask(http, "POST", "/events", [FAILED] * 3)
    _, whole = await ask(http, "GET", "/users/ann/timeline?limit=500")
    pages = []
    before = ""
    while True:
        _, page = await ask(http, "GET", f"/users/ann/timeline?limit={limit}{before}")
        assert 0 < len(page["items"]) <= limit
        pages += page["items"]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert pages == whole["items"]
    assert len(pages) == 6


async def test_a_timeline_of_nobody_is_empty(http: aiohttp.ClientSession) -> None:
    status, timeline = await ask(http, "GET", "/users/nobody/timeline")
    assert (status, timeline["present"], timeline["sessions"], timeline["items"]) == (200, False, [], [])


async def test_open_sessions_are_in_the_timeline(http: aiohttp.ClientSession) -> None:
    _, welcome = await ask(http, "POST", "/hello", {"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann"})
    _, timeline = await ask(http, "GET", "/users/ann/timeline")
    assert timeline["present"]
    assert [session["session"] for session in timeline["sessions"]] == [welcome["session"]]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/users/ann/timeline?before=now", 'expected "before" to be the "next" of a timeline, got "now"'),
        ("/users/ann/timeline?limit=501", 'expected "limit" to be a whole number from 1 to 500, got "501"'),
        ("/users/ann/timeline?limit=0", 'expected "limit" to be a whole number from 1 to 500, got "0"'),
        ("/users/ann/timeline?since=1", 'expected of parameters only before, limit, got "since"'),
        (f"/users/{'a' * 129}/timeline", "expected the name of a user of 1 to 128 characters, got 129"),
    ],
)
async def test_a_timeline_that_cannot_be_meant_is_refused(http: aiohttp.ClientSession, path: str, message: str) -> None:
    status, reply = await ask(http, "GET", path)
    assert (status, reply["message"]) == (400, message)


@pytest.mark.parametrize("user", ["a/b", "../healthz", "Ünïcode 漢字", "a%2Fb", "' OR 1=1 --", "a?b#c", ".", "nul\0"])
async def test_any_name_of_a_user_can_stand_in_a_path(http: aiohttp.ClientSession, server: Server, user: str) -> None:
    await ask(http, "POST", "/events", {**FAILED, "clientId": user})
    url = URL(f"{server.http_url}/users/{quote(user, safe='')}/timeline", encoded=True)
    async with http.get(url) as response:
        timeline = await response.json()
    assert (response.status, timeline["user"], len(timeline["items"])) == (200, user, 2)


# Erasure


async def test_an_erased_user_is_unknown_and_told_so(http: aiohttp.ClientSession, server: Server) -> None:
    await ask(http, "POST", "/events", [{**FAILED, "id": "e1"}, {**FAILED, "clientId": "bob"}])
    _, welcome = await ask(http, "POST", "/hello", {"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann"})
    status, erased = await ask(http, "DELETE", "/users/ann")
    assert (status, erased["user"]) == (200, "ann")
    assert erased["erased"] > 0
    _, timeline = await ask(http, "GET", "/users/ann/timeline")
    assert (timeline["items"], timeline["waiting"], timeline["present"]) == ([], [], False)
    status, told = await ask(http, "GET", f"/poll?session={welcome['session']}")
    assert (status, told["code"]) == (410, "erased")
    _, again = await ask(http, "DELETE", "/users/ann")
    assert again["erased"] == 0
    _, bob = await ask(http, "GET", "/users/bob/timeline")
    assert len(bob["items"]) == 2


# Rules


async def test_a_change_of_rules_is_planned_and_then_holds(http: aiohttp.ClientSession, server: Server) -> None:
    _, unchanged = await ask(http, "POST", "/rules/reload?plan=1")
    assert (unchanged["changed"], unchanged["kept"]) == (False, ["failing", "stuck", "show"])
    path = server.settings.rules / "rules.yaml"
    path.write_text(path.read_text("utf-8") + RULE % ("more", "more.wanted"), encoding="utf-8")
    _, planned = await ask(http, "POST", "/rules/reload?plan=1")
    status, reloaded = await ask(http, "POST", "/rules/reload")
    assert status == 200
    assert (planned["applied"], reloaded["applied"]) == (False, True)
    assert planned["fresh"] == ["more"] or not planned["changed"], "who watches the files may have been quicker"
    _, health = await ask(http, "GET", "/healthz")
    assert health["rules"]["hash"] == reloaded["hash"] == planned["hash"]


async def test_rules_that_do_not_load_are_refused_with_every_place(http: aiohttp.ClientSession, server: Server) -> None:
    (server.settings.rules / "rules.yaml").write_text("version: 1\nrules:\n  - id: a b\n", encoding="utf-8")
    for path in ("/rules/reload?plan=1", "/rules/reload"):
        status, reply = await ask(http, "POST", path)
        assert (status, reply["code"]) == (422, "bad_rules")
        assert reply["message"].endswith("; the rules that held go on holding")
        places = [(Path(problem["file"]).name, problem["line"], problem["column"]) for problem in reply["problems"]]
        assert ("rules.yaml", 3, 9) in places
        assert all(problem["message"] and problem["code"] for problem in reply["problems"])
    assert len(server.rules.rules) == 3


# The server itself


async def test_a_server_is_ready_or_says_why_not(http: aiohttp.ClientSession, server: Server) -> None:
    assert await ask(http, "GET", "/readyz") == (200, {"ready": True, "reasons": [], "notes": []})
    server._parts().reception.is_draining = True
    status, reply = await ask(http, "GET", "/readyz")
    assert (status, reply["ready"], reply["reasons"]) == (503, False, ["the server is stopping"])
    status, reply = await ask(http, "POST", "/events", FAILED)
    assert (status, reply["code"], reply["retryAfter"]) == (503, "overloaded", 1)


async def test_a_server_without_memory_takes_nothing_new_in(http: aiohttp.ClientSession, server: Server) -> None:
    server._parts().reception.admission.shut = Refusal("overloaded", "no memory", 5, status=503, scope="memory")
    for method, path, body in (("POST", "/events", FAILED), ("GET", "/stream?clientId=tab", None)):
        status, reply = await ask(http, method, path, body)
        assert (status, reply["code"], reply["retryAfter"]) == (503, "overloaded", 5)


async def test_metrics_are_text_for_prometheus(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert "proactive_" in await response.text()


# What HTTP expects of every server


async def test_methods_are_told_and_a_head_has_no_body(http: aiohttp.ClientSession) -> None:
    async with http.put("/events", data="{}") as response:
        assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")
    async with http.options("/users/ann/timeline") as response:
        assert (response.status, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    async with http.head("/healthz") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with http.options("/nowhere") as response:
        assert response.status == 404


async def test_a_page_may_send_a_token_and_read_when_to_come_back(http: aiohttp.ClientSession) -> None:
    origin = {"Origin": "http://localhost:3000"}
    async with http.options("/stream", headers=origin) as response:
        assert response.status == 204
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Vary"] == "Origin"
    async with http.get("/healthz", headers=origin) as response:
        assert response.headers["Access-Control-Expose-Headers"] == "Retry-After, X-Request-Id"


async def test_too_many_events_are_refused_until_later(start_server: Any) -> None:
    server = await start_server(limits=Limits(user_events_per_s=1))
    async with aiohttp.ClientSession(server.http_url) as http:
        assert (await ask(http, "POST", "/events", [FAILED] * 10))[0] == 202
        async with http.post("/events", data=json.dumps(FAILED)) as response:
            reply = await response.json()
        assert (response.status, reply["code"]) == (429, "rate_limited")
        assert response.headers["Retry-After"] == str(reply["retryAfter"])
        assert (await ask(http, "POST", "/events", {**FAILED, "clientId": "bob"}))[0] == 202


async def test_an_event_with_an_id_happens_once(http: aiohttp.ClientSession, server: Server) -> None:
    event = {**FAILED, "id": "e1"}
    assert await ask(http, "POST", "/events", event) == (202, {"ids": ["e1"]})
    assert await ask(http, "POST", "/events", [event, {**event, "clientId": "bob"}]) == (202, {"ids": ["e1", "e1"]})
    assert len(await chat(http, "ann")) == 1
    assert (await server.health())["live"]["outcomes"]["sent"] == 2
