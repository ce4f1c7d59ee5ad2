"""What is known of a conversation: the newest of it, within bounds, and the same after a restart."""

from __future__ import annotations

from engine.core.model import Event
from engine.responders.base import ChatMessage, Turn
from engine.responders.conversation import CHARACTERS_MAX, Conversations
from engine.transport.answers import Answers


def said(*texts: str) -> list[Event]:
    """A log of a user who asks and is answered in turns, with something else in between."""
    kinds = ("chat_message", "message.chat_response")
    events = [Event(kinds[number % 2], "ann", number, {"message": text}) for number, text in enumerate(texts)]
    return [Event("test.failed", "ann", 0, {"message": "no turn"}), *events]


class Log:
    def __init__(self, *texts: str) -> None:
        self.events = said(*texts)
        self.reads = 0

    async def past(self, user: str, events_max: int) -> list[Event]:
        self.reads += 1
        return self.events[-events_max:]


async def texts(conversations: Conversations) -> list[str]:
    return [turn.text for turn in await conversations.history("ann")]


async def test_of_a_long_log_the_newest_turns_are_known() -> None:
    assert await texts(Conversations(3, Log("1", "2", "3", "4", "5").past)) == ["3", "4", "5"]


async def test_a_log_is_read_once_and_what_is_said_afterwards_joins_it() -> None:
    log = Log("1", "2")
    conversations = Conversations(3, log.past)
    assert await texts(conversations) == ["1", "2"]
    conversations.heard("ann", "3")
    conversations.said("ann", "4")
    assert await conversations.history("ann") == (Turn("assistant", "2"), Turn("user", "3"), Turn("assistant", "4"))
    assert log.reads == 1
    conversations.forget("ann")
    assert await texts(conversations) == ["1", "2"]


async def test_turns_together_have_at_most_so_many_characters() -> None:
    half = "x" * (CHARACTERS_MAX // 2)
    assert await texts(Conversations(9, Log("1", half, half).past)) == [half, half]
    assert await texts(Conversations(9, Log("1", half + "x", half).past)) == [half]


async def test_without_turns_no_log_is_read() -> None:
    log = Log("1")
    assert await texts(Conversations(0, log.past)) == []
    assert log.reads == 0


async def test_a_log_that_cannot_be_read_is_a_conversation_without_a_past() -> None:
    async def past(user: str, events_max: int) -> list[Event]:
        raise OSError("the disk said no")

    assert await texts(Conversations(9, past)) == []


async def test_a_message_that_stands_in_the_log_already_is_told_to_the_model_once() -> None:
    asked: list[ChatMessage] = []

    async def responds(message: ChatMessage) -> str:
        asked.append(message)
        return f"to {message.message}"

    conversations = Conversations(9, Log("1", "2", "3").past)
    answers = Answers(responds, 20.0, conversation=conversations)
    await answers.answer(ChatMessage("laptop", "3", user="ann"))
    await answers.answer(ChatMessage("laptop", "4", user="ann"))
    assert [[turn.text for turn in chat.history] for chat in asked] == [["1", "2"], ["1", "2", "3", "to 3"]]
