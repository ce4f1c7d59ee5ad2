"""What only the SQLite store has: a file, other processes, another thread, a disk that fills, a reader beside it."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from samples_for_stores import ANN, BOB, PARTITION_COUNT, event, full_commit, look, open_at, outgoing, with_states

from engine.core.model import Event, Message
from engine.storage import sqlite_queries
from engine.storage.base import Commit, Conflict, Entry, StoreError, partition_of
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_care import backup
from engine.storage.sqlite_schema import write_ahead


@pytest.fixture
async def sqlite_store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_at(path)
    yield store
    await store.close()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


# The file


async def test_what_was_committed_is_there_when_the_file_is_opened_again(path: Path) -> None:
    store = await open_at(path)
    await store.append([event(ANN, 1)])
    await store.commit([full_commit(0)])
    await store.save_rules("h", {"a.yaml": "x"})
    before = await look(store)
    await store.close()
    store = await open_at(path)
    assert await look(store) == before
    assert await store.load_rules("h") == {"a.yaml": "x"}
    await store.close()


async def test_the_log_in_the_file_is_the_native_log_that_people_can_read(path: Path) -> None:
    stamped = Event("test.failed", "ann", 1_774_605_600_250_000, {"test": "t1"}, "e1", "s1", 1_774_605_599_000_000)
    store = await open_at(path)
    await store.append([Entry("event", stamped.at, "ann", stamped)])
    partition = partition_of("ann", PARTITION_COUNT)
    message = Message("m1", "question", "Größe?", ("Ja",), {}, stamped.at + 1)
    appended = [
        Entry("tick", stamped.at),
        Entry("rules", stamped.at, rules_hash="abc"),
        Entry("send", stamped.at, "ann", message=message),
    ]
    await store.commit([Commit(partition, 0, 4, appended)])
    await store.close()
    assert [line for (line,) in rows(path, "SELECT line FROM log ORDER BY number")] == [
        '{"id":"e1","at":"2026-03-27T10:00:00.250000Z","user":"ann","session":"s1","type":"test.failed",'
        '"data":{"test":"t1"},"at_reported":"2026-03-27T09:59:59.000000Z"}',
        '{"at":"2026-03-27T10:00:00.250000Z","kind":"tick"}',
        '{"at":"2026-03-27T10:00:00.250000Z","kind":"rules","rules":"abc"}',
        '{"at":"2026-03-27T10:00:00.250000Z","kind":"send","user":"ann","message":'
        '{"id":"m1","type":"question","text":"Größe?","options":["Ja"],"expires_at":"2026-03-27T10:00:00.250001Z"}}',
    ]


async def test_closing_folds_the_write_ahead_log_into_the_file(path: Path) -> None:
    store = await open_at(path)
    await store.append([event(ANN, 1)])
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    await store.close()
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]


async def test_closing_works_while_a_reader_is_in_the_way(path: Path) -> None:
    store = await open_at(path)
    await store.append([event(ANN, 1)])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM log").fetchall()
    await store.append([event(ANN, 2)])
    await store.close()
    reader.close()
    store = await open_at(path)
    assert len(await store.log(0, 0, 10)) == 2
    await store.close()


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1)])
async def test_durability_is_what_was_asked_for(path: Path, durability: str, synchronous: int) -> None:
    store = await SqliteStore.open(path, durability=durability)  # type: ignore[arg-type]
    assert await on_thread(store, "PRAGMA synchronous") == synchronous
    assert await on_thread(store, "PRAGMA journal_mode") == "wal"
    assert (await store.describe())["durability"] == durability
    await store.close()


async def on_thread(store: SqliteStore, statement: str) -> object:
    return await store._run(lambda: store._db.execute(statement).fetchone()[0])


# Never on the hot path, or all of it is wanted.
SEEN_WHOLE = {
    "COUNTS",
    "PRESENT",
    "RULE_MOMENTS",
    "BASES",
    "FORGET_PASTS",
    "REMOVE_RULE_MOMENTS",
    "REMOVE_RULES",
    "ERASURES",
    "COUNT_ERASURE",
}


async def test_no_query_of_the_hot_path_scans_or_sorts(sqlite_store: SqliteStore) -> None:
    named = {name: text for name, text in vars(sqlite_queries).items() if name.isupper() and name not in SEEN_WHOLE}
    queries = {name: text for name, text in named.items() if isinstance(text, str)}
    assert len(queries) > 15
    for name, text in queries.items():
        steps = await sqlite_store._run(partial(plan_of, sqlite_store, text))
        # There are only a few partitions; NEXT_WAKE looks at each. KNOWN goes through what is asked.
        slow = [
            step
            for step in steps
            if "TEMP B-TREE" in step
            or (step.startswith("SCAN") and step not in ("SCAN partitions", "SCAN asked", "SCAN 100 CONSTANT ROWS"))
        ]
        assert slow == [], name


def plan_of(store: SqliteStore, query: str) -> list[str]:
    return [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {query}", [1] * query.count("?"))]


# When a call fails


async def test_a_full_disk_is_an_error_that_leaves_the_store_usable(sqlite_store: SqliteStore) -> None:
    await sqlite_store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    before = await look(sqlite_store)
    pages = await on_thread(sqlite_store, "PRAGMA page_count")
    await on_thread(sqlite_store, f"PRAGMA max_page_count = {pages}")
    big = Commit(0, 1, 2, [event(ANN, 2)], {ANN: b"x" * 100_000}, {ANN: None}, {ANN: False})
    with pytest.raises(StoreError, match="could not do it: database or disk is full"):
        await sqlite_store.commit([big])
    assert await look(sqlite_store) == before
    await on_thread(sqlite_store, "PRAGMA max_page_count = 1000000")
    await sqlite_store.commit([big])


async def test_a_file_that_somebody_holds_locked_is_an_error_that_leaves_the_store_usable(path: Path) -> None:
    store = await open_at(path, busy_timeout_ms=1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="could not do it: database is locked"):
        await store.append([event(ANN, 1)])
    assert await store.log(0, 0, 1) == []
    other.execute("ROLLBACK")
    other.close()
    await store.append([event(ANN, 1)])
    assert await store.log(0, 0, 1) == [event(ANN, 1)]
    await store.close()


async def test_a_line_that_is_damaged_is_named(path: Path, sqlite_store: SqliteStore) -> None:
    await sqlite_store.append([event(ANN, 1)])
    rows_changed = sqlite3.connect(path, isolation_level=None)
    rows_changed.execute("UPDATE log SET line = '{\"at\":'")
    rows_changed.close()
    with pytest.raises(StoreError, match="entry 1 of partition 0 of"):
        await sqlite_store.poll([0], 0)


async def test_the_event_loop_goes_on_while_the_store_waits(path: Path) -> None:
    store = await open_at(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.append([event(ANN, 1)]))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("ROLLBACK")
    other.close()
    await waiting
    await store.close()


async def test_an_opening_that_nobody_waits_for_leaves_no_connection(path: Path) -> None:
    opening = asyncio.create_task(open_at(path))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


# Two writers on one file


async def test_of_two_writers_who_know_the_same_version_one_wins(path: Path) -> None:
    first, second = await open_at(path), await open_at(path)
    commits = [with_states(Commit(0, 0, 1, [event(user, 1)]), {user: 5}, [user]) for user in (ANN, BOB)]
    results = await asyncio.gather(first.commit([commits[0]]), second.commit([commits[1]]), return_exceptions=True)
    assert sorted(map(type, results), key=str) == sorted([type(None), Conflict], key=str)
    winner = ANN if results[0] is None else BOB
    for store in (first, second):
        (batch,) = await store.poll([0], 10)
        assert (batch.version, batch.cursor, batch.due) == (1, 1, [winner])
        assert await store.log(0, 0, 10) == [event(winner, 1)]
        assert [user for user, _ in await store.present_users()] == [winner]
        await store.close()


async def test_two_writers_who_try_again_after_a_conflict_do_everything_once(path: Path) -> None:
    stores = [await open_at(path), await open_at(path)]

    async def write(store: SqliteStore, user: str) -> None:
        for at in range(20):
            while True:
                (batch,) = await store.poll([0], 0)
                entry = event(user, max(at, batch.last_at), n=at)
                try:
                    await store.commit([Commit(0, batch.version, batch.cursor + 1, [entry])])
                    break
                except Conflict:
                    continue

    await asyncio.gather(write(stores[0], ANN), write(stores[1], BOB))
    written = await stores[0].log(0, 0, 100)
    for user in (ANN, BOB):
        assert [entry.event.data["n"] for entry in written if entry.event and entry.user == user] == list(range(20))
    assert (await stores[1].poll([0], 0))[0].version == 40
    for store in stores:
        await store.close()


async def test_two_who_make_the_file_at_once_have_the_same_store(path: Path) -> None:
    first, second = await asyncio.gather(SqliteStore.open(path), SqliteStore.open(path))
    await first.append([event(ANN, 1)])
    await second.append([event(ANN, 2)])
    assert (await first.describe())["entries"] == 2
    await first.close()
    await second.close()


class Contended(sqlite3.Connection):
    """Somebody else goes over to the write-ahead log at the same moments."""

    refusals = 0
    code = sqlite3.SQLITE_BUSY_RECOVERY

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA journal_mode") and self.refusals:
            self.refusals -= 1
            refused = sqlite3.OperationalError("database is locked")
            refused.sqlite_errorcode = self.code
            raise refused
        return super().execute(sql, *given)


@pytest.mark.parametrize("refusals", [1, 3])
def test_who_finds_the_file_locked_while_another_prepares_it_tries_again(path: Path, refusals: int) -> None:
    with closing(sqlite3.connect(path, factory=Contended)) as db:
        db.refusals = refusals
        assert write_ahead(db, 20_000) == "wal"
        assert db.refusals == 0


@pytest.mark.parametrize(("code", "patience_ms"), [(sqlite3.SQLITE_BUSY, 0), (sqlite3.SQLITE_READONLY, 20_000)])
def test_what_stays_locked_or_cannot_be_written_is_told(path: Path, code: int, patience_ms: int) -> None:
    with closing(sqlite3.connect(path, factory=Contended)) as db:
        db.refusals, db.code = 1_000_000, code
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write_ahead(db, patience_ms)
        assert db.refusals == 999_999


async def test_nobody_but_its_owner_may_read_a_file_that_is_made(path: Path, tmp_path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.append([event(ANN, 1)])
    copy = tmp_path / "copy.db"
    backup(path, copy)
    made = [each for each in tmp_path.iterdir() if each.name.startswith((path.name, copy.name))]
    assert {each.name for each in made} >= {path.name, f"{path.name}-wal", copy.name}
    assert {each.name: each.stat().st_mode & 0o077 for each in made} == dict.fromkeys([each.name for each in made], 0)
    await store.close()


async def test_who_has_given_a_file_other_rights_keeps_them(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    path.chmod(0o640)
    store = await SqliteStore.open(path)
    await store.append([event(ANN, 1)])
    assert [each.stat().st_mode & 0o777 for each in (path, path.with_name(f"{path.name}-wal"))] == [0o640, 0o640]
    await store.close()


# The reader beside a server


async def test_a_reader_sees_what_a_running_server_has_written_and_goes_on_seeing(
    path: Path, sqlite_store: SqliteStore
) -> None:
    await sqlite_store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    reader = await open_at(path, read_only=True)
    assert await look_alike(reader) == await look_alike(sqlite_store)
    await sqlite_store.append([event(ANN, 2)])
    assert await look_alike(reader) == await look_alike(sqlite_store)
    await reader.close()


async def look_alike(store: SqliteStore) -> object:
    *seen, described = await look(store)
    return seen, {name: value for name, value in described.items() if name != "read_only"}


async def test_a_reader_reads_what_a_server_left_and_hides_what_expired_without_dropping_it(path: Path) -> None:
    store = await open_at(path)
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, 1, expires_at=5)])])
    await store.close()
    reader = await open_at(path, read_only=True)
    assert await reader.pending(ANN, 5) == []
    assert len(await reader.pending(ANN, 4)) == 1
    await reader.close()


async def test_a_reader_writes_nothing(path: Path, sqlite_store: SqliteStore) -> None:
    before = await look(sqlite_store)
    reader = await open_at(path, read_only=True)
    calls = [
        reader.append([event(ANN, 1)]),
        reader.commit([Commit(0, 0, 0)]),
        reader.relayed(["m"], 0),
        reader.save_rules("h", {}),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="was opened to be read only"):
            await call
    await reader.close()
    assert await look(sqlite_store) == before
