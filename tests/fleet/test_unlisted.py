"""Sessions that a server left open which had the store alone: they end, and those of gateways go on."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from fleet_world import FAIL, World

from engine.core.model import Event
from engine.fleet.unlisted import end_unlisted, end_unlisted_once
from engine.storage.base import Entry


async def left_open(partition_count: int = 1) -> World:
    """Bob is at a gateway; ann and dan have sessions that are at none."""
    world = await World.started(FAIL, partition_count)
    await world.store.beat("gateway", "g1", 10_000)
    await world.say("bob", "session.start", session="s_bob")
    begun = [Event("session.start", user, 0, {}, session=f"s_{user}") for user in ("ann", "dan")]
    await world.store.ingest([Entry("event", 0, event.user, event) for event in begun])
    await world.round()
    return world


async def present(world: World) -> list[str]:
    while (await world.round()).entries:
        pass
    return sorted(user for user, _ in await world.store.present_users())


async def test_those_that_are_at_no_gateway_end_and_the_others_go_on() -> None:
    world = await left_open()
    assert await present(world) == ["ann", "bob", "dan"]
    assert await end_unlisted(world.store, {0}) == 2
    assert await present(world) == ["bob"]
    assert await end_unlisted(world.store, {0}) == 0


async def test_those_of_a_gateway_that_is_lost_are_left_to_whoever_cleans_after_it() -> None:
    world = await left_open()
    world.now += 60_000_000
    assert (await world.store.beat("worker", "w1", 2_000)).lost.keys() == {"g1"}
    assert await end_unlisted(world.store, {0}) == 2
    assert await present(world) == ["bob"]


async def test_a_worker_sees_to_its_own_partitions() -> None:
    world = await left_open(partition_count=8)
    held = [{number} for number in range(8)]
    assert sum([await end_unlisted(world.store, some) for some in held]) == 2
    assert await end_unlisted(world.store, set(range(8))) == 2  # not evaluated yet, so they are said to end once more
    assert await present(world) == ["bob"]
    assert await ends(world) == ["ann", "dan"]


async def test_a_state_that_cannot_be_read_keeps_no_other_from_its_end() -> None:
    world = await left_open()
    world.store._partitions[0].users["ann"].state = b"no state"
    assert await end_unlisted(world.store, {0}) == 1
    assert await ends(world) == ["dan"]


@pytest.mark.parametrize("trouble", ["deaf", "faults"])
async def test_the_store_is_asked_again_until_it_can_say(trouble: str) -> None:
    world = await left_open()
    setattr(world.store, trouble, 1)
    await end_unlisted_once(world.store, lambda: {0}, 0, again_s=0)
    assert await ends(world) == ["ann", "dan"]


async def test_what_is_held_counts_when_it_is_looked() -> None:
    world = await left_open()
    asked: list[Collection[int]] = [set()]
    await end_unlisted_once(world.store, asked.pop, 0)
    assert await ends(world) == []


async def ends(world: World) -> list[str]:
    entries = [entry for number in world.partitions for entry in await world.store.log(number, 0, 10_000)]
    return sorted(entry.user for entry in entries if entry.event is not None and entry.event.type == "session.end")
