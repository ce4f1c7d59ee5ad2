"""What the load generator can do at most: a server that says back every frame without looking at it.

It takes the mask off the header of frames of less than 126 bytes, all of one size, and nothing else.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Ceiling(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is no subclass of `asyncio.Transport`.
        self.transport = cast(asyncio.Transport, transport)
        self.is_open = False
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            self.is_open = True
            self.transport.write(ACCEPTED)
            return
        data = self.rest + data
        size = data[1] & 0x7F
        whole = len(data) // (size + 6)
        self.rest = data[whole * (size + 6) :]
        answer = bytes((0x81, size)) + data[6 : 6 + size]
        self.transport.write(answer * whole)


async def main() -> None:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Ceiling, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
