"""The HTTP door of a process that has no clients: how it is, whether it is ready, its figures. Nothing else is served.

It knows nothing of what it tells about.
"""

from __future__ import annotations

import ssl

from aiohttp import web

from engine.transport.auth import Authenticator
from engine.transport.callers import Callers
from engine.transport.decoding import WireError
from engine.transport.http_replies import explain, reply
from engine.transport.routes_about import About

SHUTDOWN_TIMEOUT_S = 1.0
LINE_BYTES_MAX = 8190  # of the request line, and of one header
BODY_BYTES_MAX = 1024  # of a request; none of them needs any


class FiguresDoor:
    """Listens from `open` to `close`. Where backends have keys, ``/metrics`` is for one with the scope ``metrics``."""

    def __init__(self, about: About, authenticator: Authenticator) -> None:
        self._about = about
        self._callers = Callers(authenticator)
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[explain])
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_route("*", "/{path:.*}", self._nothing)
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

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
