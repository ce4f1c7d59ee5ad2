"""Every claim of `engine/storage/base.py`, made of every store: the log, commits, wake-ups, presence.

What comes out of a store is `test_conformance_contents.py` and `test_conformance_outbox.py`. A store passes them all.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from samples_for_stores import (
    ANN,
    BOB,
    CAT,
    DAN,
    PARTITION_COUNT,
    event,
    full_commit,
    look,
    make_store,
    outgoing,
    send,
    with_states,
)

from engine.core.model import Event, Message
from engine.core.units import AT_MAX
from engine.storage.base import Commit, Conflict, Entry, Store
from engine.storage.order import EXPIRY_MAX


async def test_a_new_store_is_empty(store: Store) -> None:
    for number, batch in enumerate(await store.poll(list(range(PARTITION_COUNT)), 10**15)):
        assert (batch.partition, batch.version, batch.cursor, batch.last_at) == (number, 0, 0, -1)
        assert (batch.entries, batch.due, batch.states) == ([], [], {})
    assert await store.next_wake() is None
    assert await store.present_users() == []
    assert await store.rule_moments() == []
    assert await store.load([ANN]) == {}
    assert await store.pending(ANN, 0) == []
    assert await store.decisions(0) == []
    assert await store.log(0, 0, 10) == []
    assert await store.load_rules("none") is None


# What is appended


async def test_appended_entries_come_out_of_poll_in_order_each_in_its_partition(store: Store) -> None:
    await store.append([event(ANN, 1), event(DAN, 2), send(BOB, 3)])
    await store.append([event(ANN, 4)])
    first, second, third, _ = await store.poll([0, 1, 2, 3], 0)
    assert first.entries == [event(ANN, 1), send(BOB, 3), event(ANN, 4)]
    assert second.entries == [event(DAN, 2)]
    assert third.entries == []
    assert (first.version, first.cursor, first.last_at) == (0, 0, 4)
    assert (second.last_at, third.last_at) == (2, -1)


async def test_appending_nothing_is_nothing(store: Store) -> None:
    before = await look(store)
    await store.append([])
    await store.commit([])
    await store.relayed([], 0)
    assert await look(store) == before
    assert await store.poll([], 0) == []


async def test_poll_takes_partitions_in_the_order_asked(store: Store) -> None:
    assert [batch.partition for batch in await store.poll([2, 0, 3], 0)] == [2, 0, 3]


async def test_poll_changes_nothing_and_gives_the_same_again(store: Store) -> None:
    await store.append([event(ANN, 1)])
    assert await store.poll([0], 0) == await store.poll([0], 0)


@pytest.mark.parametrize(
    ("entries_max", "numbers"), [(0, []), (1, [1]), (4, [1, 2, 3, 4]), (5, [1, 2, 3, 4, 5]), (6, [1, 2, 3, 4, 5])]
)
async def test_poll_hands_out_at_most_so_many_entries(store: Store, entries_max: int, numbers: list[int]) -> None:
    await store.append([event(ANN, at) for at in range(1, 6)])
    (batch,) = await store.poll([0], 0, entries_max=entries_max)
    assert [entry.at for entry in batch.entries] == numbers
    assert batch.last_at == 5


@pytest.mark.parametrize(("at", "expected"), [(9, 10), (10, 10), (11, 11)])
async def test_an_entry_earlier_than_the_last_is_moved_up_to_it(store: Store, at: int, expected: int) -> None:
    await store.append([event(BOB, 10)])
    await store.append([event(ANN, at)])
    (batch,) = await store.poll([0], 0)
    moved = batch.entries[1]
    assert moved.at == expected == batch.last_at
    assert moved.event is not None
    assert moved.event.at == expected
    assert moved.event.at_reported == (at if at < expected else None)


async def test_a_moved_event_that_reported_a_stamp_keeps_it(store: Store) -> None:
    reported = Event("test.failed", ANN, 9, {}, at_reported=5)
    await store.append([event(BOB, 10), Entry("event", 9, ANN, reported)])
    (batch,) = await store.poll([0], 0)
    assert batch.entries[1].event == msgspec.structs.replace(reported, at=10, at_reported=5)


async def test_time_is_kept_per_partition_also_within_one_append(store: Store) -> None:
    await store.append([event(ANN, 10), event(DAN, 3), send(BOB, 7), event(DAN, 4)])
    first, second = await store.poll([0, 1], 0)
    assert [entry.at for entry in first.entries] == [10, 10]
    assert [entry.at for entry in second.entries] == [3, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        Entry("tick", 5),
        Entry("rules", 5, rules_hash="h"),
        Entry("event", 5, ANN),
        Entry("event", 6, ANN, Event("x", ANN, 5, {})),
        Entry("event", 5, BOB, Event("x", ANN, 5, {})),
        Entry("send", 5, ANN),
        Entry("send", -1, ANN, message=Message("m", "question", "")),
        Entry("send", 5, ANN, message=Message("m", "question", "", expires_at=EXPIRY_MAX + 1)),
        event(ANN, AT_MAX + 1),
        Entry("event", 5, ANN, Event("x", ANN, 5, {}, at_reported=AT_MAX + 1)),
    ],
)
async def test_what_cannot_arrive_is_refused_and_nothing_of_its_batch_is_kept(store: Store, wrong: Entry) -> None:
    before = await look(store)
    with pytest.raises(ValueError, match=r"expected|arrive|lacks|cursor|went back|same users"):
        await store.append([event(ANN, 1), wrong])
    assert await look(store) == before


# What is committed


async def test_a_commit_moves_the_cursor_and_the_version(store: Store) -> None:
    await store.append([event(ANN, 1), event(BOB, 2), event(ANN, 3)])
    await store.commit([Commit(0, 0, 2)])
    (batch,) = await store.poll([0], 0)
    assert (batch.version, batch.cursor, batch.last_at) == (1, 2, 3)
    assert batch.entries == [event(ANN, 3)]


async def test_a_commit_may_append_and_evaluate_at_once(store: Store) -> None:
    entries = [event(ANN, 1), Entry("tick", 2), Entry("rules", 3, rules_hash="h"), send(BOB, 3)]
    await store.commit([Commit(0, 0, 4, entries)])
    (batch,) = await store.poll([0], 0)
    assert (batch.version, batch.cursor, batch.last_at, batch.entries) == (1, 4, 3, [])
    assert await store.log(0, 0, 10) == entries


async def test_a_commit_of_nothing_is_a_version(store: Store) -> None:
    await store.commit([Commit(0, 0, 0)])
    await store.commit([Commit(0, 1, 0)])
    (batch,) = await store.poll([0], 0)
    assert (batch.version, batch.cursor, batch.last_at) == (2, 0, -1)


async def test_states_come_with_the_entries_and_wakes_that_need_them(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: None, BOB: 50, CAT: None})])
    await store.append([event(ANN, 1), event("user-unknown", 1)])
    (batch,) = await store.poll([0], 49)
    assert batch.states == {ANN: f"{ANN}@0".encode()}
    (batch,) = await store.poll([0], 50)
    assert batch.states == {ANN: f"{ANN}@0".encode(), BOB: f"{BOB}@0".encode()}
    assert batch.due == [BOB]
    assert await store.load([CAT, "user-unknown", ANN]) == {CAT: f"{CAT}@0".encode(), ANN: f"{ANN}@0".encode()}


async def test_a_state_replaces_the_one_before(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 1, [event(ANN, 1)]), {ANN: 5}, [ANN])])
    await store.commit([with_states(Commit(0, 1, 2, [event(ANN, 2)]), {ANN: None})])
    assert await store.load([ANN]) == {ANN: f"{ANN}@2".encode()}
    assert await store.next_wake() is None
    assert await store.present_users() == []
    assert (await store.describe())["users"] == 1


@pytest.mark.parametrize("stale", [0, 2])
async def test_a_commit_that_does_not_know_the_version_is_a_conflict_and_leaves_nothing(
    store: Store, stale: int
) -> None:
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    before = await look(store)
    with pytest.raises(Conflict):
        await store.commit([full_commit(stale)])
    assert await look(store) == before


async def test_of_several_commits_those_that_are_refused_leave_nothing_and_are_named(store: Store) -> None:
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    before = await store.poll([1], 10**15), await store.log(1, 0, 9)
    with pytest.raises(Conflict) as conflict:
        await store.commit([full_commit(1), Commit(1, 7, 1, [event(DAN, 1)]), Commit(2, 0, 0)])
    assert (await store.poll([1], 10**15), await store.log(1, 0, 9)) == before
    made = conflict.value.refused is not None
    assert conflict.value.refused in (None, {1})
    assert [batch.version for batch in await store.poll([0, 1, 2, 3], 0)] == ([2, 0, 1, 0] if made else [1, 0, 0, 0])
    assert (await store.load([ANN]) != {}) == made


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_where_all_is_kept_in_one_place_all_of_several_commits_or_none_are_written(
    kind: str, tmp_path: Path
) -> None:
    store = await make_store(kind, tmp_path)
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    before = await look(store)
    for wrong, refused in ((Commit(1, 7, 0), Conflict), (Commit(1, 0, 9), ValueError)):
        with pytest.raises(refused):
            await store.commit([full_commit(1), wrong, Commit(2, 0, 0)])
        assert await look(store) == before
    await store.commit([full_commit(1), Commit(1, 0, 0), Commit(2, 0, 0)])
    assert [batch.version for batch in await store.poll([0, 1, 2, 3], 0)] == [2, 1, 1, 0]
    await store.close()


async def test_a_commit_that_would_append_past_an_unevaluated_entry_is_a_conflict(store: Store) -> None:
    await store.append([event(ANN, 1)])
    before = await look(store)
    with pytest.raises(Conflict):
        await store.commit([Commit(0, 0, 1, [event(BOB, 2)])])
    assert await look(store) == before
    await store.commit([Commit(0, 0, 2, [event(BOB, 2)])])
    assert await store.log(0, 0, 10) == [event(ANN, 1), event(BOB, 2)]


async def test_an_append_between_poll_and_commit_does_not_hinder_one_that_appends_nothing(store: Store) -> None:
    await store.append([event(ANN, 1)])
    await store.append([event(ANN, 2)])
    await store.commit([Commit(0, 0, 1)])
    (batch,) = await store.poll([0], 0)
    assert batch.entries == [event(ANN, 2)]


async def test_a_commit_that_evaluated_another_entry_than_stands_there_is_a_conflict_and_leaves_nothing(
    store: Store,
) -> None:
    for at in (1, 2, 3):
        await store.append([event(ANN, at)])
    before = await look(store)
    for cursor, at in ((2, 1), (2, 3), (3, 2)):
        with pytest.raises(Conflict, match="other entries than those that were evaluated"):
            await store.commit([Commit(0, 0, cursor, evaluated_at=at)])
    with pytest.raises(Conflict, match="other entries than those that were evaluated"):
        await store.commit([Commit(0, 0, 4, [event(BOB, 4)], evaluated_at=4)])
    assert await look(store) == before
    await store.commit([Commit(0, 0, 2, evaluated_at=2)])
    await store.commit([Commit(0, 1, 4, [event(BOB, 4)], evaluated_at=3)])
    assert await store.log(0, 3, 10) == [event(BOB, 4)]


@pytest.mark.parametrize(
    "wrong",
    [
        Commit(0, 1, 0),
        Commit(0, 1, 3),
        Commit(0, 1, 1, [event(ANN, 10)]),
        Commit(0, 1, 4, [event(ANN, 10)]),
        Commit(0, 1, 3, [event(ANN, 9)]),
        Commit(0, 1, 4, [event(ANN, 11), event(ANN, 10)]),
        Commit(0, 1, 3, [Entry("event", 10, ANN)]),
        Commit(0, 1, 1, outbox=[outgoing(ANN, 1, expires_at=EXPIRY_MAX + 1)]),
        Commit(0, 1, 1, states={ANN: b""}),
        Commit(0, 1, 1, wakes={ANN: None}),
        Commit(0, 1, 1, unmoved={ANN}),
        Commit(-1, 0, 0),
        Commit(PARTITION_COUNT, 0, 0),
    ],
    ids=[
        "the cursor goes back",
        "the cursor is beyond the log",
        "the cursor goes back before what is appended",
        "the cursor is beyond what is appended",
        "time goes back",
        "time goes back within",
        "an event entry without its event",
        "an expiry that no stamp can name",
        "a state without a wake",
        "a wake without a state",
        "who has not moved without a state",
        "below the partitions",
        "above the partitions",
    ],
)
async def test_a_commit_that_can_never_be_right_is_the_callers_mistake(store: Store, wrong: Commit) -> None:
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    await store.append([event(ANN, 10)])
    before = await look(store)
    with pytest.raises(ValueError, match=r"expected|arrive|lacks|cursor|went back|same users"):
        await store.commit([wrong])
    assert await look(store) == before


async def test_two_commits_of_one_partition_at_once_are_the_callers_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="one commit of each partition"):
        await store.commit([Commit(0, 0, 0), Commit(0, 1, 0)])


async def test_partitions_that_do_not_exist_are_the_callers_mistake(store: Store) -> None:
    for partition in (-1, PARTITION_COUNT):
        for call in (store.poll([partition], 0), store.decisions(partition), store.log(partition, 0, 1)):
            with pytest.raises(ValueError, match="expected a partition from 0 to 3"):
                await call


# Wake-ups and presence


async def test_due_users_come_earliest_first_and_not_before_their_time(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: 30, BOB: 10, CAT: 20})])
    for due_by, due in [(9, []), (10, [BOB]), (29, [BOB, CAT]), (30, [BOB, CAT, ANN]), (10**15, [BOB, CAT, ANN])]:
        (batch,) = await store.poll([0], due_by)
        assert batch.due == due
        assert set(batch.states) == set(due)


@pytest.mark.parametrize(("due_max", "expected"), [(0, []), (1, [BOB]), (2, [BOB, CAT]), (3, [BOB, CAT, ANN])])
async def test_poll_hands_out_at_most_so_many_due_users(store: Store, due_max: int, expected: list[str]) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: 30, BOB: 10, CAT: 20})])
    (batch,) = await store.poll([0], 100, due_max=due_max)
    assert batch.due == expected


async def test_a_user_who_has_an_entry_and_is_due_is_both(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: 5})])
    await store.append([event(ANN, 6)])
    (batch,) = await store.poll([0], 5)
    assert (batch.entries, batch.due, list(batch.states)) == ([event(ANN, 6)], [ANN], [ANN])


async def test_of_whom_has_not_moved_the_state_alone_is_new(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: 30, BOB: None, CAT: 20}, [ANN])])
    later = with_states(Commit(0, 1, 0, unmoved={ANN, BOB}), {ANN: 30, BOB: None, CAT: 40}, [ANN, CAT])
    later.states = dict.fromkeys(later.states, b"later")
    await store.commit([later])
    (batch,) = await store.poll([0], 40)
    assert (batch.due, batch.states) == ([ANN, CAT], {ANN: b"later", CAT: b"later"})
    assert sorted(await store.present_users()) == sorted([(ANN, b"later"), (CAT, b"later")])
    assert await store.load([BOB]) == {BOB: b"later"}


async def test_due_users_belong_to_the_partition_asked_for(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: 5}), with_states(Commit(1, 0, 0), {DAN: 4})])
    assert [batch.due for batch in await store.poll([0, 1], 5)] == [[ANN], [DAN]]


async def test_the_next_wake_is_the_earliest_of_all_partitions(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: 30, BOB: None})])
    assert await store.next_wake() == 30
    await store.commit([with_states(Commit(1, 0, 0), {DAN: 20})])
    assert await store.next_wake() == 20
    await store.commit([with_states(Commit(1, 1, 0), {DAN: None})])
    assert await store.next_wake() == 30


async def test_present_users_are_those_who_are_present_with_their_states(store: Store) -> None:
    await store.commit([with_states(Commit(0, 0, 0), {ANN: None, BOB: None, CAT: None}, [ANN, CAT])])
    await store.commit([with_states(Commit(1, 0, 0), {DAN: None}, [DAN])])
    await store.commit([with_states(Commit(0, 1, 0), {ANN: None})])
    assert sorted(await store.present_users()) == sorted([(CAT, f"{CAT}@0".encode()), (DAN, f"{DAN}@0".encode())])
