"""A TCP proxy that does to connections what bad networks do. What the bytes mean it does not know.

Each connection gets a fate, drawn when it is made: most are clear, others are slow, cut in the middle of what is being
written, closed in one direction only, stalled in one direction, or reset.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

CHUNK = 4096
STALL_S = 3.0  # how long a direction is silent at most before it goes on, or is reset
SLOW_S = 0.15  # by which each piece is late at most
FATES = {"clear": 45, "slow": 15, "cut": 12, "half-close": 8, "stall": 10, "reset": 10}


@dataclass
class Line:
    """One connection on its way through: what it is to suffer, and after how many seconds or bytes."""

    fate: str
    upwards: bool  # whether it happens on the way to the server or back
    after_s: float
    after_bytes: int


class Proxy:
    """Listens on a port of its own; ``target`` is asked for the server's port at each connection."""

    def __init__(self, target: Callable[[], int], rng: random.Random) -> None:
        self.suffered: Counter[str] = Counter()
        self.is_calm = False  # from then on every line is clear
        self._target = target
        self._rng = rng
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0, limit=CHUNK)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut_all()
            await self._server.wait_closed()

    def cut_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _handle(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        line = self._draw()
        self.suffered[line.fate] += 1
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._target(), limit=CHUNK)
        except OSError:
            to_client.transport.abort()
            return
        both = [to_client, to_server]
        self._writers.update(both)
        pumps = [
            asyncio.create_task(self._pump(client, to_server, line if line.upwards else None, line)),
            asyncio.create_task(self._pump(server, to_client, None if line.upwards else line, line)),
        ]
        if line.fate == "reset":
            pumps.append(asyncio.create_task(_reset(both, line.after_s)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if line.fate == "half-close":
                # The other direction goes on for a while, as TCP allows.
                await asyncio.wait(pumps, timeout=STALL_S)
        finally:
            for task in pumps:
                task.cancel()
            for writer in both:
                writer.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers.difference_update(both)

    def _draw(self) -> Line:
        rng = self._rng
        fate = "clear" if self.is_calm else rng.choices(list(FATES), list(FATES.values()))[0]
        return Line(fate, rng.random() < 0.5, rng.uniform(0.2, 8.0), int(rng.expovariate(1 / 2_000)) + 1)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, suffers: Line | None, line: Line
    ) -> None:
        """Until the source ends or the line is cut. ``suffers``: the line, where this direction is the unlucky one."""
        fate = "" if suffers is None else line.fate
        passed = 0
        started = asyncio.get_running_loop().time()
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                late = asyncio.get_running_loop().time() - started > line.after_s
                if line.fate == "slow":
                    await asyncio.sleep(self._rng.uniform(0, SLOW_S))
                if fate == "cut" and passed + len(chunk) > line.after_bytes:
                    sink.write(chunk[: line.after_bytes - passed])
                    await sink.drain()
                    return
                if fate == "half-close" and late:
                    sink.write_eof()
                    return
                if fate == "stall" and late:
                    fate = ""
                    await asyncio.sleep(self._rng.uniform(0.5, STALL_S))
                sink.write(chunk)
                passed += len(chunk)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()


async def _reset(writers: list[asyncio.StreamWriter], after_s: float) -> None:
    """RST in both directions rather than FIN: what was on its way may be lost."""
    await asyncio.sleep(after_s)
    for writer in writers:
        found = writer.get_extra_info("socket")
        if found is not None:
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
