"""What the same clients say to each server, and how they know that it has been done. Bytes made beforehand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Protocol

from benchmarks.live_parts.wire import Wire, framed, open_wires

PADDED = 8  # digits of an event's number: so all frames are of one size


class Dialect(Protocol):
    """``path``: of the upgrade. An *event* is acknowledged; *ask* brings a message; *all* brings one to everybody."""

    name: str
    path: str

    async def connect(self, port: int, count: int, first: int = 0) -> list[Wire]:
        """Connections that have said who they are, all that they get for it heard."""

    def event(self, number: int) -> bytes: ...

    def acknowledged(self, payload: bytes) -> int:
        """How many events this frame acknowledges."""

    def ask(self, number: int) -> bytes: ...

    def is_message(self, payload: bytes) -> bool: ...

    def receipt(self, payload: bytes) -> bytes:
        """What a client answers to a message, nothing where there is nothing to say."""

    async def tell_all(self, ports: Sequence[int], wires: list[Wire]) -> None:
        """Have a message sent to everybody; returns as soon as it has been asked for."""


class Proactive:
    """Level 1 of the protocol. An event is acknowledged when it is on the disk."""

    name = "proactive"
    path = "/"

    async def connect(self, port: int, count: int, first: int = 0) -> list[Wire]:
        wires = await open_wires(count, port, self.path)
        hellos = [
            framed(json.dumps({"type": "hello", "protocol": 1, "clientId": f"client{number}"}).encode())
            for number in range(first, first + count)
        ]
        return await greeted(wires, hellos, lambda payload: b'"welcome"' in payload)

    def event(self, number: int) -> bytes:
        return framed(b'{"type":"typed","id":"e%08d","file":"a.py","line":12}' % number)

    def acknowledged(self, payload: bytes) -> int:
        return payload.count(b'"e0') if b'"ack"' in payload else 0

    def ask(self, number: int) -> bytes:
        return framed(b'{"type":"asked","id":"e%08d","n":%d}' % (number, number))

    def is_message(self, payload: bytes) -> bool:
        return b'"backend_message"' in payload

    def receipt(self, payload: bytes) -> bytes:
        return framed(b'{"type":"received","seq":%s}' % payload[payload.rfind(b":") + 1 : -1])

    async def tell_all(self, ports: Sequence[int], wires: list[Wire]) -> None:
        body = json.dumps({"to": {"all": True}, "type": "suggestion", "text": "to all"}).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", ports[1])
        head = "POST /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        # What it says comes when everybody has been handed the message; who waits for that would measure it twice.
        asyncio.get_running_loop().call_later(30, writer.close)


class Echo:
    """A bare `websockets` server that says back what it hears."""

    name = "bare websockets"
    path = "/"

    async def connect(self, port: int, count: int, first: int = 0) -> list[Wire]:
        return await open_wires(count, port, self.path)

    def event(self, number: int) -> bytes:
        return Proactive().event(number)

    def acknowledged(self, payload: bytes) -> int:
        return 1

    def ask(self, number: int) -> bytes:
        return Proactive().ask(number)

    def is_message(self, payload: bytes) -> bool:
        return True

    def receipt(self, payload: bytes) -> bytes:
        return b""

    async def tell_all(self, ports: Sequence[int], wires: list[Wire]) -> None:
        wires[0].write(framed(b'all {"text":"to all"}'))


class Ceiling(Echo):
    name = "load generator alone"


class SocketIO:
    """Socket.IO 5 in Engine.IO 4, over WebSocket from the first byte."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def __init__(self, name: str) -> None:
        self.name = name

    async def connect(self, port: int, count: int, first: int = 0) -> list[Wire]:
        wires = await open_wires(count, port, self.path)
        return await greeted(wires, [framed(b"40")] * count, lambda payload: payload.startswith(b"40"))

    def event(self, number: int) -> bytes:
        return framed(b'42%08d["typed",{"id":"e%08d","file":"a.py","line":12}]' % (number, number))

    def acknowledged(self, payload: bytes) -> int:
        return int(payload.startswith(b"43"))

    def ask(self, number: int) -> bytes:
        return framed(b'42["asked",{"n":%d}]' % number)

    def is_message(self, payload: bytes) -> bool:
        return payload.startswith(b"42")

    def receipt(self, payload: bytes) -> bytes:
        return b""

    async def tell_all(self, ports: Sequence[int], wires: list[Wire]) -> None:
        wires[0].write(framed(b'42["all",{"text":"to all"}]'))


async def greeted(wires: list[Wire], hellos: Sequence[bytes], is_welcome: Callable[[bytes], bool]) -> list[Wire]:
    """Say hello on each, and wait until all have been welcomed."""
    waiting = set(wires)
    done = asyncio.get_running_loop().create_future()

    def heard(wire: Wire, payload: bytes) -> None:
        if is_welcome(payload):
            waiting.discard(wire)
            if not waiting and not done.done():
                done.set_result(None)

    for number, (wire, hello) in enumerate(zip(wires, hellos, strict=True)):
        wire.heard = heard
        wire.write(hello)
        if number % 100 == 99:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await done
    return wires
