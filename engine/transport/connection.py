"""One WebSocket connection as asyncio drives it: bytes in, messages to its peer, frames of its `Outgoing` out.

It has no task and no timer of its own: everything is done as bytes come or can go, and the door looks at it now and
then. What a message means is decided by the peer, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, cast

import structlog
from websockets.frames import CloseCode

from engine.transport.framing import NOTHING, PING, FrameReader, Nothing, close_frame, text_frame
from engine.transport.handshake import REQUEST_BYTES_MAX, REQUEST_END, open_connection, too_large
from engine.transport.limits import Refusal

if TYPE_CHECKING:
    from engine.transport.listener import WebSocketDoor

WRITE_BYTES_MAX = 32 * 1024  # that wait in the transport; whatever is beyond waits in `Outgoing`, which has a policy
FRAMES_A_TURN = 64  # of one connection, before it is the turn of others
HEARTBEATS_SILENT = 2  # pings without an answer, after which nobody is thought to be there
NOT_CLEAN = 1006  # never sent: the connection broke (RFC 6455, section 7.1.5)

SILENT = (int(CloseCode.INTERNAL_ERROR), "nothing was heard for two heartbeats")
TOO_SLOW = (int(CloseCode.POLICY_VIOLATION), "a message was begun, and its end did not come in time")

log = structlog.get_logger("proactive")


class Queue(Protocol):
    """The frames on their way to the client; `engine.transport.hub.Outgoing` is one."""

    closing: tuple[int, str] | None

    def take_nowait(self) -> str | None: ...

    def close(self, code: int, reason: str = "") -> None: ...


class Peer(Protocol):
    """Whoever makes something of the messages; `engine.transport.peer.Peer` is one."""

    on_idle: Callable[[], None] | None

    @property
    def is_busy(self) -> bool: ...

    @property
    def outgoing(self) -> Queue: ...

    def receive(self, frame: str | bytes) -> None: ...

    def gone(self, code: int) -> Awaitable[None]: ...


class _Stage(Enum):
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()  # we have sent a close frame and wait for the client's
    OVER = auto()  # what still comes is thrown away


class Connection(asyncio.Protocol):
    """Made by the door for each connection that comes in, which also holds what all of them share."""

    __slots__ = (
        "_address", "_code", "_door", "_is_amid", "_is_flush_due", "_is_full", "_is_held", "_outgoing", "_peer",
        "_reader", "_refusal", "_request", "_stage", "_transport", "_unheard",
    )  # fmt: skip

    def __init__(self, door: WebSocketDoor) -> None:
        self._door = door
        self._stage = _Stage.OPENING
        self._address = ""
        self._refusal: Refusal | None = None
        self._request = b""
        self._code = NOT_CLEAN
        self._unheard = 0
        self._is_full = False  # the transport holds more than it should
        self._is_held = False  # nothing is read: the peer is busy, or it is the turn of others
        self._is_amid = False  # part of a message has come, and its time runs
        self._is_flush_due = False
        self._transport: asyncio.Transport
        self._reader: FrameReader
        self._peer: Peer | None = None
        self._outgoing: Queue

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BYTES_MAX)
        name = transport.get_extra_info("peername")
        self._address = str(name[0]) if name else ""
        self._refusal = self._door.admit(self._address)
        if self._refusal is not None:
            self._door.observer.rate_limited(self._refusal.scope)
        self._door.arrived(self)

    def data_received(self, data: bytes) -> None:
        self._unheard = 0
        if self._stage is _Stage.OPEN or self._stage is _Stage.CLOSING:
            self._reader.feed(data)
            if not self._is_held:
                self._read()
        elif self._stage is _Stage.OPENING:
            self._request += data
            self._open()

    def eof_received(self) -> None:
        """Nothing more comes. The transport closes by itself, once what it holds has been read, if it ever is."""
        self._cut_off_later()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._stage is _Stage.OPEN:
            self._answer_ping()
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stage = _Stage.OVER
        if self._refusal is None:
            self._door.released(self._address)
        self._door.left(self, self._peer, self._code)
        if self._peer is not None:
            # These hold each other; let go, they need no collector of circles.
            self._peer.on_idle = None
            self._peer = None
            del self._outgoing

    # What the door calls.

    def visit(self) -> None:
        """Once per heartbeat: a ping, or the end of a connection from which nothing comes."""
        if self._stage is not _Stage.OPEN:
            return
        if self._is_held:
            self._unheard = 0  # we do not listen, so it may well have said something
        if self._unheard >= HEARTBEATS_SILENT:
            self._outgoing.close(*SILENT)
            self.flush()
            return
        self._unheard += 1
        if not self._is_full:
            self._transport.write(PING)

    def message_is_late(self) -> None:
        self._is_amid = False
        if self._stage is _Stage.OPEN:
            self._outgoing.close(*TOO_SLOW)
            self.flush()

    def hang_up(self) -> None:
        """At once, and without a word."""
        self._transport.abort()

    def go_away(self, code: int, reason: str) -> None:
        if self._stage is _Stage.OPEN:
            self._outgoing.close(code, reason)
            self.flush()
        elif self._stage is _Stage.OPENING:
            self._close()

    def flush(self) -> None:
        """Write what waits, as much as the transport takes; and when all has been taken, the close frame."""
        self._is_flush_due = False
        if self._stage is not _Stage.OPEN:
            return
        take = self._outgoing.take_nowait
        count = 0
        while not self._is_full:
            frames: list[bytes] = []
            size = 0
            # One frame more than the transport should hold, so that it says when there is room again.
            while size <= WRITE_BYTES_MAX and (text := take()) is not None:
                frame = text_frame(text)
                frames.append(frame)
                size += len(frame)
            if not frames:
                break
            count += len(frames)
            self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        if count:
            self._door.observer.frames_out("websocket", count)
        if self._outgoing.closing is not None:
            self._say_goodbye(*self._outgoing.closing)

    # The rest is nobody's business.

    def _open(self) -> None:
        end = self._request.find(REQUEST_END)
        if end < 0 and len(self._request) <= REQUEST_BYTES_MAX:
            return
        end += len(REQUEST_END)
        if end > REQUEST_BYTES_MAX or end < len(REQUEST_END):
            self._transport.write(too_large())
            self._linger("the request is too large")
            return
        opening = open_connection(self._request[:end], self._door.allows_origin, self._refusal)
        rest, self._request = self._request[end:], b""
        self._transport.write(opening.response)
        if not opening.is_accepted:
            self._linger(opening.why)
            return
        self._reader = FrameReader(self._door.frame_bytes_max)
        self._is_flush_due = True
        self._peer = self._door.open_peer(self._address, opening.credentials, self._wake)
        self._peer.on_idle = self._go_on
        self._outgoing = self._peer.outgoing
        self._stage = _Stage.OPEN
        self._door.opened(self)
        self._reader.feed(rest)
        self._read()

    def _read(self) -> None:
        """Hand on what has come. What the peer says at once goes out in one write, after it."""
        peer, reader, outgoing = self._peer, self._reader, self._outgoing
        assert peer is not None
        self._is_flush_due = True
        count = 0
        message: str | bytes | Nothing | None = NOTHING
        for _ in range(FRAMES_A_TURN):
            if peer.is_busy and outgoing.closing is None:
                break
            message = reader.take()
            if message is None:
                break
            # After a close has been asked for, only the client's own close frame matters.
            if isinstance(message, str | bytes) and outgoing.closing is None:
                count += 1
                peer.receive(message)
        if count:
            self._door.observer.frames_in("websocket", count)
        self._answer_ping()
        self.flush()
        if reader.ending is not None:
            self._end(reader.ending)
        elif message is not None:
            self._hold()
        else:
            self._time_message(count > 0)

    def _hold(self) -> None:
        if self._transport.is_closing():
            return
        self._is_held = True
        self._transport.pause_reading()
        self._door.messages.end(self)
        self._is_amid = False
        assert self._peer is not None
        if not self._peer.is_busy or self._outgoing.closing is not None:
            self._door.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """The peer is not busy any more, or the others have had their turn."""
        if not self._is_held or self._transport.is_closing():
            return
        self._is_held = False
        self._transport.resume_reading()
        if self._stage is not _Stage.OVER:
            self._read()

    def _time_message(self, is_another: bool) -> None:
        if self._reader.is_amid:
            if is_another or not self._is_amid:
                self._door.messages.begin(self, self._door.loop.time())
            self._is_amid = True
        elif self._is_amid:
            self._door.messages.end(self)
            self._is_amid = False

    def _answer_ping(self) -> None:
        # While the client does not read, only the latest ping waits for its answer.
        if self._reader.pong is not None and not self._is_full and self._stage is _Stage.OPEN:
            self._transport.write(self._reader.pong)
            self._reader.pong = None

    def _wake(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            self._door.flush_soon(self)

    def _say_goodbye(self, code: int, reason: str) -> None:
        """Called again until everything before it has gone."""
        self._code = code
        self._cut_off_later()
        if not self._is_full:
            self._transport.write(close_frame(code, reason))
            self._stage = _Stage.CLOSING
            # The client's close frame may stand behind what nobody wants any more.
            if self._is_held:
                self._door.loop.call_soon(self._go_on)

    def _end(self, last: bytes) -> None:
        """The client has sent its close frame, or something after which nothing can be read."""
        if self._stage is _Stage.CLOSING:
            self._close()
            return
        self._transport.write(last)
        self._code = self._reader.ending_code
        self._outgoing.close(self._code)
        if self._reader.ended_by_client:
            self._close()
        else:
            self._linger(f"closed with {self._code}")

    def _linger(self, why: str) -> None:
        """Our last word is on its way. To close with unread bytes would reset the connection, and it might be lost."""
        log.debug("! refused", address=self._address, why=why)
        self._stage = _Stage.OVER
        self._request = b""
        if self._transport.can_write_eof():
            self._cut_off_later()
            self._transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        self._stage = _Stage.OVER
        self._cut_off_later()
        self._transport.close()

    def _cut_off_later(self) -> None:
        """Whatever is being waited for, the line is cut when the time for a closing is up; it runs once."""
        if self not in self._door.closings:
            self._door.closings.begin(self, self._door.loop.time())
