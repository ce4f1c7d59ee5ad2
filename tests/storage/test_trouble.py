"""A SQLite store on a disk that is full, a file that is locked, damaged or not to be written: told, and got over."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from samples_for_stores import ANN, BOB, CAT, PARTITION_COUNT, event

from engine.storage.base import Fold, Folded, StoreError, Trouble
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_thread import WAL_BYTES_WANTED, trouble_of

MUCH = "x" * 100_000
ROOM = 2 * 1024 * 1024  # of a disk that is soon full


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
async def sqlite_store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, partition_count=PARTITION_COUNT, busy_timeout_ms=1)
    yield store
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for `ROOM`; only root can make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)):
        pytest.skip("a file system of its own can be made by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def mount(*words: str) -> int:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


async def on_thread(store: SqliteStore, statement: str) -> None:
    await store._run(lambda: store._db.execute(statement).fetchall())


async def fails(store: SqliteStore, at: int, state: Trouble | None) -> str:
    """Neither an input nor a probe can be written, for the same reason, which is returned in words."""
    with pytest.raises(StoreError) as probed:
        await store.probe()
    with pytest.raises(StoreError) as refused:
        await store.append([event(ANN, at, much=MUCH)])
    assert (probed.value.state, refused.value.state) == (state, state)
    return str(refused.value)


async def test_a_file_that_may_not_grow_is_full_until_it_may(sqlite_store: SqliteStore) -> None:
    await sqlite_store.append([event(ANN, 1)])
    await on_thread(sqlite_store, "PRAGMA max_page_count = 1")  # becomes as many as there are
    why = await fails(sqlite_store, 2, "full")
    assert why.endswith(
        "database or disk is full: free some space on its disk, and it goes on by itself; what was acknowledged is kept"
    )
    await on_thread(sqlite_store, "PRAGMA max_page_count = 1000000")
    await sqlite_store.probe()
    await sqlite_store.append([event(ANN, 2)])
    assert await sqlite_store.log(0, 0, 9) == [event(ANN, 1), event(ANN, 2)]


async def written_until_full(store: SqliteStore, first: int, much: str) -> int:
    """How many entries found room; the next did not."""
    for kept in itertools.count():
        try:
            await store.append([event(ANN, first + kept, much=much)])
        except StoreError as error:
            if error.state != "full":
                raise
            return kept
    raise AssertionError("counting never ends")


async def test_a_full_disk_keeps_what_it_has_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    store = await SqliteStore.open(small_disk / "test.db", partition_count=PARTITION_COUNT)
    kept = await written_until_full(store, 0, MUCH)
    kept += await written_until_full(store, kept, "")
    await fails(store, kept, "full")
    assert len(await store.log(0, 0, 9999)) == kept > 0  # what is there can be read all the while
    await asyncio.to_thread(mount, "-o", f"remount,size={4 * ROOM}", str(small_disk))
    await store.probe()
    await store.append([event(ANN, kept, much=MUCH)])
    await store.close()
    again = await SqliteStore.open(small_disk / "test.db")
    assert len(await again.log(0, 0, 9999)) == kept + 1
    await again.close()


async def test_a_file_that_another_program_holds_is_busy_until_it_lets_go(
    path: Path, sqlite_store: SqliteStore
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    why = await fails(sqlite_store, 1, "busy")
    assert why.endswith("database is locked: another program holds the file; it goes on by itself once that is done")
    other.execute("ROLLBACK")
    other.close()
    await sqlite_store.probe()


async def test_what_is_read_only_says_so_until_it_is_not(sqlite_store: SqliteStore) -> None:
    await on_thread(sqlite_store, "PRAGMA query_only = ON")
    why = await fails(sqlite_store, 1, "read_only")
    assert "let the file, its folder and its file system be written to" in why
    await on_thread(sqlite_store, "PRAGMA query_only = OFF")
    await sqlite_store.probe()


async def test_a_reader_is_told_that_it_is_one(path: Path, sqlite_store: SqliteStore) -> None:
    reader = await SqliteStore.open(path, read_only=True)
    calls = [reader.probe(), reader.erase(ANN), reader.drop_rules(9), reader.fold(Fold(0, Folded(), 1, 1, []))]
    for call in calls:
        with pytest.raises(StoreError, match="was opened to be read only") as refused:
            await call
        assert refused.value.state == "read_only"
    await reader.close()


async def test_a_page_that_is_damaged_while_the_server_runs_is_told(path: Path) -> None:
    store = await SqliteStore.open(path, partition_count=PARTITION_COUNT)
    await store.append([event(ANN, at, much=MUCH) for at in range(20)])
    await store.close()
    store = await SqliteStore.open(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(StoreError) as refused:
        await store.log(0, 0, 999)
    assert refused.value.state == "corrupt"
    assert 'stop the server and put back a backup ("proactive db check" says what is damaged)' in str(refused.value)
    await store.close()


async def test_a_line_that_is_damaged_is_corrupt(sqlite_store: SqliteStore) -> None:
    await sqlite_store.append([event(ANN, 1)])
    await on_thread(sqlite_store, "UPDATE log SET line = '{\"at\":'")
    with pytest.raises(StoreError) as refused:
        await sqlite_store.log(0, 0, 9)
    assert refused.value.state == "corrupt"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("SQLITE_IOERR_FSYNC", "io"),
        ("SQLITE_READONLY_DBMOVED", "read_only"),
        ("SQLITE_BUSY_SNAPSHOT", "busy"),
        ("SQLITE_CORRUPT_VTAB", "corrupt"),
        ("SQLITE_FULL", "full"),
        ("SQLITE_CONSTRAINT", None),
        ("", None),
    ],
)
def test_the_name_of_an_error_tells_what_is_the_matter(path: Path, name: str, state: Trouble | None) -> None:
    error = sqlite3.OperationalError("said by a test")
    error.sqlite_errorname = name
    assert trouble_of(error, path) == state


# The write-ahead log


async def test_under_steady_load_with_readers_beside_it_the_write_ahead_log_stays_small(path: Path) -> None:
    store = await SqliteStore.open(path, partition_count=PARTITION_COUNT, durability="normal")
    reader = await SqliteStore.open(path, read_only=True)
    told: list[bool] = []
    store.tell_checkpoints(lambda seconds, ok: told.append(ok))
    written, largest = 0, 0
    for at in range(150):
        await store.append([event(user, at, much=MUCH) for user in (ANN, BOB, CAT)])
        written += 3 * len(MUCH)
        await reader.numbered(0, max(0, 3 * at - 3), 3)
        largest = max(largest, wal(path).stat().st_size)
    assert written > 2 * WAL_BYTES_WANTED
    assert largest < 2 * WAL_BYTES_WANTED
    assert told
    assert all(told)
    await reader.close()
    await store.close()
