"""A bare server on the library `websockets`: it says back what it hears, and to all what begins with ``all``.

The yardstick of `benchmarks/live.py`: nothing is understood, kept or decided.
"""

from __future__ import annotations

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main() -> None:
    everybody: set[ServerConnection] = set()

    async def echo(socket: ServerConnection) -> None:
        everybody.add(socket)
        try:
            async for frame in socket:
                if isinstance(frame, str) and frame.startswith("all"):
                    broadcast(everybody, frame)
                else:
                    await socket.send(frame)
        finally:
            everybody.discard(socket)

    async with serve(echo, "127.0.0.1", int(sys.argv[1]), compression=None, ping_interval=20) as listener:
        print(listener.sockets[0].getsockname()[1], flush=True)
        await listener.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
