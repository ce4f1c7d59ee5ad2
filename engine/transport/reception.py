"""What one frame of a session means, for whatever door it came in: inputs for the driver, or something to do at once.

The doors say when it is durable; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.core.model import Json
from engine.intake import Input
from engine.observer import SILENT, Door, Observer
from engine.pending import Pending
from engine.transport.auth import Authenticator, Identity
from engine.transport.chats import Chats, Question
from engine.transport.decoding import DEPTH_MAX, WireError, bad_frame
from engine.transport.desk import Desk
from engine.transport.frames import Hello, ids_of, preferences_frame, read_hello, read_seq, welcome
from engine.transport.hub import Hub
from engine.transport.limits import Admission, EventLimits
from engine.transport.session import Session
from engine.transport.sessions import Sessions
from engine.transport.wire import FrameType, Ping, Said, about, error_frame, pong, read_value

TOGETHER_MAX = 500  # events of several frames that are taken in together


@dataclass(slots=True)
class Heard:
    """One frame: what to say to it at once, and what happened according to it, to be given to `Reception.take_in`.

    ``ids`` are those of its events as they stand in it, to be acknowledged when they are durable. ``parent``: its
    ``traceparent``, if it has one.
    """

    frame: Json
    replies: Sequence[FrameType] = ()
    inputs: Sequence[Input] = ()
    ids: Sequence[Json] = ()
    parent: str = ""


def together(heard: Iterable[Heard]) -> Iterator[list[Heard]]:
    """These frames in pieces that are taken in at once, so that no piece is more than a turn has room for."""
    some: list[Heard] = []
    inputs = 0
    for one in heard:
        if some and inputs + len(one.inputs) > TOGETHER_MAX:
            yield some
            some, inputs = [], 0
        some.append(one)
        inputs += len(one.inputs)
    if some:
        yield some


class Reception:
    """All that the doors share. ``clock``: microseconds UTC; ``seconds``: a steady clock, for limits alone."""

    def __init__(
        self,
        desk: Desk,
        hub: Hub,
        sessions: Sessions,
        authenticator: Authenticator,
        chats: Chats,
        *,
        clock: Callable[[], int],
        seconds: Callable[[], float],
        event_limits: EventLimits,
        admission: Admission,
        heartbeat_s: float,
        limits: Mapping[str, int | None],
        depth_max: int = DEPTH_MAX,
        observer: Observer = SILENT,
    ) -> None:
        self.desk = desk
        self.hub = hub
        self.sessions = sessions
        self.authenticator = authenticator
        self.chats = chats
        self.clock = clock
        self.seconds = seconds
        self.event_limits = event_limits
        self.admission = admission
        self.heartbeat_s = heartbeat_s
        self.limits = limits
        self.depth_max = depth_max
        self.observer = observer
        self.is_draining = False  # the server is going away: nothing new is taken in

    async def greet(self, value: dict[str, Json], credentials: str | None) -> Session:
        """Open the session that a ``hello`` asks for. Raises `WireError`."""
        hello = read_hello(value)
        return await self.open(hello, self.authenticator.client(hello.token or credentials))

    async def open(self, hello: Hello, identity: Identity) -> Session:
        self.check_not_draining()
        # Each is an event or two, of however many connections and sessions it is one.
        user = identity.user or hello.user or hello.client
        count = 2 if hello.traits or identity.traits else 1
        refusal = self.event_limits.take_of_one(f"hello {user}", user, count, self.seconds())
        if refusal is not None:
            self.observer.rate_limited(refusal.scope)
            raise refusal.error()
        session = await self.sessions.open(hello, identity)
        wishes = await self.desk.wishes(session.user)
        if wishes is not None:
            session.note(preferences_frame(wishes))  # it comes right behind the welcome
        session.on_end = lambda: self._ended(session)
        self.chats.opened(session)
        return session

    def _ended(self, session: Session) -> None:
        self.chats.ended(session)
        if session.wake is not None:
            session.wake()  # whoever polls is told that it is over

    def check_not_draining(self) -> None:
        """Raises `WireError` where nothing new is taken in: the server is going away, or has no memory."""
        if self.is_draining:
            raise WireError("overloaded", "the server is going away; connect again in a second", retry_after_s=1)
        if self.admission.shut is not None:
            self.observer.rate_limited(self.admission.shut.scope)
            raise self.admission.shut.error()

    def welcome(self, session: Session) -> FrameType:
        return welcome(
            session=session.name,
            user=session.user,
            at=self.clock(),
            heartbeat_s=self.heartbeat_s,
            resumed=session.resumed,
            limits=self.limits,
            token_expires_at=session.expires_at,
        )

    def hear(self, session: Session, value: Json) -> Heard:
        """Read one frame of a session. Raises `WireError`; nothing of the frame is to happen then."""
        kind = value.get("type") if isinstance(value, dict) else None
        if kind in ("received", "pong"):
            self._check_client(session, value.get("clientId"))
            if kind == "received":
                self.sessions.received(session, read_seq(value, "seq"))
            return Heard(value)
        if session.expires_at is not None and session.expires_at <= self.clock():
            raise WireError("unauthorized", "the token has expired; say hello again with a fresh one")
        read = read_value(value, depth_max=self.depth_max)
        if isinstance(read, Ping):
            return Heard(value, [pong()])
        self.check_not_draining()
        refusal = self.event_limits.take_of_one(session.name, session.user, len(read), self.seconds())
        if refusal is not None:
            self.observer.rate_limited(refusal.scope)
            raise refusal.error()
        inputs = [self._input(session, said) for said in read]
        parent = value.get("traceparent", "") if isinstance(value, dict) else ""
        return Heard(value, (), inputs, ids_of(value), parent)

    def take_in(self, session: Session, heard: Sequence[Heard], door: Door) -> Pending[list[str]]:
        """Let happen what these frames say, in order: all of it or nothing. The ids, once it is durable."""
        inputs = [item for one in heard for item in one.inputs]
        trace = self.observer.taken_in(door, len(inputs), next((one.parent for one in heard if one.parent), ""))
        durable = self.desk.begin(inputs, trace)

        def done(made: Pending[list[str]]) -> None:
            is_made = made.exception() is None
            self.observer.acknowledged(trace, ok=is_made)
            if is_made:
                self._happened(session, inputs, made.result())

        durable.add_done_callback(done)
        return durable

    def _happened(self, session: Session, inputs: Sequence[Input], ids: Sequence[str]) -> None:
        """These are durable, by these ids: what follows from that."""
        self.desk.tell_hook_soon(inputs)
        for item, event_id in zip(inputs, ids, strict=True):
            if item.type == "chat_message":
                self.chats.ask(session, Question(event_id, item.data))

    def _check_client(self, session: Session, named: Json) -> None:
        if named is not None and named != session.client:
            raise bad_frame(f'expected no other "clientId" than that of hello, "{session.client}"')

    def _input(self, session: Session, said: Said) -> Input:
        self._check_client(session, said.client)
        # An id is the client's own; two devices of one user may well use the same.
        event_id = f"{session.id_prefix}{said.id}" if said.id else ""
        return Input(session.user, said.type, said.data, event_id, session.name, said.at_reported, bool(said.id))


def complaint(error: WireError, value: Json) -> FrameType:
    """The ``error`` frame for a frame that could not be taken, which names it where it had an id."""
    frame = error_frame(error.code, error.message, retry_after_s=error.retry_after_s)
    return about(frame, value.get("id") if isinstance(value, dict) else None)
