"""The HTTP door: listens, and leads each request to its route. What is asked for is done by the routes.

It must not decide what a frame means, nor who may do what.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from engine.observer import REQUEST_PARENT
from engine.settings import Limits
from engine.storage.base import Store
from engine.transport.callers import Callers
from engine.transport.http_replies import BODY_TIMEOUT_S, ErrorReply, Pages, explain
from engine.transport.origins import Origins
from engine.transport.polls import Polls
from engine.transport.reception import Reception
from engine.transport.routes_about import About, AboutRoutes
from engine.transport.routes_backend import BackendRoutes, ChangeRules
from engine.transport.routes_demo import DemoRoutes
from engine.transport.routes_plain import PlainRoutes
from engine.transport.routes_session import SessionRoutes
from engine.transport.streams import Streams

SHUTDOWN_TIMEOUT_S = 5.0  # for requests that are under way when the door closes
KEEPALIVE_S = 75.0  # for which a connection may wait for its next request
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # one of the client's own, taken where it can do no harm in a log
LINGER_S = 1.0  # for the rest of a body that nobody wants, so that its sender reads why
LINE_BYTES_MAX = 8190  # of the request line, and of one header
HEADERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Slowness:
    """How long a client may take, in seconds.

    ``headers_s``: from the connection to the end of its first request's headers. ``body_s``: for a body to come whole,
    a megabyte at 50 KiB a second. ``look_s``: between looks at who is gone or has heard nothing for long.
    """

    headers_s: float = 10.0
    body_s: float = 20.0
    look_s: float = 1.0


class HttpDoor:
    """Listens from `open` to `close`. ``ws_url``: for the demo page, None where there is none."""

    def __init__(
        self,
        reception: Reception,
        *,
        store: Store,
        origins: Origins,
        about: About,
        change_rules: ChangeRules,
        limits: Limits,
        ws_url: Callable[[], str] | None = None,
        slowness: Slowness | None = None,
    ) -> None:
        self._slowness = slowness or Slowness()
        callers = Callers(reception.authenticator)
        sessions = SessionRoutes(reception, callers)
        self._observer = reception.observer
        self._admission = reception.admission
        self._streams = Streams(
            reception, callers, sessions, frames_max=limits.queue_frames, look_s=self._slowness.look_s
        )
        self._polls = Polls(reception, sessions)
        self._pages = Pages(origins)
        self._routes = (
            PlainRoutes(reception, callers, sessions),
            sessions,
            self._streams,
            self._polls,
            BackendRoutes(reception, callers, store, change_rules),
            AboutRoutes(about, callers),
            DemoRoutes(callers, ws_url),
        )
        self._body_bytes_max = limits.body_bytes
        self._runner: web.AppRunner | None = None
        # Connections of which a request has come, the one heard of last at the end; those of which one is under way.
        self._heard: dict[RequestHandler, None] = {}
        self._busy: set[RequestHandler] = set()
        self._looking: asyncio.Task[None] | None = None

    def application(self) -> web.Application:
        """All routes, and what every request goes through before."""
        app = web.Application(
            client_max_size=self._body_bytes_max, middlewares=[self._hear, self._pages.admit, explain]
        )
        app[BODY_TIMEOUT_S] = self._slowness.body_s
        for routes in self._routes:
            routes.add_to(app.router)
        app.on_response_prepare.append(self._pages.tell)
        return app

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        runner = web.AppRunner(
            self.application(),
            access_log=None,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
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
        self._streams.start()
        self._looking = asyncio.create_task(self._look(runner), name="http")
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Take nobody new, end streams, answer polls, and finish the requests that are under way."""
        if self._runner is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        self._polls.close()
        await self._streams.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._runner.cleanup()
        self._runner = None

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request comes by here first: it is counted, and an id of it stands in its lines of the log."""
        wire = request.protocol
        self._heard.pop(wire, None)
        self._heard[wire] = None
        self._busy.add(wire)
        given = request.headers.get("X-Request-Id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self._observer.frames_in("http")
        parent = REQUEST_PARENT.set(request.headers.get("traceparent", ""))
        try:
            with structlog.contextvars.bound_contextvars(request=request_id):
                response = await handler(request)
        finally:
            REQUEST_PARENT.reset(parent)
            self._busy.discard(wire)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        if isinstance(response, ErrorReply):
            self._observer.refused(response.code)
        self._observer.frames_out("http")
        return response

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
        beyond = self._admission.beyond((one, _address_of(one)) for one in staying)
        return [one for one in beyond if one not in self._busy]


def _address_of(wire: RequestHandler) -> str:
    name = None if wire.transport is None else wire.transport.get_extra_info("peername")
    return str(name[0]) if name else ""
