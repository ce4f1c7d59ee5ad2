"""Chat messages that wait for their answer: of each asker one after the other, so that answers come in their order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from engine.core.model import CHAT_RESPONSE, Json
from engine.intake import Input
from engine.observer import SILENT, Asked, Observer
from engine.responders.base import ChatMessage, Responder, ResponderFailed, Turn, ask

CHATS_MAX = 32  # chat messages of one asker that wait for their answer
ASKERS_MAX = 10_000  # who are being answered at once; whoever asks beyond it is told that too much waits

log = structlog.get_logger("proactive")

OnDelta = Callable[[str], None]
OnAnswer = Callable[[str | ResponderFailed], None]


@dataclass(slots=True, eq=False)
class _Asking:
    """An answer that is under way; ``is_dropped`` once its user is erased."""

    task: asyncio.Task[str] | None = None
    is_dropped: bool = False


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
        self._waiting: dict[str, deque[tuple[ChatMessage, OnDelta | None, OnAnswer, bool]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._under_way: dict[str, set[_Asking]] = {}  # by user

    def ask(
        self, asker: str, chat: ChatMessage, on_delta: OnDelta | None, on_answer: OnAnswer, *, is_recorded: bool = True
    ) -> bool:
        """Have it answered behind what the asker asked before. False where too much waits already.

        ``is_recorded``: as for `answer`.
        """
        if len(self._waiting) >= ASKERS_MAX and asker not in self._waiting:
            return False
        waiting = self._waiting.setdefault(asker, deque())
        if len(waiting) >= CHATS_MAX:
            return False
        waiting.append((chat, on_delta, on_answer, is_recorded))
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
        """The user is being erased: nothing of what was said is known any more, and nothing more is said or recorded.

        What waits is not asked. Whoever waits for an answer is told that there is none.
        """
        for asker, waiting in self._waiting.items():
            others = [each for each in waiting if each[0].user != user or each is waiting[0]]
            self._waiting[asker].clear()
            self._waiting[asker].extend(others)
        for asking in self._under_way.get(user, ()):
            asking.is_dropped = True
            if asking.task is not None:
                asking.task.cancel()
        if self._conversation is not None:
            self._conversation.forget(user)

    async def answer(self, chat: ChatMessage, on_delta: OnDelta | None = None, *, is_recorded: bool = True) -> str:
        """Raises `ResponderFailed`, also where the user is erased meanwhile.

        ``is_recorded``: False where the caller records the answer itself.
        """
        asking = _Asking()
        self._under_way.setdefault(chat.user, set()).add(asking)
        try:
            return await self._answer(chat, on_delta, asking, is_recorded)
        finally:
            of_user = self._under_way[chat.user]
            of_user.discard(asking)
            if not of_user:
                del self._under_way[chat.user]

    async def _answer(self, chat: ChatMessage, on_delta: OnDelta | None, asking: _Asking, is_recorded: bool) -> str:
        if self._conversation is not None:
            history = await self._conversation.history(chat.user)
            if asking.is_dropped:
                self._conversation.forget(chat.user)  # it may have been read before there was nothing to read
                raise _forgotten()
            if history and history[-1] == Turn("user", chat.message):
                history = history[:-1]  # the log has it already, and so what was read of the log
            else:
                self._conversation.heard(chat.user, chat.message)
            chat = replace(chat, history=history)
        began = time.monotonic()
        outcome: Asked = "cancelled"
        try:
            text = await self._asked(chat, on_delta, asking)
            outcome = "ok"
        except ResponderFailed as failure:
            outcome = "failed"
            log.error("! responder failed", user_id=chat.user, why=failure.why)
            raise
        finally:
            self._observer.responder(outcome, time.monotonic() - began)
        if self._conversation is not None:
            self._conversation.said(chat.user, text)
            if is_recorded:
                # Of several devices that ask at once, nothing else would say which of them this answers.
                to: dict[str, Json] = {"to": chat.id} if chat.id else {}
                self._record([Input(chat.user, CHAT_RESPONSE, {"message": text, **to})])
        return text

    async def _asked(self, chat: ChatMessage, on_delta: OnDelta | None, asking: _Asking) -> str:
        """In a task of its own, so that an erasure ends it and not what waits for it."""
        asking.task = asyncio.ensure_future(ask(self._responder, chat, self._timeout_s, on_delta))
        try:
            text = await asking.task
        except asyncio.CancelledError:
            if not asking.is_dropped:
                raise
            raise _forgotten() from None
        finally:
            asking.task.cancel()
        if asking.is_dropped:
            raise _forgotten()  # a responder that does not let itself be cancelled
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
                chat, on_delta, on_answer, is_recorded = waiting[0]
                try:
                    answer: str | ResponderFailed = await self.answer(chat, on_delta, is_recorded=is_recorded)
                except ResponderFailed as failure:
                    answer = failure
                on_answer(answer)
                waiting.popleft()
        finally:
            if self._tasks.get(asker) is me:
                del self._tasks[asker]
                self._waiting.pop(asker, None)


def _forgotten() -> ResponderFailed:
    return ResponderFailed("This user has been forgotten meanwhile.", "the user was erased meanwhile")
