"""The description of the HTTP door in OpenAPI 3.1: ``/openapi.json``. Tests hold the door to it.

It names shapes and does not say what they are: see `descriptions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from engine.core.model import Json
from engine.transport.descriptions import VERSION, definitions
from engine.transport.frames import SEQ_MAX
from engine.transport.http_replies import STATUS_OF
from engine.transport.polls import POLL_S
from engine.transport.timeline import ITEMS_DEFAULT, ITEMS_MAX

_PLACE = "#/components/schemas/"
_EVERYWHERE = ("bad_origin", "internal")  # codes of errors that any request may get
_BODY = ("bad_frame", "too_big", "too_slow")
_CLIENT = ("unauthorized",)
_BACKEND = ("unauthorized", "forbidden")
_STORED = ("overloaded", "not_stored")
_CURSOR = r"^[0-9]{1,18}\.[0-9]{1,18}$"
_NAME = {"$ref": _PLACE + "Name"}


@dataclass(frozen=True, slots=True)
class _Operation:
    """``answer``: status, what it says, and the shape of its body or a media type other than JSON."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    answer: tuple[int, str, str]
    body: str = ""
    description: str = ""
    parameters: tuple[dict[str, Json], ...] = ()
    errors: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    examples: tuple[Json, ...] = ()


def _query(name: str, doc: str, schema: dict[str, Json], *, required: bool = False) -> dict[str, Json]:
    return {"name": name, "in": "query", "required": required, "description": doc, "schema": schema}


def _numbers(most: int, default: int, least: int = 0) -> dict[str, Json]:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


_SESSION = _query("session", "A session that `hello` has opened.", _NAME)
_AFTER = _query("after", "The `seq` up to which frames have come.", _numbers(SEQ_MAX, 0))
_USER = {
    "name": "id", "in": "path", "required": True, "description": "The user, percent-encoded.", "schema": _NAME,
}  # fmt: skip

