"""Every promise of a store's rows that is broken is named where it is; and nothing is said of a file that is whole."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from recorded_store import change, record
from samples_for_stores import event

from engine.storage.base import StoreUnusable
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_check import PROBLEMS_MAX, check_file

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "recorded.db"
    asyncio.run(record(path))
    return path


@pytest.fixture
def path(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(recorded, tmp_path / "proactive.db"))


def test_of_a_file_that_is_whole_nothing_is_said_and_nothing_changed(path: Path) -> None:
    before = path.read_bytes()
    assert check_file(path) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM log WHERE number = 3", "entry 4: expected number 3 after 2, and nobody was erased"),
        ("UPDATE log SET at = at - 99999999999 WHERE number = 9", "entry 9: time goes back"),
        ("UPDATE log SET line = '{' WHERE number = 2", "entry 2 cannot be read"),
        ("UPDATE log SET kind = 'tick' WHERE number = 2", "entry 2: its columns are not those of its line"),
        ("UPDATE log SET once_id = 'x' WHERE number = 2", "entry 2: its columns are not those of its line"),
        ("UPDATE partitions SET cursor = 9999", "the cursor is at 9999, beyond the log's last entry"),
        ("UPDATE partitions SET cursor = 0, folded = 1", "the cursor 0 is before 1, up to which the log is folded"),
        ("UPDATE partitions SET folded = 2", "entry 1: the log is folded up to 2"),
        ("UPDATE partitions SET last_at = 5", "the partition says 5"),
        ("UPDATE decisions SET at = at + 1 WHERE number = 2", "decision 2: its columns are not those of its line"),
        ("UPDATE decisions SET line = 'x' WHERE number = 2", "decision 2 cannot be read"),
        ("UPDATE states SET state = x'01' WHERE user = 'ann'", "the state of user 'ann' cannot be read"),
        ("UPDATE states SET wake = 7 WHERE user = 'ann'", "the column says 7"),
        ("UPDATE states SET present = 1 - present", "whether they are there is not what the column says"),
        ("UPDATE states SET user = 'cyd' WHERE user = 'ann'", "the state of user 'cyd' is that of 'ann'"),
        ("UPDATE states SET partition = 3", "the state of user 'ann' stands in partition 3, which is another's"),
        ("INSERT INTO bases VALUES ('cyd', 0, NULL, x'01', x'')", "the base of user 'cyd' cannot be read"),
        ("UPDATE outbox SET line = 'x'", "of the outbox cannot be read"),
        ("UPDATE outbox SET expires_at = 7", "of the outbox: its columns are not those of its line"),
        ("DELETE FROM states", "of the outbox: rule 'stuck' said it to user 'ann', of whom nothing is known"),
        ("INSERT INTO faults VALUES (1, 1, 'ann', 'x', 't')", "fault 1 cannot be read"),
        ("DELETE FROM rule_sets", "which hold from 1774605600000001 on, are not in the store"),
        ("DELETE FROM rule_moments", "the store knows nothing of rules that begin to hold there"),
        ("DELETE FROM partitions", "partition 0 is missing"),
    ],
)  # fmt: skip
def test_each_promise_that_is_broken_is_named(path: Path, statement: str, told: str) -> None:
    change(path, statement)
    assert told in "\n".join(check_file(path))


def test_where_somebody_was_erased_numbers_may_have_gaps(path: Path) -> None:
    async def erase() -> None:
        store = await SqliteStore.open(path)
        assert await store.erase("ann") > 0
        await store.close()

    asyncio.run(erase())
    assert check_file(path) == []


def test_a_wake_up_that_was_taken_away_because_time_failed_is_no_damage(path: Path) -> None:
    change(path, "UPDATE states SET wake = NULL WHERE user = 'ann'")
    assert len(check_file(path)) == 1
    line = '{"at":"2026-03-27T10:00:00.000000Z","kind":"tick","user":"ann"}'
    change(path, f"INSERT INTO faults VALUES (1, 1, 'ann', '{line}', 't')")
    assert check_file(path) == []


def test_pages_that_are_damaged_are_named_and_the_rows_on_them_are_not(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096 + 100)
        file.write(b"\xa5" * 9000)
    found = check_file(path)
    assert found
    assert all("entry" not in problem for problem in found)


def test_no_more_is_told_than_somebody_reads(path: Path) -> None:
    change(path, *[f"INSERT INTO faults VALUES ({n}, 1, 'ann', 'x', 't')" for n in range(1, 2 * PROBLEMS_MAX)])
    assert len(check_file(path)) == PROBLEMS_MAX


async def test_names_that_are_no_unicode_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    store = await SqliteStore.open(path)
    await store.append([event("odd \ud800", 1)])
    await store.close()
    assert check_file(path) == []


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(StoreUnusable, match="there is no file"):
        check_file(path)
    path.write_text("no database " * 1000)
    with pytest.raises(StoreUnusable, match="is not a SQLite database"):
        check_file(path)
