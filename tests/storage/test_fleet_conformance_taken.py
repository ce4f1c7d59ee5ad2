"""Every claim of `engine/storage/fleet.py`, made of every such store: what workers take, and who holds a partition."""

from __future__ import annotations

import pytest
from samples_for_fleets import taken_up, told, until, wake_at
from samples_for_stores import ANN, BOB, CAT, DAN, users_of, with_states

from engine.storage.base import Commit, Conflict, Entry
from engine.storage.fleet import FleetStore


@pytest.fixture
def store(fleet_store: FleetStore) -> FleetStore:
    return fleet_store


async def test_a_take_hands_out_what_is_unevaluated_and_holds_the_partition(store: FleetStore) -> None:
    await store.ingest([told(ANN, 1), told(BOB, 2)])
    entries = await store.log(0, 0, 9)
    [share] = await store.take("w1", [0], lease_ms=60_000)
    batch = share.batch
    assert (batch.partition, batch.cursor, batch.entries, batch.due) == (0, 0, entries, [])
    assert (batch.last_at, share.horizon) == (entries[-1].at, entries[-1].at)
    assert share.is_new
    assert not share.is_complete
    assert await store.take("w2", [0], lease_ms=60_000) == []
    [again] = await store.take("w1", [0], lease_ms=60_000)
    assert not again.is_new
    assert again.batch == batch
    assert [each.batch.partition for each in await store.take("w2", [1, 0, 2], lease_ms=60_000)] == [1, 2]


async def test_a_partition_that_changes_hands_has_a_new_version_and_the_former_holder_commits_nothing(
    store: FleetStore,
) -> None:
    await store.ingest([told(ANN, 1)])
    commit = await taken_up(store, "w1")
    await store.release("w2", [0])  # nothing: it does not hold it
    assert await store.take("w2", [0], lease_ms=60_000) == []
    await store.release("w1", [0])
    [share] = await store.take("w2", [0], lease_ms=60_000)
    assert share.is_new
    assert share.batch.version > commit.version
    with pytest.raises(Conflict) as refused:
        await store.commit([commit])
    assert refused.value.refused in (None, {0})
    await store.commit([Commit(0, share.batch.version, 1)])
    await store.release("w2", [0])
    [share] = await store.take("w1", [0], lease_ms=60_000)
    assert (share.is_new, share.batch.cursor) == (True, 1)


async def test_what_is_held_no_longer_may_be_taken_and_whoever_held_it_may_go_on_where_nobody_did(
    store: FleetStore,
) -> None:
    [first] = await store.take("w1", [0], lease_ms=1)
    await until(store, await store.clock() + 2_000)
    [again] = await store.take("w1", [0], lease_ms=1)
    assert (again.is_new, again.batch.version) == (False, first.batch.version)
    await until(store, await store.clock() + 2_000)
    [other] = await store.take("w2", [0], lease_ms=60_000)
    assert other.is_new
    assert other.batch.version > first.batch.version


async def test_without_a_lease_nobody_waits_for_anybody_and_they_meet_at_the_commit(store: FleetStore) -> None:
    await store.ingest([told(ANN, 1)])
    commits = [await taken_up(store, "w0")]
    for worker in ("w1", "w2"):
        [share] = await store.take(worker, [0], lease_ms=0)
        assert (share.is_new, share.batch.version) == (True, commits[0].version)
        commits.append(Commit(0, share.batch.version, 1))
    await store.commit([commits[2]])
    with pytest.raises(Conflict):
        await store.commit([commits[1]])
    [share] = await store.take("w2", [0], lease_ms=0)
    assert not share.is_new


