"""Sessions of gateways that are gone: which end at once, which when nobody has taken them up, and whose they are."""

from __future__ import annotations

import asyncio

import pytest
from fleet_world import FAIL, World
from structlog.testing import capture_logs

from engine.core.units import MILLISECOND, MINUTE
from engine.fleet.cleaning import ENDED_AT_ONCE, LOOK_AGAIN_MS, Cleaning
from engine.storage.base import StoreError, partition_of
from engine.storage.fleet import Presence

WITHIN = MINUTE
A_GATEWAY_IS_GONE = "! a gateway is gone; sessions that cannot be taken up elsewhere end"


async def lost(world: World) -> Cleaning:
    """A gateway at which ann has a plain session and bob one that can be taken up; it is gone."""
    await world.store.beat("gateway", "g1", 1)
    await world.say("ann", "session.start", session="s1")
    await world.say("bob", "session.start", session="s_2")
    await world.round()
    world.now += MILLISECOND
    return Cleaning(world.store, WITHIN)


async def clean(world: World, cleaning: Cleaning, held: set[int] | None = None) -> list[str]:
    """The users of whom a session ends by it."""
    before = await ended(world)
    roll = await world.store.beat("worker", "w1", 2_000)
    cleaning.heard(roll.lost, set(world.partitions) if held is None else held)
    await cleaning.clean()
    return [user for user in await ended(world) if user not in before]


async def ended(world: World) -> list[str]:
    entries = [entry for number in world.partitions for entry in await world.store.log(number, 0, 10_000)]
    return sorted(entry.user for entry in entries if entry.event is not None and entry.event.type == "session.end")


async def test_what_nobody_can_take_up_ends_at_once_and_the_rest_when_nobody_has() -> None:
    world = await World.started(FAIL)
    cleaning = await lost(world)
    assert await clean(world, cleaning) == ["ann"]
    assert await world.store.sessions_at("g1", 0) == {"bob": ["s_2"]}
    world.now += WITHIN - MILLISECOND
    assert await clean(world, cleaning) == []
    world.now += MILLISECOND
    assert await clean(world, cleaning) == ["bob"]
    assert await world.store.sessions_at("g1", 0) == {}
    assert (await world.store.beat("worker", "w1", 2_000)).lost == {}


async def test_what_has_been_taken_up_elsewhere_goes_on() -> None:
    world = await World.started(FAIL)
    cleaning = await lost(world)
    assert await world.store.resume("g2", "bob", "s_2") == ["g1"]
    world.now += WITHIN
    assert await clean(world, cleaning) == ["ann"]
    assert await world.store.sessions_at("g2", 0) == {"bob": ["s_2"]}


async def test_a_worker_ends_sessions_of_its_own_partitions() -> None:
    world = await World.started(FAIL, partition_count=2)
    cleaning = await lost(world)
    world.now += WITHIN
    one = await clean(world, cleaning, {0})
    assert (await world.store.beat("worker", "w1", 2_000)).lost != {}
    other = await clean(world, cleaning, {0, 1})
    assert sorted([*one, *other]) == ["ann", "bob"]
    assert (await world.store.beat("worker", "w1", 2_000)).lost == {}


async def test_two_workers_who_end_the_same_session_end_it_once() -> None:
    world = await World.started(FAIL)
    cleaning = await lost(world)
    await clean(world, cleaning)
    await world.store.ingest([], [Presence("ann", "s1")], "g1")
    await clean(world, Cleaning(world.store, WITHIN))
    assert await ended(world) == ["ann"]
    assert await world.store.sessions_at("g1", 0) == {"bob": ["s_2"]}


async def test_a_gateway_that_is_alive_keeps_its_sessions() -> None:
    world = await World.started(FAIL)
    cleaning = await lost(world)
    await world.store.beat("gateway", "g1", 10_000)
    assert await clean(world, cleaning) == []


async def test_more_sessions_than_are_ended_at_once_all_end() -> None:
    world = await World.started(FAIL)
    await world.store.beat("gateway", "g1", 1)
    here = [Presence(f"u{number}", f"s{number}") for number in range(ENDED_AT_ONCE + 1)]
    await world.store.ingest([], here, "g1")
    world.now += MILLISECOND
    assert len(await clean(world, Cleaning(world.store, WITHIN))) == ENDED_AT_ONCE + 1


