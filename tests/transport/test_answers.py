from __future__ import annotations

import asyncio
from functools import partial

from engine.responders.base import ChatMessage, ResponderFailed
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
