"""The description of the WebSocket door in AsyncAPI 3: ``/asyncapi.json``. It names shapes; see `descriptions`."""

from __future__ import annotations

from functools import lru_cache

from engine.core.model import Json
from engine.transport.descriptions import VERSION, definitions

_PLACE = "#/components/schemas/"
_CLOSE_CODES = (
    "Close codes: 1001 the server is going away (reconnect, resume), 1008 policy (token, origin, erased), 1009 a frame "
    "was too big, 4000 too many bad frames, 4001 replaced by the same client elsewhere, 4002 the client reads too "
    'slowly, 4008 over the rate. Reasons are JSON: `{"code": …, "retryAfter": seconds}`.'
)


@lru_cache(maxsize=1)
def asyncapi() -> dict[str, Json]:
    """The whole document. Not to be changed."""
    schemas = definitions(_PLACE)
    heard, said = _frames(schemas, "ClientFrame"), _frames(schemas, "ServerFrame")
    messages = {name: _message(schemas, name) for name in (*heard, *said)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "proactive",
            "version": VERSION,
            "description": "The WebSocket door of the proactive engagement engine. A client whose first frame is "
            f"`hello` has a session (level 1); any other is a plain client (level 0). {_CLOSE_CODES}",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:7778",
                "protocol": "ws",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
        },
        "channels": {
            "frames": {
                "address": "/",
                "title": "Frames",
                "description": "JSON text frames, both ways.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"query": {"type": "object", "properties": {"token": {"type": "string"}}}}},
            }
        },
        "operations": {
            "hear": _operation("receive", "What a client may send.", heard),
            "say": _operation("send", "What the server sends.", said),
        },
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "In the handshake, as ?token=, or in `hello`; needed where the settings say how "
                    "tokens are checked.",
                }
            },
        },
    }  # fmt: skip


def _frames(schemas: dict[str, Json], name: str) -> list[str]:
    """The frames that a union stands for, those of unions within it instead of these."""
    found: list[str] = []
    for member in schemas[name]["anyOf"]:
        inner = member["$ref"].removeprefix(_PLACE)
        # What is an object by itself is a frame, whatever else it says of its fields.
        found += [inner] if "type" in schemas[inner] else _frames(schemas, inner)
    return found


def _message(schemas: dict[str, Json], name: str) -> dict[str, Json]:
    return {"name": name, "title": name, "summary": schemas[name]["description"], "payload": {"$ref": _PLACE + name}}


def _operation(action: str, summary: str, names: list[str]) -> dict[str, Json]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/frames"},
        "messages": [{"$ref": f"#/channels/frames/messages/{name}"} for name in names],
    }
