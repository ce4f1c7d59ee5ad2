"""Rounds of one worker on the model store: what is evaluated, what is not yet, and what is forgotten when."""

from __future__ import annotations

import asyncio

import pytest
from fleet_world import FAIL, START, World

from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND
from engine.fleet.rounds import GIVE_UP, Rounds
from engine.storage.base import Commit, StoreError

COUNTING = """
version: 1
rules:
  - {id: often, trigger: {count: {event: fail, at_least: 3, within: 1h}}, message: {type: suggestion, text: "often"}}
"""
IDLE = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 1m}, message: {type: question, text: "idle"}}
"""


async def test_what_gateways_took_in_is_evaluated_and_is_in_the_outbox() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    made = await world.round()
    assert [sent.message.text for result in made.done[0] for sent in result.outbox] == ["1 fail"]
    assert [sent.user for sent in await world.store.pending("ann", world.now)] == ["ann"]
    assert (made.entries, made.refused, made.held) == (1, 0, {0})
    again = await world.round()
    assert (again.done, again.entries) == ({}, 0)


async def test_where_no_rules_have_ever_held_nothing_is_evaluated_until_some_do() -> None:
    world = World()
    await world.say("ann", "fail")
    made = await world.round()
    assert (made.done, made.oldest) == ({}, START)
    await world.publish(FAIL)
    while not (made := await world.round()).done:
        pass
    assert [sent.message.text for result in made.done[0] for sent in result.outbox] == ["1 fail"]


async def test_time_comes_to_whoever_is_due() -> None:
    world = await World.started(IDLE)
    await world.say("ann", "edit")
    await world.round()
    world.now += MINUTE
    made = await world.round()
    assert [(each.rule, each.at) for result in made.done[0] for each in result.decisions] == [
        ("idle", START + MINUTE + 1)
    ]


async def test_behind_rules_of_which_nobody_knows_whether_they_hold_nothing_is_evaluated() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    undecided = world.put_rules()
    await world.say("ann", "fail")
    made = await world.round()
    assert made.entries == 1
    world.now = undecided + GIVE_UP
    assert (await world.round()).entries == 0
    assert await world.store.are_decided(undecided, give_up=False) is None
    world.now += 1
    assert (await world.round()).entries == 2
    assert await world.store.are_decided(undecided, give_up=False) is False
    assert [len(await world.store.pending("ann", world.now))] == [2]


async def test_nobody_is_due_before_rules_that_are_undecided() -> None:
    world = await World.started(IDLE)
    await world.say("ann", "edit")
    await world.round()
    world.now += MINUTE
    world.put_rules()
    assert (await world.round()).done == {}


async def test_what_rules_want_to_know_of_the_past_is_evaluated_before_they_are_adopted() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    await world.publish(COUNTING)
    await world.say("ann", "fail")
    await world.publish(COUNTING.replace("1h", "2h"))
    await world.say("ann", "fail")
    pieces = []
    while (made := await world.round()).entries:
        pieces.append((made.entries, made.is_behind))
    assert pieces == [(1, True), (2, True), (2, False)]
    assert [sent.message.text for sent in await world.store.pending("ann", world.now)] == ["1 fail", "often"]


async def test_who_is_present_adopts_new_rules_and_a_tick_says_that_time_has_come_to_them() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "edit")
    await world.round()
    moment = await world.publish(IDLE)
    await world.round()
    assert world.rounds.adopting.is_to_look
    await world.rounds.adopting.look()
    assert world.rounds.adopting.count == 1
    await world.round()
    assert world.rounds.adopting.count == 0
    encoded = (await world.store.load(["ann"]))["ann"]
    assert UserState.decode(encoded).rules_since == moment
    assert [entry.kind for entry in await world.store.log(0, 0, 10)][-2:] == ["rules", "tick"]


async def test_two_who_take_the_same_partition_evaluate_it_once() -> None:
    world = await World.started(FAIL)
    first, second = world.rounds, Rounds(world.store, "w2", lease_ms=0)
    await world.say("ann", "fail")
    assert (await first.make([0])).entries == 1
    await world.say("ann", "fail")
    assert (await second.make([0])).entries == 1
    world.now += 3 * SECOND
    await world.say("ann", "fail")
    assert (await first.make([0])).entries == 1
    assert [sent.message.text for sent in await world.store.pending("ann", world.now)] == ["1 fail", "2 fail", "3 fail"]


@pytest.mark.parametrize("how", ["erased", "evaluated"])
async def test_what_somebody_else_has_touched_is_remembered_no_longer(how: str) -> None:
    """The cache of states holds as long as the chain of versions does, whoever has the lease."""
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    await world.round()
    if how == "erased":
        await world.store.erase_everywhere("ann")
    else:
        await world.say("ann", "fail")
        other = Rounds(world.store, "w2", lease_ms=0)
        await other.make([0])
        world.store._leases[0].owner = "w1"  # the answer that would have said so was lost
    await world.say("ann", "fail")
    made = await world.round()
    assert made.anew == {0}
    expected = "1 fail" if how == "erased" else "3 fail"
    assert [sent.message.text for result in made.done[0] for sent in result.outbox] == [expected]


async def test_of_a_commit_that_is_refused_nothing_happened_and_it_is_evaluated_again() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    await world.round()
    await world.say("ann", "fail")

    async def somebody_is_faster() -> None:
        [batch] = await world.store.poll([0], -1)
        await world.store.commit([Commit(0, batch.version, batch.cursor)])

    world.store.before_commit = somebody_is_faster
    made = await world.round()
    assert (made.refused, made.done) == (1, {})
    made = await world.round()
    assert [sent.message.text for result in made.done[0] for sent in result.outbox] == ["2 fail"]


async def test_a_commit_of_which_only_the_answer_was_lost_is_told_with_the_next_round() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "message.dismissed", message_id="m")
    world.store.lost_answers = 1
    with pytest.raises(StoreError):
        await world.round()
    made = await world.round()
    assert [entry.event.type for result in made.done[0] for entry in result.entries if entry.event] == [
        "message.dismissed"
    ]
    # What is in the outbox says it by itself.
    assert (made.anew, made.entries) == ({0}, 0)


async def test_what_cannot_be_written_at_all_is_tried_again_the_same() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    world.store.refusals = 2
    for _ in range(2):
        with pytest.raises(StoreError):
            await world.round()
    made = await world.round()
    assert [sent.message.text for result in made.done[0] for sent in result.outbox] == ["1 fail"]


async def test_a_partition_that_another_has_is_held_no_longer() -> None:
    world = await World.started(FAIL)
    await world.round()
    assert world.rounds.held == {0}
    world.now += 3 * SECOND
    await Rounds(world.store, "w2").make([0])
    made = await world.round()
    assert (made.held, world.rounds.held) == (set(), set())


async def test_users_adopt_when_somebody_asks_for_it_and_not_once_their_partition_is_gone() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "edit")
    await world.round()
    adopting = world.rounds.adopting
    await asyncio.gather(adopting.adopt(["ann"], {0}), world.round())
    assert [entry.kind for entry in await world.store.log(0, 0, 10)][-1] == "tick"
    with pytest.raises(StoreError, match="another worker"):
        await adopting.adopt(["ann"], set())
    waiting = asyncio.ensure_future(adopting.adopt(["ann"], {0}))
    await asyncio.sleep(0)
    world.rounds.drop([0])
    with pytest.raises(StoreError, match="another worker"):
        await waiting
    await adopting.adopt([], set())
