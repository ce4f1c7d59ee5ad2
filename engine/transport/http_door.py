"""The HTTP door: listens, and leads each request to its route. What is asked for is done by the routes.

It must not decide what a frame means, nor who may do what.
"""

from __future__ import annotations

import re
import secrets
import ssl
from collections.abc import Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from engine.observer import REQUEST_PARENT
from engine.settings import Limits
from engine.storage.base import Store
from engine.transport.callers import Callers
from engine.transport.http_listener import HttpListener, Slowness
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
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # one of the client's own, taken where it can do no harm in a log


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
        self._listener = HttpListener(self._slowness, reception.admission.beyond, SHUTDOWN_TIMEOUT_S)

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
        bound = await self._listener.open(self.application(), host, port, tls)
        self._streams.start()
        return bound

    async def close(self) -> None:
        """Take nobody new, end streams, answer polls, and finish the requests that are under way."""
        if not await self._listener.stop():
            return
        self._polls.close()
        await self._streams.close()
        await self._listener.close()

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request comes by here first: it is counted, and an id of it stands in its lines of the log."""
        self._listener.began(request.protocol)
        given = request.headers.get("X-Request-Id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self._observer.frames_in("http")
        parent = REQUEST_PARENT.set(request.headers.get("traceparent", ""))
        try:
            with structlog.contextvars.bound_contextvars(request=request_id):
                response = await handler(request)
        finally:
            REQUEST_PARENT.reset(parent)
            self._listener.ended(request.protocol)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        if isinstance(response, ErrorReply):
            self._observer.refused(response.code)
        self._observer.frames_out("http")
        return response
