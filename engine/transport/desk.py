"""What both doors do with what a client said: make it durable, have it answered, hand over what waits.

It reads no frames and knows no sockets; `websocket` and `http` do.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from engine.core.model import Message, derive_id
from engine.inbox import Overloaded
from engine.live import Input, Live
from engine.responders.base import ChatMessage, Responder, ResponderFailed, ask
from engine.storage.base import OutboxMessage, StoreError
from engine.transport.decoding import WireError
from engine.transport.hub import Hub
from engine.transport.wire import FrameType, chat_response, error_frame, message_frame

# Called with the client, the id of the question, and the response, after the response is durable.
ResponseHook = Callable[[str, str, str], Awaitable[None]]

log = structlog.get_logger("proactive")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the application's messages. ``waiting`` are those of ``clients`` not connected.

    ``unnamed`` counts connections that got a copy without having said who they are.
    """

    ids: list[str]
    clients: list[str]
    waiting: list[str]
    unnamed: int = 0


@contextmanager
def told_to_client() -> Iterator[None]:
    """What the driver refuses, in the words of the protocol: raises `WireError` instead."""
    try:
        yield
    except Overloaded as error:
        log.warning("! overloaded", why=str(error))
        raise WireError("overloaded", "the server has more to do than it can; try again in a second") from None
    except StoreError as error:
        log.error("! not stored", why=str(error))
        raise WireError("not_stored", "the server cannot write to its store; nothing was recorded") from None


class Desk:
    """``clock``: microseconds UTC. ``expires``: how long the application's messages wait, in microseconds."""

    def __init__(
        self,
        live: Live,
        hub: Hub,
        responder: Responder,
        *,
        clock: Callable[[], int],
        answer_timeout_s: float,
        expires: int,
        on_user_response: ResponseHook | None = None,
    ) -> None:
        self._live = live
        self._hub = hub
        self._responder = responder
        self._clock = clock
        self._answer_timeout_s = answer_timeout_s
        self._expires = expires
        self._on_user_response = on_user_response
        self._in_replies: set[str] = set()  # messages on their way out of the outbox with a reply

    async def submit(self, inputs: list[Input]) -> list[str]:
        """As `record`, for a client. Raises `WireError`."""
        with told_to_client():
            return await self.record(inputs)

    async def record(self, inputs: list[Input]) -> list[str]:
        """Durable, evaluated, the ids known; the application's hook has been told. Raises `Overloaded`, `StoreError`.

        A ``user_response`` is an activity and, right after it, what became of the message that it answers.
        """
        told: list[Input] = []
        places = []
        for item in inputs:
            places.append(len(told))
            told.append(item)
            if item.type == "user_response":
                told.append(_as_answered(item))
        ids = await self._live.submit(told)
        for item in inputs:
            log.debug("< event", type=item.type, user_id=item.user)
            if item.type == "user_response" and self._on_user_response is not None:
                await self._tell_hook(self._on_user_response, item)
        return [ids[place] for place in places]

    async def answer(self, chat: ChatMessage) -> FrameType:
        """The ``chat_response``, or the ``error`` frame that stands in its place."""
        try:
            text = await ask(self._responder, chat, self._answer_timeout_s)
        except ResponderFailed as failure:
            log.error("! responder failed", user_id=chat.client, why=failure.why)
            return error_frame("responder_failed", failure.message)
        return chat_response(text, self._clock())

    async def hand_waiting(self, connection: str, client: str) -> None:
        """What waits in the outbox goes to a connection that has just named its client. Raises `WireError`."""
        with told_to_client():
            waiting = await self._live.waiting(client)
        handed = set(self._hub.hand(connection, waiting))
        await self._live.relayed([outgoing for outgoing in waiting if outgoing.message.id in handed])

    async def take_waiting(self, client: str) -> list[FrameType]:
        """What waits in the outbox, as frames: with the reply to an HTTP request it is handed over.

        Nothing where the store cannot say: what was asked for besides has been done, and the messages go on waiting.
        """
        try:
            waiting = await self._live.waiting(client)
        except StoreError as error:
            log.warning("! outbox", user_id=client, error=str(error))
            return []
        # Of two requests of one client at once, one gets a message.
        waiting = [outgoing for outgoing in waiting if outgoing.message.id not in self._in_replies]
        ids = [outgoing.message.id for outgoing in waiting]
        self._in_replies.update(ids)
        try:
            await self._live.relayed(waiting)
        finally:
            self._in_replies.difference_update(ids)
        return [message_frame(outgoing) for outgoing in waiting]

    async def end(self, ends: list[Input]) -> None:
        """The connection is gone, and with it these sessions."""
        await self._live.end(ends)

    async def send(
        self,
        clients: list[str] | None,
        message_type: str,
        text: str,
        *,
        options: tuple[str, ...] = (),
        data: dict[str, Any] | None = None,
        expires: int | None = None,
    ) -> Sent:
        """A message of the application's own to ``clients``, None for all who are there.

        It is logged and waits in the outbox, ``expires`` microseconds at most, for clients that are not
        connected. Connections that have not said who they are get a copy that nothing remembers. Raises
        `Overloaded` or `StoreError`.
        """
        at = self._clock()
        cause = secrets.token_hex(16)

        def make(user: str) -> OutboxMessage:
            message = Message(
                id=derive_id("send", cause, user), type=message_type, text=text, options=options,
                data=data or {}, expires_at=at + (expires or self._expires),
            )  # fmt: skip
            return OutboxMessage(user=user, message=message, at=at)

        addressed = self._hub.clients() if clients is None else clients
        waiting = [client for client in addressed if not self._hub.is_connected(client)]
        messages = [make(client) for client in addressed]
        if messages:
            await self._live.send(messages)
        unnamed = 0
        if clients is None:
            droppable = message_type == "notification"
            unnamed = self._hub.broadcast_to_unnamed(message_frame(make("")), droppable=droppable)
        log.info("> message", type=message_type, clients=len(addressed), waiting=len(waiting), unnamed=unnamed)
        return Sent([outgoing.message.id for outgoing in messages], addressed, waiting, unnamed)

    async def _tell_hook(self, hook: ResponseHook, item: Input) -> None:
        try:
            await hook(item.user, item.data["questionId"], item.data["response"])
        except Exception as error:
            # The hook is the application's code; the response is durable, and its client did nothing wrong.
            log.error("! on_user_response failed", user_id=item.user, why=f"{type(error).__name__}: {error}")


def _as_answered(item: Input) -> Input:
    data = {"message_id": item.data["questionId"], "response": item.data["response"]}
    return msgspec.structs.replace(item, type="message.answered", data=data, id="")
