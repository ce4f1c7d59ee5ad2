"""What a user did last on Redis, and what was taken back from them: found there, so that little goes over the network.

Nothing is indexed for it. The entries of a user hang together in the log, and Redis follows them back to the moment; of
each it looks only whether a text is in it. What that finds too much is left out here.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from engine.storage.base import NEWEST, Entry, partition_of
from engine.storage.codec import TAKES_BACK
from engine.storage.fleet import SETTLED_MAX, Untold
from engine.storage.redis import RedisStore
from engine.storage.redis_entries import pairs
from engine.storage.redis_keys import to_name
from engine.storage.settled import told_by

CALLS_MAX = 20
LOOKED_AT_ONCE = (
    SETTLED_MAX // CALLS_MAX
)  # entries, and as many decisions: some milliseconds in which Redis does no more
# That are looked at in one call: entries of 1 MiB, and so what they come to where each is one to be told.
BYTES_AT_ONCE = 4 * 1024 * 1024
ANYWAY = 50  # decisions that are looked at whatever their moment
NEWEST_DECISION = b"%d" % NEWEST[1]


async def settled_of(store: RedisStore, user: str, since: int, types: Collection[str]) -> Untold:
    """See `FleetStore.settled`. Raises `StoreError`."""
    name, partition = to_name(user), partition_of(user, store.partition_count)
    texts = [b'"type":' + msgspec.json.encode(kind) for kind in types]  # as the codec writes it
    entries: list[Entry] = []
    decisions: list[bytes] = []
    number, before = b"", NEWEST_DECISION
    for _ in range(CALLS_MAX):
        anyway = ANYWAY if before == NEWEST_DECISION else 0
        bounds = LOOKED_AT_ONCE, BYTES_AT_ONCE, TAKES_BACK
        # The parts of a store know each other's calls.
        call = store._call(partition, "settled", name, max(since, 0), number, before, anyway, *bounds, *texts)
        [(found, lines, number, before)] = await store._ask([call], again=True)
        entries += [store._entry(partition, int(place), packed) for place, packed in pairs(found)]
        decisions += lines
        if number == before == b"0":
            break
    return told_by(entries, decisions, since, types)
