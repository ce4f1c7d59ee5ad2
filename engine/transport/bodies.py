"""What stands in the body of an HTTP request, to values. Pure functions; a frame in it is read by `wire`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.model import MESSAGE_TYPES_TAKEN, Json
from engine.core.refusal import Refused
from engine.core.units import parse_duration
from engine.transport.decoding import (
    DEPTH_MAX,
    NAME_LENGTH_MAX,
    WireError,
    bad_frame,
    check_bounds,
    decode_json,
    kind_of,
)
from engine.transport.wire import EVENTS_MAX, Ping, Said, encode, read_event, read_frame, read_name, read_value

MESSAGE_TEXT_MAX = 16 * 1024  # characters
OPTIONS_MAX = 20
MESSAGE_FIELDS = ("to", "type", "text", "options", "data", "expires", "id")


@dataclass(frozen=True, slots=True)
class Order:
    """A message that the application wants sent: to ``user``, to one ``client`` (of ``user``, if it says whose), or to
    everybody where both are None.

    ``expires``: how long it may wait, in microseconds, None for as long as the settings say. ``id``: the same message
    with the same id is one message; "" where it has none.
    """

    user: str | None
    client: str | None
    type: str
    text: str
    options: tuple[str, ...]
    data: dict[str, Json]
    expires: int | None = None
    id: str = ""


def read_one(body: bytes, *, depth_max: int = DEPTH_MAX) -> Ping | Said:
    """One frame that is not several. Raises `WireError`."""
    read = read_frame(body, depth_max=depth_max)
    if isinstance(read, Ping):
        return read
    if len(read) != 1:
        raise bad_frame(f"expected one frame, got {len(read)} events")
    return read[0]


def read_events(body: bytes, *, depth_max: int = DEPTH_MAX) -> list[Said]:
    """One event, a list, an ``events`` frame, or JSON lines. All of them or none. Raises `WireError`.

    JSON lines are recognised by a first line that is JSON by itself and is not all there is.
    """
    text = body.strip()
    first, _, rest = text.partition(b"\n")
    if rest and _is_json(first):
        return _read_lines(body, depth_max)
    value = decode_json(body)
    if not isinstance(value, list):
        read = read_value(value, depth_max=depth_max)
        if isinstance(read, Ping):
            raise bad_frame('expected an event, got a frame of type "ping", which is none')
        return read
    if len(value) > EVENTS_MAX:
        raise bad_frame(f"expected at most {EVENTS_MAX} events in one request, got {len(value)}")
    check_bounds(value, depth_max)
    said = []
    for number, item in enumerate(value):
        try:
            said.append(read_event(item))
        except WireError as error:
            raise WireError(error.code, f"[{number}]: {error.message}") from None
    return said


def read_frames(body: bytes) -> list[Json]:
    """Frames of a session, whatever they are: one, a list, or JSON lines. Only that they are JSON is looked at.

    Raises `WireError`.
    """
    first, _, rest = body.strip().partition(b"\n")
    if rest and _is_json(first):
        return [value for _, value in _lines(body, "frames")]
    value = decode_json(body)
    frames = value if isinstance(value, list) else [value]
    if len(frames) > EVENTS_MAX:
        raise bad_frame(f"expected at most {EVENTS_MAX} frames in one request, got {len(frames)}")
    return frames


def read_given(client: str, events: Json) -> list[Said]:
    """Events that a program gives as values, of one client: one, a list, or an ``events`` frame.

    They are taken as `read_events` takes them. Raises `WireError`, and what `encode` raises for what is no JSON.
    """
    said = read_events(encode(events).encode())
    for number, item in enumerate(said):
        if item.client not in (None, client):
            raise bad_frame(f'expected no other "clientId" in event {number} than "{client}", got "{item.client}"')
    return said


def _is_json(line: bytes) -> bool:
    try:
        decode_json(line)
    except WireError:
        return False
    return True


def _lines(body: bytes, what: str) -> Iterator[tuple[int, Json]]:
    """The values of JSON lines, each with the number of its line. Raises `WireError`."""
    count = 0
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        count += 1
        if count > EVENTS_MAX:
            raise bad_frame(f"expected at most {EVENTS_MAX} {what} in one request, got more")
        try:
            yield number, decode_json(line)
        except WireError as error:
            # The complaint begins with the place within the line, which is always the first of its text.
            raise WireError(error.code, f"{number}:{error.message.removeprefix('1:')}") from None


def _read_lines(body: bytes, depth_max: int) -> list[Said]:
    said: list[Said] = []
    for number, value in _lines(body, "events"):
        try:
            check_bounds(value, depth_max)
            said.append(read_event(value))
        except WireError as error:
            raise WireError(error.code, f"{number}:1: {error.message}") from None
    return said


def read_message(body: bytes, *, depth_max: int = DEPTH_MAX) -> Order:
    """The body of ``POST /messages``: ``{to: {…}, type, text, options?, data?, expires?, id?}``. Raises `WireError`."""
    value = decode_json(body)
    if not isinstance(value, dict):
        raise bad_frame('expected a JSON object with "to", "type" and "text"')
    check_bounds(value, depth_max)
    unknown = [name for name in value if name not in MESSAGE_FIELDS]
    if unknown:
        raise WireError("bad_frame", f'expected only {", ".join(MESSAGE_FIELDS)}, got "{unknown[0][:NAME_LENGTH_MAX]}"')
    user, client = _read_to(value.get("to"))
    message_type = value.get("type")
    if not isinstance(message_type, str) or not 0 < len(message_type) <= NAME_LENGTH_MAX:
        raise bad_frame(f'expected "type" to be a string of 1 to {NAME_LENGTH_MAX} characters')
    if message_type in MESSAGE_TYPES_TAKEN:
        raise bad_frame(f'"{message_type}" is a type of the protocol itself; choose another')
    text = value.get("text", "")
    if not isinstance(text, str) or len(text) > MESSAGE_TEXT_MAX:
        raise WireError("bad_frame", f'expected "text" to be a string of at most {MESSAGE_TEXT_MAX} characters')
    options = value.get("options", [])
    if not isinstance(options, list) or len(options) > OPTIONS_MAX or not all(isinstance(o, str) for o in options):
        raise bad_frame(f'expected "options" to be a list of at most {OPTIONS_MAX} strings')
    data = value.get("data", {})
    if not isinstance(data, dict):
        raise bad_frame('expected "data" to be an object')
    message_id = read_name(value, "id") or ""
    return Order(
        user, client, message_type, text, tuple(options), data, _read_expires(value.get("expires")), message_id
    )


def _read_expires(span: Json) -> int | None:
    if span is None:
        return None
    if not isinstance(span, str):
        raise bad_frame(f'expected "expires" to be a duration such as "10m", got {kind_of(span)}')
    try:
        return parse_duration(span)
    except Refused as refused:
        raise bad_frame(f'"expires": {refused.message[:200]}') from None


def _read_to(to: Json) -> tuple[str | None, str | None]:
    """User and client, both None for everybody."""
    if isinstance(to, dict):
        if to == {"all": True} and to["all"] is True:
            return None, None
        names = [name for name in to.values() if isinstance(name, str) and 0 < len(name) <= NAME_LENGTH_MAX]
        if to and to.keys() <= {"user", "client"} and len(names) == len(to):
            return to.get("user"), to.get("client")
    expected = '{"user": NAME}, {"user": NAME, "client": NAME}, {"client": NAME} or {"all": true}'
    raise bad_frame(f'expected "to" to be {expected}')