async def test_of_a_long_log_so_many_entries_are_taken_and_nobody_is_due_before_its_end(store: FleetStore) -> None:
    now = await store.clock()
    await wake_at(store, {BOB: now})
    await store.ingest([told(ANN, number) for number in range(3)])
    entries = await store.log(0, 0, 9)
    [share] = await store.take("w1", [0], lease_ms=60_000, entries_max=2)
    assert (share.batch.entries, share.batch.due, share.is_complete) == (entries[:2], [], False)
    assert share.horizon == entries[1].at
    assert share.batch.last_at == entries[2].at
    [share] = await store.take("w1", [0], lease_ms=60_000, entries_max=3)
    assert share.batch.entries[:3] == entries
    assert (share.batch.due, share.is_complete) == ([BOB], True)


async def test_who_is_due_is_named_with_a_tick_behind_all_entries(store: FleetStore) -> None:
    now = await store.clock()
    await wake_at(store, {ANN: now + 3_600_000_000, BOB: now + 1, CAT: now})
    await store.ingest([told(ANN, 1)])
    before = await store.clock()
    [share] = await store.take("w1", [0], lease_ms=60_000)
    assert share.batch.due == [CAT, BOB]
    assert share.is_complete
    assert share.horizon >= before
    assert [entry.kind for entry in share.batch.entries] == ["event", "tick"]
    assert share.batch.entries[-1] == Entry("tick", share.horizon)
    assert share.batch.last_at == share.horizon
    assert await store.log(0, 0, 9) == share.batch.entries
    assert share.batch.states == {}


async def test_where_nobody_is_due_nothing_is_written(store: FleetStore) -> None:
    await wake_at(store, {ANN: await store.clock() + 3_600_000_000})
    [share] = await store.take("w1", [0], lease_ms=60_000)
    assert (share.batch.entries, share.batch.due, share.is_complete, share.horizon) == ([], [], False, -1)
    assert await store.log(0, 0, 9) == []


async def test_a_tick_that_was_put_and_not_evaluated_is_handed_out_again_and_no_other_is_put(store: FleetStore) -> None:
    now = await store.clock()
    await wake_at(store, {ANN: now, BOB: now})
    [first] = await store.take("w1", [0], lease_ms=60_000)
    [again] = await store.take("w1", [0], lease_ms=60_000)
    assert again == first
    # What came meanwhile is for the next time, for time has to come to the tick before.
    await store.ingest([told(CAT, 1)])
    await store.release("w1", [0])
    [other] = await store.take("w2", [0], lease_ms=60_000)
    assert (other.batch.entries, other.batch.due) == (first.batch.entries, first.batch.due)
    assert (other.horizon, other.is_complete) == (first.horizon, True)
    await store.commit([with_states(Commit(0, other.batch.version, 1), {ANN: None, BOB: None})])
    [rest] = await store.take("w2", [0], lease_ms=60_000)
    assert [entry.kind for entry in rest.batch.entries] == ["event"]
    assert rest.batch.due == []


@pytest.mark.parametrize(("entries_max", "kinds"), [(1, "e"), (2, "ee"), (3, "eet"), (4, "eet")])
async def test_a_tick_that_is_further_on_than_what_is_taken_is_come_to_later(
    store: FleetStore, entries_max: int, kinds: str
) -> None:
    await wake_at(store, {BOB: await store.clock()})
    await store.ingest([told(ANN, 1), told(ANN, 2)])
    await store.take("w1", [0], lease_ms=60_000)
    await store.ingest([told(ANN, 3)])
    [share] = await store.take("w1", [0], lease_ms=60_000, entries_max=entries_max)
    assert "".join(entry.kind[0] for entry in share.batch.entries) == kinds
    assert share.is_complete == (kinds[-1] == "t")
    assert share.batch.due == ([BOB] if share.is_complete else [])
    assert share.horizon == share.batch.entries[-1].at


