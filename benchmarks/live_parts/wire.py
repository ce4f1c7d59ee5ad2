"""WebSocket clients that cost next to nothing: bytes made beforehand out, frames in. For measuring, for nothing else.

The mask of every frame is zero, which RFC 6455 forbids clients that mean it (5.3) and servers cannot see: so frames are
made once, and sent as often as one likes. Nothing here is masked, compressed, fragmented or checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

Heard = Callable[["Wire", bytes], None]

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING, PONG, CLOSE = 0x9, 0xA, 0x8
OPEN_TOGETHER = 100  # connections that are being opened at once


def framed(payload: bytes) -> bytes:
    """A text frame of a client."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + payload
    return bytes((0x81, 0xFE)) + size.to_bytes(2, "big") + bytes(4) + payload


class Wire(asyncio.Protocol):
    """One connection. ``heard`` is called with each text; it may be changed at any time."""

    def __init__(self, port: int, path: str) -> None:
        self.heard: Heard = lambda wire, payload: None
        self.is_open = False
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._request = UPGRADE.format(path=path, port=port).encode()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is no subclass of `asyncio.Transport`.
        self.transport = cast(asyncio.Transport, transport)
        transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(ConnectionError(f"refused: {self._buffer[:200]!r}"))
        if not self.lost.done():
            self.lost.set_result(None)

    async def opened(self) -> None:
        await self._opened

    def write(self, frames: bytes) -> None:
        self.transport.write(frames)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self.is_open:
            end = data.find(b"\r\n\r\n")
            if end < 0 or not data.startswith(b"HTTP/1.1 101"):
                self._buffer = data
                return
            data = data[end + 4 :]
            self.is_open = True
            self._opened.set_result(None)
        place, size_all = 0, len(data)
        while size_all - place >= 2:
            size = data[place + 1]
            start = place + 2
            if size == 126:
                size, start = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
            elif size == 127:
                size, start = int.from_bytes(data[place + 2 : place + 10], "big"), place + 10
            if size_all < start + size:
                break
            opcode = data[place] & 0xF
            place = start + size
            if opcode == 1:
                self.heard(self, data[start:place])
            elif opcode == PING:
                self.transport.write(bytes((0x80 | PONG, 0x80 | size)) + bytes(4) + data[start:place])
            elif opcode == CLOSE:
                self.transport.close()
        self._buffer = data[place:]


async def open_wires(count: int, port: int, path: str) -> list[Wire]:
    loop = asyncio.get_running_loop()
    wires: list[Wire] = []
    while len(wires) < count:
        some = min(OPEN_TOGETHER, count - len(wires))
        made = await asyncio.gather(
            *(loop.create_connection(lambda: Wire(port, path), "127.0.0.1", port) for _ in range(some))
        )
        wires += [wire for _, wire in made]
        await asyncio.gather(*(wire.opened() for wire in wires[-some:]))
    return wires


async def close_wires(wires: Sequence[Wire]) -> None:
    for wire in wires:
        wire.transport.abort()
    await asyncio.gather(*(wire.lost for wire in wires))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share is not above; of the nearest rank."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


now = time.perf_counter
