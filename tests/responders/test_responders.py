from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from engine.responders import echo, plain
from engine.responders.base import ANSWER_LENGTH_MAX, ChatMessage, ResponderFailed, Turn, ask, check_responder

CHAT = ChatMessage("ann", "How?")


async def says(length: int, message: ChatMessage) -> str:
    return "x" * length


async def never(message: ChatMessage) -> str:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def fails(message: ChatMessage) -> str:
    raise ValueError("the key is sk-123")


async def times_out_itself(message: ChatMessage) -> str:
    raise TimeoutError("my backend is slow")


async def returns_nothing(message: ChatMessage) -> str:
    return None  # type: ignore[return-value]


class Callable:
    async def __call__(self, message: ChatMessage) -> str:
        return f"{message.client}: {message.message}"


async def test_without_an_ai_the_answer_says_so() -> None:
    answer = await ask(plain.respond, CHAT, 1)
    assert answer.startswith("No AI is configured on this server, so I cannot answer.")


async def test_the_echo_says_back_what_it_heard() -> None:
    assert await ask(echo.respond, CHAT, 1) == "How?"


async def test_an_object_that_can_be_called_answers_as_well() -> None:
    check_responder(Callable())
    assert await ask(Callable(), CHAT, 1) == "ann: How?"


async def lets_a_cancellation_through(message: ChatMessage) -> str:
    raise asyncio.CancelledError


async def test_a_cancellation_of_its_own_is_a_failure_and_one_of_ours_is_not() -> None:
    with pytest.raises(ResponderFailed, match="it was cancelled"):
        await ask(lets_a_cancellation_through, CHAT, 1)
    asking = asyncio.ensure_future(ask(never, CHAT, 60))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_longest_answer_is_passed_on() -> None:
    assert len(await ask(partial(says, ANSWER_LENGTH_MAX), CHAT, 1)) == ANSWER_LENGTH_MAX


@pytest.mark.parametrize(
    ("responder", "message", "why"),
    [
        (never, "No answer came in time. Please try again.", "no answer within 0s"),
        (fails, "Something went wrong while answering. Please try again.", "ValueError: the key is sk-123"),
        (
            times_out_itself,
            "Something went wrong while answering. Please try again.",
            "TimeoutError: my backend is slow",
        ),
        (
            returns_nothing,
            "Something went wrong while answering. Please try again.",
            "expected the responder to return a string, got NoneType",
        ),
        (
            partial(says, ANSWER_LENGTH_MAX + 1),
            "The answer was too long to be sent. Please ask for less.",
            "expected an answer of at most 262144 characters, got 262145",
        ),
    ],
)
async def test_what_went_wrong_is_for_the_log_and_a_sentence_for_the_person(
    responder: object, message: str, why: str
) -> None:
    timeout_s = 0 if responder is never else 60
    with pytest.raises(ResponderFailed) as failed:
        await ask(responder, CHAT, timeout_s)  # type: ignore[arg-type]
    assert (failed.value.message, failed.value.why) == (message, why)


async def in_pieces(message: ChatMessage) -> AsyncIterator[str]:
    for piece in ("Like", "", " this"):
        yield piece


async def hands_out_pieces(message: ChatMessage) -> AsyncIterator[str]:
    return in_pieces(message)


@pytest.mark.parametrize("responder", [in_pieces, hands_out_pieces])
async def test_pieces_are_told_as_they_come_and_together_are_the_answer(responder: Any) -> None:
    told: list[str] = []
    check_responder(responder)
    assert await ask(responder, CHAT, 60, told.append) == "Like this"
    assert told == ["Like", " this"]
    assert await ask(responder, CHAT, 60) == "Like this"


async def test_of_an_answer_that_comes_whole_no_piece_is_told() -> None:
    told: list[str] = []
    assert await ask(echo.respond, CHAT, 60, told.append) == "How?"
    assert told == []


async def yields(*pieces: object) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        (("a", 7), "expected the responder to yield strings, got int"),
        (("x" * ANSWER_LENGTH_MAX, "x"), "expected an answer of at most 262144 characters, got 262145"),
    ],
)
async def test_pieces_that_are_no_answer_end_it(pieces: tuple[object, ...], why: str) -> None:
    told: list[str] = []
    with pytest.raises(ResponderFailed) as failed:
        await ask(lambda message: yields(*pieces), CHAT, 60, told.append)
    assert failed.value.why == why
    assert told == [pieces[0]]


async def test_whoever_is_left_in_the_middle_of_an_answer_is_closed() -> None:
    closed = asyncio.Event()

    async def stalls(message: ChatMessage) -> AsyncIterator[str]:
        try:
            yield "Li"
            await asyncio.Event().wait()
        finally:
            closed.set()

    asking = asyncio.ensure_future(ask(stalls, CHAT, 60, lambda piece: asking.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert closed.is_set()


async def test_a_responder_may_say_in_its_own_words_that_it_failed() -> None:
    async def refuses(message: ChatMessage) -> str:
        raise ResponderFailed("Not today.", "it is Sunday")

    with pytest.raises(ResponderFailed) as failed:
        await ask(refuses, CHAT, 60)
    assert (failed.value.message, failed.value.why) == ("Not today.", "it is Sunday")


def test_the_user_is_the_client_where_nobody_says_more_and_the_message_itself_is_no_history() -> None:
    assert CHAT.user == "ann"
    history = (Turn("user", "m"), Turn("assistant", "a"), Turn("user", "m"))
    chat = ChatMessage.from_data("laptop", {"message": "m"}, user="ann", history=history)
    assert (chat.user, chat.history) == ("ann", history[:2])


def not_async(message: ChatMessage) -> str:
    return "x"


async def two_arguments(message: str, context: dict[str, object]) -> str:
    return "x"


@pytest.mark.parametrize(
    ("responder", "error"),
    [
        (not_async, "expected the responder to be an async function of one ChatMessage, got <function not_async"),
        ("echo", "expected the responder to be an async function of one ChatMessage, got 'echo'"),
        (two_arguments, r"expected the responder to take one argument, a ChatMessage, got \(message"),
    ],
)
def test_what_could_never_answer_is_refused_at_the_start(responder: object, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        check_responder(responder)


@pytest.mark.parametrize("data", [{"message": "m"}, {"message": "m", "mode": None, "context": None}])
def test_a_chat_message_without_mode_and_context_has_defaults(data: dict[str, object]) -> None:
    assert ChatMessage.from_data("ann", data) == ChatMessage("ann", "m", "chat", {})
