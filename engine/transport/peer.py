"""One WebSocket connection of whatever level, without its socket: messages in, frames into its `Outgoing`.

The first frame decides: with ``hello`` it is a session's, with any other a plain client's. Frames are taken in the
order in which they come. Those of a session that tell events do not wait for one another; whatever has to be waited
for, such as a hello, holds up those behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from engine.core.model import Json
from engine.core.units import SECOND
from engine.pending import Pending
from engine.responders.base import ChatMessage, ResponderFailed
from engine.transport.auth import Identity
from engine.transport.decoding import WireError, bad_frame, decode_json
from engine.transport.desk import ERASED
from engine.transport.frames import ack
from engine.transport.limits import Insistence
from engine.transport.outgoing import GOING_AWAY, Outgoing
from engine.transport.plain import (
    BAD_FRAMES_CODE,
    BAD_FRAMES_MAX,
    Action,
    Answer,
    Arrived,
    PlainSession,
    Reply,
    Submit,
)
from engine.transport.reception import TOGETHER_MAX, Heard, Reception, complaint
from engine.transport.refusing import refusal_of
from engine.transport.session import Session
from engine.transport.wire import chat_response, error_frame

IN_FLIGHT_MAX = 256  # frames of events that are not durable yet; beyond it nothing is read
IN_FLIGHT_CHARACTERS_MAX = 1024 * 1024  # of those frames
LATER_MAX = 64  # frames that wait behind one that has to be waited for; beyond it nothing is read
LEFT_ON_PURPOSE = 1000  # the close code of a client that will not come back (RFC 6455, section 7.4.1)
RATE_LIMITED = (4008, '{"code":"rate_limited","retryAfter":5}')
UNAUTHORIZED = (1008, '{"code":"unauthorized"}')

log = structlog.get_logger("proactive")


@dataclass(slots=True)
class _Gathered:
    """Frames of events that came in one go: they are taken in together."""

    heard: list[Heard] = field(default_factory=list)
    events: int = 0
    characters: int = 0


class Peer:
    """``connection`` is its id. ``credentials`` are what the handshake brought, if it did.

    ``on_idle`` is called when it is no longer busy.
    """

    __slots__ = (
        "_acks", "_address", "_bad_in_a_row", "_characters", "_credentials", "_expiry", "_gathered", "_identity",
        "_in_flight", "_insistence", "_is_gone", "_later", "_plain", "_reception", "_session", "_task", "_user",
        "connection", "on_idle", "outgoing",
    )  # fmt: skip

    def __init__(
        self, reception: Reception, connection: str, *, address: str, credentials: str | None, outgoing: Outgoing
    ) -> None:
        self.connection = connection
        self.outgoing = outgoing
        self.on_idle: Callable[[], None] | None = None
        self._reception = reception
        self._address = address
        self._credentials = credentials
        self._identity: Identity | None = None
        self._session: Session | None = None
        self._plain: PlainSession | None = None
        self._bad_in_a_row = 0
        self._insistence: Insistence | None = None
        self._in_flight = 0
        self._characters = 0  # of the frames in flight
        self._gathered: _Gathered | None = None
        self._acks: list[Json] | None = None
        self._later: deque[str | bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_gone = False
        self._user: str | None = None
        self._expiry: asyncio.TimerHandle | None = None
        reception.hub.connect(connection, outgoing)
        reception.observer.connected("websocket", 0)

    @property
    def is_busy(self) -> bool:
        """Whether no more should be read for now."""
        return (
            self._in_flight >= IN_FLIGHT_MAX
            or self._characters >= IN_FLIGHT_CHARACTERS_MAX
            or (self._later is not None and len(self._later) >= LATER_MAX)
        )

    @property
    def level(self) -> int:
        return 0 if self._session is None else 1

    def receive(self, frame: str | bytes) -> None:
        """Take a frame in. Never waits; replies and acknowledgements go to ``outgoing``."""
        if self.outgoing.closing is not None or self._is_gone:
            return
        if self._task is not None:
            if self._later is None:
                self._later = deque()
            self._later.append(frame)
            return
        value: Json = None
        try:
            if isinstance(frame, bytes):
                raise bad_frame("expected a text frame, got a binary one")
            value = decode_json(frame)
            self._take(value, len(frame))
        except WireError as error:
            self._complain(error, value)
            if error.code == "too_many_connections":
                self.outgoing.close(*RATE_LIMITED)
        else:
            self._bad_in_a_row = 0

    async def gone(self, code: int = 1006) -> None:
        """The connection is lost, closed with this code."""
        self._take_in()
        self._is_gone = True
        # First of all nobody may be told that this connection has taken a message.
        self._reception.hub.disconnect(self.connection)
        self._reception.observer.disconnected("websocket", self.level)
        self._reception.desk.answers.cancel(self.connection)
        if self._expiry is not None:
            self._expiry.cancel()
        if self._user is not None:
            self._reception.admission.released_user(self._user)
        session, self._session = self._session, None
        if session is not None:
            there = session.detach(self.outgoing, self._reception.clock())
            if there and code == LEFT_ON_PURPOSE:
                self._reception.sessions.left(session)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._plain is not None and self.outgoing.closing != GOING_AWAY:
            ends = self._plain.ended()
            if self.outgoing.closing == ERASED:
                # Not even that they left is written of who is forgotten; others spoke over the same connection.
                ends = [item for item in ends if item.user in self.outgoing.clients]
            if ends:
                self._reception.desk.end(ends)

    # Inside.

    def _take(self, value: Json, characters: int) -> None:
        if self._session is not None:
            if isinstance(value, dict) and value.get("type") == "hello":
                self._take_in()
                if "resume" not in value:
                    # Begun anew, it would take this connection for that of another device, and close it.
                    raise bad_frame('expected "resume" in a hello that is not the first of its connection')
                self._start(self._greet(value))
            else:
                self._hear(self._session, value, characters)
        elif isinstance(value, dict) and value.get("type") == "hello":
            if self._plain is not None and self._plain.clients:
                raise bad_frame("expected hello to be the first frame of a connection")
            self._start(self._greet(value))
        else:
            self._take_plainly(value)

    async def _greet(self, value: dict[str, Json]) -> None:
        try:
            session = await self._reception.greet(value, self._credentials)
            self._count_for(session.user)
        except WireError as error:
            if error.code == "rate_limited":
                self._complain(error, value)
            else:
                self._refuse(error, value)
            if error.code in ("unauthorized", "forbidden"):
                self.outgoing.close(*UNAUTHORIZED)
            elif error.code == "too_many_connections":
                self.outgoing.close(*RATE_LIMITED)
            return
        if self._is_gone:
            return
        if self._session is None:
            self._reception.observer.levelled("websocket")
        elif self._session is not session:
            self._session.detach(self.outgoing, self._reception.clock())
        self._session = session
        self._plain = None
        self.outgoing.reply(self._reception.welcome(session))
        session.attach(self.outgoing, "websocket")
        self._expire(session.expires_at)

    def _expire(self, at: int | None) -> None:
        """Let go of the connection when its token is too old; nothing that waits for its user is lost by that."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if at is not None:
            left_s = (at - self._reception.clock()) / SECOND
            self._expiry = asyncio.get_running_loop().call_later(left_s, self.outgoing.close, *UNAUTHORIZED)

    def _count_for(self, user: str) -> None:
        """The connection is one of this user's. Raises `WireError` where there are enough."""
        if self._user is None:
            refusal = self._reception.admission.admit_user(user)
            if refusal is not None:
                self._reception.observer.rate_limited(refusal.scope)
                raise refusal.error()
            self._user = user

    def _hear(self, session: Session, value: Json, characters: int) -> None:
        heard = self._reception.hear(session, value)
        for reply in heard.replies:
            self.outgoing.reply(reply)
        if not heard.inputs:
            return
        if heard.parent:
            self._take_in()  # what has a trace of its own is taken in by itself
        gathered = self._gathered
        if gathered is None:
            gathered = self._gathered = _Gathered()
            asyncio.get_running_loop().call_soon(self._take_in)
        gathered.heard.append(heard)
        gathered.events += len(heard.inputs)
        gathered.characters += characters
        self._in_flight += 1
        self._characters += characters
        if heard.parent or gathered.events >= TOGETHER_MAX:
            self._take_in()

    def _take_in(self) -> None:
        """Let happen what the frames say that came together."""
        if self._gathered is None or self._session is None:
            return
        gathered, self._gathered = self._gathered, None

        def durable(done: Pending[list[str]]) -> None:
            was_busy = self.is_busy
            self._in_flight -= len(gathered.heard)
            self._characters -= gathered.characters
            self._durable(done.exception(), gathered.heard)
            self._idle_again(was_busy)

        self._reception.take_in(self._session, gathered.heard, "websocket").add_done_callback(durable)

    def _durable(self, error: BaseException | None, heard: Sequence[Heard]) -> None:
        if self._is_gone:
            return
        if error is not None:
            refusal = refusal_of(error)
            for one in heard:
                self._refuse(refusal, one.frame)
            return
        acks = [name for one in heard for name in one.ids]
        if not acks:
            return
        if self._acks is None:
            # All that became durable in the same turn is acknowledged by one frame.
            self._acks = []
            asyncio.get_running_loop().call_soon(self._acknowledge)
        self._acks += acks

    def _acknowledge(self) -> None:
        acks, self._acks = self._acks, None
        if acks and not self._is_gone:
            self.outgoing.reply(ack(acks))

    # Plain clients.

    def _take_plainly(self, value: Json) -> None:
        if self._plain is None:
            identity = self._reception.authenticator.client(self._credentials)
            if identity.user is not None:
                self._count_for(identity.user)
            self._identity = identity
            self._plain = PlainSession(self.connection, self._identity)
            self._expire(self._identity.expires_at)
        actions = self._plain.receive(value, depth_max=self._reception.depth_max)
        if all(isinstance(action, Reply) for action in actions):
            for action in actions:
                if isinstance(action, Reply):
                    self.outgoing.reply(action.frame)
            return
        self._start(self._do_all(self._plain, actions))

    async def _do_all(self, plain: PlainSession, actions: list[Action]) -> None:
        try:
            for action in actions:
                if self.outgoing.closing == ERASED:
                    raise WireError("no_session", "this user has been forgotten meanwhile")
                await self._do(action)
        except WireError:
            # What follows is not done: an answer would say that all is well.
            for action in actions:
                if isinstance(action, Submit):
                    plain.not_submitted(action.inputs)
            raise

    async def _do(self, action: Action) -> None:
        reception = self._reception
        match action:
            case Arrived(client):
                reception.hub.identify(self.connection, client)
                log.info("= client", user_id=client, connection=self.connection)
                await reception.desk.hand_waiting(self.connection, client)
            case Submit(inputs):
                reception.check_not_draining()
                users = [item.user for item in inputs]
                refusal = reception.event_limits.take(self.connection, users, len(inputs), reception.seconds())
                if refusal is not None:
                    reception.observer.rate_limited(refusal.scope)
                    raise refusal.error()
                await reception.desk.submit(inputs, "websocket")
            case Answer(chat):
                self._answer(chat)
            case Reply(frame):
                self.outgoing.reply(frame)

    def _answer(self, chat: ChatMessage) -> None:
        def on_answer(answer: str | ResponderFailed) -> None:
            self.outgoing.reply(
                error_frame("responder_failed", answer.message)
                if isinstance(answer, ResponderFailed)
                else chat_response(answer, self._reception.clock())
            )

        if not self._reception.desk.answers.ask(self.connection, chat, None, on_answer):
            why = "too many of your messages wait for an answer already"
            self.outgoing.reply(error_frame("too_many_chats", why))

    # Whatever has to be waited for.

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(work))
        # Of a connection that is lost before the task has begun, nobody would ever look at the work.
        self._task.add_done_callback(lambda _: work.close())

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except WireError as error:
            self._complain(error, None)
        except Exception:
            # A fault of ours must not leave the connection deaf.
            log.exception("! frame failed", connection=self.connection)
            self.outgoing.reply(error_frame("internal", "something went wrong in the server; its log says what"))
        finally:
            self._task = None
            self._go_on()

    def _go_on(self) -> None:
        was_busy = self.is_busy
        while self._later and self._task is None and not self._is_gone:
            self.receive(self._later.popleft())
        if not self._later:
            self._later = None
        self._idle_again(was_busy)

    def _idle_again(self, was_busy: bool) -> None:
        if was_busy and not self.is_busy and self.on_idle is not None:
            self.on_idle()

    # Complaints.

    def _refuse(self, error: WireError, value: Json) -> None:
        """The frame could not be taken now; that says nothing against the client."""
        self._reception.observer.refused(error.code)
        self.outgoing.reply(complaint(error, value))

    def _complain(self, error: WireError, value: Json) -> None:
        self._refuse(error, value)
        log.info("! bad frame", connection=self.connection, code=error.code)
        log.debug("! bad frame", connection=self.connection, why=error.message)  # it quotes what the client wrote
        if error.code == "rate_limited":
            if self._insistence is None:
                self._insistence = Insistence()
            if self._insistence.refused(self._reception.seconds()):
                self.outgoing.close(*RATE_LIMITED)
        elif error.retry_after_s is None:
            self._bad_in_a_row += 1
            if self._bad_in_a_row >= BAD_FRAMES_MAX:
                self.outgoing.close(BAD_FRAMES_CODE, '{"code":"too_many_bad_frames"}')
