"""What a user did last, and what was taken back from them, for whoever may not have been told. It changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from engine.storage.base import NEWEST, Entry, Store
from engine.storage.codec import every_taken_back
from engine.storage.fleet import SETTLED_MAX, Untold


async def settled_of(store: Store, user: str, since: int, types: Collection[str]) -> Untold:
    """See `FleetStore.settled`. For a store that has all of it at hand."""
    recorded = await store.recorded(user, NEWEST, SETTLED_MAX)
    return told_by([entry for _, entry in recorded.entries], [line for _, line in recorded.decisions], since, types)


def told_by(entries: Iterable[Entry], decisions: Iterable[bytes], since: int, types: Collection[str]) -> Untold:
    """What is to be told of these, which come newest first; a decision that cannot be read is passed over."""
    found = Untold([entry for entry in entries if _is_of(entry, since, types)], every_taken_back(decisions))
    found.entries.reverse()
    found.taken_back.reverse()
    return found


def _is_of(entry: Entry, since: int, types: Collection[str]) -> bool:
    return entry.event is not None and entry.event.type in types and entry.at >= since
