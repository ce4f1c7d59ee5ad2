"""Files that earlier versions of the SQLite store made: brought up to this one, or read as they are."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from samples_for_stores import ANN, BOB, CAT, PARTITION_COUNT, event, outgoing

from engine.core.model import Event
from engine.storage.base import Commit, Entry, Store, StoreUnusable
from engine.storage.sqlite import SqliteStore

HERE = Path(__file__).parent
ODD = "odd \ud800"
FORMER = [1, 2]


@pytest.fixture(params=FORMER)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same contents in a file of each version; that of the first has no index by user."""
    path = tmp_path / "former.db"
    db = sqlite3.connect(path)
    filled = (HERE / "schema_2.sql").read_text("utf-8")
    if request.param == 1:
        rows = [line for line in filled.splitlines() if line.startswith("INSERT")]
        db.executescript((HERE / "schema_1.sql").read_text("utf-8"))
        db.executescript("\n".join(rows))
    else:
        db.executescript(filled)
    db.close()
    return path


def rows(path: Path, query: str) -> list[Any]:
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def layout(path: Path) -> list[Any]:
    """All tables and indexes, whatever white space they were made with."""
    made = rows(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    return [(*names, "".join((sql or "").split())) for *names, sql in made]


async def check_contents(store: Store) -> None:
    batches = await store.poll(list(range(PARTITION_COUNT)), 50)
    assert [(batch.version, batch.cursor, batch.last_at) for batch in batches] == [
        (1, 3, 3),
        *[(0, 0, -1)] * 2,
        (0, 0, 3),
    ]
    assert (batches[0].due, batches[0].states) == ([ANN], {ANN: b"\x01\xff"})
    assert batches[3].entries == [Entry("event", 3, ODD, Event("test.failed", ODD, 3, {}, "e3"))]
    assert await store.log(0, 0, 9) == [event(ANN, 1), event(BOB, 2), Entry("rules", 3, rules_hash="h")]
    assert await store.history([ANN, BOB], 2, 9) == {ANN: [event(ANN, 1).event]}
    assert await store.decisions(0) == [b'{"n":1}']
    assert await store.pending(ANN, 0) == [outgoing(ANN, 2, at=5), outgoing(ANN, 1, at=5, expires_at=10**15)]
    assert await store.pending(BOB, 0) == [outgoing(BOB, 1, at=4)]
    assert await store.known([(ANN, "e1"), (BOB, "e2")]) == set()
    assert (await store.rule_moments(), await store.load_rules("h")) == ([(3, "h")], {"a.yaml": "x"})
    described = await store.describe()
    assert {name: described[name] for name in ("entries", "unevaluated", "users", "decisions", "outbox", "faults")} == {
        "entries": 4, "unevaluated": 1, "users": 1, "decisions": 1, "outbox": 3, "faults": 1,
    }  # fmt: skip


async def test_a_former_file_is_upgraded_when_it_is_opened_to_be_written(path: Path) -> None:
    for _ in range(2):
        store = await SqliteStore.open(path, partition_count=PARTITION_COUNT)
        await check_contents(store)
        await store.close()
    made = path.with_name("made.db")
    await (await SqliteStore.open(made, partition_count=PARTITION_COUNT)).close()
    assert layout(path) == layout(made)
    assert rows(path, "PRAGMA user_version") == rows(made, "PRAGMA user_version") == [(3,)]


async def test_an_upgraded_file_takes_what_only_this_version_knows(path: Path) -> None:
    store = await SqliteStore.open(path)
    happens_once = Entry("event", 4, CAT, Event("test.failed", CAT, 4, {}, "tab/1"), once=True)
    await store.commit([Commit(0, 1, 4, [happens_once], reworded=[(f"{ANN}-1", "other words")])])
    assert await store.known([(CAT, "tab/1"), (ANN, "tab/1")]) == {(CAT, "tab/1")}
    assert [each.message.text for each in await store.pending(ANN, 0)] == ["Hm?", "other words"]
    await store.close()


async def test_a_former_file_is_read_as_it_is_and_left_alone(path: Path) -> None:
    before = path.read_bytes()
    store = await SqliteStore.open(path, read_only=True)
    await check_contents(store)
    await store.close()
    assert path.read_bytes() == before


async def test_an_upgrade_that_fails_leaves_the_former_file(path: Path) -> None:
    [(version,)] = rows(path, "PRAGMA user_version")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bases (x)")
    db.close()
    with pytest.raises(StoreUnusable, match="cannot be used: table bases already exists"):
        await SqliteStore.open(path)
    assert rows(path, "PRAGMA user_version") == [(version,)]
    assert len(rows(path, "SELECT * FROM outbox")) == 3


async def test_two_who_upgrade_at_once_have_the_same_store(path: Path) -> None:
    for store in await asyncio.gather(SqliteStore.open(path), SqliteStore.open(path)):
        await check_contents(store)
        await store.close()
