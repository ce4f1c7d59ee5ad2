"""What erasures have left in a file is overwritten, whoever reads and writes beside it; nothing else is touched."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from samples_for_stores import ANN, BOB, event, outgoing, with_states

from engine.core.model import Event
from engine.storage import sqlite_wipe
from engine.storage.base import Base, Commit, Entry, Fold, Folded, StoreError, partition_of
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_gaps import Gaps, Unreadable
from engine.storage.sqlite_wipe import wipe

SECRET = "zq-private-9d1c"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, durability="normal")
    yield store
    await store.close()


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def kept(path: Path) -> bytes:
    return path.read_bytes() + wal(path).read_bytes()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA cache_size = -64000")
        yield db


def contents(path: Path) -> list[str]:
    with opened(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [line for line in db.iterdump() if '"meta"' not in line]


async def crowd(store: SqliteStore, turns: int = 60) -> None:
    """Many users whose rows of all sizes are mixed on the pages, and moved about as pages are split."""
    users = [ANN, *(f"user-{number}" for number in range(120))]
    count = store.partition_count
    versions, cursors = [0] * count, [0] * count
    drawn = random.Random(1)
    for at in range(1, turns + 1):
        commits: dict[int, Commit] = {}
        for user in [*drawn.choices(users, k=40), ANN]:
            number = partition_of(user, count)
            commit = commits.setdefault(number, Commit(number, versions[number], 0))
            words = (SECRET if user == ANN else "of no matter") * drawn.randrange(1, 90)
            once = Event("said", user, at, {"text": words}, f"{words[:15]}-{user}-{drawn.random()}")
            commit.appended.append(Entry("event", at, user, once, once=True))
            commit.states[user] = words[: drawn.randrange(15, 900)].encode()
            commit.wakes[user], commit.present[user] = None, False
            commit.decisions.append((user, at, b'"%s"' % words.encode()))
        for number, commit in commits.items():
            versions[number] += 1
            cursors[number] += len(commit.appended)
            commit.cursor = cursors[number]
        await store.commit(list(commits.values()))


async def test_of_an_erased_user_no_byte_is_left_in_the_gaps_of_pages_in_use(path: Path, store: SqliteStore) -> None:
    await crowd(store)
    assert await store.erase(ANN) > 100
    with opened(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    # Deleting overwrites the rows, and not what was left as they were moved: without this the test would prove nothing.
    assert kept(path).count(SECRET.encode()) > 10
    before = contents(path)
    assert wipe(path) > 10
    assert SECRET.encode() not in kept(path)
    assert f'"{ANN}"'.encode() not in kept(path)
    assert b"of no matter" in kept(path)
    assert contents(path) == before


async def test_of_an_erased_user_no_byte_is_left_however_it_got_there(path: Path, store: SqliteStore) -> None:
    """Rows large and small among those of others, overwritten, folded, delivered and moved about before."""
    number, part = 0, partition_of(ANN, store.partition_count)
    for at in range(1, 60):
        entries = [
            Entry("event", at, user, Event("said", user, at, {"text": text * (1 + at % 40)}, f"{user}-{at}"))
            for user, text in ((ANN, SECRET), (BOB, "of no matter"))
        ]
        number += len(entries) + 1
        commit = Commit(part, at - 1, number, [*entries, Entry("tick", at)])
        commit = with_states(commit, {ANN: None, BOB: None})
        commit.states[ANN] = (SECRET * (1 + at % 7)).encode()
        commit.decisions = [(ANN, at, b'"%s"' % SECRET.encode()), (BOB, at, b"{}")]
        commit.outbox = [outgoing(ANN, at), outgoing(BOB, at)]
        commit.withdrawn = [f"{ANN}-{at}"] if at % 2 else []
        await store.commit([commit])
        if at == 30:
            past = (Event("said", ANN, 1, {"text": SECRET}),)
            await store.fold(Fold(part, Folded(), number, at, [Base(ANN, SECRET.encode(), None, past)], True))
    assert SECRET.encode() in kept(path)
    await store.erase(ANN)
    wipe(path)
    assert SECRET.encode() not in kept(path)
    assert f'"{ANN}"'.encode() not in kept(path)
    assert b"of no matter" in kept(path)


async def test_commits_go_on_meanwhile_and_bring_nothing_back(path: Path, store: SqliteStore) -> None:
    await crowd(store)
    await store.erase(ANN)
    number, commits = partition_of(BOB, store.partition_count), 0
    (before,) = await store.poll([number], 0)
    wiping = asyncio.ensure_future(asyncio.to_thread(wipe, path))
    while not wiping.done():
        commits += 1
        entry = event(BOB, 100 + commits, text="of no matter" * (commits % 50))
        await store.commit([Commit(number, before.version + commits - 1, before.cursor + commits, [entry])])
    assert await wiping > 10
    assert SECRET.encode() not in kept(path)
    assert len(await store.log(number, before.cursor, 100_000)) == commits
    assert contents(path)


class Meddling:
    """The program that overwrites; somebody else does something before it has done all pages, and after."""

    def __init__(self, program: Any, before: Callable[[], object], after: Callable[[], object]) -> None:
        self.program = program
        self.before = before
        self.after = after

    def clear(self, asked: str) -> int:
        if asked == "all":
            self.before()
        cleared = int(self.program.clear(asked))
        if asked == "all":
            self.after()
        return cleared


class Sneaking:
    """A connection; somebody else commits in the moment in which it has let go of its second lock."""

    def __init__(self, db: sqlite3.Connection, sneak: Callable[[], object]) -> None:
        self.db = db
        self.sneak = sneak
        self.let_go = 0

    def execute(self, statement: str, *given: Any) -> sqlite3.Cursor:
        done = self.db.execute(statement, *given)
        self.let_go += statement == "ROLLBACK"
        if statement == "ROLLBACK" and self.let_go == 2:
            self.sneak()
        return done


REWRITE = "UPDATE log SET at = at + 1"  # writes every page anew, with whatever stands in its gap


async def test_what_others_write_out_of_their_memory_meanwhile_is_overwritten_as_well(
    path: Path, store: SqliteStore
) -> None:
    await crowd(store)
    await store.erase(ANN)
    with opened(path) as writer, opened(path) as reader, opened(path) as other, sqlite_wipe._gaps(path) as program:

        def look() -> None:
            other.execute("SELECT count(line) FROM log").fetchall()  # from here on it holds the pages as they were

        def rewrite() -> None:
            other.execute(REWRITE)
            assert SECRET.encode() in wal(path).read_bytes()

        gaps = cast("Any", Meddling(program, look, rewrite))
        cleared, is_done = sqlite_wipe._wipe_beside(writer, reader, gaps, path, 1)
        assert is_done
        assert cleared > 10
        assert SECRET.encode() not in kept(path)
        # What it held is not what it writes from here on.
        other.execute(REWRITE)
        assert SECRET.encode() not in kept(path)


async def test_a_commit_at_the_one_wrong_moment_is_noticed_and_all_is_done_again(
    path: Path, store: SqliteStore
) -> None:
    await crowd(store)
    await store.erase(ANN)
    with opened(path) as writer, opened(path) as reader, opened(path) as other, sqlite_wipe._gaps(path) as program:
        sneaking = cast("Any", Sneaking(writer, lambda: other.execute(REWRITE)))
        _, is_done = sqlite_wipe._wipe_beside(sneaking, reader, program, path, 1)
        assert not is_done
        sqlite_wipe._wipe_alone(writer, program, path, 1)
    assert SECRET.encode() not in kept(path)
    assert wipe(path) == 0


async def test_a_reader_in_the_way_is_told_and_a_repetition_finishes_it(path: Path, store: SqliteStore) -> None:
    await crowd(store, 5)
    with opened(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM log").fetchall()
        await store.erase(ANN)
        with pytest.raises(StoreError, match="is being read, so that former contents cannot be overwritten") as refused:
            wipe(path, busy_timeout_ms=1)
        assert refused.value.state == "busy"
        assert await store.load([ANN]) == {}
        reader.execute("COMMIT")
    wipe(path)
    assert SECRET.encode() not in kept(path)


async def test_where_nothing_was_erased_nothing_is_done(path: Path, store: SqliteStore) -> None:
    await crowd(store, 5)
    await store.erase("nobody")
    before = kept(path)
    assert wipe(path) == 0
    assert kept(path) == before


async def test_an_erasure_after_a_wipe_and_one_during_it_have_theirs(path: Path, store: SqliteStore) -> None:
    await crowd(store, 20)
    await store.erase(ANN)
    with opened(path) as writer, opened(path) as reader, sqlite_wipe._gaps(path) as program:
        await store.erase("user-1")  # a moment after it was looked up that one has left something
        sqlite_wipe._wipe_beside(writer, reader, program, path, 1)
        assert writer.execute(sqlite_wipe.REMAINS).fetchone() == (1,)
    wipe(path)
    await store.erase("user-2")
    assert wipe(path) > 0
    assert wipe(path) == 0


async def test_a_file_that_was_made_without_pointer_maps_is_written_anew(path: Path) -> None:
    store = await SqliteStore.open(path)
    await crowd(store, 20)
    await store.close()
    with opened(path) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
        db.execute("PRAGMA auto_vacuum = NONE")
        db.execute("VACUUM")
    with pytest.raises(Unreadable), path.open("r+b", buffering=0) as file:
        Gaps(file)
    store = await SqliteStore.open(path)
    await crowd_again(store)
    await store.erase(ANN)
    assert wipe(path) > 10
    assert SECRET.encode() not in kept(path)
    await store.close()
    with path.open("r+b", buffering=0) as file:
        assert Gaps(file).clear_all() < 100  # from now on it can be done page by page


async def crowd_again(store: SqliteStore) -> None:
    for at in range(1_000, 1_020):
        entries = [event(user, at, text=text * (at % 30)) for user, text in ((ANN, SECRET), ("user-1", "of no matter"))]
        await store.append(entries)
    for number in range(store.partition_count):
        (batch,) = await store.poll([number], 0, entries_max=1_000)
        if batch.entries:
            await store.commit([Commit(number, batch.version, batch.cursor + len(batch.entries))])


async def test_a_program_that_fails_says_why_and_the_remains_are_not_forgotten(path: Path, store: SqliteStore) -> None:
    await crowd(store, 5)
    await store.erase(ANN)
    with (
        opened(path) as writer,
        opened(path) as reader,
        sqlite_wipe._gaps(path.with_name("none")) as program,
        pytest.raises(StoreError, match=r"could not be overwritten: .*No such file"),
    ):
        sqlite_wipe._wipe_beside(writer, reader, program, path, 1)
    assert wipe(path) > 0


# The program alone.


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_gaps_are_cleared_on_pages_of_any_size_and_nothing_that_is_read_changes(path: Path, page_size: int) -> None:
    drawn = random.Random(2)
    with opened(path) as db:
        db.execute(f"PRAGMA page_size = {page_size}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("CREATE TABLE t (a, b TEXT, PRIMARY KEY (a)) WITHOUT ROWID")
        db.execute("CREATE INDEX t_by_b ON t (b, a)")
        db.execute("BEGIN")
        for number in range(6_000):
            word = SECRET if number % 9 == 0 else "of no matter"
            db.execute("INSERT INTO t VALUES (?, ?)", (drawn.random(), word * drawn.randrange(1, 9)))
            if number % 500 == 0:
                db.execute("INSERT INTO t VALUES (?, ?)", (drawn.random(), word * drawn.randrange(page_size // 5)))
        db.execute("DELETE FROM t WHERE b LIKE ?", (f"{SECRET}%",))
        db.execute("COMMIT")
    before = contents(path)
    with path.open("r+b", buffering=0) as file:
        assert Gaps(file).clear_all() > 0
        assert Gaps(file).clear_all() == 0
    assert SECRET.encode() not in path.read_bytes()
    assert contents(path) == before


def test_the_page_with_the_lock_byte_is_none_and_moves_the_map_behind_it(path: Path) -> None:
    with opened(path) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("CREATE TABLE t (a)")
    with path.open("r+b", buffering=0) as file:
        gaps = Gaps(file)
        # sqlite.org/fileformat2.html, section 1.8: a map, and behind it the usable size / 5 pages of which it tells.
        assert [gaps._map_of(number) for number in (2, 3, 821, 822, 823)] == [2, 2, 2, 822, 822]
        lock = 0x40000000 // 4096 + 1
        assert gaps._unused == lock
        assert gaps._map_of(lock - 1) != lock - 1


def test_a_damaged_page_is_left_alone(path: Path) -> None:
    with opened(path) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("CREATE TABLE t (a)")
        db.execute("INSERT INTO t VALUES ('word')")
    data = bytearray(path.read_bytes())
    data[2 * 4096 + 3 : 2 * 4096 + 5] = b"\xff\xff"  # so many cells
    path.write_bytes(data)
    with pytest.raises(Unreadable, match="page 3 is damaged"), path.open("r+b", buffering=0) as file:
        Gaps(file).clear_all()
    assert path.read_bytes() == data
