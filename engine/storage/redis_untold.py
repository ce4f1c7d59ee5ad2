"""What of a partition on Redis may not have been told yet. Nothing changes.

It is read from where it stands anyway: the outbox (`FleetStore.unsent`), and the log and the decisions since the last
commit that said that all before it was told (`FleetStore.untold`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from engine.storage.base import PAGE_BYTES, StoreError
from engine.storage.codec import every_taken_back
from engine.storage.fleet import Unsent, Untold
from engine.storage.readable import message_if_readable
from engine.storage.redis import RedisStore
from engine.storage.redis_entries import message_of, pairs
from engine.storage.redis_keys import from_name
from engine.storage.redis_link import Command
from engine.storage.redis_pages import Row, page, rows_of, size_of

AT_ONCE = 16  # partitions that are read in one exchange

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
    """Of those to which it does not come, for what the others have is much, nothing yet. Raises `StoreError`."""
    found = {number: Untold([], [], place) for number, place in after.items()}
    waiting = list(after)
    size = 0
    while waiting and size < PAGE_BYTES:
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        size += await _read(store, {number: after[number] for number in some}, entries_max, found)
    return found


async def _read(store: RedisStore, after: Mapping[int, _Place], entries_max: int, found: dict[int, Untold]) -> int:
    """How many bytes it was."""
    keys, ask = store._keys, store._ask  # the parts of a store know each other's keys
    stands = await ask([("HMGET", keys.stand[number], "told", "told_d", "cur") for number in after], again=True)
    share = PAGE_BYTES // (2 * len(after))
    calls: list[Command] = []
    places: list[_Place] = []
    for (number, place), (told, told_d, cursor) in zip(after.items(), stands, strict=True):
        start, decided = max(place[0], int(told or 0)), max(place[1], int(told_d or 0))
        calls.append(page(keys.of(number, b"in"), start, int(cursor or 0), entries_max, share))
        calls.append(page(keys.of(number, b"de"), decided, "+", entries_max, share))
        places.append((start, decided))
    replies = await ask(calls, again=True)
    size = 0
    for number, place, (of_entries, of_decisions) in zip(after, places, pairs(replies), strict=True):
        pages = rows_of(of_entries, 1), rows_of(of_decisions, 4)
        sizes = [size_of(rows) for rows in pages]
        is_last = all(len(rows) < entries_max for rows in pages) and max(sizes) < share
        found[number] = _untold(store, number, place, *pages, is_last=is_last)
        size += sum(sizes)
    return size


def _untold(
    store: RedisStore, number: int, place: _Place, entries: list[Row], decisions: list[Row], *, is_last: bool
) -> Untold:
    following = _last(entries, place[0]), _last(decisions, place[1])
    found = Untold([], every_taken_back(line for *_, line in decisions), None if is_last else following)
    for each, packed in entries:
        with suppress(StoreError):  # whoever evaluated it could read it
            found.entries.append(store._entry(number, each, packed))
    return found


def _last(rows: list[Row], former: int) -> int:
    return rows[-1][0] if rows else former
