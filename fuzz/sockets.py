"""The bytes of a WebSocket connection: whatever comes, and in whatever pieces, it gives the same messages or an end."""

from __future__ import annotations

from collections.abc import Sequence

from engine.transport.framing import NOTHING, FrameReader
from engine.transport.handshake import REQUEST_END, open_connection
from fuzz.target import Target

MESSAGE_BYTES_MAX = 2048
_MASK = b"\x01\x02\x03\x04"

Seen = tuple[list[str | bytes], bytes | None, int]


def attempt_framing(data: bytes) -> None:
    """The first byte says how large the pieces are in which the rest comes."""
    size, data = sum(data[:1]) % 16 + 1, data[1:]
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    whole, in_pieces = _read([data]), _read(pieces)
    assert whole == in_pieces, (whole, in_pieces)


def _read(pieces: list[bytes]) -> Seen:
    reader = FrameReader(MESSAGE_BYTES_MAX)
    messages: list[str | bytes] = []
    for piece in pieces:
        reader.feed(piece)
        while (message := reader.take()) is not None:
            reader.pong = None
            if message is not NOTHING:
                assert isinstance(message, str | bytes)
                assert len(message) <= MESSAGE_BYTES_MAX
                messages.append(message)
    return messages, reader.ending, reader.ending_code


def attempt_opening(data: bytes) -> None:
    request = data + REQUEST_END
    request = request[: request.find(REQUEST_END) + len(REQUEST_END)]
    opening = open_connection(request, lambda origin: origin is None, None)
    assert not opening.is_accepted or opening.response.startswith(b"HTTP/1.1 101 ")


def framed(payload: bytes, first: int = 0x81) -> bytes:
    """As a client sends it (RFC 6455, section 5.2)."""
    length = len(payload)
    head = bytes([first, 0x80 | length]) if length < 126 else bytes([first, 0xFE]) + length.to_bytes(2, "big")
    return head + _MASK + bytes(byte ^ _MASK[place % 4] for place, byte in enumerate(payload))


def frames() -> Sequence[bytes]:
    texts = [framed(b'{"type":"ping"}'), framed(b"x" * 300), framed("é".encode()), framed(b"\xff"), framed(b"a", 0x82)]
    controls = [framed(b"", 0x89), framed(b"pong", 0x8A), framed(b"\x03\xe8bye", 0x88), framed(b"\x00\x01", 0x88)]
    parts = [framed(b"one ", 0x01) + framed(b"", 0x89) + framed(b"two", 0x80), framed(b"a", 0x01) + framed(b"b", 0x81)]
    odd = [
        framed(b"a", 0xC1),
        framed(b"x" * 3000),
        b"\x81\x05hello",
        b"\x81\xff" + b"\xff" * 12,
        framed(b"x" * 126, 0x89),
    ]
    return [
        bytes([number % 256]) + text for number, text in enumerate([*texts, *controls, *parts, *odd, b"".join(texts)])
    ]


REQUEST = (
    b"GET /?token=abc HTTP/1.1\r\nHost: 127.0.0.1:7778\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer abc"
)
HEADERS = (
    "GET / HTTP/1.1\r\n", "Host: a\r\n", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Origin: http://a\r\n",
    "Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a, b",
    "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n", "Authorization: ", "Bearer ", "?token=", "%00",
    "&token=", "http://[", "\r\n", "\x00",
)  # fmt: skip

FRAMING = Target(attempt_framing, frames, ("\x81\x80", "\x01\x80", "\x80\x80", "\x88\x82", "\x89\x80"), 4096)
OPENINGS = Target(attempt_opening, lambda: [REQUEST], HEADERS, 4096)
