from __future__ import annotations

import asyncio
from functools import partial

import pytest

from engine.core.model import Event
from engine.intake import Input
from engine.responders.base import ChatMessage, ResponderFailed
from engine.responders.conversation import Conversations
from engine.transport import answers
from engine.transport.answers import CHATS_MAX, Answers

Answer = str | ResponderFailed


async def test_no_more_are_answered_at_once_than_may_be_and_one_that_is_done_makes_room() -> None:
    go_on, all_told = asyncio.Event(), asyncio.Event()

    async def respond(chat: ChatMessage) -> str:
        await go_on.wait()
        return f"hello {chat.client}"

    told: dict[str, Answer] = {}
    asked = Answers(respond, 60.0)

    def tell(asker: str, answer: Answer) -> None:
        told[asker] = answer
        if len(told) == len(names):
            all_told.set()

    def ask(asker: str) -> bool:
        return asked.ask(asker, ChatMessage(asker, "hi"), None, partial(tell, asker))

    names = [str(number) for number in range(answers.ASKERS_MAX)]
    assert all(ask(name) for name in names)
    assert not ask("one too many")
    assert [ask("0") for _ in range(CHATS_MAX)] == [True] * (CHATS_MAX - 1) + [False]
    asked.cancel("1")
    assert ask("one who comes when another has gone")
    go_on.set()
    async with asyncio.timeout(20):
        await all_told.wait()
    assert ask("one too many")
    await asked.close()
    assert told["0"] == "hello 0"
    assert "1" not in told


# Of who is erased


class Mind:
    """A responder that answers when it is let go, and what was recorded of its answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.recorded: list[Input] = []
        self.past: list[Event] = []
        self.readable = asyncio.Event()
        self.readable.set()
        self.conversations = Conversations(9, self.read)
        self.answers = Answers(
            self.respond, 20.0, conversation=self.conversations, record=lambda inputs: self.recorded.extend(inputs)
        )

    async def read(self, user: str, events_max: int) -> list[Event]:
        past = self.past
        await self.readable.wait()
        return past

    async def respond(self, chat: ChatMessage) -> str:
        self.asked.append(chat.message)
        await self.go.wait()
        return f"to {chat.message}"

    def ask(self, told: list[Answer], message: str, user: str, asker: str = "c1") -> None:
        assert self.answers.ask(asker, ChatMessage(user, message), None, told.append)


async def settle() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


async def test_an_answer_under_way_when_its_user_is_erased_is_given_up_and_not_recorded() -> None:
    mind = Mind()
    told: list[Answer] = []
    mind.ask(told, "of ann", "ann")
    mind.ask(told, "of bob", "bob")
    mind.ask(told, "of ann again", "ann")
    answering = asyncio.ensure_future(mind.answers.answer(ChatMessage("ann", "over HTTP")))
    await settle()
    mind.answers.forget("ann")
    mind.go.set()
    with pytest.raises(ResponderFailed, match="erased meanwhile"):
        await answering
    await settle()
    assert mind.asked == ["of ann", "over HTTP", "of bob"]
    assert [item.user for item in mind.recorded] == ["bob"]
    assert [each if isinstance(each, str) else each.why for each in told] == [
        "the user was erased meanwhile", "to of bob",
    ]  # fmt: skip
    # It is over with those that were under way: whoever comes back is answered.
    assert await mind.answers.answer(ChatMessage("ann", "anew")) == "to anew"
    await mind.answers.close()


async def test_what_was_read_of_a_log_before_it_was_erased_is_not_remembered() -> None:
    mind = Mind()
    mind.past = [Event("chat_message", "ann", 1, {"message": "long ago"})]
    mind.readable.clear()
    answering = asyncio.ensure_future(mind.answers.answer(ChatMessage("ann", "now")))
    await settle()
    mind.answers.forget("ann")
    mind.past = []
    mind.readable.set()
    with pytest.raises(ResponderFailed):
        await answering
    assert await mind.conversations.history("ann") == ()


async def test_an_answer_is_recorded_with_the_id_of_what_it_answers() -> None:
    mind = Mind()
    mind.go.set()
    await mind.answers.answer(ChatMessage("ann", "How?", id="laptop/c1"))
    await mind.answers.answer(ChatMessage("ann", "Why?"))
    assert [item.data for item in mind.recorded] == [
        {"message": "to How?", "to": "laptop/c1"}, {"message": "to Why?"},
    ]  # fmt: skip
