"""The parts of a record to an event, the careful way: each thing that can be wrong has its own reason."""

from __future__ import annotations

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.replay.bad_records import BadLine
from engine.replay.stamps import Stamps


def make_event(
    stamps: Stamps,
    at: Json,
    user: Json,
    event_type: Json,
    session: Json,
    event_id: Json,
    data: dict[str, Json],
) -> Event:
    """Raises `BadLine`. Names may be whole numbers as well as text; null and "" are no name."""
    return event_of(moment_of(stamps, at), user, event_type, session, event_id, data)


def moment_of(stamps: Stamps, at: Json) -> int:
    """Raises `BadLine`."""
    if at is None or at == "":
        raise BadLine("no time")
    try:
        return stamps.parse(at)
    except Refused as refused:
        raise BadLine("bad time", refused.message) from None


def event_of(moment: int, user: Json, event_type: Json, session: Json, event_id: Json, data: dict[str, Json]) -> Event:
    """As `make_event`, of a moment in microseconds."""
    user = _name("user", user)
    if not user:
        raise BadLine("no user")
    event_type = _name("type", event_type)
    if not event_type:
        raise BadLine("no type")
    return Event(event_type, user, moment, data, _name("id", event_id), _name("session", session) or None)


def _name(part: str, value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadLine(f"bad {part}", f"expected text, got {value!r}"[:120])
