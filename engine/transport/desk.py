"""What all doors do with what a client said: make it durable, have it answered, hand over what waits.

It reads no frames off the network and knows no sockets; the doors do.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from engine.core.model import ANSWER_TYPE, Json, Message, derive_id
from engine.core.remembered import Preferences
from engine.driver import Driver
from engine.intake import Input
from engine.observer import Door, Trace
from engine.pending import Pending
from engine.responders.base import ChatMessage, ResponderFailed
from engine.storage.base import OutboxMessage, StoreError
from engine.transport.answers import Answers
from engine.transport.decoding import WireError
from engine.transport.erasing import BeingErased
from engine.transport.hooks import ResponseHook, ResponseHooks
from engine.transport.hub import Hub
from engine.transport.refusing import RETRY_NOT_STORED_S, told_to_client
from engine.transport.session import ERASED as ERASED
from engine.transport.sessions import Sessions
from engine.transport.wire import FrameType, chat_response, error_frame, message_frame

SENT_AT_ONCE = 5_000  # messages that go into the log together
TOLD_MAX = 1_000  # messages for all, the latest, of which those without a name get no second copy

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


@dataclass(frozen=True, slots=True)
class Erased:
    """``rows`` of the store were of the user; ``pages`` of its file had former contents that are overwritten now."""

    rows: int
    pages: int


class Desk:
    """``clock``: microseconds UTC. ``expires``: how long the application's messages wait, in microseconds.

    ``forgetting`` are called with a user who is being erased, besides what it knows of itself; each more than once.
    ``overwrite`` sees to what the erasure of a user has left in files; on how many pages of the store something was.
    """

    def __init__(
        self,
        live: Driver,
        hub: Hub,
        sessions: Sessions,
        answers: Answers,
        *,
        clock: Callable[[], int],
        expires: int,
        on_user_response: ResponseHook | None = None,
        is_kept_back: Callable[[str], bool] = lambda message_id: False,
        forgetting: Iterable[Callable[[str], None]] = (),
        overwrite: Callable[[str], Awaitable[int]] | None = None,
    ) -> None:
        self._live = live
        self._hub = hub
        self._sessions = sessions
        self.answers = answers
        self._clock = clock
        self._expires = expires
        self._hooks = None if on_user_response is None else ResponseHooks(on_user_response)
        self._is_kept_back = is_kept_back
        self._forgetting = tuple(forgetting)
        self._overwrite = overwrite
        self._one_overwrites = asyncio.Lock()
        self._told: OrderedDict[str, None] = OrderedDict()

    async def submit(self, inputs: list[Input], door: Door = "http") -> list[str]:
        """As `record`, for a client. Raises `WireError`."""
        with told_to_client():
            return await self.record(inputs, door)

    async def record(self, inputs: list[Input], door: Door = "application") -> list[str]:
        """Durable, evaluated, the ids known; the application's hook has been told.

        Raises `Overloaded` and `StoreError`.
        """
        observer = self._live.observer
        trace = observer.taken_in(door, len(inputs), inputs[0].data.get("traceparent", "") if inputs else "")
        try:
            ids = await self.begin(inputs, trace)
        except BaseException:
            observer.acknowledged(trace, ok=False)
            raise
        observer.acknowledged(trace)
        await self.tell_hook(inputs)
        return ids

    def begin(self, inputs: list[Input], trace: Trace = None) -> Pending[list[str]]:
        """Take them in, without waiting; what is returned is done when they are durable, or could not be.

        A ``user_response`` is an activity and, right after it, what became of the message that it answers.
        """
        try:
            self._sessions.erasing.check(item.user for item in inputs)
        except BeingErased as error:
            refused: Pending[list[str]] = Pending()
            refused.set_exception(error)
            return refused
        for item in inputs:
            if item.type == "user_response":
                break
        else:
            return self._live.begin(inputs, trace)
        told: list[Input] = []
        places = []
        for item in inputs:
            places.append(len(told))
            told.append(item)
            if item.type == "user_response":
                told.append(_as_answered(item))
        all_ids = self._live.begin(told, trace)
        ids: Pending[list[str]] = Pending()

        def done(made: Pending[list[str]]) -> None:
            error = made.exception()
            if error is not None:
                ids.set_exception(error)
            else:
                ids.set_result([made.result()[place] for place in places])

        all_ids.add_done_callback(done)
        return ids

    async def tell_hook(self, inputs: Sequence[Input]) -> None:
        """The application hears of the responses among these, which are durable; it has when this returns."""
        for told in self._tell_hook(inputs):
            await told

    def tell_hook_soon(self, inputs: Sequence[Input]) -> None:
        """As `tell_hook`, without waiting for it."""
        self._tell_hook(inputs)

    def _tell_hook(self, inputs: Sequence[Input]) -> list[asyncio.Future[None]]:
        if self._hooks is None:
            return []
        return [
            self._hooks.tell(item.user, item.data["questionId"], item.data["response"], item.id if item.once else "")
            for item in inputs
            if item.type == "user_response"
        ]

    async def answer(self, chat: ChatMessage) -> FrameType:
        """The ``chat_response``, or the ``error`` frame that stands in its place."""
        try:
            return chat_response(await self.answers.answer(chat), self._clock())
        except ResponderFailed as failure:
            return error_frame("responder_failed", failure.message)

    async def hand_waiting(self, connection: str, client: str) -> None:
        """What waits in the outbox goes to a plain connection that has just named its client. Raises `WireError`."""
        with told_to_client():
            waiting = await self._waiting(client)
        handed = set(self._hub.hand(connection, waiting))
        self._reached([outgoing for outgoing in waiting if outgoing.message.id in handed])

    async def take_waiting(self, client: str) -> list[FrameType]:
        """What waits in the outbox, as frames: with the reply to an HTTP request it is handed over.

        Nothing where the store cannot say: what was asked for besides has been done, and the messages go on waiting.
        """
        try:
            waiting = await self._waiting(client)
        except StoreError as error:
            log.warning("! outbox", user_id=client, error=str(error))
            return []
        self._reached(waiting)
        return [message_frame(outgoing) for outgoing in waiting]

    async def _waiting(self, client: str) -> list[OutboxMessage]:
        """What waits for a plain client, which is the only client of its user that would ask so."""
        return [
            outgoing
            for outgoing in await self._live.waiting(client)
            if outgoing.client in ("", client)
            and outgoing.message.type != ANSWER_TYPE  # of a session of the same name
            and not self._is_kept_back(outgoing.message.id)
        ]

    def _reached(self, messages: list[OutboxMessage]) -> None:
        """A plain client has taken these; sessions of the same user may still be to have them."""
        if messages:
            self._live.observer.queued(messages, "waiting")
        self._live.received(messages)
        self._live.relayed([outgoing for outgoing in messages if not self._sessions.are_owed(outgoing)])

    def end(self, ends: list[Input]) -> None:
        """The connection is gone, and with it these sessions; of who is being erased not even that is written."""
        self._live.end([item for item in ends if item.user not in self._sessions.erasing])

    async def erase(self, user: str) -> Erased:
        """Forget the user: connections closed, state, log, decisions and messages gone, from the file as well.

        Raises `StoreError` where nothing has happened, `WireError` where former contents are left in the file.
        """
        rows = await self._erase(user)
        if self._overwrite is None:
            return Erased(rows, 0)
        try:
            async with self._one_overwrites:
                return Erased(rows, await self._overwrite(user))
        except StoreError as error:
            log.error("! erased and not overwritten", why=str(error))
            why = "the user is erased, but former contents of the file are not overwritten yet: send the request again"
            raise WireError("not_stored", why, retry_after_s=RETRY_NOT_STORED_S) from None

    async def _erase(self, user: str) -> int:
        with self._sessions.erasing.of(user):
            self.forget(user)
            # What they said last waits for its turn; made after the erasure, it would stay.
            await self._live.settled()
            began, ok = time.monotonic(), False
            try:
                erased = await self._live.erase(user)
                ok = True
            finally:
                self._live.observer.store_worked("erase", time.monotonic() - began, ok=ok)
                # A turn that was made meanwhile may have left something for somebody to write or to deliver.
                self.forget(user)
        return erased

    def forget(self, user: str) -> None:
        """Nothing is known of the user here, and their connections are closed; the store is not asked."""
        for session in self._sessions.drop(user):
            if session.outgoing is not None:
                session.outgoing.close(*ERASED)
        for outgoing in self._hub.forget(user):
            outgoing.close(*ERASED)
        self.answers.forget(user)
        if self._hooks is not None:
            self._hooks.forget(user)
        for forget in self._forgetting:
            forget(user)
        # Sessions of an earlier process that nobody came back to: their end would be a beginning.
        self._live.abandon(user)

    async def wishes(self, user: str) -> Preferences | None:
        """What the user wishes; None where the store cannot say: devices are told with the next change."""
        try:
            return await self._live.preferences(user)
        except StoreError as error:
            log.warning("! wishes not told", user_id=user, why=str(error))
            return None

    async def send(
        self,
        clients: list[str] | None,
        message_type: str,
        text: str,
        *,
        options: tuple[str, ...] = (),
        data: dict[str, Any] | None = None,
        expires: int | None = None,
        client: str = "",
        message_id: str = "",
    ) -> Sent:
        """A message of the application's own to users (``clients``), None for all who are there.

        It is logged and waits in the outbox, ``expires`` microseconds at most, for users that are not connected.
        With ``client`` it is for that client of theirs alone. With ``message_id`` it is sent to each of them once, as
        long as the log of that is kept.
        Connections that have not said who they are get a copy that nothing remembers. Raises `Overloaded` or
        `StoreError`.
        """
        at = self._clock()
        cause = message_id or secrets.token_hex(16)

        def make(user: str) -> OutboxMessage:
            message = Message(
                id=sent_id(cause, user), type=message_type, text=text, options=options,
                data=data or {}, expires_at=at + (expires or self._expires),
            )  # fmt: skip
            return OutboxMessage(user=user, message=message, at=at, client=client)

        addressed, waiting = await self._addressed(clients)
        self._sessions.erasing.check(addressed)
        messages = [make(user) for user in addressed]
        for start in range(0, len(messages), SENT_AT_ONCE):
            await self._live.send(messages[start : start + SENT_AT_ONCE], once=bool(message_id))
        unnamed = 0
        if clients is None:
            frame = message_frame(make(""))
            unnamed = self.tell_unnamed(frame, droppable=message_type == "notification")
            await self._live.tell_unnamed(frame)
        log.info("> message", type=message_type, clients=len(addressed), waiting=len(waiting), unnamed=unnamed)
        return Sent([outgoing.message.id for outgoing in messages], addressed, waiting, unnamed)

    async def _addressed(self, clients: list[str] | None) -> tuple[list[str], list[str]]:
        """Who is to have a message, None for all who are there; and of them those who are nowhere."""
        if clients is None:
            present = self.present()
            return list(dict.fromkeys([*present, *sorted(await self._live.elsewhere(None))])), [
                user for user in present if not self.is_there(user)
            ]
        absent = [user for user in clients if not self.is_there(user)]
        elsewhere = await self._live.elsewhere(absent) if absent else ()
        return clients, [user for user in absent if user not in elsewhere]

    def tell_unnamed(self, frame: FrameType, *, droppable: bool) -> int:
        """Hand a message for all to those who have not said who they are, once; to how many, is returned."""
        if frame["id"] in self._told:
            return 0
        self._told[frame["id"]] = None
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return self._hub.broadcast_to_unnamed(frame, droppable=droppable)

    def is_there(self, user: str) -> bool:
        """Whether any client of the user is connected."""
        return self._hub.is_connected(user) or any(each.left_at is None for each in self._sessions.of_user(user))

    def present(self) -> list[str]:
        """Everybody who is there: connected, or seen over HTTP a short while ago."""
        return list(dict.fromkeys([*self._hub.clients(), *self._sessions.users()]))

    async def users_of_client(self, client: str) -> list[str]:
        """Whose a client is, by its name: users with a session of that client, else the client itself.

        Raises `StoreError`.
        """
        here = [each.user for each in self._sessions.of_client(client)]
        return list(dict.fromkeys([*here, *await self._live.users_of(client)])) or [client]

    async def close(self) -> None:
        await self.answers.close()
        if self._hooks is not None:
            await self._hooks.close()


def sent_id(message_id: str, user: str) -> str:
    """The id that a message of the application's own, known to it by ``message_id``, has for a user."""
    return derive_id("send", message_id, user)


def _as_answered(item: Input) -> Input:
    data: dict[str, Json] = {"message_id": item.data["questionId"], "response": item.data["response"]}
    # Of a response that is sent again the answer is no other either.
    event_id = derive_id("answered", item.id) if item.once else ""
    return msgspec.structs.replace(item, type="message.answered", data=data, id=event_id)