async def test_what_the_store_refused_is_ended_when_it_is_asked_again() -> None:
    world = await World.started(FAIL)
    cleaning = await lost(world)
    world.store.deaf = 1
    with pytest.raises(StoreError):
        await clean(world, cleaning)
    assert await clean(world, cleaning) == ["ann"]


@pytest.mark.parametrize(
    ("trouble", "line"), [("deaf", "! sessions of a lost gateway end later"), ("faults", "! cleaning failed")]
)
async def test_whatever_goes_wrong_what_is_to_end_ends_later(trouble: str, line: str) -> None:
    world = await World.started(FAIL)
    await lost(world)
    cleaning = Cleaning(world.store, WITHIN, again_s=0)
    setattr(world.store, trouble, 1)
    with capture_logs() as logs:
        running = asyncio.create_task(cleaning.run())
        async with asyncio.timeout(10):
            while await ended(world) != ["ann"]:
                cleaning.heard((await world.store.beat("worker", "w1", 2_000)).lost, {0})
                await asyncio.sleep(0)
    running.cancel()
    assert [each["event"] for each in logs if each["event"] != A_GATEWAY_IS_GONE] == [line]


async def late(world: World) -> None:
    """The gateway, which was cut off, has written a session down when its own have ended, and is gone again."""
    await world.store.ingest([], [Presence("bob", "s_9")], "g1")


async def test_a_session_that_was_written_down_late_ends_when_it_is_found() -> None:
    world = await World.started(FAIL, partition_count=2)
    cleaning = await lost(world)
    own = partition_of("bob", 2)
    world.now += WITHIN
    assert "bob" in await clean(world, cleaning, {own})
    await late(world)
    await clean(world, cleaning, {0, 1})
    assert (await world.store.beat("worker", "w1", 2_000)).lost.keys() == {"g1"}
    await clean(world, cleaning, {0, 1})
    assert await world.store.sessions_at("g1", own) == {}
    await clean(world, cleaning, {0, 1})
    assert (await world.store.beat("worker", "w1", 2_000)).lost == {}


@pytest.mark.parametrize(("later_ms", "is_over"), [(LOOK_AGAIN_MS - 1, False), (LOOK_AGAIN_MS, True)])
async def test_a_worker_looks_again_where_another_finds_somebody(later_ms: int, is_over: bool) -> None:
    """The worker of the first partition strikes the gateway off, and cannot end what is another's."""
    world = await World.started(FAIL, partition_count=2)
    await world.store.beat("gateway", "g1", 1)
    user = next(name for name in ("ann", "bob", "cem", "dan", "eve", "fay") if partition_of(name, 2) == 1)
    world.now += MILLISECOND + WITHIN
    other = Cleaning(world.store, WITHIN)
    assert await clean(world, other, {1}) == []
    await world.store.ingest([], [Presence(user, "s_9")], "g1")
    world.now += later_ms * MILLISECOND
    assert await clean(world, other, {1}) == ([user] if is_over else [])


async def test_while_somebody_is_listed_there_the_gateway_is_not_looked_for_in_all_partitions_again() -> None:
    world = await World.started(FAIL, partition_count=8)
    await world.store.beat("gateway", "g1", 1)
    user = next(f"u{number}" for number in range(1_000) if partition_of(f"u{number}", 8) == 7)
    await world.store.ingest([], [Presence(user, "s_9")], "g1")
    world.now += MILLISECOND + WITHIN
    cleaning = Cleaning(world.store, WITHIN)
    looks = []
    for _ in range(2):
        before = world.store.looks
        await clean(world, cleaning, {0})
        looks.append(world.store.looks - before)
    assert looks == [1 + 8, 1]
    assert await clean(world, Cleaning(world.store, WITHIN), {7}) == [user]
    await clean(world, cleaning, {0})
    assert (await world.store.beat("worker", "w1", 2_000)).lost == {}
