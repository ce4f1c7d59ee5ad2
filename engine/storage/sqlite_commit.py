"""Commits, written row by row, and where a partition stands. All of it runs on the store's thread, in a transaction.

It begins and ends no transaction, so that what it writes is all there or none of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from engine.storage import sqlite_queries as queries
from engine.storage.base import FAULTS_MAX, OUTBOX_PER_USER_MAX, Commit, Conflict, OutboxMessage
from engine.storage.codec import decode_message, encode_message
from engine.storage.order import check_evaluated, check_follows
from engine.storage.sqlite_rows import EntryRow, entry_row, fault_row, outgoing_row, to_name

TOGETHER = (100, 10)  # rows of one statement, while there are so many; SQLite takes 32,766 values (its limits.html)


def stand_of(db: sqlite3.Connection, partition: int) -> tuple[int, int, int, int]:
    """Version, cursor, last_at, and the number of the log's last entry."""
    version, cursor, last_at, number = db.execute(queries.PARTITION, (partition,)).fetchone()
    return version, cursor, last_at, number


def write_commits(db: sqlite3.Connection, commits: list[Commit]) -> None:
    """Within a transaction that writes. Raises `Conflict` and `ValueError` as `Store.commit` does."""
    entries: list[EntryRow] = []
    for commit in commits:
        version, cursor, last_at, number = stand_of(db, commit.partition)
        check_follows(commit, version=version, cursor=cursor, last_number=number, last_at=last_at)
        if commit.evaluated_at is not None:
            evaluated = commit.cursor - len(commit.appended)
            found = db.execute(queries.MOMENT_OF_ENTRY, (commit.partition, evaluated)).fetchone()
            check_evaluated(commit, found and found[0])
        _claim(db, commit)
        entries += [
            entry_row(commit.partition, place, entry) for place, entry in enumerate(commit.appended, number + 1)
        ]
        _write_decisions(db, commit)
    insert(db, queries.ADD_ENTRY, entries)
    _write_rule_moments(db, commits)
    _write_states(db, commits)
    _write_outbox(
        db,
        [outgoing for commit in commits for outgoing in commit.outbox],
        [pair for commit in commits for pair in commit.reworded],
        [message_id for commit in commits for message_id in commit.withdrawn],
    )
    faults = [fault_row(fault) for commit in commits for fault in commit.faults]
    if faults:
        db.executemany(queries.ADD_FAULT, faults)
        db.execute(queries.TRIM_FAULTS, (FAULTS_MAX,))


def _claim(db: sqlite3.Connection, commit: Commit) -> None:
    last_at = commit.appended[-1].at if commit.appended else -1
    claimed = db.execute(queries.CLAIM, (commit.cursor, last_at, commit.partition, commit.version))
    if claimed.rowcount != 1:
        raise Conflict(f"partition {commit.partition} is no longer at version {commit.version}")


def insert(db: sqlite3.Connection, query: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """As ``executemany``, with as few statements as can be; ``query`` has its values once, in the last parentheses
    before ``ON CONFLICT`` or the end.

    After each statement the thread has to wait for the interpreter, which the event loop holds while it has something
    to do.
    """
    start = 0
    for together in TOGETHER:
        if start + together <= len(rows):
            text = together_query(query, together)
            while start + together <= len(rows):
                db.execute(text, list(chain.from_iterable(rows[start : start + together])))
                start += together
    db.executemany(query, rows[start:])


@lru_cache(maxsize=64)
def together_query(query: str, rows: int) -> str:
    """The statement for so many rows at once."""
    before, values, row = query.partition("VALUES ")
    row, conflict, then = row.partition(" ON CONFLICT")
    return before + values + ", ".join([row.strip()] * rows) + conflict + then


def _write_rule_moments(db: sqlite3.Connection, commits: list[Commit]) -> None:
    begun = [entry for commit in commits for entry in commit.appended if entry.kind == "rules"]
    db.executemany(queries.ADD_RULE_MOMENT, [(entry.at, to_name(entry.rules_hash)) for entry in begun])


def _write_states(db: sqlite3.Connection, commits: list[Commit]) -> None:
    rows = [
        (to_name(user), commit.partition, commit.wakes[user], int(commit.present[user]), state)
        for commit in commits
        for user, state in commit.states.items()
    ]
    insert(db, queries.PUT_STATE, rows)


def _write_decisions(db: sqlite3.Connection, commit: Commit) -> None:
    if not commit.decisions:
        return
    (last_number,) = db.execute(queries.LAST_DECISION, (commit.partition,)).fetchone()
    rows = [
        (commit.partition, number, at, to_name(user), line)
        for number, (user, at, line) in enumerate(commit.decisions, last_number + 1)
    ]
    db.executemany(queries.ADD_DECISION, rows)


def _write_outbox(
    db: sqlite3.Connection, outbox: list[OutboxMessage], reworded: list[tuple[str, str]], withdrawn: list[str]
) -> None:
    db.executemany(queries.ADD_OUTGOING, [outgoing_row(outgoing) for outgoing in outbox])
    for message_id, text in reworded:
        row = db.execute(queries.OUTGOING_LINE, (to_name(message_id),)).fetchone()
        if row is not None:
            message = msgspec.structs.replace(decode_message(row[0]), text=text, prompt="")
            db.execute(queries.REWORD_OUTGOING, (encode_message(message), to_name(message_id)))
    db.executemany(queries.REMOVE_OUTGOING, [(to_name(message_id),) for message_id in withdrawn])
    users = dict.fromkeys(outgoing.user for outgoing in outbox)
    db.executemany(queries.TRIM_OUTBOX, [(to_name(user), OUTBOX_PER_USER_MAX) for user in users])
