"""What the WebSocket door costs beside a bare server of the library `websockets`: ``python benchmarks/echo_ratio.py``.

Prints a table in Markdown. Both say back every frame and do nothing else, on the same event loop, each in a process of
its own; the same clients send to them frames made beforehand. A message is one frame in and one out. CPU time is the
server's, so that a busy machine does less harm. Memory is what the process holds for a connection that says nothing:
anonymous pages, which the kernel's buffers are not among.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from websockets.asyncio.server import ServerConnection, serve

from engine.transport.listener import WebSocketDoor

MESSAGE = b'{"type":"test.failed","test":"t1","clientId":"ann"}'
MASK = b"\x01\x02\x03\x04"
FRAME = bytes((0x81, 0x80 | len(MESSAGE))) + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(MESSAGE))
ANSWER_BYTES = len(MESSAGE) + 2
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SERVERS = ("websockets", "door")
CONNECTIONS = 100
DEPTHS = (1, 16)  # messages of one connection that are on their way
IDLE_CONNECTIONS = 5_000
WARM_S, RUN_S, RUNS = 0.5, 3.0, 3


@dataclass(slots=True)
class Frames:
    wake: Callable[[], None]
    closing: tuple[int, str] | None = None
    waiting: deque[str] = field(default_factory=deque)

    def take_nowait(self) -> str | None:
        return self.waiting.popleft() if self.waiting else None

    def close(self, code: int, reason: str = "") -> None:
        self.closing = (code, reason)
        self.wake()


class Echo:
    __slots__ = ("is_busy", "on_idle", "outgoing")

    def __init__(self, address: str, credentials: str | None, wake: Callable[[], None]) -> None:
        self.outgoing = Frames(wake)
        self.is_busy = False
        self.on_idle: Callable[[], None] | None = None

    def receive(self, frame: str | bytes) -> None:
        self.outgoing.waiting.append(str(frame))
        self.outgoing.wake()

    async def gone(self, code: int) -> None:
        return None


async def serve_door() -> None:
    door = WebSocketDoor(Echo, allows_origin=lambda origin: True, frame_bytes_max=65536)
    print(await door.open("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


async def serve_library() -> None:
    async def echo(socket: ServerConnection) -> None:
        async for frame in socket:
            await socket.send(frame)

    async with serve(echo, "127.0.0.1", 0, compression=None) as listener:
        print(listener.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


class Served:
    def __init__(self, name: str) -> None:
        command = [sys.executable, __file__, "--serve", name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def anonymous_bytes(self) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()


class Client(asyncio.Protocol):
    """Sends a message for every one that comes back."""

    heard = 0  # of all clients together

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self.rest = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            # The response comes in one piece: it is short, and nothing was sent before it.
            self.opened.set_result(None)
            return
        count, self.rest = divmod(self.rest + len(data), ANSWER_BYTES)
        Client.heard += count
        self.transport.write(FRAME * count)


async def connected(port: int, count: int) -> list[Client]:
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(count):
        _, client = await loop.create_connection(Client, "127.0.0.1", port)
        await client.opened
        clients.append(client)
    return clients


async def measure(server: Served, depth: int) -> tuple[float, float]:
    """Messages a second, and the microseconds of CPU time for each."""
    clients = await connected(server.port, CONNECTIONS)
    for client in clients:
        client.transport.write(FRAME * depth)
    await asyncio.sleep(WARM_S)
    cpu, heard, began = server.cpu_seconds, Client.heard, asyncio.get_running_loop().time()
    await asyncio.sleep(RUN_S)
    seconds, count = asyncio.get_running_loop().time() - began, Client.heard - heard
    cpu = server.cpu_seconds - cpu
    for client in clients:
        client.transport.abort()
    return count / seconds, cpu / count * 1e6


async def idle_bytes(server: Served) -> float:
    await connected(server.port, 100)
    await asyncio.sleep(WARM_S)
    before = server.anonymous_bytes
    await connected(server.port, IDLE_CONNECTIONS)
    await asyncio.sleep(WARM_S)
    return (server.anonymous_bytes - before) / IDLE_CONNECTIONS


async def main() -> None:
    print("| server | at once | messages/s | CPU µs/message | KiB/idle connection |\n| --- | --- | --- | --- | --- |")
    least: dict[tuple[str, int], float] = {}
    for name in SERVERS:
        with Served(name) as server:
            idle = await idle_bytes(server) / 1024
        for depth in DEPTHS:
            results = []
            for _ in range(RUNS):
                with Served(name) as server:
                    results.append(await measure(server, depth))
            least[name, depth] = min(cpu for _, cpu in results)
            rate = max(rate for rate, _ in results)
            print(f"| {name} | {depth} | {rate:,.0f} | {least[name, depth]:.2f} | {idle:.1f} |", flush=True)
    for depth in DEPTHS:
        ratio = least["websockets", depth] / least["door", depth]
        print(f"\nWith {depth} at once the door takes 1/{ratio:.1f} of the CPU time.")


if __name__ == "__main__":
    uvloop.run({"door": serve_door, "websockets": serve_library}[sys.argv[2]]() if "--serve" in sys.argv else main())
