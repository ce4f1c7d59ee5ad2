"""Which question an answer is to: in the frame for its client, and in the log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

from engine import ChatMessage, Server
from engine.core.model import Event

WITHIN_S = 20.0  # only a hang takes as long


async def respond(message: ChatMessage) -> str:
    return f"to {message.message}"


@pytest.fixture
async def server(start_server: Any) -> Server:
    return await start_server(responder=respond)  # type: ignore[no-any-return]


async def said(server: Server, *frames: dict[str, Any], answers: int) -> list[dict[str, Any]]:
    """What the frames of one connection are answered with."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN_S), connect(server.ws_url) as socket:
        for frame in frames:
            await socket.send(json.dumps(frame))
        while len(found) < answers:
            frame = json.loads(await socket.recv())
            if frame["type"] == "chat_response":
                found.append(frame)
    return found


async def matched(server: Server) -> dict[str, str]:
    """By the log alone: each question and its answer."""
    await server._parts().live.settled()
    store = server._parts().store
    entries = [entry for part in range(store.partition_count) for entry in await store.log(part, 0, 1_000)]
    events: list[Event] = [entry.event for entry in entries if entry.event is not None]
    questions = {event.id: event.data["message"] for event in events if event.type == "chat_message"}
    answers = [event.data for event in events if event.type == "message.chat_response"]
    assert len(questions) == len(answers)
    return {questions[data["to"]]: data["message"] for data in answers}


async def test_over_http_an_answer_names_in_the_log_what_it_is_to(server: Server) -> None:
    async with aiohttp.ClientSession(server.http_url) as http:
        for message in ({"message": "How?"}, {"message": "Why?", "id": "w1"}):
            async with http.post("/chat", json={"type": "chat_message", "clientId": "ann", **message}) as response:
                assert response.status == 200
    assert await matched(server) == {"How?": "to How?", "Why?": "to Why?"}


async def test_over_a_plain_connection_it_does_where_the_client_gave_an_id(server: Server) -> None:
    chat = {"type": "chat_message", "clientId": "ann"}
    await said(server, {**chat, "message": "How?", "id": "h1"}, {**chat, "message": "Why?", "id": 7}, answers=2)
    assert await matched(server) == {"How?": "to How?", "Why?": "to Why?"}


async def test_over_a_session_the_frame_names_the_id_that_the_client_gave_and_nothing_where_it_gave_none(
    server: Server,
) -> None:
    hello = {"type": "hello", "protocol": 1, "clientId": "laptop", "user": "ann"}
    chat = {"type": "chat_message"}
    frames = await said(
        server, hello, {**chat, "message": "How?", "id": "laptop/c1"}, {**chat, "message": "Why?"}, answers=2
    )
    assert [(frame["message"], frame.get("to")) for frame in frames] == [
        ("to How?", "laptop/c1"), ("to Why?", None),
    ]  # fmt: skip