_OPERATIONS = (
    _Operation(
        "post", "/chat", "chat", "Say something and get the answer", "Level 0", (200, "The answer.", "ChatAnswer"),
        body="ChatBody", description="With the answer comes all that waits for the client, in `messages`; reading it "
        "takes it out of the outbox. An error takes nothing. A `ping` is answered by `pong`.",
        errors=(*_BODY, "reserved_type", *_CLIENT, "rate_limited", "responder_failed", *_STORED),
        security=("token", "anonymous"),
        examples=({"type": "chat_message", "message": "I am stuck", "clientId": "ann"},),
    ),
    _Operation(
        "post", "/events", "events", "Tell what happened", "Level 0", (202, "They are on the disk.", "Taken"),
        body="EventBody", description="One event, a list, an `events` frame, or JSON lines; at most 500, all or none. "
        "An event with an `id` that this user's events have had is acknowledged and not handled again. With `session` "
        "any frames of the session's client, each by itself: what there is to say to them is in `frames`.",
        parameters=(_SESSION,),
        errors=(
            *_BODY, "reserved_type", "no_client", *_CLIENT, "forbidden", "no_session", "replaced", "erased",
            "rate_limited", *_STORED,
        ),
        security=("token", "key"),
        examples=([{"type": "file.saved", "clientId": "ann", "id": "e1"}, {"type": "file.closed", "clientId": "ann"}],),
    ),
    _Operation(
        "post", "/hello", "hello", "Open a session, or resume one", "Level 1", (200, "It is open.", "Welcome"),
        body="Hello", description="For clients without WebSocket. Frames come by `GET /stream` or `GET /poll`, and go "
        "by `POST /events?session=`.",
        errors=(*_BODY, *_BACKEND, "too_many_connections", "replaced", *_STORED), security=("token", "anonymous"),
        examples=({"type": "hello", "protocol": 1, "clientId": "tab-1", "user": "ann"},),
    ),
    _Operation(
        "get", "/stream", "stream", "Frames as server-sent events", "Level 1",
        (200, "Frames, one an event; `id` is its `seq`. Comments come as heartbeats.", "text/event-stream"),
        description="Either `session`, or `clientId`: that opens a session, whose `welcome` is the first event, and "
        "whose ids say the session too. The last event, `close`, says with which code a WebSocket would be closed.",
        parameters=(
            _SESSION, _query("clientId", "Opens a session of this client.", _NAME),
            _query("user", "With `clientId`, where authentication is off: whose session.", _NAME),
            _query("timezone", "With `clientId`: the user's IANA time zone.", {"type": "string"}),
            _query("token", "The token, since a browser's EventSource sets no headers.", {"type": "string"}), _AFTER,
            {
                "name": "Last-Event-ID", "in": "header", "required": False,
                "description": "The id of the last event that came; wins over `after`.", "schema": {"type": "string"},
            },
        ),
        errors=("bad_frame", *_BACKEND, "no_session", "replaced", "erased", "too_many_connections", *_STORED),
        security=("token", "anonymous"),
    ),
    _Operation(
        "get", "/poll", "poll", "Frames by long polling", "Level 1", (200, "The frames there are.", "Polled"),
        description="Waits until there is one. `after` says that all up to it have come.",
        parameters=(
            {**_SESSION, "required": True}, _AFTER,
            _query("timeout", "Seconds after which it answers with none.", _numbers(POLL_S, POLL_S)),
        ),
        errors=("bad_frame", *_CLIENT, "no_session", "replaced", "erased", "too_many_connections", "overloaded"),
        security=("token",),
    ),
    _Operation(
        "post", "/messages", "messages", "Say something to a user, a client, or all", "Backend",
        (202, "It is on the disk.", "Sent"), body="MessageOrder",
        errors=(*_BODY, *_BACKEND, *_STORED), security=("key",),
        examples=({"to": {"user": "ann"}, "type": "question", "text": "How is it going?", "options": ["Fine"]},),
    ),
    _Operation(
        "get", "/users/{id}/timeline", "timeline", "What is known of a user, decided and sent", "Backend",
        (200, "The newest first.", "Timeline"),
        parameters=(
            _USER, _query("before", "The `next` of the page before.", {"type": "string", "pattern": _CURSOR}),
            _query("limit", "Items of a page.", _numbers(ITEMS_MAX, ITEMS_DEFAULT, 1)),
        ),
        errors=("bad_frame", *_BACKEND, *_STORED), security=("key",),
    ),
    _Operation(
        "delete", "/users/{id}", "erase", "Forget a user", "Backend", (200, "It is gone.", "Erased"),
        description="State, log entries, decisions and messages; connections are closed.",
        parameters=(_USER,), errors=("bad_frame", *_BACKEND, *_STORED), security=("key",),
    ),
    _Operation(
        "post", "/rules/reload", "reload", "Let the rule files as they are now hold", "Backend",
        (200, "What it changes.", "RulesPlan"), description="On an error the rules that held go on holding.",
        parameters=(_query("plan", "1: only say what it would change.", {"enum": ["0", "1"], "default": "0"}),),
        errors=("bad_frame", *_BACKEND, "bad_rules", *_STORED), security=("key",),
    ),
    _Operation("get", "/healthz", "health", "How the server is", "Server", (200, "It answers.", "Health")),
    _Operation(
        "get", "/readyz", "readiness", "Whether to send anybody here", "Server", (200, "It is ready.", "Readiness"),
        description="503 says the same with `ready: false`, and why.",
    ),
    _Operation(
        "get", "/metrics", "metrics", "Numbers for Prometheus", "Server", (200, "The numbers.", "text/plain"),
        errors=_BACKEND, security=("key",),
    ),
    _Operation(
        "get", "/openapi.json", "openapi", "This description", "Server", (200, "OpenAPI 3.1.", "Description"),
        errors=("bad_frame", *_CLIENT), security=("token", "key"),
    ),
    _Operation(
        "get", "/asyncapi.json", "asyncapi", "The description of the WebSocket", "Server",
        (200, "AsyncAPI 3.", "Description"), errors=("bad_frame", *_CLIENT), security=("token", "key"),
    ),
    _Operation(
        "get", "/protocol.schema.json", "schema", "The JSON Schema of all frames", "Server",
        (200, "JSON Schema, draft 2020-12.", "Description"), errors=("bad_frame", *_CLIENT), security=("token", "key"),
    ),
    _Operation(
        "get", "/demo", "demo", "A page for a first look", "Server", (200, "The page.", "text/html"),
        description="Only where the server listens on its own machine alone.",
        errors=("bad_frame", *_CLIENT, "not_found"), security=("token", "key"),
    ),
    _Operation(
        "get", "/demo/widget.js", "widget", "The chat widget of that page", "Server",
        (200, "The script.", "text/javascript"), errors=("bad_frame", *_CLIENT, "not_found"), security=("token", "key"),
    ),
)  # fmt: skip


