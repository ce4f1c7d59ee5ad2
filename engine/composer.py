"""Messages of rules that a responder writes: asked after the turn that decided them, told as soon as they are written.

What comes of it is recorded as an event, so that a replay needs no responder; what cannot be written in time says its
plain text. It decides nothing: that there is a message, and to whom, the rules have decided.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import structlog

from engine.core.model import COMPOSED
from engine.intake import Input
from engine.observer import SILENT, Asked, Observer
from engine.responders.base import COMPOSE_MODE, ChatMessage, Responder, ResponderFailed, ask
from engine.storage.base import OutboxMessage

AT_ONCE = 8  # messages that are being written; the others wait for their turn
WAITING_MAX = 1_000  # messages that wait; beyond it they say their plain text
TEXT_LENGTH_MAX = 16 * 1024  # characters, as of any message

log = structlog.get_logger("proactive")


@dataclass(slots=True, eq=False)
class _Piece:
    """A message that is to be written, since when (the composer's clock), and who is at it."""

    outgoing: OutboxMessage
    since: float
    task: asyncio.Task[None] | None = None


class Composer:
    """Asks ``responder``, for at most ``timeout_s`` from the decision on, the time of waiting included.

    ``record`` makes events durable; ``hand_over`` brings messages of the outbox to people.
    """

    def __init__(
        self,
        responder: Responder,
        timeout_s: float,
        *,
        record: Callable[[list[Input]], Awaitable[object]],
        hand_over: Callable[[list[OutboxMessage]], None],
        by: str = "responder",
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._responder = responder
        self._timeout_s = timeout_s
        self._record = record
        self._hand_over = hand_over
        self._by = by
        self._observer = observer
        self._clock = clock
        self._composing: dict[str, _Piece] = {}  # by id of the message
        self._waiting: deque[_Piece] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def compose(self, messages: list[OutboxMessage]) -> None:
        """Have these written. Each is handed over once, written or not."""
        for outgoing in messages:
            if outgoing.message.id in self._composing:
                continue
            if len(self._waiting) >= WAITING_MAX:
                self._observer.composed("refused", 0.0)
                self._hand_over([outgoing])
                continue
            piece = self._composing[outgoing.message.id] = _Piece(outgoing, self._clock())
            self._waiting.append(piece)
            self._begin()

    def is_composing(self, message_id: str) -> bool:
        """Whether a message is being written; nobody else is to hand it over meanwhile."""
        return message_id in self._composing

    def forget(self, user: str) -> None:
        """The user is being erased: nothing more is written for them, recorded or handed over."""
        self._drop([piece for piece in self._composing.values() if piece.outgoing.user == user])

    def settle(self, user: str, message_id: str) -> None:
        """The user is not to be shown the message any more: its rule has taken it back."""
        piece = self._composing.get(message_id)
        if piece is not None and piece.outgoing.user == user:
            self._drop([piece])

    async def close(self) -> None:
        """Write no more. What was not handed over waits in the outbox, and says its plain text to who comes."""
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _drop(self, dropped: list[_Piece]) -> None:
        for piece in dropped:
            del self._composing[piece.outgoing.message.id]
            if piece.task is not None:
                piece.task.cancel()
        if dropped:
            self._waiting = deque(piece for piece in self._waiting if self._is_wanted(piece))

    def _begin(self) -> None:
        if self._waiting and len(self._tasks) < AT_ONCE:
            piece = self._waiting.popleft()
            task = piece.task = asyncio.get_running_loop().create_task(self._work(piece))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begin()

    def _is_wanted(self, piece: _Piece) -> bool:
        return self._composing.get(piece.outgoing.message.id) is piece

    async def _work(self, piece: _Piece) -> None:
        outgoing = piece.outgoing
        text = await self._written(outgoing, piece.since)
        # A responder that does not let itself be cancelled comes to its end all the same.
        if text is not None and self._is_wanted(piece):
            outgoing = await self._recorded(outgoing, text)
        if self._is_wanted(piece):
            del self._composing[outgoing.message.id]
            self._hand_over([outgoing])

    async def _written(self, outgoing: OutboxMessage, since: float) -> str | None:
        left = self._timeout_s - (self._clock() - since)
        outcome: Asked = "cancelled"
        try:
            if left <= 0:
                outcome = "timeout"
                return None
            chat = ChatMessage(outgoing.user, outgoing.message.prompt, COMPOSE_MODE)
            text = (await ask(self._responder, chat, left)).strip()
            outcome = "ok" if text else "failed"
            return text[:TEXT_LENGTH_MAX] or None
        except ResponderFailed as failure:
            outcome = "timeout" if self._clock() - since >= self._timeout_s else "failed"
            log.warning("! message not composed", rule_id=outgoing.rule, user_id=outgoing.user, why=failure.why)
            return None
        finally:
            self._observer.composed(outcome, self._clock() - since)

    async def _recorded(self, outgoing: OutboxMessage, text: str) -> OutboxMessage:
        """The message with its new text, once that is durable; as it was where it cannot be made durable."""
        message_id = outgoing.message.id
        data = {"message_id": message_id, "text": text, "by": self._by}
        try:
            await self._record([Input(outgoing.user, COMPOSED, data)])
        except Exception as error:
            # It is told with its plain text: what was shown must be what is recorded.
            log.error("! composed message not stored", rule_id=outgoing.rule, why=f"{type(error).__name__}: {error}")
            return outgoing
        message = msgspec.structs.replace(outgoing.message, text=text)
        return OutboxMessage(outgoing.user, message, outgoing.at, outgoing.rule, outgoing.client)
