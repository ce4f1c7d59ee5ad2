"""The HTTP door of a process that has no clients: how it is, whether it is ready, its figures. Nothing else is served.

It knows nothing of what it tells about.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from itertools import islice

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from engine.transport.auth import Authenticator
from engine.transport.callers import Callers
from engine.transport.decoding import WireError
from engine.transport.http_listener import HttpListener, Slowness
from engine.transport.http_replies import explain, reply
from engine.transport.routes_about import About

SHUTDOWN_TIMEOUT_S = 1.0
BODY_BYTES_MAX = 1024  # of a request; none of them needs any
CONNECTIONS_MAX = 64  # that wait for a request: monitors and load balancers are few


class FiguresDoor:
    """Listens from `open` to `close`. Where backends have keys, ``/metrics`` is for one with the scope ``metrics``."""

    def __init__(self, about: About, authenticator: Authenticator, slowness: Slowness | None = None) -> None:
        self._about = about
        self._callers = Callers(authenticator)
        self._listener = HttpListener(slowness or Slowness(), _beyond, SHUTDOWN_TIMEOUT_S)

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._hear, explain])
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_route("*", "/{path:.*}", self._nothing)
        return await self._listener.open(app, host, port, tls)

    async def close(self) -> None:
        await self._listener.close()

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._listener.began(request.protocol)
        try:
            return await handler(request)
        finally:
            self._listener.ended(request.protocol)

    async def _health(self, request: web.Request) -> web.Response:
        return reply(await self._about.health())

    async def _readiness(self, request: web.Request) -> web.Response:
        found = await self._about.readiness()
        return reply(found, 200 if found["ready"] else 503)

    async def _nothing(self, request: web.Request) -> web.Response:
        raise WireError("not_found", "no such path: a worker serves GET /healthz, /readyz and /metrics")

    async def _metrics(self, request: web.Request) -> web.Response:
        self._callers.backend(request, "metrics")
        text, content_type = self._about.metrics(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})


def _beyond(connections: Iterable[tuple[RequestHandler, str]]) -> list[RequestHandler]:
    return [connection for connection, _ in islice(connections, CONNECTIONS_MAX, None)]
