"""The bytes of one WebSocket connection to messages and back (RFC 6455, section 5). Nothing here touches a socket.

It does not know what a message means, and opens no connection: see `handshake`. What is common, a whole text frame, a
ping, a pong, is read here, in a few steps and without keeping anything; all the rest is left to the protocol of the
`websockets` library, which is made when it is needed and let go when the rest is over: an idle connection has none.
"""

from __future__ import annotations

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which the library has no compiled part
    from websockets.utils import apply_mask

# The first byte of a frame that is whole (FIN) and has no reserved bit.
_WHOLE_TEXT = 0x80 | Opcode.TEXT
_WHOLE_PING = 0x80 | Opcode.PING
_WHOLE_PONG = 0x80 | Opcode.PONG
_MASKED = 0x80  # of the second byte; what comes from a client has it
_CONTROL_BYTES_MAX = 125
_REASON_BYTES_MAX = 123

PING = bytes([_WHOLE_PING, 0])


class Nothing:
    """A frame was read that is no message, or not all of one: there may be another."""

    __slots__ = ()


NOTHING = Nothing()


class FrameReader:
    """Messages out of bytes. ``message_bytes_max``: of a message of one frame or of several.

    Feed it, then call `take` until it returns None. Then look: ``pong`` is to be sent if it is not None (and set to
    None); when ``ending`` is not None, those bytes are to be sent, the connection is over, and no more comes of it.
    """

    __slots__ = (
        "_at",
        "_library",
        "_message_bytes_max",
        "_parts",
        "_rest",
        "ended_by_client",
        "ending",
        "ending_code",
        "pong",
    )

    def __init__(self, message_bytes_max: int) -> None:
        self._message_bytes_max = message_bytes_max
        self._rest: bytes | bytearray = b""
        self._at = 0  # where in `_rest` the next frame begins
        self._library: Protocol | None = None
        self._parts: tuple[bool, bytearray] | None = None  # of a message whose end has not come; True is text
        self.pong: bytes | None = None
        self.ending: bytes | None = None
        self.ending_code = 0
        self.ended_by_client = False  # rather than by a fault of what it sent

    def feed(self, data: bytes) -> None:
        if self.ending is not None:
            return
        rest = self._rest
        if not rest:
            self._rest = data
            return
        if isinstance(rest, bytearray):
            del rest[: self._at]
        else:
            self._rest = rest = bytearray(rest[self._at :])
        rest += data
        self._at = 0

    def take(self) -> str | bytes | Nothing | None:
        """The next message, text or binary; `NOTHING` for a frame that made none; None until more bytes have come."""
        rest, at = self._rest, self._at
        have = len(rest) - at
        if have < 2 or self.ending is not None:
            self._run_out()
            return None
        first = rest[at]
        length = rest[at + 1] ^ _MASKED
        start = at + 2
        if length > _CONTROL_BYTES_MAX:
            if length & _MASKED:
                return self._leave(rest[at:start], start)  # it is not masked
            start += 2 if length == 126 else 8
            if len(rest) < start:
                self._run_out()
                return None
            length = int.from_bytes(rest[at + 2 : start], "big")
            if length > self._message_bytes_max:
                # Refused by what it says of itself: nobody waits for the rest, or keeps it.
                return self._leave(rest[at:start], start)
        end = start + 4 + length
        if len(rest) < end:
            self._run_out()
            return None
        self._at = end
        if first == _WHOLE_TEXT and self._library is None:
            try:
                return apply_mask(rest[start + 4 : end], rest[start : start + 4]).decode()
            except UnicodeDecodeError as error:
                return self._fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        if length <= _CONTROL_BYTES_MAX and first == _WHOLE_PING:
            # Only the latest of several has to be answered (section 5.5.3).
            self.pong = bytes([_WHOLE_PONG, length]) + apply_mask(rest[start + 4 : end], rest[start : start + 4])
            return NOTHING
        if length <= _CONTROL_BYTES_MAX and first == _WHOLE_PONG:
            return NOTHING
        return self._leave(rest[at:end], end)

    @property
    def is_amid(self) -> bool:
        """Whether a message has begun and not ended. (Call `take` until it returns None before.)"""
        return bool(self._rest) or self._parts is not None

    def _run_out(self) -> None:
        """Keep nothing but the beginning of the frame that is yet to come."""
        if self._at == len(self._rest) or self.ending is not None:
            self._rest = b""
        elif self._at:
            self._rest = self._rest[self._at :]
        self._at = 0

    def _leave(self, frame: bytes | bytearray, end: int) -> str | bytes | Nothing:
        """A frame (or so much of one that it is known to be wrong) to the library, and what it makes of it."""
        self._at = end
        library = self._library or Protocol(SERVER, state=OPEN, max_size=self._message_bytes_max)
        library.receive_data(frame)
        message: str | bytes | Nothing = NOTHING
        for event in library.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self._parts = (event.opcode == Opcode.TEXT, bytearray())
            if self._parts is not None and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts[1].extend(event.data)
                if event.fin:
                    message = self._assembled()
        if self.ending is None and library.state is not OPEN:
            self._end(library)
        self._library = library if self._parts is not None and self.ending is None else None
        return NOTHING if self.ending is not None else message

    def _assembled(self) -> str | bytes | Nothing:
        assert self._parts is not None
        is_text, data = self._parts
        self._parts = None
        if not is_text:
            return bytes(data)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            return self._fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")

    def _fail(self, code: CloseCode, reason: str) -> Nothing:
        library = Protocol(SERVER, state=OPEN)
        library.fail(code, reason)
        self._end(library)
        return NOTHING

    def _end(self, library: Protocol) -> None:
        assert library.close_sent is not None
        self.ending = b"".join(library.data_to_send())
        self.ending_code = int(library.close_sent.code)
        self.ended_by_client = library.close_rcvd is not None and library.parser_exc is None
        self._parts = None


def text_frame(text: str) -> bytes:
    """A message to the client, in one frame; those of a server are not masked (section 5.1)."""
    payload = text.encode()
    length = len(payload)
    if length <= _CONTROL_BYTES_MAX:
        return bytes((_WHOLE_TEXT, length)) + payload
    if length <= 0xFFFF:
        return bytes((_WHOLE_TEXT, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_WHOLE_TEXT, 127)) + length.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str) -> bytes:
    """A reason too long for a control frame is cut. Raises `ValueError` for a code that may not be sent."""
    cut = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
    try:
        payload = Close(code, cut).serialize()
    except ProtocolError as error:
        raise ValueError(f"expected a close code that can be sent, got {code}: {error}") from None
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)
