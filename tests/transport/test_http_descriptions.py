"""The descriptions of the protocol say what is so: every frame of both directions, every route, every code."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from described import SCHEMAS, problems
from hypothesis import given
from hypothesis import strategies as st
from pages import blocks_of, frames_of
from websockets.asyncio.client import connect

from engine import Server
from engine.core.model import MESSAGE_TYPES_TAKEN, Message
from engine.core.remembered import NAMES_MAX, Preferences
from engine.core.units import AT_MAX
from engine.doors import http_door
from engine.storage.base import OutboxMessage
from engine.transport import frames
from engine.transport.asyncapi import asyncapi
from engine.transport.bodies import MESSAGE_TEXT_MAX, OPTIONS_MAX, read_message
from engine.transport.decoding import NAME_LENGTH_MAX, WireError
from engine.transport.descriptions import frames_schema
from engine.transport.feedback import LEVELS, OUTCOMES
from engine.transport.http_replies import STATUS_OF
from engine.transport.openapi import openapi
from engine.transport.wire import EVENTS_MAX, chat_response, error_frame, message_frame, pong, read_value

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "protocol.md"


# Frames of clients


NAMES = st.text(min_size=1, max_size=5)
MOMENTS = st.sampled_from(["2026-03-27T10:00:00Z", "20260327T100000+0100", 1774605900, 1774605900123, 1.5, -1, "soon"])
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(NAMES, max_size=2)
ENVELOPE = {
    "clientId": NAMES | LEAVES, "id": NAMES | LEAVES, "session": NAMES | LEAVES, "at": MOMENTS | LEAVES,
}  # fmt: skip
FIELDS = {
    "chat_message": {"message": st.text(max_size=5) | LEAVES, "mode": LEAVES, "context": st.just({}) | LEAVES},
    "user_response": {"questionId": st.text(max_size=5) | LEAVES, "response": st.text(max_size=5) | LEAVES},
    "outcome": {"outcome": st.sampled_from([*OUTCOMES, "read"]) | LEAVES, "response": LEAVES},
    "preferences": {
        "level": st.sampled_from([*LEVELS, "some"]) | LEAVES, "muted": st.lists(NAMES, max_size=2) | LEAVES,
        "mute": LEAVES, "unmute": LEAVES, "snoozedUntil": MOMENTS | LEAVES,
        "snoozed": st.dictionaries(st.text(max_size=3), MOMENTS, max_size=2) | LEAVES,
    },
    "user.identify": {"timezone": st.sampled_from(["Europe/Paris", "Paris", ""]) | LEAVES, "skill": LEAVES},
    "test.failed": {"test": LEAVES},
    "ping": {},
    "Hint 2 taken": {},
    "message.seen": {},
    "session.start": {},
    "é:ü": {},
    "a..b": {},
    "events": {"events": st.lists(st.just({"type": "a.b"}) | LEAVES, max_size=2) | LEAVES},
}  # fmt: skip


@st.composite
def frames_of_clients(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([*FIELDS, "user.preferences"]))
    fields = FIELDS.get(kind, FIELDS["preferences"])
    given_fields = draw(st.fixed_dictionaries({}, optional={**ENVELOPE, **fields}))
    return {"type": kind, **given_fields}


@given(frames_of_clients())
def test_the_schema_takes_what_the_server_takes(frame: dict[str, Any]) -> None:
    try:
        read_value(frame)
    except WireError:
        # The other way round the server is the stricter: of a zone it knows whether it exists.
        return
    assert problems("ClientFrame", frame) == []


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "chat_message"},
        {"type": "user_response", "questionId": "q"},
        {"type": "outcome", "id": "m", "outcome": "read"},
        {"type": "outcome", "id": "m", "outcome": "seen", "why": "x"},
        {"type": "preferences"},
        {"type": "preferences", "theme": "dark"},
        {"type": "preferences", "muted": ["m"] * (NAMES_MAX + 1)},
        {"type": "session.start"},
        {"type": "message.seen"},
        {"type": "hello"},
        {"type": "received"},
        {"type": "events", "events": [{"type": "hello", "protocol": 1, "clientId": "a"}]},
        {"type": "a..b"},
        {"type": "a.*"},
        {"type": "x" * (NAME_LENGTH_MAX + 1)},
        {"type": "a", "id": "x" * (NAME_LENGTH_MAX + 1)},
        {"type": "a", "clientId": ""},
        {"type": "a", "at": -1},
        {"type": "a", "at": "1969-12-31T23:59:59Z"},
        {"type": "events", "events": [{"type": "ping"}]},
        {"type": "events", "events": [{"type": "a"}] * (EVENTS_MAX + 1)},
        {"type": ""},
        {},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_server_refuses(frame: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        read_value(frame)
    assert problems("ClientFrame", frame)


HELLO = {"type": "hello", "protocol": 1, "clientId": "tab"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "protocol": st.sampled_from([1, 2, True]), "clientId": NAMES | LEAVES, "token": NAMES | LEAVES,
            "user": NAMES | LEAVES, "timezone": st.sampled_from(["Europe/Paris", None, 5]),
            "traits": st.just({"a": 1}) | LEAVES, "capabilities": st.lists(NAMES, max_size=2) | LEAVES,
            "resume": st.fixed_dictionaries({}, optional={"session": NAMES | LEAVES, "received": LEAVES}) | LEAVES,
        },
    )
)  # fmt: skip
def test_the_schema_takes_a_hello_that_the_server_takes(fields: dict[str, Any]) -> None:
    frame = {**HELLO, **fields}
    try:
        frames.read_hello(frame)
    except WireError:
        return
    assert problems("Hello", frame) == []


def test_the_bounds_of_the_schema_are_those_of_the_code() -> None:
    assert SCHEMAS["Name"]["maxLength"] == NAME_LENGTH_MAX
    assert SCHEMAS["Events"]["properties"]["events"]["maxItems"] == EVENTS_MAX
    assert SCHEMAS["RuleNames"]["maxItems"] == NAMES_MAX
    assert SCHEMAS["Hello"]["properties"]["token"]["maxLength"] == frames.TOKEN_LENGTH_MAX
    assert SCHEMAS["Received"]["properties"]["seq"]["maximum"] == frames.SEQ_MAX
    assert SCHEMAS["Moment"]["anyOf"][1]["maximum"] == AT_MAX // 1000
    assert SCHEMAS["MessageOrder"]["properties"]["text"]["maxLength"] == MESSAGE_TEXT_MAX
    assert SCHEMAS["MessageOrder"]["properties"]["options"]["maxItems"] == OPTIONS_MAX
    taken = SCHEMAS["MessageOrder"]["properties"]["type"]["not"]["enum"]
    assert sorted(taken) == sorted(MESSAGE_TYPES_TAKEN)
    assert {*taken, "code_suggestion"} == set(SCHEMAS["OtherMessageType"]["not"]["enum"])


def test_every_error_code_is_in_the_schema_and_no_other() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "engine" / "transport").glob("*.py"))
    codes = set(re.findall(r'(?:WireError|error_frame|Refusal)\(\s*"([a-z_]+)"', sources))
    assert set(SCHEMAS["ErrorCode"]["enum"]) == codes | set(STATUS_OF)


def test_every_definition_has_a_title_and_is_used() -> None:
    assert [name for name, schema in SCHEMAS.items() if schema.get("title") != name] == []
    text = json.dumps([SCHEMAS, openapi()["paths"]])
    used = set(re.findall(r'"#/(?:\$defs|components/schemas)/(\w+)"', text))
    assert set(SCHEMAS) - used <= {"ClientFrame", "ServerFrame", "ServerMessage"}


# Frames of the server


MESSAGES = st.builds(
    Message,
    id=st.just("m1"),
    type=st.sampled_from(["question", "suggestion", "notification", "code_suggestion", "banner"]),
    text=st.text(max_size=5),
    options=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    data=st.dictionaries(st.sampled_from(["code", "page", "message", "id", "timestamp"]), st.text(max_size=3)),
    expires_at=st.none() | st.integers(0, 10**15),
)


@given(MESSAGES, st.sampled_from(["", "rule"]))
def test_every_message_is_as_the_schema_says(message: Message, rule: str) -> None:
    frame = message_frame(OutboxMessage("ann", message, 10**15, rule))
    assert problems("ServerMessage", frame) == []
    assert problems("ServerFrame", {**frame, "seq": 1}) == []


def server_frames() -> Iterator[dict[str, Any]]:
    yield pong()
    yield chat_response("text", 10**15)
    yield error_frame("rate_limited", "later", retry_after_s=3)
    yield {**error_frame("bad_frame", "no"), "frameId": 7}
    yield frames.welcome(session="s", user="u", at=10**15, heartbeat_s=0.5, resumed=False, limits={"nesting": None})
    yield frames.ack(["e1", 2])
    yield frames.preferences_frame(Preferences())
    yield frames.preferences_frame(Preferences("less", ["*"], {"": 10**15, "tips": 10**15}))
    yield frames.chat_delta("piece", "c1")
    yield frames.chat_delta("piece", None)
    for reason in ("answered", "dismissed", "muted", "cancelled"):
        yield frames.withdrawn("m1", reason)
    chat = Message("c", "chat_response", "answer", data={"to": "c1"}, expires_at=10**15)
    yield {**message_frame(OutboxMessage("ann", chat, 10**15)), "seq": 3}


@pytest.mark.parametrize("frame", list(server_frames()), ids=lambda frame: str(frame["type"]))
def test_every_frame_of_the_server_is_as_the_schema_says(frame: dict[str, Any]) -> None:
    assert problems("ServerFrame", frame) == []


async def test_every_frame_that_a_websocket_is_sent_is_as_the_schema_says(server: Server) -> None:
    said: list[dict[str, Any]] = [
        {"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann", "traits": {"skill": "beginner"}},
        {"type": "test.failed", "test": "t1", "id": "e1"},
        {"type": "code.wanted", "id": 2},
        {"type": "chat_message", "message": "I am stuck", "id": "c1"},
        {"type": "preferences", "level": "more", "id": "e3"},
        {"type": "session.end", "id": "e4"},
        {"type": "ping"},
    ]
    for frame in said:
        assert problems("ClientFrame", frame) == [] or frame["type"] == "session.end"
    wanted = {"welcome", "ack", "backend_message", "code_suggestion", "chat_response", "preferences", "error", "pong"}
    heard: list[dict[str, Any]] = []
    async with connect(server.ws_url) as socket, connect(server.ws_url) as other, asyncio.timeout(20):
        await other.send(json.dumps({**said[0], "clientId": "other"}))
        for frame in said:
            await socket.send(json.dumps(frame))
        while not wanted <= {frame["type"] for frame in heard}:
            heard.append(json.loads(await socket.recv()))
        hint = next(frame for frame in heard if frame.get("options"))
        await socket.send(json.dumps({"type": "outcome", "id": hint["id"], "outcome": "dismissed"}))
        while heard[-1]["type"] != "withdrawn":
            heard.append(json.loads(await other.recv()))
    for frame in heard:
        assert problems("ServerFrame", frame) == [], frame
    # The union would let a frame of a known type pass as another message: each is held to its own shape as well.
    for frame in heard:
        own = "".join(word.capitalize() for word in frame["type"].split("_"))
        if own in SCHEMAS and own not in ("Ping", "Pong"):
            assert problems(own, frame) == [], frame


# Pages, documents, routes


def test_the_frames_on_the_page_are_as_the_schema_says() -> None:
    blocks = [block for block in blocks_of(PAGE) if block.language == "json"]
    for block in blocks:
        for frame in frames_of(block):
            assert problems("ClientFrame" if block.word in ("client", "session") else "ServerFrame", frame) == [], str(
                block
            )
    assert len(blocks) > 3


@pytest.mark.parametrize(("name", "document"), [("openapi.json", openapi()), ("asyncapi.json", asyncapi())])
def test_the_copies_in_docs_are_up_to_date(name: str, document: dict[str, Any]) -> None:
    assert json.loads((ROOT / "docs" / name).read_text("utf-8")) == document, "make descriptions"


def test_every_reference_in_a_document_leads_somewhere() -> None:
    for document in (openapi(), asyncapi(), frames_schema()):
        for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
            found: Any = document
            for step in reference.split("/"):
                found = found[step]


async def test_the_routes_are_those_of_the_description(server: Server) -> None:
    async with aiohttp.ClientSession(server.http_url) as http:
        documents = {}
        for path in ("/openapi.json", "/asyncapi.json", "/protocol.schema.json"):
            async with http.get(path) as response:
                assert (response.status, response.content_type) == (200, "application/json")
                documents[path] = await response.json()
    assert documents["/openapi.json"] == openapi()
    assert documents["/asyncapi.json"] == asyncapi()
    assert documents["/protocol.schema.json"] == frames_schema()
    described = {(method, path) for path, methods in openapi()["paths"].items() for method in methods}
    app = http_door(server.settings, server._parts(), server.health).application()
    served = {
        (route.method.lower(), route.resource.canonical) for route in app.router.routes() if route.method != "HEAD"
    }
    assert described == served


def test_the_body_of_a_message_is_as_the_schema_says() -> None:
    body = {"to": {"user": "u"}, "type": "question", "text": "?", "options": [], "data": {}, "expires": "1h", "id": "m"}
    read_message(json.dumps(body).encode())
    assert problems("MessageOrder", body) == []
    assert set(body) == set(SCHEMAS["MessageOrder"]["properties"])
    for change in ({"to": {}}, {"type": "error"}, {"expires": "soon"}, {"id": ""}, {"txt": "x"}):
        with pytest.raises(WireError):
            read_message(json.dumps({**body, **change}).encode())
        assert problems("MessageOrder", {**body, **change})
