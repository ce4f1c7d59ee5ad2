"""Rounds of a worker whose commits are refused or not answered, whom others meet, or who cannot look up rules."""

from __future__ import annotations

import pytest
from fleet_world import FAIL, IDLE, World, compiled

from engine.core.model import Event
from engine.core.units import MINUTE, SECOND
from engine.fleet.rounds import Rounds
from engine.storage.base import Commit, Entry, StoreError, partition_of


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


async def test_what_a_new_primary_has_in_place_of_what_was_evaluated_is_not_passed_over() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")

    async def tail_is_lost() -> None:
        log = world.store._partitions[0].log
        number, lost = log.pop()
        log.append((number, Entry("event", lost.at + 1, "ann", Event("edit", "ann", lost.at + 1, {}))))

    world.store.before_commit = tail_is_lost
    made = await world.round()
    assert (made.refused, made.done) == (1, {})
    made = await world.round()
    assert [entry.event.type for result in made.done[0] for entry in result.entries if entry.event] == ["edit"]


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


async def test_a_commit_that_a_store_counted_on_since_was_made_where_its_cursor_stands() -> None:
    """Redis does so after a lost answer, lest the commit be made late."""
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    world.store.lost_answers = 1
    with pytest.raises(StoreError):
        await world.round()
    world.store._partitions[0].version += 1
    made = await world.round()
    [result] = made.done[0]
    assert len(result.decisions) == 1
    assert result.outbox == []  # it waits in the outbox of the partition, all of which is told anew


async def many_due() -> World:
    """Three are due by the last entry, of whom one is evaluated in a round, the first with the entry."""
    world = await World.started(IDLE)
    for user in ("ann", "bob", "cem"):
        await world.say(user, "edit")
    await world.round()
    world.now += 2 * MINUTE
    await world.say("dan", "edit")
    world.rounds = Rounds(world.store, "w1", due_max=1)
    assert (await world.round()).entries == 1
    return world


@pytest.mark.parametrize("counted_on", [0, 1])
@pytest.mark.parametrize("is_made", [True, False])
async def test_of_a_commit_that_moves_no_cursor_the_states_say_whether_it_was_made(
    is_made: bool, counted_on: int
) -> None:
    world = await many_due()
    if is_made:
        world.store.lost_answers = 1
    else:
        world.store.refusals = 1
    with pytest.raises(StoreError):
        await world.round()
    world.store._partitions[0].version += counted_on
    made = await world.round()
    assert [[decision.user for decision in result.decisions] for result in made.done[0]] == (
        [["bob"], ["cem"]] if is_made else [["bob"]]
    )


async def test_of_a_commit_without_an_answer_nothing_is_told_once_another_had_the_partition() -> None:
    world = await World.started(FAIL)
    await world.say("ann", "fail")
    world.store.lost_answers = 1
    with pytest.raises(StoreError):
        await world.round()
    world.now += 3 * SECOND
    await Rounds(world.store, "w2").make([0])
    world.now += 3 * SECOND
    made = await world.round()
    assert (made.done, made.anew) == ({}, {0})


async def test_where_rules_cannot_be_looked_up_partitions_go_on_that_nobody_else_had() -> None:
    world = await World.started(FAIL, partition_count=2)
    world.store.gone = frozenset({0})
    world.store.rules_are_gone = True
    ann, bob = "ann", "dan"
    assert [partition_of(user, 2) for user in (ann, bob)] == [1, 1]
    await world.say(ann, "fail")
    world.store.lost_answers = 1  # what is remembered is void, as where the primary goes in the middle of a round
    with pytest.raises(StoreError):
        await world.round()
    await world.say(bob, "fail")
    made = await world.round()
    assert sorted(each.user for result in made.done[1] for each in result.decisions) == [ann, bob]
    assert made.held == {1}


async def test_where_rules_cannot_be_looked_up_nothing_is_evaluated_behind_what_others_have_evaluated() -> None:
    """By rules that came to hold there, and that nobody here knows of."""
    world = await World.started(FAIL, partition_count=2)
    world.store.gone = frozenset({0})
    rules = compiled(FAIL.replace("{{ session.events }} fail", "new"))
    await world.store.save_rules(rules.hash, rules.sources)
    world.now = await world.store.publish_rules(rules.hash)
    await world.say("ann", "fail")
    other = Rounds(world.store, "w2", lease_ms=0)
    assert (await other.make([1])).entries == 2
    world.store.rules_are_gone = True
    await world.say("ann", "fail")
    for _ in range(2):  # also once what others did is known
        made = await world.round()
        assert (made.done, made.held) == ({}, {1})
    world.store.rules_are_gone = False
    made = await world.round()
    assert [sent.message.text for result in made.done[1] for sent in result.outbox] == ["new"]


async def test_rules_that_cannot_be_looked_up_hold_up_their_own_partition_alone() -> None:
    world = await World.started(FAIL, partition_count=2)
    rules = compiled(FAIL.replace("{{ session.events }} fail", "new"))
    await world.store.save_rules(rules.hash, rules.sources)
    world.now = await world.store.publish_rules(rules.hash)
    world.store.gone, world.store.rules_are_gone = frozenset({0}), True
    await world.say("ann", "fail")
    assert (await world.round()).done == {}
    world.store.rules_are_gone = False
    made = await world.round()
    assert [sent.message.text for result in made.done[1] for sent in result.outbox] == ["new"]


async def test_users_adopt_rules_though_others_are_out_of_reach() -> None:
    world = await World.started(FAIL, partition_count=2)
    await world.say("ann", "edit")
    await world.publish(IDLE)
    world.store.gone = frozenset({0})
    await world.round()
    await world.rounds.adopting.look()
    assert world.rounds.adopting.count == 1
