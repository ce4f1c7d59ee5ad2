"""What of a partition on Redis may not have been told yet. Nothing changes.

It is read from where it stands anyway: the outbox (`FleetStore.unsent`), and the log and the decisions since the last
commit that said that all before it was told (`FleetStore.untold`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from engine.core.refusal import Refused
from engine.storage.base import StoreError
from engine.storage.codec import taken_back
from engine.storage.fleet import Unsent, Untold
from engine.storage.readable import message_if_readable
from engine.storage.redis import RedisStore
from engine.storage.redis_entries import message_of, pairs
from engine.storage.redis_keys import from_name
from engine.storage.redis_link import Command

_Place = tuple[int, int]  # the numbers of an entry and of a decision


async def unsent_of(store: RedisStore, after: Mapping[int, int], messages_max: int) -> dict[int, list[Unsent]]:
    """Raises `StoreError`."""
    calls = [store._call(partition, "unsent", number, messages_max) for partition, number in after.items()]
    found: dict[int, list[Unsent]] = {}
    for partition, reply in zip(after, await store._ask(calls, again=True), strict=True):
        flat = iter(reply)
        found[partition] = [
            (int(number), message_if_readable(message_of, from_name(name), record, words))
            for number, name, record, words in zip(flat, flat, flat, flat, strict=True)
        ]
    return found


async def untold_of(store: RedisStore, after: Mapping[int, _Place], entries_max: int) -> dict[int, Untold]:
    """Raises `StoreError`."""
    keys, ask = store._keys, store._ask  # the parts of a store know each other's keys
    stands = await ask([("HMGET", keys.stand[number], "told", "told_d", "cur") for number in after], again=True)
    calls: list[Command] = []
    places: list[_Place] = []
    for (number, place), (told, told_d, cursor) in zip(after.items(), stands, strict=True):
        start, decided = max(place[0], int(told or 0)), max(place[1], int(told_d or 0))
        calls.append(("XRANGE", keys.of(number, b"in"), f"({start}-0", f"{int(cursor or 0)}-0", "COUNT", entries_max))
        calls.append(("XRANGE", keys.of(number, b"de"), f"({decided}-0", "+", "COUNT", entries_max))
        places.append((start, decided))
    pages = zip(after, places, pairs(await ask(calls, again=True)), strict=True)
    return {number: _page(store, number, place, *rows, entries_max) for number, place, rows in pages}


def _page(
    store: RedisStore, number: int, place: _Place, entries: Sequence[Any], decisions: Sequence[Any], entries_max: int
) -> Untold:
    page = Untold([], [])
    for name, row in entries:
        with suppress(StoreError):  # whoever evaluated it could read it
            page.entries.append(store._entry(number, int(name[:-2]), row[1]))
    for _, row in decisions:
        with suppress(msgspec.MsgspecError, Refused):
            if (pair := taken_back(row[7])) is not None:
                page.taken_back.append(pair)
    if len(entries) < entries_max and len(decisions) < entries_max:
        return page
    return replace(page, next=(_last(entries, place[0]), _last(decisions, place[1])))


def _last(rows: Sequence[Any], former: int) -> int:
    return int(rows[-1][0][:-2]) if rows else former
