"""What keeps a SQLite file from growing, and what makes it forget: folding and erasing, on the store's thread.

It evaluates nothing: what the folded part comes to is given to it.
"""

from __future__ import annotations

import sqlite3

from engine.core.model import Event
from engine.storage import sqlite_queries as queries
from engine.storage.base import Base, Entry, Fold, Folded, Unevaluated
from engine.storage.codec import decode_entry, encode_entry
from engine.storage.order import UNEVALUATED, check_fold
from engine.storage.sqlite_rows import from_name, to_name
from engine.storage.sqlite_thread import SqliteThread


def states(db: sqlite3.Connection, partition: int, after: int, states_max: int) -> list[tuple[int, str, bytes]]:
    rows = db.execute(queries.STATES, (partition, after, states_max)).fetchall()
    return [(place, from_name(user), state) for place, user, state in rows]


def folded(db: sqlite3.Connection, partition: int) -> Folded:
    number, at, erasures, _ = db.execute(queries.FOLDED, (partition,)).fetchone()
    return Folded(number, at, erasures)


def bases(db: sqlite3.Connection, partition: int, users: list[str] | None, due_by: int | None) -> list[Base]:
    if users is None:
        rows = db.execute(queries.BASES, (partition,)).fetchall()
    else:
        rows = [row for user in users for row in db.execute(queries.BASE, (to_name(user),))]
        if due_by is not None:
            asked = frozenset(users)
            due = db.execute(queries.BASES_DUE, (partition, due_by)).fetchall()
            rows += [row for row in due if from_name(row[0]) not in asked]
    return [Base(from_name(user), state, wake, decoded_past(past)) for user, state, wake, past in rows]


def past_of(db: sqlite3.Connection, user: str) -> tuple[Event, ...]:
    """The events of a user that are folded and still kept, oldest first."""
    row = db.execute(queries.BASE, (to_name(user),)).fetchone()
    return () if row is None else decoded_past(row[3])


def fold(db: sqlite3.Connection, fold: Fold) -> None:
    """Within a transaction that writes."""
    number, at, erasures, cursor = db.execute(queries.FOLDED, (fold.partition,)).fetchone()
    row = db.execute(queries.TICK, (fold.partition, fold.number)).fetchone()
    entry = None if row is None else decode_entry(row[0])
    check_fold(fold, Folded(number, at, erasures), cursor=cursor, entry=entry)
    db.execute(queries.REMOVE_ENTRIES, (fold.partition, fold.number))
    db.execute(queries.REMOVE_DECISIONS, (fold.partition, fold.at))
    if not fold.past_wanted:
        db.execute(queries.FORGET_PASTS, (fold.partition,))
    rows = [(to_name(base.user), fold.partition, base.wake, base.state, encoded_past(base.past)) for base in fold.bases]
    db.executemany(queries.PUT_BASE, rows)
    db.execute(queries.MOVE_FOLDED, (fold.number, fold.at, fold.partition))


def drop_rules(db: sqlite3.Connection, before: int) -> int:
    """Within a transaction that writes."""
    gone = db.execute(queries.REMOVE_RULE_MOMENTS, (before,)).fetchall()
    db.executemany(queries.REMOVE_RULES, gone)
    return len(gone)


def erase(thread: SqliteThread, partition: int, user: str) -> int:
    """Delete all rows, and note that there are remains: `sqlite_wipe` overwrites those."""
    name = to_name(user)
    with thread.writing() as db:
        if db.execute(queries.UNEVALUATED, (partition, name)).fetchone():
            raise Unevaluated(UNEVALUATED)
        count = sum(db.execute(deletion, (partition, name)).rowcount for deletion in queries.ERASURES)
        if count:
            db.execute(queries.COUNT_ERASURE)
    return count


def encoded_past(past: tuple[Event, ...]) -> bytes:
    return b"\n".join(encode_entry(Entry("event", event.at, event.user, event)) for event in past)


def decoded_past(past: bytes) -> tuple[Event, ...]:
    entries = [decode_entry(line) for line in past.split(b"\n")] if past else []
    return tuple([entry.event for entry in entries if entry.event is not None])
