"""Events as a state remembers them: cut down to a bound, and as parts that msgpack can write.

What a timer or a held message shows of an event always comes through here, so that it is the same whether the
state was written in between or not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from engine.core.model import Event, Json
from engine.core.units import from_datetime, from_timedelta, to_datetime, to_timedelta
from engine.core.zones import find_zone

KEPT_EVENT_BYTES_MAX = 4096
GROUPED_EVENT_BYTES_MAX = 1024  # of an event that is kept once for every group: there may be a hundred
KEPT_TEXT_MAX = 512  # characters of one string of an event that is kept cut down


def keep(event: Event, bytes_max: int = KEPT_EVENT_BYTES_MAX) -> Event:
    """The event as a state remembers it: itself, or cut down to ``bytes_max`` of data.

    Cutting twice is the same as cutting once.
    """
    if not event.data or size_of(event.data) <= bytes_max:
        return event
    kept: dict[str, Json] = {}
    room = bytes_max - 2
    for name, value in event.data.items():
        if isinstance(value, str):
            value = value[:KEPT_TEXT_MAX]
        size = size_of(name) + size_of(value) + 2
        if size <= room and (size <= 4 * KEPT_TEXT_MAX or isinstance(value, str)):
            kept[name] = value
            room -= size
    return msgspec.structs.replace(event, data=kept)


def kept_event(event: Event | None, bytes_max: int = KEPT_EVENT_BYTES_MAX) -> tuple[Any, ...] | None:
    """The parts of an event, less its user, cut down as by `keep`; None for None."""
    if event is None:
        return None
    event = keep(event, bytes_max)
    return event.type, event.at, event.data, event.id, event.session, event.at_reported


def restored_event(user: str, parts: Sequence[Any] | None) -> Event | None:
    """The inverse of `kept_event`."""
    if parts is None:
        return None
    event_type, at, data, event_id, session, at_reported = parts
    return Event(event_type, user, at, data, event_id, session, at_reported)


# Every list is written with a mark before it, so that none of these can be taken for a list of texts.
_SPAN, _MOMENT, _LIST = "\0span", "\0at", "\0list"


def frozen_facts(value: Any) -> Any:
    """Facts of a trigger as values that msgpack can write: durations, moments and lists marked as what they are."""
    if isinstance(value, timedelta):
        return [_SPAN, from_timedelta(value)]
    if isinstance(value, datetime):
        return [_MOMENT, from_datetime(value), getattr(value.tzinfo, "key", "Etc/UTC")]
    if isinstance(value, dict):
        return {name: frozen_facts(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_LIST, *[frozen_facts(item) for item in value]]
    return value


def thawed_facts(value: Any) -> Any:
    """The inverse of `frozen_facts`; tuples come back as lists."""
    if isinstance(value, dict):
        return {name: thawed_facts(item) for name, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    mark = value[0]
    if mark == _SPAN:
        return to_timedelta(value[1])
    if mark == _MOMENT:
        zone = find_zone(value[2])
        return to_datetime(value[1]) if zone is None else to_datetime(value[1], zone)
    return [thawed_facts(item) for item in value[1:]]


def size_of(value: Json) -> int:
    """Bytes of the value as JSON in UTF-8; a lone surrogate counts for three, as UTF-8 would write it."""
    try:
        return len(_json.encode(value))
    except UnicodeEncodeError:
        return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))


_json = msgspec.json.Encoder()
