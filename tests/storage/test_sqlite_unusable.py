"""Files that the SQLite store does not open: they are left alone, and it is said what to do."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from samples_for_stores import ANN, PARTITION_COUNT, event, open_at

from engine.core.model import Event
from engine.storage.base import PARTITIONS_DEFAULT, Entry, StoreUnusable
from engine.storage.sqlite import SqliteStore


async def test_a_file_of_another_number_of_partitions_is_refused(path: Path) -> None:
    await (await open_at(path)).close()
    with pytest.raises(StoreUnusable, match="was made with 4 partitions, not 5"):
        await SqliteStore.open(path, partition_count=5)
    store = await SqliteStore.open(path)
    assert store.partition_count == PARTITION_COUNT != PARTITIONS_DEFAULT
    await store.close()


async def test_a_file_of_another_schema_is_refused_and_left_alone(path: Path) -> None:
    await (await open_at(path)).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 4")
    db.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(
            StoreUnusable, match=r"another version of proactive \(schema 4, this one knows 1 to 3\): use"
        ):
            await open_at(path, read_only=read_only)
    assert path.read_bytes() == before


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="is a SQLite database of another program: name another file"):
        await open_at(path)
    assert path.read_bytes() == before


async def test_what_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    text = b'{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "x"}\n' * 100
    path.write_bytes(text)
    for read_only in (False, True):
        with pytest.raises(StoreUnusable, match="is not a SQLite database: name another file"):
            await open_at(path, read_only=read_only)
    assert path.read_bytes() == text


async def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match='none" does not exist: make it, or name a file elsewhere'):
        await SqliteStore.open(tmp_path / "none" / "a.db")
    with pytest.raises(StoreUnusable, match="is a directory, expected the path of a SQLite file"):
        await SqliteStore.open(tmp_path)
    with pytest.raises(StoreUnusable, match=r'there is no file ".*a.db" to read'):
        await SqliteStore.open(tmp_path / "a.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_file_becomes_a_store_but_not_by_reading(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreUnusable, match="empty"):
        await open_at(path, read_only=True)
    await (await open_at(path)).close()


OPEN_WITHOUT_RIGHTS = """
import asyncio, os, sys
from engine.storage.base import StoreUnusable
from engine.storage.sqlite import SqliteStore
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
async def main():
    try:
        await SqliteStore.open(sys.argv[1])
    except StoreUnusable as error:
        print(error)
asyncio.run(main())
"""


async def test_a_file_without_the_right_to_write_is_refused() -> None:
    # Not below pytest's own directory, which an ordinary user may not enter where root runs the tests.
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "a.db"
        await (await open_at(path)).close()
        for file_mode, directory_mode in [(0o444, 0o777), (0o444, 0o555)]:
            path.chmod(file_mode)
            directory.chmod(directory_mode)
            command = [sys.executable, "-W", "error", "-c", OPEN_WITHOUT_RIGHTS, str(path)]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
            assert "the file and its directory must be readable and writable" in done.stdout
        directory.chmod(0o755)


READ_WITHOUT_RIGHTS = """
import asyncio, os, sys
from engine.storage.base import StoreUnusable
from engine.storage.sqlite import SqliteStore
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
async def main():
    try:
        store = await SqliteStore.open(sys.argv[1], read_only=True)
        print(len(await store.log(0, 0, 10)))
        await store.close()
    except StoreUnusable as error:
        print(error)
asyncio.run(main())
"""


async def test_where_nothing_can_be_written_a_file_is_read_if_no_write_ahead_log_belongs_to_it() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "a.db"
        store = await open_at(path)
        await store.append([event(ANN, 1)])
        await store.close()

        async def read() -> str:
            path.chmod(0o444)
            directory.chmod(0o555)
            command = [sys.executable, "-W", "error", "-c", READ_WITHOUT_RIGHTS, str(path)]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
            directory.chmod(0o755)
            return done.stdout

        assert await read() == "1\n"
        (directory / "a.db-wal").touch(0o000)  # as another user's server may have it
        assert "to read only as well where there is a write-ahead log" in await read()


async def test_a_file_with_a_damaged_page_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    store = await SqliteStore.open(path)
    await store.append(
        [
            Entry("event", 10**15, f"u{n}", Event("e", f"u{n}", 10**15, {"message": "x" * 200}, f"e{n}"))
            for n in range(200)
        ]
    )
    await store.close()
    with path.open("r+b") as file:
        file.seek(8200)
        file.write(b"x" * 23)
    with pytest.raises(StoreUnusable, match=r"is damaged .* put back a backup of it"):
        await SqliteStore.open(path)
