"""Rounds of a worker on Redis where big entries wait: of these it is handed fewer than it asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fleet_world import FAIL, compiled
from storage.redis_server import running

from engine.core.model import Event
from engine.fleet.rounds import Rounds
from engine.storage.base import Entry
from engine.storage.redis_fleet import BYTES_AT_ONCE, RedisFleetStore

BIG = BYTES_AT_ONCE // 8 - 1_000  # so that eight of them are handed out at once


def big(number: int) -> Entry:
    return Entry("event", 0, "ann", Event("fail", "ann", 0, {"text": "x" * BIG}, f"big{number}"), once=True)


async def test_where_a_tick_is_wished_behind_more_than_is_handed_out_all_is_evaluated_before_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        store = await RedisFleetStore.open(server.address, partition_count=1)
        rounds = Rounds(store, "w1", lease_ms=60_000)
        rules = compiled(FAIL)
        await store.save_rules(rules.hash, rules.sources)
        moment = await store.publish_rules(rules.hash)
        while await store.clock() <= moment:
            pass
        await rounds.make([0])
        await store.ingest([big(0)])  # so that it is known how big they are
        await rounds.make([0])
        await store.ingest([big(number) for number in range(1, 21)])
        wished = asyncio.create_task(rounds.adopting.adopt([], rounds.held))
        await asyncio.sleep(0)
        made = [await rounds.make([0]) for _ in range(4)]
        assert [each.refused for each in made] == [0, 0, 0, 0]
        assert [each.is_behind for each in made] == [True, True, False, False]
        assert [len(result.decisions) for each in made for result in each.done.get(0, ())] == [8, 8, 4]
        await wished
        assert [entry.kind for entry in await store.log(0, 20, 9)] == ["event", "event", "tick"]
        await store.close()
