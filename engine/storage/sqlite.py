"""The default store: one SQLite file, written by one thread of its own, one transaction for each call.

It decides nothing and never blocks the event loop: whatever touches the file runs on the store's thread. A
call whose caller is cancelled may be carried out all the same.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.storage import sqlite_queries as queries
from engine.storage import sqlite_upkeep as upkeep
from engine.storage.base import (
    PAGE_BYTES,
    Base,
    Batch,
    Commit,
    Entry,
    Fold,
    Folded,
    OutboxMessage,
    Recorded,
    StoreError,
    partition_of,
)
from engine.storage.codec import decode_entry
from engine.storage.order import check_commits, check_partitions, moved_up
from engine.storage.readable import readable_messages
from engine.storage.sqlite_commit import stand_of, write_commits
from engine.storage.sqlite_rows import Name, entry_row, from_name, message_of, page_of, to_name
from engine.storage.sqlite_schema import Durability, connect
from engine.storage.sqlite_thread import SqliteThread

BUSY_TIMEOUT_MS = 5_000  # how long a call waits while another process writes

Result = TypeVar("Result")


class SqliteStore:
    """Made by `open`, ended by `close`. Several may have one file open, in any number of processes."""

    partition_count: int

    def __init__(
        self,
        db: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        path: Path,
        *,
        partition_count: int,
        durability: Durability,
        read_only: bool,
    ) -> None:
        self.partition_count = partition_count
        self.path = path
        self.read_only = read_only
        self._durability = durability
        self._db = db  # for the thread alone
        self._thread = SqliteThread(db, thread, path, read_only=read_only)
        self._wake: tuple[int | None] | None = None  # the earliest as of the commit just made, until asked for

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        partition_count: int | None = None,
        durability: Durability = "full",
        read_only: bool = False,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> SqliteStore:
        """The store in the file ``path``, made if there is none.

        ``partition_count`` is for a file that is made (`base.PARTITIONS_DEFAULT` unless told); where the file
        has another, that is `StoreUnusable`. ``durability``: what was committed outlives a loss of power
        ("full") or only a crash of the process ("normal"); the file stays whole in both. ``read_only`` looks at
        the file of a server that runs, was killed or has ended; every call that writes raises `StoreError`.
        ``busy_timeout_ms``: how long a call waits while another process writes. Raises `StoreUnusable`.
        """
        path = Path(path)
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")

        def begin() -> tuple[sqlite3.Connection, int]:
            return connect(
                path,
                partition_count=partition_count,
                durability=durability,
                read_only=read_only,
                busy_timeout_ms=busy_timeout_ms,
            )

        opening = thread.submit(begin)
        try:
            db, count = await asyncio.wrap_future(opening)
        except BaseException:
            thread.submit(_discard, opening)
            thread.shutdown(wait=False)
            raise
        return cls(db, thread, path, partition_count=count, durability=durability, read_only=read_only)

    def tell_checkpoints(self, told: Callable[[float, bool], None]) -> None:
        """Of each from now on: how many seconds it took, and whether it was made. Called on the event loop."""
        self._thread.on_checkpoint = told

    async def append(self, entries: list[Entry]) -> None:
        await self._run(lambda: self._append(entries))

    async def poll(self, partitions: list[int], due_by: int, entries_max: int = 500, due_max: int = 500) -> list[Batch]:
        check_partitions(partitions, self.partition_count)
        return await self._run(lambda: self._poll(partitions, due_by, entries_max, due_max))

    async def load(self, users: list[str]) -> dict[str, bytes]:
        return await self._run(lambda: self._states(users))

    async def commit(self, commits: list[Commit]) -> None:
        check_commits(commits, self.partition_count)
        self._wake = None
        self._wake = await self._run(lambda: self._commit(commits))

    async def known(self, ids: list[tuple[str, str]]) -> set[tuple[str, str]]:
        def find() -> set[tuple[str, str]]:
            found: set[tuple[str, str]] = set()
            for start in range(0, len(ids), queries.KNOWN_TOGETHER):
                some = ids[start : start + queries.KNOWN_TOGETHER]
                names: list[Name | None] = [to_name(name) for pair in some for name in pair]
                names += [None] * (2 * queries.KNOWN_TOGETHER - len(names))
                rows = self._db.execute(queries.KNOWN, names).fetchall()
                found.update((from_name(user), from_name(name)) for user, name in rows)
            return found

        return await self._run(find)

    async def next_wake(self) -> int | None:
        # Whoever commits asks for it right after: the thread has looked while it was at it.
        known, self._wake = self._wake, None
        return known[0] if known is not None else await self._run(self._next_wake)

    async def present_users(self) -> list[tuple[str, bytes]]:
        return await self._run(
            lambda: [(from_name(user), state) for user, state in self._db.execute(queries.PRESENT).fetchall()]
        )

    async def pending(self, user: str, now: int) -> list[OutboxMessage]:
        return await self._run(lambda: self._pending(user, now))

    async def relayed(self, message_ids: list[str], now: int) -> None:
        await self._run(lambda: self._relayed(message_ids, now))

    async def save_rules(self, rules_hash: str, sources: dict[str, str]) -> None:
        def save() -> None:
            with self._thread.writing() as db:
                db.execute(queries.ADD_RULES, (to_name(rules_hash), json.dumps(sources)))

        await self._run(save)

    async def load_rules(self, rules_hash: str) -> dict[str, str] | None:
        def find() -> dict[str, str] | None:
            row = self._db.execute(queries.RULES, (to_name(rules_hash),)).fetchone()
            return None if row is None else msgspec.convert(json.loads(row[0]), dict[str, str])

        return await self._run(find)

    async def rule_moments(self) -> list[tuple[int, str]]:
        return await self._run(
            lambda: [(at, from_name(name)) for at, name in self._db.execute(queries.RULE_MOMENTS).fetchall()]
        )

    async def decisions(self, partition: int) -> list[bytes]:
        check_partitions([partition], self.partition_count)
        return await self._run(
            lambda: [line for (line,) in self._db.execute(queries.DECISIONS, (partition,)).fetchall()]
        )

    async def log(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        check_partitions([partition], self.partition_count)
        return await self._run(lambda: self._entries(partition, after, entries_max))

    async def history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        return await self._run(lambda: self._history(users, before, events_max))

    async def recorded(self, user: str, before: tuple[int, int], items_max: int) -> Recorded:
        return await self._run(lambda: self._recorded(user, before, items_max))

    async def numbered(
        self, partition: int, after: int, entries_max: int, bytes_max: int = PAGE_BYTES
    ) -> list[tuple[int, Entry]]:
        check_partitions([partition], self.partition_count)
        return await self._run(lambda: self._numbered(partition, after, entries_max, bytes_max))

    async def states(self, partition: int, after: int, states_max: int) -> list[tuple[int, str, bytes]]:
        check_partitions([partition], self.partition_count)
        return await self._run(lambda: upkeep.states(self._db, partition, after, states_max))

    async def folded(self, partition: int) -> Folded:
        check_partitions([partition], self.partition_count)
        return await self._run(lambda: upkeep.folded(self._db, partition))

    async def bases(self, partition: int, users: list[str] | None = None, due_by: int | None = None) -> list[Base]:
        check_partitions([partition], self.partition_count)
        return await self._run(lambda: upkeep.bases(self._db, partition, users, due_by))

    async def fold(self, fold: Fold) -> None:
        check_partitions([fold.partition], self.partition_count)

        def write() -> None:
            with self._thread.writing() as db:
                upkeep.fold(db, fold)

        await self._run(write)

    async def drop_rules(self, before: int) -> int:
        def write() -> int:
            with self._thread.writing() as db:
                return upkeep.drop_rules(db, before)

        return await self._run(write)

    async def erase(self, user: str) -> int:
        self._wake = None
        partition = partition_of(user, self.partition_count)
        return await self._run(lambda: upkeep.erase(self._thread, partition, user))

    async def probe(self) -> None:
        def write() -> None:
            with self._thread.writing() as db:
                db.execute(queries.PROBE)
                db.execute(queries.UNDO_PROBE)

        await self._run(write)

    async def describe(self) -> dict[str, Json]:
        return await self._run(self._describe)

    async def close(self) -> None:
        await self._thread.close()

    async def on_thread(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """For what reads or fills the store as a whole (`sqlite_loading`)."""
        return await self._run(lambda: work(self._db))

    async def writing_on_thread(self, work: Callable[[sqlite3.Connection], object]) -> None:
        def write() -> None:
            with self._thread.writing() as db:
                work(db)

        await self._run(write)

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await self._thread.run(work)

    # From here on everything runs on the thread.

    def _append(self, entries: list[Entry]) -> None:
        with self._thread.writing() as db:
            last: dict[int, tuple[int, int]] = {}  # of each partition touched: the last number and moment
            rows = []
            for entry in entries:
                partition = partition_of(entry.user, self.partition_count)
                if partition not in last:
                    _, _, last_at, number = stand_of(self._db, partition)
                    last[partition] = number, last_at
                number, last_at = last[partition]
                entry = moved_up(entry, last_at)
                last[partition] = number + 1, entry.at
                rows.append(entry_row(partition, number + 1, entry))
            db.executemany(queries.ADD_ENTRY, rows)
            db.executemany(queries.MOVE_LAST_AT, [(last_at, partition) for partition, (_, last_at) in last.items()])

    def _poll(self, partitions: list[int], due_by: int, entries_max: int, due_max: int) -> list[Batch]:
        with self._thread.transaction("BEGIN"):
            return [self._batch(partition, due_by, entries_max, due_max) for partition in partitions]

    def _batch(self, partition: int, due_by: int, entries_max: int, due_max: int) -> Batch:
        version, cursor, last_at, number = stand_of(self._db, partition)
        entries = self._entries(partition, cursor, entries_max) if number > cursor else []
        rows = self._db.execute(queries.DUE, (partition, due_by, due_max)).fetchall()
        states: dict[str, bytes] = {from_name(user): state for user, state in rows}
        due = list(states)
        states.update(self._states({entry.user for entry in entries if entry.user}.difference(states)))
        return Batch(partition, version, cursor, last_at, entries, due, states)

    def _entries(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        rows = self._db.execute(queries.ENTRIES, (partition, after, entries_max)).fetchall()
        return [self._entry(partition, number, line) for number, line in rows]

    def _numbered(self, partition: int, after: int, entries_max: int, bytes_max: int) -> list[tuple[int, Entry]]:
        rows = page_of(self._db.execute(queries.ENTRIES, (partition, after, entries_max)), bytes_max)
        return [(number, self._entry(partition, number, line)) for number, line in rows]

    def _entry(self, partition: int, number: int, line: bytes) -> Entry:
        try:
            return decode_entry(line)
        except (msgspec.MsgspecError, Refused) as error:
            raise StoreError(f'entry {number} of partition {partition} of "{self.path}": {error}', "corrupt") from error

    def _history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for user in users:
            rows = self._db.execute(queries.HISTORY, (to_name(user), before, events_max)).fetchall()
            logged = [self._entry(partition, number, line).event for partition, number, line in reversed(rows)]
            events = [event for event in logged if event is not None]
            if len(events) < events_max:
                earlier = [event for event in upkeep.past_of(self._db, user) if event.at < before]
                events = [*earlier[len(events) - events_max :], *events]
            if events:
                found[user] = events
        return found

    def _recorded(self, user: str, before: tuple[int, int], items_max: int) -> Recorded:
        partition, name = partition_of(user, self.partition_count), to_name(user)
        asked = (name, before[0], items_max)
        rows = [row for of in (queries.EVENTS_OF, queries.SENDS_OF) for row in self._db.execute(of, asked).fetchall()]
        newest = sorted(rows, reverse=True)[:items_max]
        entries = [(number, self._entry(partition, number, line)) for number, line in newest]
        return Recorded(entries, self._db.execute(queries.DECISIONS_OF, (name, before[1], items_max)).fetchall())

    def _states(self, users: Iterable[str]) -> dict[str, bytes]:
        states = {}
        for user in users:
            row = self._db.execute(queries.STATE, (to_name(user),)).fetchone()
            if row is not None:
                states[user] = row[0]
        return states

    def _commit(self, commits: list[Commit]) -> tuple[int | None] | None:
        """The earliest wake-up after it, as one of a tuple; None where it is not known."""
        with self._thread.writing() as db:
            write_commits(db, commits)
        with suppress(sqlite3.Error):  # the commit is made, whatever comes of the question
            return (self._next_wake(),)
        return None

    def _next_wake(self) -> int | None:
        (wake,) = self._db.execute(queries.NEXT_WAKE).fetchone()
        return None if wake is None else int(wake)

    def _pending(self, user: str, now: int) -> list[OutboxMessage]:
        rows = self._db.execute(queries.PENDING, (to_name(user),)).fetchall()
        waiting = readable_messages(message_of, user, *rows)
        fresh = [each for each in waiting if each.message.expires_at is None or now < each.message.expires_at]
        if len(fresh) < len(waiting) and not self.read_only:
            with self._thread.writing() as db:
                db.execute(queries.REMOVE_EXPIRED, (now,))
        return fresh

    def _relayed(self, message_ids: list[str], now: int) -> None:
        with self._thread.writing() as db:
            db.executemany(queries.REMOVE_OUTGOING, [(to_name(message_id),) for message_id in message_ids])
            db.execute(queries.REMOVE_EXPIRED, (now,))

    def _describe(self) -> dict[str, Json]:
        with self._thread.transaction("BEGIN") as db:
            partitions = [stand_of(self._db, partition) for partition in range(self.partition_count)]
            users, folded, decisions, outbox, faults, size = db.execute(queries.COUNTS).fetchone()
        return {
            "store": "sqlite",
            "partitions": self.partition_count,
            "entries": sum(number for _, _, _, number in partitions) - folded,
            "folded": folded,
            "unevaluated": sum(number - cursor for _, cursor, _, number in partitions),
            "users": users,
            "decisions": decisions,
            "outbox": outbox,
            "faults": faults,
            "path": str(self.path),
            "bytes": size,
            "durability": self._durability,
            "read_only": self.read_only,
        }


def _discard(opening: Future[tuple[sqlite3.Connection, int]]) -> None:
    """Close the connection of an `open` that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()
