"""A door over real sockets whose peer does nothing by itself, and the event loops that a server runs on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import TEXT, Frame

from engine.transport.limits import Admission
from engine.transport.listener import Patience, WebSocketDoor
from engine.transport.outgoing import Outgoing

WITHIN_S = 20.0  # only a hang takes as long
AT_ONCE_S = 0.05
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):  # there is none for Windows
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
REQUEST = (
    b"GET /?token=abc HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Peer:
    """Keeps what it gets, and echoes it if told to."""

    def __init__(self, world: World, address: str, credentials: str | None, wake: Callable[[], None]) -> None:
        self.world = world
        self.address = address
        self.credentials = credentials
        self.outgoing = Outgoing(world.frames_max, wake)
        self.on_idle: Callable[[], None] | None = None
        self.is_busy = False
        self.received: list[str | bytes] = []
        self.came = asyncio.Event()
        self.left: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def receive(self, frame: str | bytes) -> None:
        self.received.append(frame)
        self.world.order.append(self)
        self.is_busy = self.world.is_busy_after_each
        self.came.set()
        if self.world.echoes:
            self.outgoing.put(frame if isinstance(frame, str) else f"{len(frame)} bytes")

    def be_idle(self) -> None:
        self.is_busy = False
        assert self.on_idle is not None
        self.on_idle()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while len(self.received) < count:
                self.came.clear()
                await self.came.wait()

    async def gone(self, code: int) -> None:
        self.left.set_result(code)


class World:
    def __init__(self, opened: AsyncExitStack) -> None:
        self.opened = opened
        self.frames_max = 256
        self.echoes = True
        self.is_busy_after_each = False
        self.order: list[Peer] = []
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.admission = Admission(total=None, per_user=None, per_address=None)
        self.door: WebSocketDoor
        self.port = 0

    async def listen(self, *, frame_bytes_max: int = 1000, **patience: float) -> None:
        self.door = WebSocketDoor(
            self._open_peer,
            allows_origin=lambda origin: origin in (None, "https://good.example"),
            frame_bytes_max=frame_bytes_max,
            patience=Patience(**patience),
            admit=lambda address: self.admission.admit(address),
            released=lambda address: self.admission.released(address),
        )
        self.port = await self.door.open("127.0.0.1", 0)
        self.opened.push_async_callback(self.door.close)

    def _open_peer(self, address: str, credentials: str | None, wake: Callable[[], None]) -> Peer:
        peer = Peer(self, address, credentials, wake)
        self.peers.put_nowait(peer)
        return peer

    async def client(self, **more: Any) -> ClientConnection:
        uri = f"ws://127.0.0.1:{self.port}/{more.pop('query', '')}"
        return await self.opened.enter_async_context(connect(uri, max_size=None, ping_interval=None, **more))

    async def line(self, data: bytes = REQUEST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Bare bytes to the server and back; of a handshake the answer has been read."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def closed() -> None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        self.opened.push_async_callback(closed)
        writer.write(data)
        if data.startswith(REQUEST):
            assert (await within(reader.readuntil(b"\r\n\r\n"))).startswith(b"HTTP/1.1 101 ")
        return reader, writer

    async def peer(self) -> Peer:
        return await within(self.peers.get())


def on_both_loops(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The scenario as a test, on each event loop that the server runs on."""
    given_by_pytest = [name for name in inspect.signature(scenario).parameters if name != "world"]

    def test(loop: str, **given: Any) -> None:
        async def run() -> None:
            async with AsyncExitStack() as opened:
                await scenario(World(opened), **given)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(run())

    test.__name__ = scenario.__name__
    test.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("loop", *given_by_pytest)]
    )
    return pytest.mark.parametrize("loop", LOOPS)(test)


async def within(awaitable: Awaitable[Any]) -> Any:
    async with asyncio.timeout(WITHIN_S):
        return await awaitable


async def how_it_closed(client: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(WITHIN_S):
        with suppress(ConnectionClosed):
            async for _ in client:
                pass
    return client.close_code, client.close_reason


async def next_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of a short frame of the server."""
    head = await within(reader.readexactly(2))
    return head[0] & 0x0F, await within(reader.readexactly(head[1]))


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes, until the line is closed or cut."""
    data = b""
    with suppress(ConnectionError):
        while chunk := await within(reader.read(65536)):
            data += chunk
    return data


def said(payload: bytes) -> bytes:
    return Frame(TEXT, payload).serialize(mask=True)
