"""A SQLite store as a whole, read and filled page by page: see `loading`. All of it runs on the store's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

from engine.storage import sqlite_queries as queries
from engine.storage.base import Base, Fault, Folded, OutboxMessage
from engine.storage.codec import decode_entry
from engine.storage.loading import PAGE, Decided, Kept, Stand
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_commit import stand_of
from engine.storage.sqlite_rows import Name, from_name, message_of, page_of, to_name
from engine.storage.sqlite_upkeep import decoded_past, encoded_past, folded

# The last tick of a partition, the earliest wake-up of its users, and of what it has any.
LAST_TICK = "SELECT coalesce(max(at), -1) FROM log WHERE partition = ? AND kind = 'tick'"
FIRST_WAKE = "SELECT min(wake) FROM states WHERE partition = ? AND wake IS NOT NULL"
HAS_STATES = "SELECT DISTINCT partition FROM states"
HAS_BASES = "SELECT DISTINCT partition FROM bases"

# Pages of rows behind a number, which is the first column.
DECISIONS = """
SELECT number, user, at, CAST(line AS BLOB) FROM decisions WHERE partition = ? AND number > ? ORDER BY number LIMIT ?
"""
STATES = """
SELECT rowid, user, state, wake, present FROM states WHERE partition = ? AND rowid > ? ORDER BY rowid LIMIT ?
"""
BASES = "SELECT rowid, user, state, wake, past FROM bases WHERE partition = ? AND rowid > ? ORDER BY rowid LIMIT ?"
OUTBOX = """
SELECT number, user, CAST(line AS BLOB), at, rule, client FROM outbox
WHERE (user, at, number) > (?, ?, ?) ORDER BY user, at, number LIMIT ?
"""
FAULTS = """
SELECT number, user, at, CAST(line AS BLOB), trace FROM faults WHERE ? IS NULL AND number > ? ORDER BY number LIMIT ?
"""

# Where a partition is folded up to, and its cursor with it: nothing is in its log yet.
BEGIN_AT = "UPDATE partitions SET cursor = ?, folded = ?, folded_at = ? WHERE partition = ?"
COME_TO = "UPDATE partitions SET last_at = max(last_at, ?) WHERE partition = ?"


class SqliteContents:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def stands(self) -> list[Stand]:
        def look(db: sqlite3.Connection) -> list[Stand]:
            having = [{number for (number,) in db.execute(query)} for query in (HAS_STATES, HAS_BASES)]
            found = []
            for number in range(self._store.partition_count):
                _, cursor, last_at, last = stand_of(db, number)
                (tick,) = db.execute(LAST_TICK, (number,)).fetchone()
                (wake,) = db.execute(FIRST_WAKE, (number,)).fetchone()
                has_states, has_bases = [number in some for some in having]
                found.append(Stand(cursor, last, last_at, tick, wake, folded(db, number), has_states, has_bases))
            return found

        return await self._store.on_thread(look)

    async def decisions(self, partition: int) -> AsyncIterator[list[Decided]]:
        async for rows in self._pages(DECISIONS, partition):
            yield [Decided(from_name(user), at, line) for _, user, at, line in rows]

    async def states(self, partition: int) -> AsyncIterator[list[Kept]]:
        async for rows in self._pages(STATES, partition):
            yield [Kept(from_name(user), state, wake, bool(present)) for _, user, state, wake, present in rows]

    async def bases(self, partition: int) -> AsyncIterator[list[Base]]:
        async for rows in self._pages(BASES, partition):
            yield [Base(from_name(user), state, wake, decoded_past(past)) for _, user, state, wake, past in rows]

    async def outbox(self) -> AsyncIterator[list[OutboxMessage]]:
        def read(db: sqlite3.Connection) -> list[Any]:
            return page_of(db.execute(OUTBOX, (*last, PAGE)))

        last: tuple[Name, int, int] = "", -1, 0  # "" is before every name
        while rows := await self._store.on_thread(read):
            yield [message_of(from_name(user), *row) for _, user, *row in rows]
            number, name, _, at, *_ = rows[-1]
            last = name, at, number

    async def pending(self, users: list[str]) -> list[list[OutboxMessage]]:
        return await self._store.on_thread(lambda db: [waiting_of(db, user) for user in users])

    async def faults(self) -> AsyncIterator[list[Fault]]:
        async for rows in self._pages(FAULTS, None):
            yield [Fault(from_name(user), at, decode_entry(line), trace) for _, user, at, line, trace in rows]

    async def _pages(self, query: str, partition: int | None) -> AsyncIterator[list[Any]]:
        def read(db: sqlite3.Connection) -> list[Any]:
            return page_of(db.execute(query, (partition, last, PAGE)))

        last = 0
        while rows := await self._store.on_thread(read):
            yield rows
            last = rows[-1][0]


def waiting_of(db: sqlite3.Connection, user: str) -> list[OutboxMessage]:
    return [message_of(user, *row) for row in db.execute(queries.PENDING, (to_name(user),))]


class SqliteLoading:
    """Whoever fills a file gives it its name when it is whole, so nothing marks it meanwhile."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def begin(self) -> None:
        pass

    async def put_bases(self, partition: int, folded: Folded, bases: Sequence[Base]) -> None:
        rows = [(to_name(base.user), partition, base.wake, base.state, encoded_past(base.past)) for base in bases]

        def write(db: sqlite3.Connection) -> None:
            db.execute(BEGIN_AT, (folded.number, folded.number, folded.at, partition))
            db.executemany(queries.PUT_BASE, rows)

        await self._store.writing_on_thread(write)

    async def put_rules(self, moments: Sequence[tuple[int, str]]) -> None:
        rows = [(at, to_name(rules_hash)) for at, rules_hash in moments]
        await self._store.writing_on_thread(lambda db: db.executemany(queries.ADD_RULE_MOMENT, rows))

    async def come_to(self, last_at: Sequence[int]) -> None:
        rows = [(at, partition) for partition, at in enumerate(last_at)]
        await self._store.writing_on_thread(lambda db: db.executemany(COME_TO, rows))

    async def end(self) -> None:
        pass
