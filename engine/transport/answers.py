"""Chat messages that wait for their answer: of each asker one after the other, so that answers come in their order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from engine.intake import Input
from engine.observer import SILENT, Asked, Observer
from engine.responders.base import ChatMessage, Responder, ResponderFailed, Turn, ask

CHATS_MAX = 32  # chat messages of one asker that wait for their answer
ASKERS_MAX = 10_000  # who are being answered at once; whoever asks beyond it is told that too much waits
ANSWERED = "message.chat_response"  # the type of the event by which an answer is recorded

log = structlog.get_logger("proactive")

OnDelta = Callable[[str], None]
OnAnswer = Callable[[str | ResponderFailed], None]


class Remembers(Protocol):
    """What was said to whom: `engine.responders.conversation`."""

    async def history(self, user: str) -> tuple[Turn, ...]: ...

    def heard(self, user: str, text: str) -> None: ...

    def forget(self, user: str) -> None: ...

    def said(self, user: str, text: str) -> None: ...


class Answers:
    """Asks ``responder``, each time for at most ``timeout_s``.

    ``conversation`` is what goes along of what was said before, None for a responder that does not care; then answers
    are recorded by ``record`` as well, so that it can be known after a restart.
    """

    def __init__(
        self,
        responder: Responder,
        timeout_s: float,
        *,
        conversation: Remembers | None = None,
        record: Callable[[list[Input]], object] = lambda inputs: None,
        observer: Observer = SILENT,
    ) -> None:
        self._responder = responder
        self._timeout_s = timeout_s
        self._conversation = conversation
        self._record = record
        self._observer = observer
        self._waiting: dict[str, deque[tuple[ChatMessage, OnDelta | None, OnAnswer]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, asker: str, chat: ChatMessage, on_delta: OnDelta | None, on_answer: OnAnswer) -> bool:
        """Have it answered behind what the asker asked before. False where too much waits already."""
        if len(self._waiting) >= ASKERS_MAX and asker not in self._waiting:
            return False
        waiting = self._waiting.setdefault(asker, deque())
        if len(waiting) >= CHATS_MAX:
            return False
        waiting.append((chat, on_delta, on_answer))
        if asker not in self._tasks:
            self._tasks[asker] = asyncio.get_running_loop().create_task(self._answer_all(asker))
        return True

    def cancel(self, asker: str) -> None:
        """Nobody waits for the answers any more."""
        self._waiting.pop(asker, None)
        task = self._tasks.pop(asker, None)
        if task is not None:
            task.cancel()

    def forget(self, user: str) -> None:
        """Nothing of what was said is to be known any more."""
        if self._conversation is not None:
            self._conversation.forget(user)

    async def answer(self, chat: ChatMessage, on_delta: OnDelta | None = None) -> str:
        """Raises `ResponderFailed`."""
        if self._conversation is not None:
            history = await self._conversation.history(chat.user)
            if history and history[-1] == Turn("user", chat.message):
                history = history[:-1]  # the log has it already, and so what was read of the log
            else:
                self._conversation.heard(chat.user, chat.message)
            chat = replace(chat, history=history)
        began = time.monotonic()
        outcome: Asked = "cancelled"
        try:
            text = await ask(self._responder, chat, self._timeout_s, on_delta)
            outcome = "ok"
        except ResponderFailed as failure:
            outcome = "failed"
            log.error("! responder failed", user_id=chat.user, why=failure.why)
            raise
        finally:
            self._observer.responder(outcome, time.monotonic() - began)
        if self._conversation is not None:
            self._conversation.said(chat.user, text)
            self._record([Input(chat.user, ANSWERED, {"message": text})])
        return text

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _answer_all(self, asker: str) -> None:
        waiting = self._waiting[asker]
        me = asyncio.current_task()
        try:
            while waiting:
                chat, on_delta, on_answer = waiting[0]
                try:
                    answer: str | ResponderFailed = await self.answer(chat, on_delta)
                except ResponderFailed as failure:
                    answer = failure
                on_answer(answer)
                waiting.popleft()
        finally:
            if self._tasks.get(asker) is me:
                del self._tasks[asker]
                self._waiting.pop(asker, None)
