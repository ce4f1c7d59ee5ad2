"""Entries that are big: a worker is handed fewer of them at once, and all of them in the end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from redis_server import running
from samples_for_stores import ANN, PARTITION_COUNT

from engine.core.model import Event
from engine.storage.base import Commit, Entry
from engine.storage.redis_fleet import BYTES_AT_ONCE, RedisFleetStore

MIB = 1024 * 1024
MANY = 12


def big(number: int, size: int = MIB) -> Entry:
    event = Event("test.failed", ANN, 0, {"n": number, "text": "x" * size}, f"big/{number}")
    return Entry("event", 0, ANN, event, once=True)


async def handed_out(store: RedisFleetStore) -> list[int]:
    """Their numbers, and all of them are committed."""
    [share] = await store.take("w1", [0], lease_ms=60_000)
    batch = share.batch
    await store.commit([Commit(0, batch.version, batch.cursor + len(batch.entries))])
    return [int(str(entry.event.data["n"])) for entry in batch.entries if entry.event is not None]


async def test_of_big_entries_fewer_are_handed_out_at_once_and_of_small_ones_many_again(tmp_path: Path) -> None:
    async with AsyncExitStack() as opened:
        server = opened.enter_context(running(tmp_path))
        store = await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT)
        opened.push_async_callback(store.close)
        await store.ingest([big(0)])
        assert await handed_out(store) == [0]
        for number in range(MANY):
            await store.ingest([big(number)] if number else [big(MANY)])
        found = [await handed_out(store)]
        while found[-1]:
            found.append(await handed_out(store))
        assert [number for some in found for number in some] == [MANY, *range(1, MANY)]
        assert max(map(len, found)) <= BYTES_AT_ONCE // MIB
        await store.ingest([big(100 + number, 10) for number in range(MANY)])
        found = [await handed_out(store), await handed_out(store)]
        assert len(found[0]) < MANY
        assert [number for some in found for number in some] == [100 + number for number in range(MANY)]
