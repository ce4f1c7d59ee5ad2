"""The live driver where rules change, and where processes end and others begin on the same store."""

from __future__ import annotations

import asyncio

import pytest
from live_world import START, World, compiled, said

from engine.core.units import MINUTE
from engine.stale import GRACE
from engine.storage.base import StoreError

SESSIONS = [("ann", "s1"), ("bob", "s2")]


# Rules that change.


@pytest.mark.parametrize(("changed", "fires"), [(MINUTE, 2 * MINUTE), (3 * MINUTE, None)])
async def test_a_shorter_timer_fires_on_time_and_never_in_the_past(changed: int, fires: int | None) -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    world.now = START + changed
    await world.live.change_rules(compiled(world.rules.sources["rules.yaml"].replace("5m", "2m")))
    if fires is not None:
        assert await world.store.next_wake() == START + fires
        await world.come_to(START + fires - 1)
        assert world.delivered == []
        await world.come_to(START + fires)
    await world.come_to(START + 10 * MINUTE)
    assert [message.at for message in world.delivered] == ([] if fires is None else [START + fires])


async def test_who_could_not_adopt_new_rules_at_once_does_so_later() -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    world.store.spared, world.store.refusals = 1, 6  # the change itself is made
    await world.live.change_rules(compiled(world.rules.sources["rules.yaml"].replace("5m", "2m")))
    assert await world.store.next_wake() == START + 5 * MINUTE
    with pytest.raises(StoreError):
        await world.live.mend()
    await world.live.mend()
    assert await world.store.next_wake() == START + 2 * MINUTE


async def test_rules_hold_from_a_moment_of_their_own() -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    world.now += 7
    moment = await world.live.change_rules(compiled(world.rules.sources["rules.yaml"] + "# again"))
    assert moment == START + 8
    assert [entry.at for entry in await world.entries("rules")][-1] == moment
    assert world.live.rules.hash == (await world.store.rule_moments())[-1][1]


# Processes that end and begin.


async def test_a_restart_with_the_same_rules_changes_nothing_and_timers_go_on() -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    entries = await world.entries("rules")
    await world.restart()
    assert await world.entries("rules") == entries
    await world.come_to(START + 5 * MINUTE)
    assert world.texts() == [("ann", "idle after edit")]


async def test_what_was_due_while_nobody_ran_happens_at_its_moment() -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    world.now = START + 7 * MINUTE
    await world.restart()
    await world.come_to(world.now)
    assert [message.at for message in world.delivered] == [START + 5 * MINUTE]


@pytest.mark.parametrize(("back", "said_so"), [(MINUTE, False), (MINUTE + 1, True)])
async def test_a_clock_that_is_behind_what_was_recorded_is_told(
    back: int, said_so: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    world.now = START - back
    await world.restart()
    shown = capsys.readouterr()
    assert ("the clock is behind what was recorded" in shown.out + shown.err) is said_so
    # Time does not go back with it.
    await world.say(said("ann", "edit"))
    assert (await world.state()).now == START


async def test_sessions_of_an_earlier_process_end_after_the_grace() -> None:
    world = await World().start()
    await world.say(said("ann", "session.start", "s1"), said("ann", "session.start", "s2"), said("bob"))
    await world.restart()
    await world.come_to(START + GRACE - 1)
    assert list((await world.state()).sessions) == ["s1", "s2"]
    await world.come_to(START + GRACE)
    state = await world.state()
    assert (state.sessions, state.present_since) == ({}, None)
    # An implicit session ends by itself.
    assert (await world.state("bob")).present_since is not None


async def test_a_client_who_comes_back_goes_on_where_they_were() -> None:
    world = await World().start()
    await world.say(said("ann", "session.start", "s1"), said("ann", "edit"))
    world.now += MINUTE // 2
    await world.restart()
    (ids,) = await world.say(said("ann", "session.start", "s2"))
    assert len(ids) == 1  # its own; the end of the former session is ours
    state = await world.state()
    assert list(state.sessions) == ["s2"]
    assert (state.presence, state.present_since) == (1, START)
    await world.come_to(world.now + GRACE)
    assert list((await world.state()).sessions) == ["s2"]
    await world.come_to(START + 5 * MINUTE)
    assert world.texts() == [("ann", "idle after edit")]


async def test_a_former_session_is_not_forgotten_where_its_end_could_not_be_recorded() -> None:
    world = await World().start()
    await world.say(said("ann", "session.start", "s1"))
    await world.restart()
    world.store.refusals = 3
    (refused,) = await world.say(said("ann", "session.start", "s2"))
    assert isinstance(refused, StoreError)
    # Nor is it when the grace is over just then.
    world.store.refusals = 3
    with pytest.raises(StoreError):
        await world.come_to(START + GRACE)
    await asyncio.sleep(0)  # lets it be noticed
    assert list((await world.state()).sessions) == ["s1"]
    await world.come_to(START + 2 * GRACE)
    assert (await world.state()).sessions == {}


async def test_a_session_whose_end_cannot_be_recorded_ends_later() -> None:
    world = await World().start()
    await world.say(said("ann", "session.start", "s1"), said("bob", "session.start", "s2"))
    world.store.refusals = 3
    world.live.end([said(user, "session.end", name) for user, name in SESSIONS])
    with pytest.raises(StoreError):
        await world.live.take_turn(START)
    await asyncio.sleep(0)  # lets it be noticed
    await asyncio.sleep(0)
    await world.say(said("ann", "session.start", "s3"))
    assert list((await world.state("ann")).sessions) == ["s3"]
    assert list((await world.state("bob")).sessions) == ["s2"]
    await world.come_to(START + GRACE)
    assert list((await world.state("ann")).sessions) == ["s3"]
    assert (await world.state("bob")).sessions == {}
