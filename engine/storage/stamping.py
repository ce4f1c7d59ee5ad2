"""Entries that the store stamps as it puts them into the log: what they must be before, and what they are then.

Pure checks and copies; nothing is stored here and no clock is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.model import Event
from engine.core.units import AT_MAX, AT_MIN
from engine.storage.base import Entry
from engine.storage.fleet import Presence
from engine.storage.order import check_expiry


def check_given(entry: Entry) -> None:
    """Raises `ValueError` for an entry that cannot be ingested. Its moment is nothing to it."""
    event = entry.event
    if entry.kind == "event":
        if event is None or entry.message is not None or entry.rules_hash:
            raise ValueError('an entry of kind "event" lacks its event or has what is another\'s')
        if event.user != entry.user:
            raise ValueError(f"an entry is of its event's user: expected {event.user!r}, got {entry.user!r}")
        if event.at_reported is not None and not AT_MIN <= event.at_reported <= AT_MAX:
            raise ValueError(f"expected a stamp from {AT_MIN} to {AT_MAX}, got {event.at_reported}")
        if entry.once and not event.id:
            raise ValueError("an event that happens once has an id, by which that is known: got none")
    elif entry.kind == "send":
        if entry.message is None or event is not None or entry.rules_hash:
            raise ValueError('an entry of kind "send" lacks its message or has what is another\'s')
        check_expiry(entry.message)
    else:
        raise ValueError(f'only events and sends are ingested, got "{entry.kind}"')


def check_presence(presence: Sequence[Presence], gateway: str) -> None:
    if not gateway and any(each.is_there for each in presence):
        raise ValueError("a session is there at a gateway: expected its name, got none")


def ends_of(entries: Sequence[Entry]) -> dict[tuple[str, str], list[int]]:
    """The places of those by which a session ends, by user and session."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, entry in enumerate(entries):
        event = entry.event
        if event is not None and event.type == "session.end" and event.session is not None:
            found.setdefault((event.user, event.session), []).append(place)
    return found


def stamped(entry: Entry, at: int, number: str) -> Entry:
    """As it stands in the log at that moment. ``number``, "<partition>-<number>", is the id of an event without one."""
    event = entry.event
    if event is not None:
        event = Event(event.type, event.user, at, event.data, event.id or number, event.session, event.at_reported)
    return Entry(entry.kind, at, entry.user, event, "", entry.message, entry.once, entry.client)
