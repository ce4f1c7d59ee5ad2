"""Commits, written row by row, and where a partition stands. All of it runs on the store's thread, in a transaction.

It begins and ends no transaction, so that what it writes is all there or none of it.
"""

from __future__ import annotations

import sqlite3

import msgspec

from engine.storage import sqlite_queries as queries
from engine.storage.base import FAULTS_MAX, OUTBOX_PER_USER_MAX, Commit, Conflict, OutboxMessage
from engine.storage.codec import decode_message, encode_message
from engine.storage.order import check_follows
from engine.storage.sqlite_rows import entry_row, fault_row, outgoing_row, to_name


def stand_of(db: sqlite3.Connection, partition: int) -> tuple[int, int, int, int]:
    """Version, cursor, last_at, and the number of the log's last entry."""
    version, cursor, last_at, number = db.execute(queries.PARTITION, (partition,)).fetchone()
    return version, cursor, last_at, number


def write_commits(db: sqlite3.Connection, commits: list[Commit]) -> None:
    """Within a transaction that writes. Raises `Conflict` and `ValueError` as `Store.commit` does."""
    for commit in commits:
        version, cursor, last_at, number = stand_of(db, commit.partition)
        check_follows(commit, version=version, cursor=cursor, last_number=number, last_at=last_at)
        _claim(db, commit)
        _write_log(db, commit, number)
        _write_states(db, commit)
        _write_decisions(db, commit)
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


def _write_log(db: sqlite3.Connection, commit: Commit, last_number: int) -> None:
    rows = [entry_row(commit.partition, number, entry) for number, entry in enumerate(commit.appended, last_number + 1)]
    db.executemany(queries.ADD_ENTRY, rows)
    moments = [(entry.at, to_name(entry.rules_hash)) for entry in commit.appended if entry.kind == "rules"]
    db.executemany(queries.ADD_RULE_MOMENT, moments)


def _write_states(db: sqlite3.Connection, commit: Commit) -> None:
    wakes, present = commit.wakes, commit.present
    rows = [
        (to_name(user), commit.partition, wakes[user], int(present[user]), state)
        for user, state in commit.states.items()
    ]
    db.executemany(queries.PUT_STATE, rows)


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
