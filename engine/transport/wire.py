"""Level 0 of the protocol: the text of a frame to values, and messages to frames. Pure functions.

Nothing here knows a connection, a clock or a store: see `session` for what a connection makes of the values.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

import msgspec

from engine.core.matcher import parse_event_type
from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.units import SECOND, parse_at
from engine.core.zones import find_zone
from engine.storage.base import OutboxMessage
from engine.transport.decoding import (
    DEPTH_MAX,
    KINDS,
    NAME_LENGTH_MAX,
    WireError,
    bad_frame,
    check_bounds,
    decode_json,
    kind_of,
)
from engine.transport.feedback import ENVELOPE, read_outcome, read_preferences

FRAME_BYTES_MAX = 64 * 1024
EVENTS_MAX = 500  # in one frame, and in one request


# Told by the server alone: a client that could claim them could open and end the sessions of others.
RESERVED_TYPES = frozenset({"session.start", "session.end"})
RESERVED_PREFIX = "message."
# Words of the protocol rather than things that happened.
SESSION_TYPES = frozenset({"hello", "received", "pong"})  # which a session alone has a use for
NOT_EVENTS = frozenset({"ping", "events"}) | SESSION_TYPES
# Message types that travel as a `backend_message`; any other is a frame of its own type.
BACKEND_TYPES = frozenset({"question", "suggestion", "notification"})

FrameType = dict[str, Json]


class Ping(msgspec.Struct, frozen=True):
    """A client asks whether somebody is there. No event; ``client`` is whom it names, or None."""

    client: str | None = None


class Said(msgspec.Struct, frozen=True):
    """One thing a client says happened. ``client`` is None where the frame names none.

    ``at_reported`` (microseconds) is the client's own stamp: kept, never trusted as the time.
    """

    type: str
    data: dict[str, Json]
    client: str | None = None
    id: str = ""
    session: str | None = None
    at_reported: int | None = None


def read_frame(text: str | bytes, *, depth_max: int = DEPTH_MAX) -> Ping | list[Said]:
    """The values of one frame. A frame of ``events`` is taken whole or not at all. Raises `WireError`."""
    return read_value(decode_json(text), depth_max=depth_max)


def read_value(value: Json, *, depth_max: int = DEPTH_MAX) -> Ping | list[Said]:
    """As `read_frame`, for JSON that is already decoded."""
    if not isinstance(value, dict):
        raise bad_frame(f"expected a JSON object, got {kind_of(value)}")
    check_bounds(value, depth_max)
    frame_type = _read_type(value)
    if frame_type == "ping":
        return Ping(read_name(value, "clientId"))
    if frame_type == "events":
        return _read_events(value)
    if frame_type in SESSION_TYPES:
        raise bad_frame(f'expected a session for a frame of type "{frame_type}"; "hello" opens one, as the first frame')
    return [_read_event(value, frame_type)]


def read_event(value: Json) -> Said:
    """One event, where several stand together: no ``ping``, no ``events``. Raises `WireError`."""
    if not isinstance(value, dict):
        raise bad_frame(f"expected an event as a JSON object, got {kind_of(value)}")
    event_type = _read_type(value)
    if event_type in NOT_EVENTS:
        raise bad_frame(f'expected an event, got a frame of type "{event_type}", which is none')
    return _read_event(value, event_type)


def message_frame(outgoing: OutboxMessage) -> FrameType:
    """The frame that carries a message. Its ``data`` is merged in, never over the protocol's own fields."""
    message = outgoing.message
    own: FrameType
    if message.type in BACKEND_TYPES:
        own = {"type": "backend_message", "message": message.text, "messageType": message.type}
    else:
        own = {"type": message.type}
        if message.text:
            own["message"] = message.text
    own["timestamp"] = outgoing.at // SECOND
    own["id"] = message.id
    # Whatever asks for an answer says by which id it wants it.
    if message.type == "question" or message.options:
        own["questionId"] = message.id
    if message.options:
        own["options"] = list(message.options)
    if outgoing.rule:
        own["rule"] = outgoing.rule
    if message.expires_at is not None:
        own["expiresAt"] = message.expires_at // SECOND
    return {**own, **message.data, **own} if message.data else own


