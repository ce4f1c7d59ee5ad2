"""Giving room back and making copies: it stays the same store, and what cannot be done is said and leaves no trace."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest
from recorded_store import change, record

from engine.storage.base import StoreError, StoreUnusable
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_care import backup, vacuum
from engine.storage.sqlite_check import check_file


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("care") / "recorded.db"
    asyncio.run(record(path))
    return path


@pytest.fixture
def path(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(recorded, tmp_path / "proactive.db"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a copy goes: a folder in which nothing is yet."""
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.db"


def with_free_pages(path: Path) -> None:
    change(path, "CREATE TABLE large (x)", "INSERT INTO large VALUES (zeroblob(3000000))", "DROP TABLE large")


def contents(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return list(db.iterdump())
    finally:
        db.close()


@pytest.mark.parametrize("full", [False, True], ids=["piece by piece", "all anew"])
def test_free_pages_are_given_back_and_nothing_else_changes(path: Path, full: bool) -> None:
    whole, was = path.stat().st_size, contents(path)
    with_free_pages(path)
    before, after = vacuum(path, full=full)
    assert before > whole + 2_900_000
    assert after == path.stat().st_size <= whole
    assert contents(path) == was
    assert check_file(path) == []


def test_a_file_that_was_made_before_pages_could_be_given_back_is_written_anew(path: Path) -> None:
    change(path, "PRAGMA journal_mode = DELETE", "PRAGMA auto_vacuum = NONE", "VACUUM")
    for _ in range(2):
        with_free_pages(path)
        before, after = vacuum(path)
        assert before - after > 2_900_000
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    db.close()


def test_where_somebody_goes_on_reading_it_says_so_and_the_file_stays_whole(path: Path) -> None:
    change(path, "CREATE TABLE large (x)", "INSERT INTO large VALUES (zeroblob(3000000))")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM log").fetchone()
    change(path, "DROP TABLE large")
    with pytest.raises(StoreError, match="is being read by somebody: try again when that is done") as raised:
        vacuum(path, busy_timeout_ms=1)
    assert raised.value.state == "busy"
    reader.close()
    assert check_file(path) == []
    assert vacuum(path)[1] < 3_000_000


def test_where_somebody_writes_it_says_so(path: Path) -> None:
    with_free_pages(path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL").fetchall()
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        vacuum(path, busy_timeout_ms=1)
    writer.close()


def test_a_copy_is_the_store_as_it_was_and_nothing_is_left_beside_it(path: Path, target: Path) -> None:
    assert backup(path, target) == target.stat().st_size > 0
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert contents(target) == contents(path)


async def test_a_copy_has_what_is_not_in_the_file_itself_yet(path: Path, target: Path) -> None:
    store = await SqliteStore.open(path)
    await store.save_rules("newest", {"a": "b"})
    backup(path, target)
    await store.close()
    copy = await SqliteStore.open(target)
    assert await copy.load_rules("newest") == {"a": "b"}
    await copy.close()


def test_nothing_is_written_over(path: Path, target: Path) -> None:
    target.write_text("mine")
    for taken in (target, path):
        with pytest.raises(StoreUnusable, match="exists: name a file that does not"):
            backup(path, taken)
    assert target.read_text() == "mine"
    assert check_file(path) == []


def test_no_copy_of_a_damaged_file_gets_a_name(path: Path, target: Path) -> None:
    change(path, "UPDATE states SET state = x'01' WHERE user = 'ann'")
    with pytest.raises(StoreError, match="the file itself may be: the state of user 'ann' cannot be read"):
        backup(path, target)
    assert list(target.parent.iterdir()) == []


def test_no_folder_is_made_for_a_copy(path: Path, target: Path) -> None:
    with pytest.raises(StoreUnusable, match="does not exist: make it, or name a file elsewhere"):
        backup(path, target.parent / "none" / "copy.db")


def test_there_is_nothing_to_do_with_a_file_that_is_not_there(target: Path) -> None:
    with pytest.raises(StoreUnusable, match="there is no file"):
        vacuum(target)
    with pytest.raises(StoreUnusable, match="there is no file"):
        backup(target, target.with_name("other.db"))
    assert list(target.parent.iterdir()) == []
