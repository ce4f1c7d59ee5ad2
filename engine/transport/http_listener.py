"""What listens for HTTP: limits of a request's head, and who takes too long for it, or is one too many, is cut off.

It knows no route. Whoever has routes says which requests are under way.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

KEEPALIVE_S = 75.0  # for which a connection may wait for its next request
LINGER_S = 1.0  # for the rest of a body that nobody wants, so that its sender reads why
LINE_BYTES_MAX = 8190  # of the request line, and of one header
HEADERS_MAX = 64

Beyond = Callable[[Iterable[tuple[RequestHandler, str]]], list[RequestHandler]]


@dataclass(frozen=True, slots=True)
class Slowness:
    """How long a client may take, in seconds.

    ``headers_s``: from the connection to the end of its first request's headers. ``body_s``: for a body to come whole,
    a megabyte at 50 KiB a second. ``look_s``: between looks at who is gone or has heard nothing for long.
    """

    headers_s: float = 10.0
    body_s: float = 20.0
    look_s: float = 1.0


class HttpListener:
    """Listens from `open` to `close`. ``shutdown_s``: for requests that are under way when it closes.

    ``beyond`` is given the connections with their addresses, in the order in which they are to stay, and says which
    are too many.
    """

    def __init__(self, slowness: Slowness, beyond: Beyond, shutdown_s: float) -> None:
        self._slowness = slowness
        self._beyond = beyond
        self._shutdown_s = shutdown_s
        self._runner: web.AppRunner | None = None
        # Connections of which a request has come, the one heard of last at the end; those of which one is under way.
        self._heard: dict[RequestHandler, None] = {}
        self._busy: set[RequestHandler] = set()
        self._looking: asyncio.Task[None] | None = None

    def began(self, wire: RequestHandler) -> None:
        """A request of this connection has come: its headers are whole."""
        self._heard.pop(wire, None)
        self._heard[wire] = None
        self._busy.add(wire)

    def ended(self, wire: RequestHandler) -> None:
        """That request is answered, or has failed."""
        self._busy.discard(wire)

    async def open(self, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=self._shutdown_s,
            keepalive_timeout=KEEPALIVE_S,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            max_headers=HEADERS_MAX,
            lingering_time=LINGER_S,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._looking = asyncio.create_task(self._look(runner), name="http")
        return int(runner.addresses[0][1])

    async def stop(self) -> bool:
        """Take nobody new; whether there was anybody to take."""
        if self._runner is None:
            return False
        for site in list(self._runner.sites):
            await site.stop()
        return True

    async def close(self) -> None:
        """Finish the requests that are under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _look(self, runner: web.AppRunner) -> None:
        looks: dict[RequestHandler, int] = {}
        while True:
            await asyncio.sleep(self._slowness.look_s)
            connections = list(runner.server.connections) if runner.server is not None else []
            there = set(connections)
            self._heard = {one: None for one in self._heard if one in there}
            looks = {one: looks.get(one, 0) + 1 for one in connections if one not in self._heard}
            # Whoever does not come to the end of a first request: aiohttp would wait for ever.
            late = [one for one, count in looks.items() if count * self._slowness.look_s > self._slowness.headers_s]
            for one in (*late, *self._too_many(connections)):
                if one.transport is not None:
                    one.transport.abort()

    def _too_many(self, connections: list[RequestHandler]) -> list[RequestHandler]:
        """Those beyond the limits that wait for a request: of who has been heard, the longest silent go first."""
        silent = [one for one in reversed(self._heard) if one not in self._busy]
        new = [one for one in connections if one not in self._heard and one not in self._busy]
        staying = [one for one in (*self._busy, *new, *silent) if one.transport is not None]
        beyond = self._beyond((one, _address_of(one)) for one in staying)
        return [one for one in beyond if one not in self._busy]


def _address_of(wire: RequestHandler) -> str:
    name = None if wire.transport is None else wire.transport.get_extra_info("peername")
    return str(name[0]) if name else ""