def chat_response(text: str, at: int) -> FrameType:
    return {"type": "chat_response", "message": text, "timestamp": at // SECOND}


def pong() -> FrameType:
    return {"type": "pong"}


def error_frame(code: str, message: str, *, retry_after_s: int | None = None) -> FrameType:
    frame: FrameType = {"type": "error", "code": code, "message": message}
    return frame if retry_after_s is None else {**frame, "retryAfter": retry_after_s}


def about(frame: FrameType, frame_id: Json) -> FrameType:
    """The frame, naming the one that it is about where that had an id."""
    return {**frame, "frameId": frame_id} if isinstance(frame_id, str | int) and frame_id != "" else frame


def encode(frame: FrameType) -> str:
    """The text of a frame. Raises `TypeError` for what JSON cannot hold.

    What is no Unicode (a template or a responder can make half a surrogate pair) becomes U+FFFD, for not every
    client could read it.
    """
    try:
        return _encoder.encode(frame).decode()
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(frame), ensure_ascii=False, separators=(",", ":"))
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _read_type(value: dict[str, Json]) -> str:
    found = value.get("type")
    if type(found) is str and _is_told_by_clients(found):
        return found
    if "type" not in value:
        raise bad_frame('expected a field "type", found none')
    frame_type = value["type"]
    if not isinstance(frame_type, str) or not frame_type:
        raise bad_frame(f'expected "type" to be a non-empty string, got {kind_of(frame_type)}')
    if len(frame_type) > NAME_LENGTH_MAX:
        raise WireError(
            "bad_frame",
            f'expected "type" to have at most {NAME_LENGTH_MAX} characters, got {len(frame_type)}',
        )
    if _is_reserved(frame_type):
        raise WireError("reserved_type", f'events of type "{frame_type}" are told by the server alone')
    expected = 'words of letters, digits, "_" and "-", joined by ".", ":", "/" or one space'
    raise bad_frame(f'expected "type" to be {expected}, such as "test.failed", got "{frame_type}"')


@lru_cache(maxsize=1024)  # an application has some dozens
def _is_told_by_clients(event_type: str) -> bool:
    """Whether it is a type that a rule could name, and not the server's own.

    One that no rule could name would be taken in and never heard of again.
    """
    if not event_type or len(event_type) > NAME_LENGTH_MAX or _is_reserved(event_type):
        return False
    try:
        return not parse_event_type(event_type).endswith("*")
    except Refused:
        return False


def _is_reserved(event_type: str) -> bool:
    return event_type in RESERVED_TYPES or event_type.startswith(RESERVED_PREFIX)


def _read_events(value: dict[str, Json]) -> list[Said]:
    events = value.get("events")
    if not isinstance(events, list):
        raise bad_frame(f'expected "events" to be a list, got {kind_of(events)}')
    client = read_name(value, "clientId")
    if len(events) > EVENTS_MAX:
        raise bad_frame(f"expected at most {EVENTS_MAX} events in one frame, got {len(events)}")
    said = []
    for number, item in enumerate(events):
        try:
            event = read_event(item)
        except WireError as error:
            raise WireError(error.code, f"events[{number}]: {error.message}") from None
        said.append(event if event.client is not None else msgspec.structs.replace(event, client=client))
    return said


def _read_event(value: dict[str, Json], event_type: str) -> Said:
    data = {name: item for name, item in value.items() if name not in _ENVELOPE}
    # That of an outcome is the message's: several outcomes of one message are several events.
    event_id = "" if event_type == "outcome" else _read_id(value)
    if event_type == "chat_message":
        _expect(data, "message", str, required=True)
        _expect(data, "mode", str)
        _expect(data, "context", dict)
    elif event_type == "user_response":
        _expect(data, "questionId", str, required=True)
        _expect(data, "response", str, required=True)
    elif event_type == "outcome":
        event_type, data = read_outcome(value)
    elif event_type in ("preferences", "user.preferences"):
        event_type, data = "user.preferences", read_preferences(value)
    elif event_type == "user.identify":
        check_zone(data.get("timezone"))
    return Said(
        type=event_type,
        data=data,
        client=read_name(value, "clientId") if "clientId" in value else None,
        id=event_id,
        session=read_name(value, "session") if "session" in value else None,
        at_reported=_read_at(value) if "at" in value else None,
    )


def _expect(data: dict[str, Json], name: str, kind: type, *, required: bool = False) -> None:
    found = data.get(name)
    if found is None and not required:
        return
    if not isinstance(found, kind):
        raise WireError(
            "bad_frame",
            f'expected "{name}" to be {KINDS[kind]}, got {kind_of(found) if name in data else "nothing"}',
        )


def check_zone(name: Json) -> None:
    """Null is none, as where nothing has been said."""
    if name is None:
        return
    if not isinstance(name, str) or find_zone(name) is None:
        got = f'"{name[:NAME_LENGTH_MAX]}"' if isinstance(name, str) and name else kind_of(name)
        raise bad_frame(f'expected "timezone" to be an IANA time zone such as "Europe/Paris", got {got}')


def read_name(value: dict[str, Json], name: str) -> str | None:
    found = value.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not found:
        raise bad_frame(f'expected "{name}" to be a non-empty string, got {kind_of(found)}')
    if len(found) > NAME_LENGTH_MAX:
        raise WireError(
            "bad_frame", f'expected "{name}" to have at most {NAME_LENGTH_MAX} characters, got {len(found)}'
        )
    return found


def _read_id(value: dict[str, Json]) -> str:
    found = value.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return read_name(value, "id") or ""


def _read_at(value: dict[str, Json]) -> int | None:
    found = value.get("at")
    if found is None:
        return None
    try:
        return parse_at(found)
    except Refused as refused:
        raise bad_frame(f'"at": {refused.message}') from None


_ENVELOPE = frozenset(ENVELOPE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_encoder = msgspec.json.Encoder()
