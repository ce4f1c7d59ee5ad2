"""The HTTP door: the frames of level 0 as requests and replies. What a frame means, `wire` decides."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from engine.core.model import Json
from engine.responders.base import ChatMessage
from engine.transport.bodies import read_events, read_message, read_one
from engine.transport.decoding import WireError, bad_frame
from engine.transport.desk import Desk, told_to_client
from engine.transport.hub import Hub
from engine.transport.session import to_input
from engine.transport.wire import LOOPBACK_ORIGIN, FrameType, Ping, encode, error_frame, pong

BODY_BYTES_MAX = 1024 * 1024
RETRY_AFTER_S = 1
SHUTDOWN_TIMEOUT_S = 5.0  # for requests that are under way when the door closes
STATUS_OF = {
    "bad_frame": 400, "reserved_type": 400, "no_client": 400, "overloaded": 503, "not_stored": 503,
    "responder_failed": 502, "bad_origin": 403, "too_big": 413,
}  # fmt: skip

log = structlog.get_logger("proactive")


class HttpDoor:
    """Listens from `open` to `close`. ``health`` gives what ``GET /healthz`` says."""

    def __init__(
        self,
        desk: Desk,
        hub: Hub,
        health: Callable[[], Awaitable[dict[str, Json]]],
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._desk = desk
        self._hub = hub
        self._health = health
        self._body_bytes_max = body_bytes_max
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        app = web.Application(client_max_size=self._body_bytes_max, middlewares=[_admit, self._explain])
        app.router.add_post("/chat", self._chat)
        app.router.add_post("/events", self._events)
        app.router.add_post("/messages", self._messages)
        app.router.add_get("/healthz", self._healthz)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _chat(self, request: web.Request) -> web.Response:
        said = read_one(await _body(request))
        if isinstance(said, Ping):
            return _reply(pong())
        if said.type != "chat_message":
            raise WireError(
                "bad_frame",
                f'expected a frame of type "chat_message", got "{said.type}"; events go to /events',
            )
        # Without a name nothing ties the next request to this one: a client for one message.
        user = said.client or f"anon-{secrets.token_hex(8)}"
        if said.client is not None:
            self._hub.saw_over_http(user)
        await self._desk.submit([to_input(said, user, said.session)])
        answer = await self._desk.answer(ChatMessage.from_data(user, said.data))
        if answer["type"] == "error":
            # What waits is not taken: a client that gets an error may never look for messages in it.
            return _reply(answer, STATUS_OF["responder_failed"])
        return _reply({**answer, "messages": await self._desk.take_waiting(user)})

    async def _events(self, request: web.Request) -> web.Response:
        inputs = []
        for number, said in enumerate(read_events(await _body(request))):
            if said.client is None:
                raise WireError(
                    "no_client", f'expected "clientId" in event {number}: nothing else says whose event it is'
                )
            inputs.append(to_input(said, said.client, said.session))
        for client in {item.user: None for item in inputs}:
            self._hub.saw_over_http(client)
        ids = await self._desk.submit(inputs) if inputs else []
        return _reply({"ids": ids}, 202)

    async def _messages(self, request: web.Request) -> web.Response:
        order = read_message(await _body(request))
        with told_to_client():
            sent = await self._desk.send(order.clients, order.type, order.text, options=order.options, data=order.data)
        return _reply({"ids": sent.ids, "clients": sent.clients, "waiting": sent.waiting, "unnamed": sent.unnamed}, 202)

    async def _healthz(self, request: web.Request) -> web.Response:
        return _reply(await self._health())

    @web.middleware
    async def _explain(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every error as JSON, in the protocol's own words."""
        try:
            return await handler(request)
        except WireError as error:
            log.info("! bad request", path=request.path, code=error.code, why=error.message)
            return _reply(error_frame(error.code, error.message), STATUS_OF[error.code])
        except web.HTTPRequestEntityTooLarge:
            why = f"expected a body of at most {self._body_bytes_max} bytes, got more"
            return _reply(error_frame("too_big", why), 413)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            refusal = _reply(error_frame("bad_method", f"expected {allowed}, got {request.method}"), 405)
            refusal.headers["Allow"] = allowed
            return refusal
        except web.HTTPNotFound:
            why = "there is POST /chat, POST /events, POST /messages and GET /healthz"
            return _reply(error_frame("not_found", f"no such path: {why}"), 404)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            # A fault of ours: the operator gets all of it, the client that there was one.
            log.exception("! request failed", path=request.path)
            return _reply(error_frame("internal", "something went wrong in the server; its log says what"), 500)


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.RequestPayloadError:
        # Not even a compression that it says it has; the library's own words are for us, not for the client.
        raise bad_frame("expected a body as its headers describe it, got something else") from None


@web.middleware
async def _admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pages on this machine may call across origins; other pages may not call at all."""
    origin = request.headers.get("Origin")
    if origin is None:
        return await handler(request)
    if not LOOPBACK_ORIGIN.fullmatch(origin):
        return _reply(error_frame("bad_origin", "expected a page on this machine, got one from elsewhere"), 403)
    response = web.Response(status=204) if request.method == "OPTIONS" else await handler(request)
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Vary"] = "Origin"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = "600"
    return response


def _reply(frame: FrameType, status: int = 200) -> web.Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return web.Response(text=encode(frame), content_type="application/json", status=status, headers=headers)
