"""A store with other partitions, folded anywhere, verifies as the one it was made from does, and goes on like it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_retained import verify
from test_retention import FIRST, SECOND, START, THIRD, USERS, play
from test_retention import steps as steps_with

from engine.core.model import Event
from engine.core.units import HOUR, MINUTE
from engine.migrated import NotAlike, compare
from engine.migration import check_at_rest, check_empty, copy
from engine.regrouping import Side
from engine.replay.recording import recording_of
from engine.retention import Retention, Trimmed
from engine.storage.base import Commit, Entry, Fault, Store, StoreError, partition_of
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_check import check_file
from engine.storage.sqlite_loading import SqliteContents, SqliteLoading
from engine.turn import Turns

STEPS = steps_with("tick", "time", FIRST, SECOND, THIRD)


async def opened(path: Path, partitions: int) -> SqliteStore:
    return await SqliteStore.open(path, partition_count=partitions, durability="normal")


async def migrated(source: SqliteStore, path: Path, partitions: int) -> SqliteStore:
    target = await opened(path, partitions)
    loading = SqliteLoading(target)
    moved = await copy(Side(source, SqliteContents(source)), target, loading)
    await compare(Side(source, SqliteContents(source)), Side(target, SqliteContents(target)), moved)
    await loading.end()
    return target


async def fold_each(store: Store, cuts: list[int]) -> None:
    """The partitions up to different moments; what is not fully folded has no border there."""
    turns = Turns(store)
    await turns.recover()
    await turns.catch_up([user for n in range(store.partition_count) for _, user, _ in await store.states(n, 0, 999)])
    retention = Retention(store, turns.catch_up)
    for partition, cut in enumerate(cuts[: store.partition_count]):
        while await retention._fold_next(partition, START + cut, Trimmed()):
            pass


async def by_user(store: Store) -> dict[str, tuple[Any, ...]]:
    """All that is known of each, but for numbers."""
    found: dict[str, list[Any]] = {user: [] for user in USERS}
    for number in range(store.partition_count):
        for _, entry in await store.numbered(number, 0, 99_999):
            if entry.user:
                found[entry.user].append(entry)
    states = await store.load(list(USERS))
    past = await store.history(list(USERS), 1 << 60, 999)
    return {
        user: (entries, states.get(user), await store.pending(user, 0), past.get(user))
        for user, entries in found.items()
    }


async def goes_on_like_it(
    steps: list[Any], cuts: list[int], later: list[Any], counts: tuple[int, int], erased: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = await opened(Path(folder) / "source.db", counts[0])
        await play(source, [(0, FIRST)], START)
        now = await play(source, [*steps, (0, "tick")], START)
        await fold_each(source, cuts)
        if erased:
            await source.erase(erased)
        target = await migrated(source, Path(folder) / "target.db", counts[1])
        assert await by_user(target) == await by_user(source)
        verify(await recording_of(target))
        back = await migrated(target, Path(folder) / "back.db", counts[0])
        assert await by_user(back) == await by_user(source)
        verify(await recording_of(back))
        for store in (source, target):
            assert check_file(store.path) == []
            await play(store, [*later, (30 * MINUTE, "tick")], now)
            verify(await recording_of(store))
        of_source, of_target = await by_user(source), await by_user(target)
        for user in USERS:  # ids of events tell of partitions and numbers
            assert [entry.at for entry in of_source[user][0]] == [entry.at for entry in of_target[user][0]]
        turns = Turns(target)
        await turns.recover()
        await Retention(target, turns.catch_up).trim(now + 10 * MINUTE)
        verify(await recording_of(target))
        assert check_file(target.path) == []
        for store in (source, target, back):
            await store.close()


@given(
    steps=STEPS,
    cuts=st.lists(st.integers(0, 10 * HOUR), min_size=8, max_size=8),
    later=STEPS,
    counts=st.sampled_from([(4, 6), (1, 4), (4, 1), (8, 2), (3, 3)]),
    erased=st.sampled_from(["", "ann", "dan"]),
)
@settings(max_examples=30, deadline=None)
def test_a_store_with_other_partitions_goes_on_like_the_one_it_was_made_from(
    steps: list[Any], cuts: list[int], later: list[Any], counts: tuple[int, int], erased: str
) -> None:
    asyncio.run(goes_on_like_it(steps, cuts, later, counts, erased))


@pytest.fixture
async def recorded(tmp_path: Path) -> SqliteStore:
    store = await opened(tmp_path / "source.db", 4)
    steps = [(7 * MINUTE, (user, kind)) for kind in ("session.start", "edit", "test.failed") for user in USERS]
    await play(store, [(0, FIRST), *steps, (MINUTE, "tick"), (MINUTE, SECOND), *steps, (MINUTE, "tick")], START)
    return store


async def test_entries_that_wait_to_be_evaluated_are_told_and_nothing_is_done(recorded: SqliteStore) -> None:
    side = Side(recorded, SqliteContents(recorded))
    await check_at_rest(side)
    at = START + 9 * HOUR
    await recorded.append([Entry("event", at, "ann", Event("edit", "ann", at, {}))] * 2)
    with pytest.raises(StoreError, match="2 entries wait to be evaluated: start the server"):
        await check_at_rest(side)
    await recorded.close()


async def test_a_store_with_anything_in_it_is_no_target(recorded: SqliteStore, tmp_path: Path) -> None:
    empty = await opened(tmp_path / "empty.db", 2)
    await check_empty(empty)
    with pytest.raises(StoreError, match="nothing is, and it has entries"):
        await check_empty(recorded)
    for store in (empty, recorded):
        await store.close()


async def test_what_was_set_aside_goes_along_and_of_more_than_are_kept_the_newest(
    recorded: SqliteStore, tmp_path: Path
) -> None:
    number = partition_of("ann", 4)
    [batch] = await recorded.poll([number], 0)
    faults = [
        Fault("ann", START + at, Entry("event", START + at, "ann", Event("e", "ann", START + at, {})), f"trace {at}")
        for at in range(3)
    ]
    await recorded.commit([Commit(number, batch.version, batch.cursor, faults=faults)])
    target = await migrated(recorded, tmp_path / "target.db", 2)
    assert [fault async for page in SqliteContents(target).faults() for fault in page] == faults
    for store in (target, recorded):
        await store.close()


SPOILED = {
    "an entry": "DELETE FROM log WHERE number = (SELECT max(number) FROM log WHERE kind = 'event')",
    "a decision": "UPDATE decisions SET line = replace(line, 'sent', 'dropped') WHERE number = 2",
    "a state": "UPDATE states SET state = zeroblob(9) WHERE user = 'bob'",
    "a user": "DELETE FROM states WHERE user = 'cyd'",
    "a wake-up": "UPDATE states SET wake = 1 WHERE user = 'ann'",
    "who is there": "UPDATE states SET present = 1 - present WHERE user = 'ann'",
    "a message": "DELETE FROM outbox WHERE number = 1",
    "words": "UPDATE outbox SET line = replace(line, 'ann', 'Ann')",
    "rules": "DELETE FROM rule_moments WHERE rowid = 1",
    "texts of rules": "UPDATE rule_sets SET sources = '{}'",
    "the order": "UPDATE log SET number = 99999 WHERE number = (SELECT min(number) FROM log WHERE kind = 'event')",
}


@pytest.mark.parametrize("what", SPOILED)
async def test_whatever_is_not_as_it_was_is_noticed(what: str, recorded: SqliteStore, tmp_path: Path) -> None:
    target = await opened(tmp_path / "target.db", 2)
    source = Side(recorded, SqliteContents(recorded))
    moved = await copy(source, target, SqliteLoading(target))
    read = await compare(source, Side(target, SqliteContents(target)), moved)
    assert (read.entries, moved.users) == (24, 4)
    await target.writing_on_thread(lambda db: db.execute(SPOILED[what]))
    with pytest.raises(NotAlike):
        await compare(source, Side(target, SqliteContents(target)), moved)
    for store in (target, recorded):
        await store.close()


@pytest.mark.parametrize("what", ["DELETE FROM bases WHERE user = 'ann'", "UPDATE bases SET wake = 5"])
async def test_a_base_that_is_not_as_it_was_is_noticed(what: str, recorded: SqliteStore, tmp_path: Path) -> None:
    await fold_each(recorded, [HOUR * 24] * 4)
    target = await opened(tmp_path / "target.db", 2)
    source = Side(recorded, SqliteContents(recorded))
    moved = await copy(source, target, SqliteLoading(target))
    assert moved.bases == 4
    await target.writing_on_thread(lambda db: db.execute(what))
    with pytest.raises(NotAlike, match="folded"):
        await compare(source, Side(target, SqliteContents(target)), moved)
    for store in (target, recorded):
        await store.close()


@pytest.mark.parametrize("is_folded", [False, True])
async def test_where_one_partition_came_further_than_another_time_has_not_come_there_for_all(
    is_folded: bool, tmp_path: Path
) -> None:
    """As workers leave it, each of which lets the time of its own partitions run."""
    source = await opened(tmp_path / "source.db", 2)
    user = next(user for user in USERS if partition_of(user, 2) == 1)
    quiet = next(user for user in USERS if partition_of(user, 2) == 0)
    done = [(MINUTE, (who, kind)) for who in (quiet, user) for kind in ("session.start", "edit", "edit")]
    now = await play(source, [(0, FIRST), *done, (0, "tick"), (1, (quiet, "session.end")), (MINUTE, "tick")], START)
    for minute in (10, 20):  # of which nobody in the other partition knows, whose timer would have come
        [batch] = await source.poll([0], 1 << 60)
        assert not batch.due
        tick = Entry("tick", now + minute * MINUTE)
        await source.commit([Commit(0, batch.version, batch.cursor + 1, [tick])])
    if is_folded:
        retention = Retention(source, lambda users: asyncio.sleep(0))
        assert await retention._fold_next(0, now + 15 * MINUTE, Trimmed())
        assert (await source.folded(0)).at == now + 10 * MINUTE
    verify(await recording_of(source))
    target = await migrated(source, tmp_path / "target.db", 1)
    verify(await recording_of(target))
    assert check_file(target.path) == []
    ticks = [entry.at for entry in await target.log(0, 0, 999) if entry.kind == "tick"]
    assert max(ticks) == now
    for store in (source, target):
        await play(store, [(30 * MINUTE, "tick"), (MINUTE, "tick")], now)
        verify(await recording_of(store))
        await fold_each(store, [24 * HOUR] * 2)
        verify(await recording_of(store))
    assert await by_user(target) == await by_user(source)
    for store in (source, target):
        await store.close()
