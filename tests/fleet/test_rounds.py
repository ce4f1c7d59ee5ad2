"""Rounds of one worker on the model store: what is evaluated, what is not yet, and how much of it at once."""

from __future__ import annotations

import asyncio

import pytest
from fleet_world import FAIL, IDLE, START, World

from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND
from engine.fleet.rounds import GIVE_UP, TOGETHER, TOGETHER_S, Rounds
from engine.observer import Observer
from engine.storage.base import StoreError, partition_of

COUNTING = """
version: 1
rules:
  - {id: often, trigger: {count: {event: fail, at_least: 3, within: 1h}}, message: {type: suggestion, text: "often"}}
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


async def spoken(world: World, kind: str = "fail") -> list[str]:
    """A user of each partition, who has said something."""
    users: dict[int, str] = {}
    number = 0
    while len(users) < len(world.partitions):
        users.setdefault(partition_of(f"u{number}", len(world.partitions)), f"u{number}")
        number += 1
    for partition in world.partitions:
        await world.say(users[partition], kind)
    return [users[partition] for partition in world.partitions]


async def test_what_is_too_much_for_one_commit_is_committed_in_parts_and_each_is_told_by_itself() -> None:
    world = await World.started(FAIL, partition_count=5)
    world.rounds = Rounds(world.store, "w1", together=2)
    await world.round()
    await spoken(world)
    parts = []
    for _ in range(4):
        made = await world.round()
        parts.append((sorted(made.done), made.entries, made.is_behind))
    assert parts == [([0, 1], 2, True), ([2, 3], 2, True), ([4], 1, False), ([], 0, False)]


async def test_a_partition_that_has_more_than_one_commit_is_to_have_is_committed_alone() -> None:
    world = await World.started(FAIL, partition_count=2)
    world.rounds = Rounds(world.store, "w1", together=2)
    await world.round()
    users = await spoken(world)
    for _ in range(3):
        await world.say(users[1], "fail")
    assert [list((await world.round()).done) for _ in range(3)] == [[0], [1], []]


async def test_once_evaluation_has_taken_long_enough_the_rest_is_for_the_next_round() -> None:
    world = await World.started(FAIL, partition_count=3)
    moments = iter(range(1_000))
    world.rounds = Rounds(world.store, "w1", seconds=lambda: next(moments) * TOGETHER_S)
    await world.round()
    await spoken(world)
    assert [list((await world.round()).done) for _ in range(4)] == [[0], [1], [2], []]


async def test_however_much_there_is_always_no_partition_waits_for_ever() -> None:
    world = await World.started(FAIL, partition_count=5)
    world.rounds = Rounds(world.store, "w1", together=2, entries_max=1)
    await world.round()
    served: list[int] = []
    for _ in range(5):
        await spoken(world)
        served += (await world.round()).done
    assert sorted(served) == sorted([*world.partitions, *world.partitions])


async def test_after_a_quiet_time_little_is_taken_of_each_partition_until_it_is_known_how_many_have_much() -> None:
    world = await World.started(FAIL, partition_count=64)
    await world.round()
    for _ in range(100):
        await world.say("ann", "fail")
    made = [await world.round() for _ in range(3)]
    first = TOGETHER // 64
    assert [(each.entries, each.is_behind) for each in made] == [(first, True), (100 - first, False), (0, False)]


async def test_others_run_while_one_partition_has_much_to_evaluate() -> None:
    world = await World.started(IDLE)
    for number in range(200):
        await world.say(f"u{number}", "edit")
    await world.round()
    world.now += MINUTE
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    made = await world.round()
    beside.cancel()
    assert len(made.done[0][0].decisions) == 200
    assert turns >= 10


class Seen(Observer):
    """What an observer of turns is told."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def turn_taken(self, entries: int, since_s: float = 0.0) -> None:
        self.taken.append(entries)


async def test_where_the_rest_is_for_the_next_round_each_entry_is_told_of_once() -> None:
    world = await World.started(FAIL, partition_count=4)
    seen, seconds = Seen(), iter(range(100))
    for number in range(40):
        await world.say(f"user{number}", "fail")
    rounds = Rounds(world.store, "w1", observer=seen, seconds=lambda: next(seconds) * TOGETHER_S)
    while (await rounds.make(world.partitions)).is_behind:
        pass
    assert (len(seen.taken), sum(seen.taken)) == (4, 40)


async def test_the_earliest_wake_up_that_came_is_told_and_none_of_who_only_adopts_rules() -> None:
    world = await World.started(IDLE)
    await world.say("ann", "edit")
    [result] = (await world.round()).done[0]
    assert result.due_at is None
    world.now += 5 * SECOND
    await world.say("bob", "edit")
    await world.round()
    await world.publish(IDLE.replace("1m", "2m"))
    await world.rounds.adopting.look()
    [result] = (await world.round()).done[0]
    assert result.due_at is None
    world.now = START + 3 * MINUTE
    [result] = (await world.round()).done[0]
    assert result.due_at == START + MINUTE + 1  # as the former rules had it
