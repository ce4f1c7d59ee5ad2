"""What every HTTP request has in common: whose page it comes from, its body, and errors in the protocol's own words.

What is asked for is done by the routes; nothing here knows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from engine.core.model import Json
from engine.transport.decoding import WireError, bad_frame
from engine.transport.origins import Origins
from engine.transport.wire import encode, error_frame

BODY_BYTES_MAX = 1024 * 1024
BODY_TIMEOUT_S = web.AppKey("body_timeout_s", float)  # for a body to come whole
RETRY_AFTER_S = 1
PREFLIGHT_S = 600  # for which a browser may remember what a page of another origin may do
STATUS_OF = {
    "bad_frame": 400, "reserved_type": 400, "no_client": 400, "unauthorized": 401, "bad_origin": 403, "forbidden": 403,
    "not_found": 404, "no_session": 404, "bad_method": 405, "too_slow": 408, "too_big": 413, "bad_rules": 422,
    "rate_limited": 429, "too_many_connections": 429, "internal": 500, "responder_failed": 502, "overloaded": 503,
    "not_stored": 503, "replaced": 409, "erased": 410,
}  # fmt: skip
# What a page may send besides what every page may (Fetch standard, section 2.2.2).
ALLOWED_HEADERS = "Authorization, Content-Type, Last-Event-ID, traceparent"
EXPOSED_HEADERS = "Retry-After, X-Request-Id"

log = structlog.get_logger("proactive")


def reply(frame: Json, status: int = 200) -> web.Response:
    return web.Response(text=encode(frame), content_type="application/json", status=status)


class ErrorReply(web.Response):
    """``code`` is that of the error, for whoever counts."""

    code = ""


class BadRules(WireError):
    """Rule files that do not load, each mistake with its place."""

    def __init__(self, message: str, problems: list[Mapping[str, Json]]) -> None:
        super().__init__("bad_rules", message)
        self.problems = problems


def error_reply(error: WireError) -> web.Response:
    status = STATUS_OF[error.code]
    retry_after = error.retry_after_s
    if retry_after is None and status in (429, 503):
        retry_after = RETRY_AFTER_S
    frame = error_frame(error.code, error.message, retry_after_s=retry_after)
    if isinstance(error, BadRules):
        frame["problems"] = error.problems
    response = ErrorReply(text=encode(frame), content_type="application/json", status=status)
    response.code = error.code
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, section 11.6.1
    return response


async def read_body(request: web.Request) -> bytes:
    """The body, whole. Raises `WireError`, and what aiohttp raises for one that is too large."""
    seconds = request.app[BODY_TIMEOUT_S]
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        why = f"expected the body within {seconds:g} seconds, got a part of it"
        raise WireError("too_slow", why) from None
    except web.RequestPayloadError:
        # Not even a compression that it says it has; the library's own words are for us, not for the client.
        raise bad_frame("expected a body as its headers describe it, got something else") from None


def read_query(request: web.Request, *names: str) -> dict[str, str]:
    """The parameters of the URL. Raises `WireError` for one that is not among ``names`` or stands there twice."""
    given = dict(request.query)
    for name in given:
        if name not in names:
            expected = f"only {', '.join(names)}" if names else "none"
            raise bad_frame(f'expected of parameters {expected}, got "{name[:80]}"')
    if len(given) != len(request.query):
        raise bad_frame("expected every parameter once, got one of them twice")
    return given


def read_number(given: dict[str, str], name: str, default: int, *, most: int, least: int = 0) -> int:
    """A parameter that is a whole number from ``least`` to ``most``. Raises `WireError`."""
    text = given.get(name)
    if text is None:
        return default
    # Longer ones are not even made into numbers; other scripts have digits too.
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and least <= int(text) <= most):
        raise bad_frame(f'expected "{name}" to be a whole number from {least} to {most}, got "{text[:80]}"')
    return int(text)


def read_flag(given: dict[str, str], name: str) -> bool:
    """``?name=1`` is true, ``0`` and nothing false. Raises `WireError`."""
    if given.get(name, "0") not in ("0", "1"):
        raise bad_frame(f'expected "{name}" to be 0 or 1, got "{given[name][:80]}"')
    return given.get(name) == "1"


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON, in the protocol's own words."""
    try:
        return await handler(request)
    except WireError as error:
        log.info("! bad request", path=request.path, code=error.code)
        log.debug("! bad request", why=error.message)  # it quotes what the client wrote
        response = error_reply(error)
        if error.code == "too_slow":
            response.force_close()  # the rest of the body would be read as the next request
        return response
    except web.HTTPRequestEntityTooLarge:
        return error_reply(
            WireError("too_big", f"expected a body of at most {request.client_max_size} bytes, got more")
        )
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            return web.Response(status=204, headers={"Allow": allowed})
        expected = ", ".join(sorted(error.allowed_methods))
        refusal = error_reply(WireError("bad_method", f"expected {expected}, got {request.method}"))
        refusal.headers["Allow"] = allowed
        return refusal
    except web.HTTPNotFound:
        why = "no such path: GET /openapi.json describes all that there are"
        return error_reply(WireError("not_found", why))
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        # A fault of ours: the operator gets all of it, the client that there was one.
        log.exception("! request failed", path=request.path)
        return error_reply(WireError("internal", "something went wrong in the server; its log says what"))


class Pages:
    """Which web pages may call, and what their browsers are told of it."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._origins.allows(request.headers.get("Origin")):
            why = "expected a page on this machine or of an allowed origin, got one from elsewhere"
            return error_reply(WireError("bad_origin", why))
        if not self._origins.allows_host(request.headers.get("Host")):
            return error_reply(
                WireError("bad_origin", "expected the header Host to name this machine, got another name")
            )
        return await handler(request)

    async def tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let a page of an allowed origin read the reply (Fetch standard, section 3.2). Called before any is sent."""
        origin = request.headers.get("Origin")
        response.headers["Vary"] = "Origin"
        if origin is None or not self._origins.allows(origin):
            return
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
