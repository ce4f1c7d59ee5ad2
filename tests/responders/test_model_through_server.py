"""A model behind a real server, before real clients: what it writes is shown as it comes, whoever leaves, or breaks."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

from engine import Server
from engine.core.units import MINUTE, SECOND
from engine.replay.recording import read_recording
from engine.settings import OpenAI
from tests.chaos.server import proactive
from tests.level1_client import EventStreamConnection, LongPollConnection, WebSocketConnection
from tests.person import WITHIN_S, Person, until
from tests.responders.model_process import RULES, Process, settings
from tests.responders.openai_server import (
    DONE,
    Model,
    breaking,
    chunk,
    dictated,
    model_server,
    replying,
    saying,
    stalling,
)

EACH = pytest.mark.parametrize("kind", [WebSocketConnection, EventStreamConnection, LongPollConnection])


async def happens(event: asyncio.Event) -> None:
    async with asyncio.timeout(WITHIN_S):
        await event.wait()


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


StartWithModel = Callable[..., Awaitable[Server]]


@pytest.fixture
def start_with_model(start_server: Any) -> StartWithModel:
    async def start(model: Model, *, openai: dict[str, Any] | None = None, **given: Any) -> Server:
        asked = OpenAI(url=model.url, model="tutor", **(openai or {}))
        server: Server = await start_server(RULES, responder="openai", openai=asked, **given)
        return server

    return start


async def assert_that_it_verifies(server: Server, tmp_path: Path) -> None:
    """Without a model, and without a server."""
    await server.stop()
    code, said = await proactive(tmp_path, "replay", server.settings.store.removeprefix("sqlite:"), "--verify")
    assert code == 0, said


@EACH
async def test_an_answer_is_shown_while_the_model_still_writes_it_and_comes_whole_in_the_end(
    start_with_model: StartWithModel, opened: AsyncExitStack, kind: Any
) -> None:
    words: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with model_server(dictated(words), saying("Then", " try", " it.")) as model:
        server = await start_with_model(model)
        laptop = await Person(kind, server).come(opened)
        phone = await Person(EventStreamConnection, server, "phone").come(opened)
        question = laptop.say("chat_message", message="How do I begin?")
        for count, word in enumerate(("With ", "the ", "end."), 1):
            await words.put(chunk(word))
            assert await laptop.hear("chat_response_delta", count) == {
                "type": "chat_response_delta", "delta": word, "to": question,
            }  # fmt: skip
        assert laptop.heard("chat_response") == [], "the model has not said that it is done"
        await words.put(DONE)
        await words.put(None)
        whole = await laptop.hear("chat_response")
        assert (whole["message"], whole["to"], whole["seq"]) == ("With the end.", question, 1)

        again = laptop.say("chat_message", message="And if not?")
        assert (await laptop.hear("chat_response", 2))["message"] == "Then try it."
        kinds = [frame["type"] for frame in laptop.frames if frame.get("to") == again]
        assert kinds == ["chat_response_delta"] * 3 + ["chat_response"]
        assert model.asked[1]["messages"] == [
            {"role": "user", "content": "How do I begin?"},
            {"role": "assistant", "content": "With the end."},
            {"role": "user", "content": "And if not?"},
        ]
        assert (model.asked[0]["stream"], laptop.client.complaints, laptop.client.errors) == (True, [], [])
        assert [frame for frame in phone.frames if frame["type"].startswith("chat_")] == [], "another device asked"


@EACH
async def test_whoever_comes_back_gets_the_whole_of_an_answer_amid_which_the_connection_broke(
    start_with_model: StartWithModel, opened: AsyncExitStack, kind: Any
) -> None:
    words: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with model_server(dictated(words)) as model:
        server = await start_with_model(model, resume_within=10 * MINUTE)
        laptop = await Person(kind, server).come(opened)
        question = laptop.say("chat_message", message="How do I begin?")
        await words.put(chunk("With "))
        await laptop.hear("chat_response_delta")
        await laptop.go()
        [session] = server._parts().sessions.of_user("ann")
        await until(lambda: session.outgoing is None)
        for piece in (chunk("the "), chunk("end."), DONE, None):
            await words.put(piece)
        await until(lambda: bool(session.unreceived))
        await laptop.come(opened)
        whole = await laptop.hear("chat_response")
        assert (whole["message"], whole["to"]) == ("With the end.", question)
        await until(lambda: not session.unreceived)
        assert len(laptop.heard("chat_response_delta")) == 1
        assert (laptop.client.resumed, len(laptop.client.sessions), model.left) == (1, 1, 0)
        await assert_that_nothing_went_wrong(laptop)


async def assert_that_nothing_went_wrong(person: Person) -> None:
    assert (person.client.complaints, person.client.errors, person.client.repeated) == ([], [], 0)


async def closes_for_good(server: Server, opened: AsyncExitStack) -> Callable[[], Awaitable[Any]]:
    socket = await opened.enter_async_context(connect(server.ws_url))
    await socket.send(json.dumps({"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann"}))
    await socket.send(json.dumps({"type": "chat_message", "message": "Why?", "id": "e1"}))
    return socket.close


async def plain_closes(server: Server, opened: AsyncExitStack) -> Callable[[], Awaitable[Any]]:
    socket = await opened.enter_async_context(connect(server.ws_url))
    await socket.send(json.dumps({"type": "chat_message", "message": "Why?", "clientId": "ann"}))
    return socket.close


async def hangs_up(server: Server, opened: AsyncExitStack) -> Callable[[], Awaitable[Any]]:
    http = await opened.enter_async_context(aiohttp.ClientSession(server.http_url))
    asking = asyncio.create_task(http.post("/chat", json={"type": "chat_message", "message": "Why?"}))

    async def hang_up() -> None:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    return hang_up


async def never_comes_back(server: Server, opened: AsyncExitStack) -> Callable[[], Awaitable[Any]]:
    person = await Person(EventStreamConnection, server).come(opened)
    person.say("chat_message", message="Why?")
    return person.go


async def is_forgotten(server: Server, opened: AsyncExitStack) -> Callable[[], Awaitable[Any]]:
    person = await Person(WebSocketConnection, server).come(opened)
    person.say("chat_message", message="Why?")

    async def forget() -> None:
        async with aiohttp.ClientSession(server.http_url) as http, http.delete("/users/ann") as response:
            assert response.status == 200

    return forget


@pytest.mark.parametrize("somebody", [closes_for_good, plain_closes, hangs_up, never_comes_back, is_forgotten])
async def test_whoever_leaves_for_good_ends_the_request_to_the_model(
    start_with_model: StartWithModel, opened: AsyncExitStack, somebody: Any
) -> None:
    async with model_server(stalling(chunk("Well ")), saying("Here I am.")) as model:
        server = await start_with_model(model, resume_within=SECOND)
        leave = await somebody(server, opened)
        await happens(model.somebody_asked)
        assert model.left == 0
        await leave()
        await happens(model.somebody_left)
        other = await Person(WebSocketConnection, server, "desk", "bob").come(opened)
        other.say("chat_message", message="Anybody there?")
        assert (await other.hear("chat_response"))["message"] == "Here I am."


async def test_what_waits_is_not_lost_with_a_request_whose_answer_nobody_reads(
    start_with_model: StartWithModel,
) -> None:
    words: asyncio.Queue[bytes | None] = asyncio.Queue()
    question = {"type": "chat_message", "message": "Why?", "clientId": "ann"}
    async with model_server(dictated(words), saying("Here I am.")) as model:
        server = await start_with_model(model)
        await server.send_backend_message_to_client("ann", "Waiting for you", "question")
        async with aiohttp.ClientSession(server.http_url) as http:
            asking = asyncio.create_task(http.post("/chat", json=question))
            await happens(model.somebody_asked)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            for piece in (chunk("Because."), DONE, None):
                await words.put(piece)
            async with http.post("/chat", json=question) as response:
                reply = await response.json()
        assert reply["message"] == "Here I am."
        assert [message["message"] for message in reply["messages"]] == ["Waiting for you"]


@EACH
async def test_of_a_model_that_breaks_off_an_error_tells_which_names_the_question(
    start_with_model: StartWithModel, opened: AsyncExitStack, kind: Any
) -> None:
    async with model_server(breaking(chunk("With ")), saying("Better now.")) as model:
        server = await start_with_model(model)
        laptop = await Person(kind, server).come(opened)
        question = laptop.say("chat_message", message="How do I begin?")
        error = await laptop.hear("error")
        assert (error["code"], error["frameId"]) == ("responder_failed", question)
        assert "retryAfter" not in error, "the question was taken; to send it again would ask nobody"
        assert "127.0.0.1" not in error["message"]
        again = laptop.say("chat_message", message="And now?")
        whole = await laptop.hear("chat_response")
        assert (whole["message"], whole["to"]) == ("Better now.", again)
        assert [frame["delta"] for frame in laptop.heard("chat_response_delta")] == ["With ", "Better now."]
        assert model.asked[1]["messages"] == [{"role": "user", "content": "How do I begin?\n\nAnd now?"}]
        assert question in laptop.client.acknowledged


async def test_a_model_that_is_down_is_left_alone_and_everybody_is_told_so(
    start_with_model: StartWithModel, opened: AsyncExitStack
) -> None:
    async with model_server(replying(500, "down")) as model:
        server = await start_with_model(model, openai={"retries": 0, "break_after": 2, "break_for": 10 * MINUTE})
        people = [
            await Person(kind, server, f"desk{number}", f"user{number}").come(opened)
            for number, kind in enumerate((WebSocketConnection, EventStreamConnection))
        ]
        for count in range(1, 4):
            for person in people:
                question = person.say("chat_message", message=f"Number {count}?")
                error = await person.hear("error", count)
                assert (error["code"], error["frameId"]) == ("responder_failed", question)
                assert error["message"] == "The assistant cannot be reached just now. Please try again in a moment."
        assert len(model.asked) == 2


async def test_what_a_model_has_written_for_a_rule_is_recorded_and_a_stalled_one_costs_its_text_alone(
    start_with_model: StartWithModel, opened: AsyncExitStack, tmp_path: Path
) -> None:
    async with model_server(saying("Look at", " the loop."), stalling(chunk("Look ")), breaking()) as model:
        server = await start_with_model(model, openai={"retries": 0}, compose_timeout=SECOND // 2)
        laptop = await Person(WebSocketConnection, server).come(opened)
        phone = await Person(EventStreamConnection, server, "phone").come(opened)
        told = ["Look at the loop.", "Want a hint about t2?", "Want a hint about t3?"]
        for count, text in enumerate(told, 1):
            laptop.say("test.failed", test=f"t{count}")
            for person in (laptop, phone):
                assert (await person.hear("backend_message", count))["message"] == text
        assert [len(person.heard("chat_response_delta")) for person in (laptop, phone)] == [0, 0]
        assert len(model.asked) == 3
        await happens(model.somebody_left)
    written = laptop.heard("backend_message")[0]["id"]
    assert await composed(server) == [{"message_id": written, "text": "Look at the loop.", "by": "tutor"}]
    await assert_that_it_verifies(server, tmp_path)
    recording = await read_recording(server.settings.store.removeprefix("sqlite:"))
    said = [json.loads(line)["message"] for line in recording.decisions["ann"]]
    assert [(one["text"], one["prompt"]) for one in said] == [
        (f"Want a hint about t{count}?", f"A hint about t{count}.") for count in (1, 2, 3)
    ]


def texts(person: Person) -> set[str]:
    return {frame["message"] for frame in person.client.messages.values()}


async def composed(server: Server) -> list[dict[str, Any]]:
    store = server._parts().store
    entries = [one for part in range(store.partition_count) for one in await store.log(part, 0, 1000)]
    return [one.event.data for one in entries if one.event is not None and one.event.type == "message.composed"]


async def test_of_a_process_that_is_killed_while_a_model_writes_the_next_says_the_plain_text(
    opened: AsyncExitStack, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    words: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with model_server(saying("Look at the loop."), dictated(words), stalling()) as model:
        server = Process(tmp_path, settings(model.url))
        opened.push_async_callback(server.close)
        await server.start()
        laptop = await Person(WebSocketConnection, server).come(opened)
        phone = await Person(EventStreamConnection, server, "phone").come(opened)
        await phone.go()
        laptop.say("test.failed", test="t1")
        assert (await laptop.hear("backend_message"))["message"] == "Look at the loop."
        laptop.say("chat_message", message="How do I begin?")
        for piece in (chunk("With "), chunk("the end."), DONE, None):
            await words.put(piece)
        assert (await laptop.hear("chat_response"))["message"] == "With the end."
        assert "".join(frame["delta"] for frame in laptop.heard("chat_response_delta")) == "With the end."
        laptop.say("test.failed", test="t2")
        await until(lambda: len(model.asked) == 3)
        await server.end(signal.SIGKILL)
        await server.start()
        await phone.come(opened)
        # What the other device did not have comes twice to this one, which knows it by its id.
        both = {"Look at the loop.", "Want a hint about t2?"}
        await until(lambda: texts(laptop) == {*both, "With the end."} and texts(phone) == both)
        assert [len(person.client.messages) for person in (laptop, phone)] == [3, 2]
        assert (laptop.client.resumed, phone.client.resumed) == (1, 1)
        await server.end(signal.SIGTERM)
        assert server.unexpected == []
    code, said = await proactive(tmp_path, "replay", "store.db", "--verify")
    assert code == 0, said
