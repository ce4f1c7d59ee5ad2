"""What is older than the store keeps, in a fleet: each worker folds the logs of its own partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from fleet_world import FAIL, World

from engine.core.units import HOUR
from engine.fleet.cleaning import Cleaning
from engine.fleet.relay import Relay
from engine.fleet.worker import Worker
from engine.retention import Retention
from engine.storage.base import StoreError

USERS = [f"u{number}" for number in range(8)]
COUNTING = """
version: 1
rules:
  - {id: often, trigger: {count: {event: fail, at_least: 3, within: 9h}}, message: {type: suggestion, text: "often"}}
"""


async def worked(world: World) -> Worker:
    """Two hours in which everybody fails, and rules that somebody has yet to adopt."""
    rounds = world.rounds
    worker = Worker(
        world.store, "w1", rounds=rounds, relay=Relay(world.store), cleaning=Cleaning(world.store),
        clock=lambda: world.now, seconds=lambda: 0.0,
    )  # fmt: skip
    for _ in range(2):
        for user in USERS:
            await world.say(user, "fail")
        await world.round()
        world.now += HOUR
    await world.publish(COUNTING)
    world.now += HOUR
    while (await world.round()).entries:
        pass
    return worker


async def while_it_works(world: World, work: Awaitable[Any]) -> Any:
    task = asyncio.ensure_future(work)
    while not task.done():
        await world.round()
        await asyncio.sleep(0)
    return task.result()


async def test_it_folds_what_is_its_own_and_everybody_has_adopted_what_lies_behind() -> None:
    world = await World.started(FAIL, partition_count=2)
    worker = await worked(world)
    retention = Retention(world.store, worker.adopt, lambda: [1])
    await while_it_works(world, worker.adopt([]))
    world.now += HOUR
    await world.say("u1", "edit")
    await world.say("u0", "edit")
    await world.round()
    trimmed = await while_it_works(world, retention.trim(world.now))
    assert trimmed.entries > 0
    assert (await world.store.folded(0)).number == 0
    assert (await world.store.folded(1)).number > 0
    for user in USERS:
        await world.say(user, "fail")
    await world.round()
    for user in USERS:  # two of the three times are from before
        assert [sent.rule for sent in await world.store.pending(user, world.now)][-1] == "often"


async def test_a_partition_that_goes_to_another_worker_is_not_folded() -> None:
    world = await World.started(FAIL, partition_count=2)
    worker = await worked(world)
    adopting = asyncio.ensure_future(worker.adopt(USERS))
    await asyncio.sleep(0)
    world.rounds.drop([0])
    with pytest.raises(StoreError, match="another worker"):
        await while_it_works(world, adopting)
