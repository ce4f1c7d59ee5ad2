"""Answers to sessions outlast connections, sessions and processes; what has none is answered when its asker comes."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

from engine import ChatMessage
from tests.chaos.server import proactive
from tests.level1_client import EventStreamConnection, LongPollConnection, WebSocketConnection
from tests.person import Person, until
from tests.responders.model_process import RULES, Process, settings
from tests.responders.openai_server import DONE, chunk, dictated, model_server, saying, stalling


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(opened: AsyncExitStack, folder: Path, url: str) -> Process:
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    server = Process(folder, settings(url))
    opened.push_async_callback(server.close)
    await server.start()
    return server


def is_written_down(folder: Path, text: str) -> bool:
    """Whether it has been committed: its bytes alone may still be those of a transaction that never ends."""
    with closing(sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True)) as database:
        return bool(database.execute("SELECT count(*) FROM outbox WHERE instr(line, ?)", [text]).fetchone()[0])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("is_written", [True, False])
async def test_whoever_asked_hears_of_the_answer_from_the_next_process(
    opened: AsyncExitStack, tmp_path: Path, how: signal.Signals, is_written: bool
) -> None:
    words: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with model_server(dictated(words), saying("With the end.")) as model:
        server = await started(opened, tmp_path, model.url)
        laptop = await Person(WebSocketConnection, server).come(opened)
        question = laptop.say("chat_message", message="How do I begin?")
        await words.put(chunk("With "))
        await laptop.hear("chat_response_delta")
        await laptop.go()  # it has been acknowledged: the client will not send it again
        if is_written:
            for piece in (chunk("the end."), DONE, None):
                await words.put(piece)
            await until(lambda: is_written_down(tmp_path, "With the end."))
        await server.end(how)
        await server.start()
        await laptop.come(opened)
        answer = await laptop.hear("chat_response")
        assert (answer["message"], answer["to"]) == ("With the end.", question)
        assert (laptop.client.resumed, laptop.heard("error"), len(model.asked)) == (1, [], 1 if is_written else 2)
        assert len(laptop.heard("chat_response_delta")) == 1, "pieces of a second try are no pieces of the first"
        await server.end(signal.SIGTERM)
        assert server.unexpected == []
    code, said = await proactive(tmp_path, "replay", "store.db", "--verify")
    assert code == 0, said


def answered(person: Person) -> list[str]:
    return [frame["to"] for frame in person.client.messages.values()]


@pytest.mark.parametrize("kind", [WebSocketConnection, EventStreamConnection, LongPollConnection])
async def test_a_client_that_has_forgotten_its_session_is_answered_once_and_no_other_is(
    opened: AsyncExitStack, tmp_path: Path, kind: Any
) -> None:
    async with model_server(stalling(chunk("With ")), stalling(), saying("With the end.")) as model:
        server = await started(opened, tmp_path, model.url)
        laptop = await Person(kind, server).come(opened)
        phone = await Person(WebSocketConnection, server, "phone").come(opened)
        question = laptop.say("chat_message", message="How do I begin?")
        await until(lambda: question in laptop.client.acknowledged)
        for count in (1, 2):
            await until(lambda count=count: len(model.asked) == count)
            await laptop.go()
            await server.end(signal.SIGKILL)
            await server.start()
            laptop.client.session = None
            await laptop.come(opened)
        answer = await laptop.hear("chat_response")
        assert (answer["message"], answer["to"]) == ("With the end.", question)
        await server.end(signal.SIGTERM)
        await server.start()
        tablet = await Person(kind, server, "tablet").come(opened)
        for person in (laptop, phone, tablet):
            question = person.say("chat_message", message="And now?")
            await until(lambda person=person, question=question: question in answered(person))  # type: ignore[misc]
        assert [len(person.client.messages) for person in (laptop, phone, tablet)] == [2, 1, 1]
        assert len(model.asked) == 6


async def test_a_plain_client_of_the_same_name_gets_its_own_answers_alone(start_server: Any) -> None:
    async def respond(message: ChatMessage) -> str:
        return f"to {message.message}"

    server = await start_server(responder=respond)
    async with AsyncExitStack() as opened:
        laptop = await Person(WebSocketConnection, server, "ann", "ann").come(opened)
        plain = await opened.enter_async_context(connect(server.ws_url))
        await plain.send(json.dumps({"type": "ping", "clientId": "ann"}))
        assert json.loads(await plain.recv()) == {"type": "pong"}
        laptop.say("chat_message", message="How?")
        await laptop.hear("chat_response")
        await laptop.go()
        laptop.client.session = None
        laptop = await Person(WebSocketConnection, server, "ann", "ann").come(opened)
        await plain.send(json.dumps({"type": "chat_message", "message": "Why?"}))
        answer = json.loads(await plain.recv())
        assert answer == {"type": "chat_response", "message": "to Why?", "timestamp": answer["timestamp"]}
        async with aiohttp.ClientSession(server.http_url) as http:
            question = {"type": "chat_message", "message": "Where?", "clientId": "ann"}
            async with http.post("/chat", json=question) as response:
                reply = await response.json()
        assert (reply["message"], reply["messages"]) == ("to Where?", [])


async def test_a_conversation_knows_the_answers_to_sessions_after_a_restart(
    opened: AsyncExitStack, tmp_path: Path
) -> None:
    async with model_server(saying("With the end.")) as model:
        server = await started(opened, tmp_path, model.url)
        laptop = await Person(WebSocketConnection, server).come(opened)
        laptop.say("chat_message", message="How do I begin?")
        await laptop.hear("chat_response")
        await server.end(signal.SIGKILL)
        await server.start()
        laptop.say("chat_message", message="And then?")
        await until(lambda: len(laptop.client.messages) == 2)  # the first may come twice
        assert [each["content"] for each in model.asked[1]["messages"]] == [
            "How do I begin?", "With the end.", "And then?",
        ]  # fmt: skip
        rows = sqlite3.connect(tmp_path / "store.db").execute("SELECT * FROM log").fetchall()
        assert sum("With the end." in str(row) for row in rows) == 2, "each answer stands in the log once"
