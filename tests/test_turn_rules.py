"""Rules that change between turns of the live driver: from when they hold, and what they know of the past."""

from __future__ import annotations

import pytest
from live_world import START, StubbornStore, compiled
from started_turns import entry, started

from engine.core.units import MINUTE
from engine.storage.base import StoreError
from engine.turn import CATCH_UP, CATCH_UP_WITH_PAST, Turns

SOONER = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 2m}, message: {type: question, text: sooner}}
"""
COUNTING = """
version: 1
rules:
  - id: thrice
    trigger: {count: {event: fail, at_least: 3, within: 1h}}
    message: {type: question, text: "{{ trigger.count }} so far"}
"""


async def test_a_change_of_rules_is_later_than_all_that_has_happened() -> None:
    store, turns = await started()
    await turns.make([entry(at=START + 7)], START + 7, due=False)
    rules = compiled(SOONER)
    await store.save_rules(rules.hash, rules.sources)
    assert await turns.change_rules(rules, START) == START + 8
    assert turns.timeline is not None
    assert turns.timeline.latest.hash == rules.hash


async def test_rules_that_the_store_refused_do_not_hold() -> None:
    store, turns = await started()
    rules = compiled(SOONER)
    await store.save_rules(rules.hash, rules.sources)
    store.refusals = 1
    with pytest.raises(StoreError):
        await turns.change_rules(rules, START)
    assert turns.timeline is not None
    assert turns.timeline.latest.hash == compiled().hash
    assert await turns.change_rules(rules, START) == START + 1


async def test_rules_of_which_only_the_answer_was_lost_hold() -> None:
    store, turns = await started()
    rules = compiled(SOONER)
    await store.save_rules(rules.hash, rules.sources)
    store.lost_answers = 1
    assert await turns.change_rules(rules, START) == START + 1
    assert [found_hash for _, found_hash in await store.rule_moments()] == [compiled().hash, rules.hash]


async def test_those_who_are_behind_catch_up_with_the_rules() -> None:
    store, turns = await started()
    await turns.make([entry(event_type="edit"), entry("bob", "edit")], START, due=False)
    assert await turns.users_behind() == []
    rules = compiled(SOONER)
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, START + MINUTE)
    assert sorted(await turns.users_behind()) == ["ann", "bob"]
    assert await store.next_wake() == START + 5 * MINUTE
    result = await turns.catch_up(["ann"])
    assert (result.decisions, await turns.users_behind()) == ([], ["bob"])
    assert await store.next_wake() == START + 2 * MINUTE


async def change(store: StubbornStore, turns: Turns, text: str, at: int) -> int:
    rules = compiled(text)
    await store.save_rules(rules.hash, rules.sources)
    return await turns.change_rules(rules, at)


async def fails(turns: Turns, *stamps: int, user: str = "ann") -> list[str]:
    """What rules say to so many failures, each in a turn of its own."""
    said = []
    for at in stamps:
        result = await turns.make([entry(user, "fail", at)], at, due=False)
        said += [sent.message.text for sent in result.outbox]
    return said


async def test_a_rule_that_is_new_knows_what_happened_before_it() -> None:
    store, turns = await started()
    await fails(turns, START, START + 1)
    await change(store, turns, COUNTING, START + 2)
    assert await fails(turns, START + 9) == ["3 so far"]
    assert turns.timeline is not None
    assert turns.timeline.history is None  # nothing of it is kept


async def test_those_who_catch_up_know_what_happened_before() -> None:
    store, turns = await started(partition_count=2)
    await fails(turns, START, START + 1)
    await fails(turns, START + 1, user="bob")
    assert turns.catch_up_pace().size == CATCH_UP
    await change(store, turns, COUNTING, START + 2)
    assert turns.catch_up_pace().size == CATCH_UP_WITH_PAST
    await turns.catch_up(["ann", "bob"])
    assert await fails(turns, START + 9) == ["3 so far"]
    assert await fails(turns, START + 9, user="bob") == []


async def test_whoever_slept_through_changes_of_rules_adopts_them_all_with_one_past() -> None:
    store, turns = await started()
    await fails(turns, START, START + 1)
    await change(store, turns, COUNTING, START + 2)
    await change(store, turns, SOONER, START + 4)
    await change(store, turns, COUNTING.replace("1h", "2h"), START + 6)
    assert await fails(turns, START + 9) == ["3 so far"]
    # Who is new has none, and begins with the rules of that moment.
    assert await fails(turns, START + 9, START + 10, START + 11, user="new") == ["3 so far"]
    assert (await store.describe())["faults"] == 0


async def test_what_stands_in_the_log_unevaluated_is_no_past_of_rules_that_held_before_it() -> None:
    store, turns = await started()
    await fails(turns, START)
    moment = await change(store, turns, COUNTING, START + 1)
    await store.append([entry(user, "fail", moment) for user in ("ann", "new", "ann", "new")])
    again = Turns(store)
    await again.recover()
    assert [sent.user for sent in await store.pending("ann", START)] == ["ann"]
    assert await store.pending("new", START) == []


async def test_a_past_that_cannot_be_read_fails_the_turn_and_nothing_of_it_has_happened() -> None:
    store, turns = await started()
    await fails(turns, START, START + 1)
    await change(store, turns, COUNTING, START + 2)
    store.pastless = 1
    with pytest.raises(StoreError, match="the past cannot be read"):
        await fails(turns, START + 9)
    assert await fails(turns, START + 9) == ["3 so far"]
