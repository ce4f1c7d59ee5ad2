"""Whose rules come to hold: those of files that are new to the fleet, or edited; never those of a stale copy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fleet_world import FAIL, World, compiled

from engine.fleet.publishing import Publishing
from engine.reload import Reloader
from engine.storage.base import StoreError

OTHER = FAIL.replace("event: fail", "event: failed")


async def held(world: World) -> list[str]:
    return [rules_hash for _, rules_hash in await world.store.rule_moments()]


async def test_the_first_rules_are_published() -> None:
    world = World()
    assert await Publishing(world.store, compiled(FAIL)).begin() == ""
    assert await held(world) == [compiled(FAIL).hash]
    assert await world.store.load_rules(compiled(FAIL).hash) == compiled(FAIL).sources


async def test_rules_that_never_held_are_published_at_the_start() -> None:
    world = await World.started(FAIL)
    assert await Publishing(world.store, compiled(OTHER)).begin() == ""
    assert await held(world) == [compiled(FAIL).hash, compiled(OTHER).hash]


async def test_rules_that_hold_are_not_published_again() -> None:
    world = await World.started(FAIL)
    assert await Publishing(world.store, compiled(FAIL)).begin() == ""
    assert await held(world) == [compiled(FAIL).hash]


async def test_a_start_with_files_that_held_before_takes_nothing_back_and_says_so() -> None:
    world = await World.started(FAIL)
    await world.publish(OTHER)
    said = await Publishing(world.store, compiled(FAIL)).begin()
    assert said.startswith("the files have the rules of 2026-03-27T10:00:00.000001Z; others hold since ")
    assert await held(world) == [compiled(FAIL).hash, compiled(OTHER).hash]


async def test_an_edit_is_published_though_it_held_before() -> None:
    world = await World.started(FAIL)
    await world.publish(OTHER)
    publishing = Publishing(world.store, compiled(OTHER))
    world.now += 1
    moment = await publishing.change_rules(compiled(FAIL))
    assert (await world.store.rule_moments())[-1] == (moment, compiled(FAIL).hash)
    assert publishing.rules.hash == compiled(FAIL).hash


async def test_an_edit_that_several_workers_see_is_published_once() -> None:
    world = await World.started(FAIL)
    publishing = [Publishing(world.store, compiled(FAIL)) for _ in range(3)]
    moments = [await each.change_rules(compiled(OTHER)) for each in publishing]
    assert len(set(moments)) == 1
    assert len(await held(world)) == 2


async def test_of_a_publication_of_which_only_the_answer_was_lost_nothing_is_published_again() -> None:
    world = await World.started(FAIL)
    publishing = Publishing(world.store, compiled(FAIL))
    world.store.unpublished = 1
    moment = await publishing.change_rules(compiled(OTHER))
    assert (await world.store.rule_moments())[1:] == [(moment, compiled(OTHER).hash)]
    assert publishing.rules.hash == compiled(OTHER).hash


async def test_what_the_store_refuses_does_not_hold_and_is_tried_again() -> None:
    world = await World.started(FAIL)
    publishing = Publishing(world.store, compiled(FAIL))
    await world.store.close()
    with pytest.raises(StoreError):
        await publishing.change_rules(compiled(OTHER))
    assert publishing.rules.hash == compiled(FAIL).hash


async def test_files_of_one_worker_that_are_older_than_what_holds_are_left_alone(tmp_path: Path) -> None:
    """Another machine's edit must not be taken back by the first look at files that nobody edited."""
    (tmp_path / "rules.yaml").write_text(FAIL, encoding="utf-8")
    world = await World.started(FAIL)
    reloader = Reloader(Publishing(world.store, compiled(FAIL)), tmp_path)
    await world.publish(OTHER)
    await reloader.reload()
    assert (await held(world))[-1] == compiled(OTHER).hash
    await asyncio.to_thread((tmp_path / "rules.yaml").write_text, FAIL.replace("id: fail", "id: again"), "utf-8")
    world.now += 1
    await reloader.reload()
    assert len(await held(world)) == 3


async def test_users_who_are_present_are_told_to_whoever_plans_a_change() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "edit")
    await world.round()
    publishing = Publishing(world.store, compiled(FAIL))
    assert [state.user async for state in publishing.present_users()] == ["ann"]
