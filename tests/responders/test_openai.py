"""The responder that asks a model, against a real server that speaks the API, stalls, breaks and streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from engine.core.units import SECOND
from engine.responders.base import ChatMessage, ResponderFailed, Turn, ask
from engine.responders.breaker import Breaker
from engine.responders.openai import OpenAIResponder
from engine.settings import OpenAI
from tests.responders.openai_server import (
    DONE,
    Answer,
    Model,
    breaking,
    chunk,
    model_server,
    replying,
    saying,
    stalling,
    streaming,
    whole,
)

CHAT = ChatMessage("laptop", "How?", user="ann", history=(Turn("user", "Hi"), Turn("assistant", "Hello")))
WITHIN_S = 20.0  # only a hang takes as long
KEY = "sk-not-to-be-seen"


@asynccontextmanager
async def talking(*answers: Answer, **settings: Any) -> AsyncIterator[tuple[OpenAIResponder, Model]]:
    async with model_server(*answers) as model:
        given = {"url": model.url, "model": "tutor", "api_key": KEY, "retries": 0, **settings}
        responder = OpenAIResponder(OpenAI(**given), jitter=lambda: 0.0)
        try:
            yield responder, model
        finally:
            await responder.close()


async def answer(responder: OpenAIResponder, on_delta: Callable[[str], None] | None = None) -> str:
    return await ask(responder, CHAT, WITHIN_S, on_delta)


async def test_an_answer_comes_in_pieces_and_the_question_has_what_was_said_before() -> None:
    told: list[str] = []
    async with talking(saying("Like", " this", "."), system="Be kind.") as (responder, model):
        assert await answer(responder, told.append) == "Like this."
    assert told == ["Like", " this", "."]
    assert model.asked == [
        {
            "model": "tutor", "stream": True,
            "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "How?"},
            ],
        }
    ]  # fmt: skip
    assert model.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_an_answer_may_come_whole() -> None:
    async with talking(whole("Like this."), stream=False) as (responder, model):
        assert await answer(responder) == "Like this."
    assert model.asked[0]["stream"] is False


@pytest.mark.parametrize("first", [
    replying(500, "oh"), replying(503, {"error": "busy"}, **{"Retry-After": "0"}), replying(429, "slow down"),
    breaking(),
])  # fmt: skip
async def test_what_failed_before_a_word_was_said_is_asked_again(first: Answer) -> None:
    async with talking(first, saying("Yes"), retries=1) as (responder, model):
        assert await answer(responder) == "Yes"
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replying(401, "no such key"), "answered 401: no such key"), (replying(400, "no such model"), "answered 400"),
        (replying(302, "", Location="http://127.0.0.1:1/"), "answered 302"),
        (streaming(b"data: {broken\n\n"), "no completion"),
        (streaming(b'data: {"error": {"message": "out of memory"}}\n\n'), "out of memory"),
        (streaming(DONE), "without a word"), (streaming(b"data: [1]\n\n"), "expected a chunk"),
        (streaming(b"data: " + b"x" * 5_000_000 + b"\n\n"), "no completion"),
        (streaming(b"\xff\xfe\n\n"), "no completion"),
        (replying(401, f"no such key as {KEY}"), "no such key as …"),
        (streaming(b'data: {"error": "no such key as ' + KEY.encode() + b'"}\n\n'), "no such key as …"),
        (streaming(chunk(7)), "expected the content of a chunk to be a string"),
    ],
)  # fmt: skip
async def test_what_no_repetition_mends_is_asked_once(bad: Answer, why: str) -> None:
    async with talking(bad, saying("never"), retries=3) as (responder, model):
        with pytest.raises(ResponderFailed) as failed:
            await answer(responder)
    assert why in failed.value.why
    assert KEY not in failed.value.why
    assert len(model.asked) == 1


@pytest.mark.parametrize("bad", [replying(200, "no json"), replying(200, {"choices": []}), whole(7)])
async def test_a_whole_answer_that_is_none_is_a_failure(bad: Answer) -> None:
    async with talking(bad, stream=False) as (responder, _):
        with pytest.raises(ResponderFailed, match="no completion"):
            await answer(responder)


async def test_a_whole_answer_may_take_longer_than_the_beginning_of_a_stream() -> None:
    leave = asyncio.Event()

    async def when_let(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        await leave.wait()
        return await whole("Yes")(request, asked)

    # Were there a deadline of no time at all, nothing could be answered.
    async with talking(when_let, stream=False, first_token=0) as (responder, model):
        asking = asyncio.ensure_future(answer(responder))
        async with asyncio.timeout(WITHIN_S):
            await model.somebody_asked.wait()
            leave.set()
            assert await asking == "Yes"


@pytest.mark.parametrize("said", [
    b'data: {"choices": [{"delta": null}]}\n\n', b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n',
    b'data: {"choices": {"a": 1}}\n\n', b'data: {"choices": [], "usage": {}}\n\n',
    b"event: x\n", b": ping\n\n", b"\r\n",
])  # fmt: skip
async def test_what_has_no_words_is_passed_over(said: bytes) -> None:
    async with talking(streaming(said, chunk("Yes"), said, DONE)) as (responder, _):
        assert await answer(responder) == "Yes"


async def test_a_word_may_come_byte_by_byte() -> None:
    text = chunk("Größe").replace(b"\\u00f6", "ö".encode())
    async with talking(streaming(*[bytes([byte]) for byte in text + DONE])) as (responder, _):
        assert await answer(responder) == "Größe"


async def test_turns_alternate_from_the_users_first_whatever_became_of_the_answers() -> None:
    turns = (Turn("assistant", "0"), Turn("user", "1"), Turn("user", "2"), Turn("assistant", "3"), Turn("user", "4"))
    async with talking(saying("Yes")) as (responder, model):
        await ask(responder, ChatMessage("laptop", "5", context={"file": "a.py"}, history=turns), WITHIN_S)
    assert [(one["role"], one["content"]) for one in model.asked[0]["messages"]] == [
        ("user", "1\n\n2"), ("assistant", "3"), ("user", '4\n\n5\n\nContext: {"file": "a.py"}'),
    ]  # fmt: skip


async def test_an_answer_too_deep_to_be_read_lets_others_be_asked_afterwards() -> None:
    deep = streaming(b"data: " + b"[" * 200_000 + b"\n\n")
    async with talking(replying(500, ""), deep, saying("Yes"), break_after=1, break_for=0) as (responder, model):
        for _ in range(2):
            with pytest.raises(ResponderFailed):
                await answer(responder)
        assert await answer(responder) == "Yes"
    assert len(model.asked) == 3


async def test_what_broke_after_the_first_word_is_not_asked_again() -> None:
    told: list[str] = []
    async with talking(breaking(chunk("Li")), saying("never"), retries=3) as (responder, model):
        with pytest.raises(ResponderFailed):
            await answer(responder, told.append)
    assert told == ["Li"]
    assert len(model.asked) == 1


async def test_a_stream_without_its_end_is_no_whole_answer() -> None:
    async with talking(streaming(chunk("Half"))) as (responder, _):
        with pytest.raises(ResponderFailed, match=r"ended before \[DONE\]"):
            await answer(responder)


async def test_who_says_nothing_in_time_is_asked_again_and_told_that_we_left() -> None:
    async with talking(stalling(), saying("Yes"), retries=1, first_token=SECOND // 10) as (responder, model):
        assert await answer(responder) == "Yes"
        async with asyncio.timeout(WITHIN_S):
            await model.somebody_left.wait()
    assert model.left == 1


async def test_whoever_stops_waiting_ends_the_request() -> None:
    async with talking(stalling(chunk("Li"))) as (responder, model):
        said = asyncio.Event()
        asking = asyncio.ensure_future(answer(responder, lambda delta: said.set()))
        async with asyncio.timeout(WITHIN_S):
            await said.wait()
            asking.cancel()
            await model.somebody_left.wait()
    assert asking.cancelled() or asking.done()


async def test_who_is_asked_to_wait_for_long_does_not() -> None:
    async with talking(replying(429, "", **{"Retry-After": "3600"}), saying("x"), retries=3) as (responder, model):
        with pytest.raises(ResponderFailed, match="asks for 3600 s"):
            await answer(responder)
    assert len(model.asked) == 1


async def test_nobody_there_is_a_failure_in_words() -> None:
    responder = OpenAIResponder(OpenAI(url="http://127.0.0.1:1/v1", model="m", retries=0))
    with pytest.raises(ResponderFailed) as failed:
        await answer(responder)
    await responder.close()
    assert "cannot be reached" in failed.value.message


async def test_who_fails_again_and_again_is_left_alone_and_tried_again_later() -> None:
    now = [0.0]
    async with model_server(replying(500, ""), replying(500, ""), saying("Yes")) as model:
        settings = OpenAI(url=model.url, model="m", retries=0, break_after=2, break_for=10 * SECOND)
        responder = OpenAIResponder(settings, clock=lambda: now[0])
        for _ in range(4):
            with pytest.raises(ResponderFailed):
                await answer(responder)
        assert len(model.asked) == 2
        now[0] = 10.0
        assert await answer(responder) == "Yes"
        assert await answer(responder) == "Yes"
        await responder.close()


def test_a_breaker_lets_one_try_through_when_its_time_is_over() -> None:
    breaker = Breaker(2, 10.0)
    breaker.failed(0.0)
    assert breaker.admits(0.0)
    breaker.failed(0.0)
    assert breaker.is_open(9.9)
    assert not breaker.admits(9.9)
    assert breaker.admits(10.0)
    assert not breaker.admits(10.0), "the others wait for what becomes of it"
    breaker.given_up()
    assert breaker.admits(10.0)
    breaker.failed(10.0)
    assert not breaker.admits(19.9)
    assert breaker.admits(20.0)
    breaker.succeeded()
    assert breaker.admits(20.0)
    breaker.failed(20.0)
    assert breaker.admits(20.0)