@lru_cache(maxsize=1)
def openapi() -> dict[str, Json]:
    """The whole document. Not to be changed."""
    paths: dict[str, dict[str, Json]] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "proactive",
            "version": VERSION,
            "description": "The HTTP door of the proactive engagement engine: the frames of the protocol as requests "
            "and replies. Every error is an `error` frame.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "http://127.0.0.1:7777"}],
        "tags": [
            {"name": "Level 0", "description": "Plain clients."},
            {"name": "Level 1", "description": "Clients with sessions."},
            {"name": "Backend", "description": "Programs of the application, with a key."},
            {"name": "Server", "description": "The server itself."},
        ],
        "paths": paths,
        "components": {
            "schemas": definitions(_PLACE),
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A client's token; needed where the settings name how tokens are checked.",
                },
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "A backend's key, of `proactive key add`; needed where tokens or keys are set.",
                },
            },
        },
    }  # fmt: skip


def _described(operation: _Operation) -> dict[str, Json]:
    found: dict[str, Json] = {"operationId": operation.name, "summary": operation.summary, "tags": [operation.tag]}
    if operation.description:
        found["description"] = operation.description
    if operation.parameters:
        found["parameters"] = list(operation.parameters)
    if operation.body:
        content: dict[str, Json] = {"schema": {"$ref": _PLACE + operation.body}}
        if operation.examples:
            content["examples"] = {f"example{n}": {"value": value} for n, value in enumerate(operation.examples, 1)}
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    status, doc, shape = operation.answer
    answers: dict[str, Json] = {str(status): {"description": doc, "content": _content(shape)}}
    if operation.name == "readiness":
        answers["503"] = {"description": "It is not ready.", "content": _content(shape)}
    found["responses"] = {**answers, **_errors((*operation.errors, *_EVERYWHERE))}
    # Where nothing is asked for in the settings nothing has to be brought.
    found["security"] = [{}, *({name: []} for name in operation.security if name != "anonymous")]
    return found


def _content(shape: str) -> dict[str, Json]:
    if "/" in shape:
        return {shape: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": {"$ref": _PLACE + shape}}}


def _errors(codes: tuple[str, ...]) -> dict[str, Json]:
    """By status; several codes may have the same."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS_OF[code], []).append(code)
    return {str(status): _error(status, names) for status, names in sorted(by_status.items())}


def _error(status: int, codes: list[str]) -> dict[str, Json]:
    listed = " or ".join(f"`{code}`" for code in codes)
    found: dict[str, Json] = {"description": f"An error: {listed}.", "content": _content("Error")}
    if status in (429, 503):
        seconds = {"type": "integer", "minimum": 0}
        found["headers"] = {"Retry-After": {"description": "Seconds.", "required": True, "schema": seconds}}
    if status == 401:
        found["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return found
