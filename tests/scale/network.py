"""Ways from a process to its Redis that can be cut: a network of its own on a cable, or a proxy where there is none.

A cable (`ip netns`, veth) needs root and a kernel that has them; pulled out, it loses what is on its way and nobody is
told, as on a real one. The proxy keeps connections open and lets nothing through, which is nearly that.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
from contextlib import suppress
from typing import Protocol

from tests.scale.fleet import Seating

CHUNK = 65_536
_numbers = itertools.count(1)


class Way(Protocol):
    kind: str
    seating: Seating  # of the process that takes it
    store_host: str
    store_port: int

    def cut(self) -> None: ...

    def mend(self) -> None: ...

    async def close(self) -> None: ...


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable:
    """Raises OSError or `CalledProcessError` where there can be none.

    ``beside``: another cable, whose network is to have this one as well.
    """

    kind = "network namespace"

    def __init__(self, port: int, beside: Cable | None = None) -> None:
        if os.name != "posix" or os.geteuid() or shutil.which("ip") is None:
            raise OSError("a network of its own needs root and ip")
        number = next(_numbers)
        self._is_mine = beside is None
        self._net = f"scale{os.getpid()}-{number}" if beside is None else beside._net
        self._here, there = f"sc{os.getpid() % 100_000}h{number}", f"sc{os.getpid() % 100_000}t{number}"
        base = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}.{number * 4}"
        stem, _, last = base.rpartition(".")
        mine, its = f"{stem}.{int(last) + 1}", f"{stem}.{int(last) + 2}"
        self.store_host, self.store_port = mine, port
        self.host_inside = its
        self.seating = Seating(words=("ip", "netns", "exec", self._net))
        if self._is_mine:
            _ip("netns", "add", self._net)
        try:
            _ip("link", "add", self._here, "type", "veth", "peer", "name", there, "netns", self._net)
            _ip("addr", "add", f"{mine}/30", "dev", self._here)
            _ip("link", "set", self._here, "up")
            for words in (("addr", "add", f"{its}/30", "dev", there), ("link", "set", there, "up")):
                _ip("-n", self._net, *words)
            _ip("-n", self._net, "link", "set", "lo", "up")
        except BaseException:
            self._remove()
            raise

    def cut(self) -> None:
        _ip("link", "set", self._here, "down")

    def mend(self) -> None:
        _ip("link", "set", self._here, "up")

    async def close(self) -> None:
        self._remove()

    def _remove(self) -> None:
        for words in (("link", "del", self._here), ("netns", "del", self._net))[: 1 + self._is_mine]:
            with suppress(subprocess.CalledProcessError):
                _ip(*words)


class Proxy:
    kind = "proxy"

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.seating = Seating()
        self.store_host, self.store_port = "127.0.0.1", 0
        self._host, self._port = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handled: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.store_port = int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def lead_to(self, port: int, host: str = "127.0.0.1") -> None:
        """Connections that are there are ended, and new ones lead there."""
        self._host, self._port = host, port
        self.drop()

    def drop(self) -> None:
        """End what is there, with all that is on its way."""
        for writer in list(self._writers):
            writer.transport.abort()
        self.mend()

    async def close(self) -> None:
        self._open.set()
        if self._server is not None:
            self._server.close()
            self.drop()
            await asyncio.gather(*self._handled, return_exceptions=True)
            await self._server.wait_closed()

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._writers.add(to_client)
        task = asyncio.create_task(self._handle(client, to_client))
        self._handled.add(task)
        task.add_done_callback(self._handled.discard)

    async def _handle(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        await self._open.wait()
        try:
            server, to_server = await asyncio.open_connection(self._host, self._port, limit=CHUNK)
        except OSError:
            to_client.transport.abort()
            self._writers.discard(to_client)
            return
        both = {to_client, to_server}
        self._writers |= both
        pumps = [asyncio.create_task(self._pump(client, to_server)), asyncio.create_task(self._pump(server, to_client))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for writer in both:
                writer.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers -= both

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                await self._open.wait()
                if sink.transport.is_closing():
                    return
                sink.write(chunk)
                await sink.drain()


async def a_way(port: int, *, cable: bool = True) -> Way:
    """To the Redis on that port, which has to listen on every address."""
    if cable:
        with suppress(OSError, subprocess.CalledProcessError):
            return Cable(port)
    proxy = Proxy(port)
    await proxy.open()
    return proxy