@pytest.mark.parametrize(("due_max", "by"), [(1, 1), (2, 4), (3, 4), (4, 4), (5, 5), (6, 6), (7, 6)])
async def test_where_many_are_due_a_tick_stands_where_so_many_are_and_comes_when_all_of_its_moment_have_run(
    store: FleetStore, due_max: int, by: int
) -> None:
    now = await store.clock()
    names = users_of(0, 6)
    moments = [now - 5, now - 4, now - 4, now - 4, now - 3, now - 2]
    await wake_at(store, dict(zip(names, moments, strict=True)))
    [share] = await store.take("w1", [0], lease_ms=60_000, due_max=due_max)
    tick = Entry("tick", share.horizon)
    if due_max < 6:
        assert tick.at == moments[by - 1]
    else:
        assert tick.at >= now
    assert await store.log(0, 0, 9) == [tick]
    first = share.batch.due
    assert (len(first), first[0]) == (min(by, due_max), names[0])
    if by > due_max:
        assert (share.is_complete, share.batch.entries) == (False, [])
        await store.commit([with_states(Commit(0, share.batch.version, 0), dict.fromkeys(first))])
        [share] = await store.take("w1", [0], lease_ms=60_000, due_max=due_max)
        assert len(share.batch.due) == by - due_max
        first += share.batch.due
    assert sorted(first) == sorted(names[:by])
    assert (share.is_complete, share.batch.entries) == (True, [tick])


async def test_where_more_are_due_by_the_last_entry_some_of_them_come_to_it_without_a_tick(store: FleetStore) -> None:
    now = await store.clock()
    names = users_of(0, 4)
    await wake_at(store, {name: now - 5 + place for place, name in enumerate(names)})
    [taken] = await store.ingest([told(ANN, 1)])
    [share] = await store.take("w1", [0], lease_ms=60_000, due_max=2)
    assert (share.batch.entries, share.batch.due) == ([taken.entry], names[:2])
    assert (share.horizon, share.is_complete) == (taken.entry.at, False)
    commit = Commit(0, share.batch.version, 1)
    await store.commit([with_states(commit, dict.fromkeys(names[:2]))])
    [share] = await store.take("w1", [0], lease_ms=60_000, due_max=2)
    assert (share.batch.due, share.is_complete) == (names[2:], True)
    assert share.horizon > taken.entry.at


async def test_a_tick_by_which_more_are_due_than_are_wanted_is_not_come_to_before_all_have_run(
    store: FleetStore,
) -> None:
    now = await store.clock()
    names = users_of(0, 5)
    await wake_at(store, {name: now - 5 + place for place, name in enumerate(names)})
    [before] = await store.ingest([told(ANN, 1)])
    [whole] = await store.take("w1", [0], lease_ms=60_000)
    tick = whole.batch.entries[-1]
    assert (whole.batch.due, whole.is_complete) == (names, True)
    [behind] = await store.ingest([told(ANN, 2)])
    await store.release("w1", [0])
    for number, due in enumerate([names[:2], names[2:4], names[4:]]):
        [share] = await store.take("w2", [0], lease_ms=60_000, due_max=2)
        is_last = number == 2
        assert (share.batch.due, share.is_complete, share.horizon) == (due, is_last, tick.at)
        assert share.batch.entries == [[before.entry], [], [tick]][number]
        assert share.batch.last_at == behind.entry.at
        commit = Commit(0, share.batch.version, 2 if is_last else 1)
        await store.commit([with_states(commit, dict.fromkeys(due))])
    [share] = await store.take("w2", [0], lease_ms=60_000, due_max=2)
    assert (share.batch.entries, share.batch.due) == ([behind.entry], [])
    assert await store.log(0, 0, 9) == [before.entry, tick, behind.entry]


@pytest.mark.parametrize("limits", [{"entries_max": 0}, {"due_max": 0}])
async def test_to_take_nothing_is_refused(store: FleetStore, limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await store.take("w1", [0], lease_ms=1000, **limits)


async def test_present_users_are_those_of_the_partitions_that_are_asked_for(store: FleetStore) -> None:
    for partition, user in ((0, ANN), (1, DAN)):
        commit = with_states(await taken_up(store, partition=partition), {user: None})
        commit.present[user] = True
        await store.commit([commit])
    assert [user for user, _ in await store.present_users([1, 2])] == [DAN]
    assert sorted(user for user, _ in await store.present_users()) == sorted([ANN, DAN])
    assert await store.present_users([]) == []
