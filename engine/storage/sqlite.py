"""The default store: one SQLite file, written by one thread of its own, one transaction for each call.

It decides nothing and never blocks the event loop: whatever touches the file runs on the store's thread. A
call whose caller is cancelled may be carried out all the same.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.storage import sqlite_queries as queries
from engine.storage.base import (
    FAULTS_MAX,
    OUTBOX_PER_USER_MAX,
    Batch,
    Commit,
    Conflict,
    Entry,
    OutboxMessage,
    Recorded,
    StoreError,
    partition_of,
)
from engine.storage.codec import decode_entry, decode_message, encode_message
from engine.storage.order import check_commits, check_follows, check_partitions, moved_up
from engine.storage.sqlite_rows import entry_row, fault_row, from_name, outgoing_row, to_name
from engine.storage.sqlite_schema import Durability, connect, transaction

BUSY_TIMEOUT_MS = 5_000  # how long a call waits while another process writes
TRACE_LENGTH_MAX = 16_384  # characters of a fault's trace that are kept: the last ones, where the error stands

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
        self._thread = thread

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

    async def append(self, entries: list[Entry]) -> None:
        await self._run(lambda: self._append(entries))

    async def poll(self, partitions: list[int], due_by: int, entries_max: int = 500, due_max: int = 500) -> list[Batch]:
        check_partitions(partitions, self.partition_count)
        return await self._run(lambda: self._poll(partitions, due_by, entries_max, due_max))

    async def load(self, users: list[str]) -> dict[str, bytes]:
        return await self._run(lambda: self._states(users))

    async def commit(self, commits: list[Commit]) -> None:
        check_commits(commits, self.partition_count)
        await self._run(lambda: self._commit(commits))

    async def known(self, ids: list[tuple[str, str]]) -> set[tuple[str, str]]:
        def find() -> set[tuple[str, str]]:
            names = (((user, name), (to_name(user), to_name(name))) for user, name in ids)
            return {asked for asked, row in names if self._db.execute(queries.KNOWN, row).fetchone()}

        return await self._run(find)

    async def next_wake(self) -> int | None:
        def find() -> int | None:
            (wake,) = self._db.execute(queries.NEXT_WAKE).fetchone()
            return None if wake is None else int(wake)

        return await self._run(find)

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
            with self._writing() as db:
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

    async def describe(self) -> dict[str, Json]:
        return await self._run(self._describe)

    async def close(self) -> None:
        def end() -> None:
            # A reader may be in the way of folding the log in; whoever opens the file next does it then.
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA busy_timeout = 0")
                if not self.read_only:
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._db.close()

        with suppress(_Closed):
            await self._run(end)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], Result]) -> Result:
        """Do it on the thread. What SQLite complains of becomes a `StoreError`; nothing was changed then."""
        try:
            doing = asyncio.get_running_loop().run_in_executor(self._thread, work)
        except RuntimeError:
            raise _Closed("the store is closed") from None
        try:
            return await doing
        except (sqlite3.Error, msgspec.MsgspecError, Refused) as error:
            raise StoreError(f'the store "{self.path}" could not do it: {error}') from error

    # From here on everything runs on the thread.

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with transaction(self._db, begin):
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside, from its first statement on."""
        if self.read_only:
            raise StoreError(f'the store "{self.path}" was opened to be read only')
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    def _append(self, entries: list[Entry]) -> None:
        with self._writing() as db:
            last: dict[int, tuple[int, int]] = {}  # of each partition touched: the last number and moment
            rows = []
            for entry in entries:
                partition = partition_of(entry.user, self.partition_count)
                if partition not in last:
                    _, _, last_at, number = self._partition(partition)
                    last[partition] = number, last_at
                number, last_at = last[partition]
                entry = moved_up(entry, last_at)
                last[partition] = number + 1, entry.at
                rows.append(entry_row(partition, number + 1, entry))
            db.executemany(queries.ADD_ENTRY, rows)
            db.executemany(queries.MOVE_LAST_AT, [(last_at, partition) for partition, (_, last_at) in last.items()])

    def _partition(self, partition: int) -> tuple[int, int, int, int]:
        """Version, cursor, last_at, and the number of the log's last entry."""
        version, cursor, last_at, number = self._db.execute(queries.PARTITION, (partition,)).fetchone()
        return version, cursor, last_at, number

    def _poll(self, partitions: list[int], due_by: int, entries_max: int, due_max: int) -> list[Batch]:
        with self._transaction("BEGIN"):
            return [self._batch(partition, due_by, entries_max, due_max) for partition in partitions]

    def _batch(self, partition: int, due_by: int, entries_max: int, due_max: int) -> Batch:
        version, cursor, last_at, number = self._partition(partition)
        entries = self._entries(partition, cursor, entries_max) if number > cursor else []
        rows = self._db.execute(queries.DUE, (partition, due_by, due_max)).fetchall()
        states: dict[str, bytes] = {from_name(user): state for user, state in rows}
        due = list(states)
        states.update(self._states({entry.user for entry in entries if entry.user}.difference(states)))
        return Batch(partition, version, cursor, last_at, entries, due, states)

    def _entries(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        rows = self._db.execute(queries.ENTRIES, (partition, after, entries_max)).fetchall()
        return [self._entry(partition, number, line) for number, line in rows]

    def _entry(self, partition: int, number: int, line: bytes) -> Entry:
        try:
            return decode_entry(line)
        except (msgspec.MsgspecError, Refused) as error:
            raise StoreError(f'entry {number} of partition {partition} of "{self.path}": {error}') from error

    def _history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for user in users:
            rows = self._db.execute(queries.HISTORY, (to_name(user), before, events_max)).fetchall()
            events = [self._entry(partition, number, line).event for partition, number, line in reversed(rows)]
            if events:
                found[user] = [event for event in events if event is not None]
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

    def _commit(self, commits: list[Commit]) -> None:
        with self._writing() as db:
            for commit in commits:
                version, cursor, last_at, number = self._partition(commit.partition)
                check_follows(commit, version=version, cursor=cursor, last_number=number, last_at=last_at)
                self._claim(commit)
                self._write_log(commit, number)
                self._write_states(commit)
                self._write_decisions(commit)
            self._write_outbox(
                [outgoing for commit in commits for outgoing in commit.outbox],
                [pair for commit in commits for pair in commit.reworded],
                [message_id for commit in commits for message_id in commit.withdrawn],
            )
            faults = [fault_row(fault) for commit in commits for fault in commit.faults]
            if faults:
                db.executemany(queries.ADD_FAULT, faults)
                db.execute(queries.TRIM_FAULTS, (FAULTS_MAX,))

    def _claim(self, commit: Commit) -> None:
        last_at = commit.appended[-1].at if commit.appended else -1
        claimed = self._db.execute(queries.CLAIM, (commit.cursor, last_at, commit.partition, commit.version))
        if claimed.rowcount != 1:
            raise Conflict(f"partition {commit.partition} is no longer at version {commit.version}")

    def _write_log(self, commit: Commit, last_number: int) -> None:
        rows = [
            entry_row(commit.partition, number, entry) for number, entry in enumerate(commit.appended, last_number + 1)
        ]
        self._db.executemany(queries.ADD_ENTRY, rows)
        moments = [(entry.at, to_name(entry.rules_hash)) for entry in commit.appended if entry.kind == "rules"]
        self._db.executemany(queries.ADD_RULE_MOMENT, moments)

    def _write_states(self, commit: Commit) -> None:
        wakes, present = commit.wakes, commit.present
        rows = [
            (to_name(user), commit.partition, wakes[user], int(present[user]), state)
            for user, state in commit.states.items()
        ]
        self._db.executemany(queries.PUT_STATE, rows)

    def _write_decisions(self, commit: Commit) -> None:
        if not commit.decisions:
            return
        (last_number,) = self._db.execute(queries.LAST_DECISION, (commit.partition,)).fetchone()
        rows = [
            (commit.partition, number, at, to_name(user), line)
            for number, (user, at, line) in enumerate(commit.decisions, last_number + 1)
        ]
        self._db.executemany(queries.ADD_DECISION, rows)

    def _write_outbox(self, outbox: list[OutboxMessage], reworded: list[tuple[str, str]], withdrawn: list[str]) -> None:
        self._db.executemany(queries.ADD_OUTGOING, [outgoing_row(outgoing) for outgoing in outbox])
        for message_id, text in reworded:
            row = self._db.execute(queries.OUTGOING_LINE, (to_name(message_id),)).fetchone()
            if row is not None:
                message = msgspec.structs.replace(decode_message(row[0]), text=text, prompt="")
                self._db.execute(queries.REWORD_OUTGOING, (encode_message(message), to_name(message_id)))
        self._db.executemany(queries.REMOVE_OUTGOING, [(to_name(message_id),) for message_id in withdrawn])
        users = dict.fromkeys(outgoing.user for outgoing in outbox)
        self._db.executemany(queries.TRIM_OUTBOX, [(to_name(user), OUTBOX_PER_USER_MAX) for user in users])

    def _pending(self, user: str, now: int) -> list[OutboxMessage]:
        rows = self._db.execute(queries.PENDING, (to_name(user),)).fetchall()
        waiting = [
            OutboxMessage(user, decode_message(line), at, from_name(rule), from_name(client))
            for line, at, rule, client in rows
        ]
        fresh = [each for each in waiting if each.message.expires_at is None or now < each.message.expires_at]
        if len(fresh) < len(waiting) and not self.read_only:
            with self._writing() as db:
                db.execute(queries.REMOVE_EXPIRED, (now,))
        return fresh

    def _relayed(self, message_ids: list[str], now: int) -> None:
        with self._writing() as db:
            db.executemany(queries.REMOVE_OUTGOING, [(to_name(message_id),) for message_id in message_ids])
            db.execute(queries.REMOVE_EXPIRED, (now,))

    def _describe(self) -> dict[str, Json]:
        with self._transaction("BEGIN") as db:
            partitions = [self._partition(partition) for partition in range(self.partition_count)]
            users, decisions, outbox, faults, size = db.execute(queries.COUNTS).fetchone()
        return {
            "store": "sqlite",
            "partitions": self.partition_count,
            "entries": sum(number for _, _, _, number in partitions),
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


class _Closed(StoreError):
    """The store has been closed."""


def _discard(opening: Future[tuple[sqlite3.Connection, int]]) -> None:
    """Close the connection of an `open` that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()
