"""What a user did last, and what was taken back from them, for whoever may not have been told. It changes nothing."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from engine.core.refusal import Refused
from engine.storage.base import NEWEST, Store
from engine.storage.codec import taken_back
from engine.storage.fleet import SETTLED_MAX, Untold


async def settled_of(store: Store, user: str) -> Untold:
    """See `FleetStore.settled`."""
    recorded = await store.recorded(user, NEWEST, SETTLED_MAX)
    found = Untold([entry for _, entry in reversed(recorded.entries)], [])
    for _, line in reversed(recorded.decisions):
        with suppress(msgspec.MsgspecError, Refused):
            if (pair := taken_back(line)) is not None:
                found.taken_back.append(pair)
    return found
