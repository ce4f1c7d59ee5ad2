"""Whether the file of a store is whole: SQLite's own view of it, and what the store promises of its rows. Only reads.

All of it is read as it was at one moment, so a server may go on writing beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from engine.core.refusal import Refused
from engine.core.state import UserState
from engine.core.units import parse_at
from engine.storage.base import partition_of
from engine.storage.codec import decode_entry, decode_message
from engine.storage.sqlite_rows import entry_row, from_name
from engine.storage.sqlite_schema import open_to_read, transaction

PROBLEMS_MAX = 100  # that are told; a file with more is told as one with many


class _Decision(msgspec.Struct):
    user: str
    at: str


_decision = msgspec.json.Decoder(_Decision)


def check_file(path: Path) -> list[str]:
    """What is wrong with the file, a line each; nothing where it is whole. Raises `StoreUnusable`."""
    db = open_to_read(path)
    try:
        with transaction(db, "BEGIN"):
            [*found] = db.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})").fetchall()
            damage = [" ".join(str(line).split()) for (line,) in found if line != "ok"]
            # Rows of pages that are damaged would be told again as whatever they now look like.
            return damage or list(islice(_promises(db), PROBLEMS_MAX))
    except sqlite3.Error as error:
        return [str(error)]
    finally:
        db.close()


def _promises(db: sqlite3.Connection) -> Iterator[str]:
    (count,) = db.execute("SELECT value FROM meta WHERE name = 'partition_count'").fetchone()
    for partition in range(count):
        yield from _log(db, partition, count)
        yield from _decisions(db, partition, count)
    yield from _states(db, "states", count)
    yield from _states(db, "bases", count)
    yield from _outbox(db)
    yield from _faults(db)
    yield from _rules(db)


def _log(db: sqlite3.Connection, partition: int, count: int) -> Iterator[str]:
    where = f"partition {partition}"
    row = db.execute(
        "SELECT cursor, last_at, folded, folded_at FROM partitions WHERE partition = ?", (partition,)
    ).fetchone()
    if row is None:
        yield f"{where} is missing"
        return
    cursor, last_at, folded, folded_at = row
    (erasures,) = db.execute("SELECT coalesce(max(value), 0) FROM meta WHERE name = 'erasures'").fetchone()
    number, at = folded, folded_at
    rows = db.execute(
        "SELECT number, at, kind, user, once_id, CAST(line AS BLOB) FROM log WHERE partition = ? ORDER BY number",
        (partition,),
    )
    for this, *columns, line in rows:
        here = f"{where}, entry {this}"
        if this <= folded:
            yield f"{here}: the log is folded up to {folded}, expected nothing of that any more"
        elif this != number + 1 and not erasures:
            yield f"{here}: expected number {number + 1} after {number}, and nobody was erased"
        number = this
        if columns[0] < at:
            yield f"{here}: time goes back from {at} to {columns[0]}"
        at = columns[0]
        try:
            written = entry_row(partition, this, decode_entry(line))
        except (msgspec.MsgspecError, Refused, ValueError) as error:
            yield f"{here} cannot be read: {error}"
            continue
        if list(written[2:-1]) != columns:
            yield f"{here}: its columns are not those of its line"
        user = from_name(columns[2])
        if columns[1] in ("event", "send") and partition_of(user, count) != partition:
            yield f"{here}: user {user!r} belongs to another partition"
    if not folded <= cursor:
        yield f"{where}: the cursor {cursor} is before {folded}, up to which the log is folded"
    if cursor > number and not erasures:
        yield f"{where}: the cursor is at {cursor}, beyond the log's last entry {number}"
    if at > last_at:
        yield f"{where}: the log goes to {at}, the partition says {last_at}"


def _decisions(db: sqlite3.Connection, partition: int, count: int) -> Iterator[str]:
    rows = db.execute(
        "SELECT number, at, user, CAST(line AS BLOB) FROM decisions WHERE partition = ? ORDER BY number", (partition,)
    )
    for number, at, user, line in rows:
        here = f"partition {partition}, decision {number}"
        try:
            head = _decision.decode(line)
            if (parse_at(head.at), head.user) != (at, from_name(user)):
                yield f"{here}: its columns are not those of its line"
        except (msgspec.MsgspecError, Refused, ValueError) as error:
            if "\\ud" not in repr(line):  # a name that is no Unicode is written as only the store reads it
                yield f"{here} cannot be read: {error}"
        if partition_of(from_name(user), count) != partition:
            yield f"{here}: user {from_name(user)!r} belongs to another partition"


def _states(db: sqlite3.Connection, table: str, count: int) -> Iterator[str]:
    what = "state" if table == "states" else "base"
    present = "present" if table == "states" else "NULL"
    stopped = {user for (user,) in db.execute("SELECT DISTINCT user FROM faults")}
    for user, partition, wake, is_present, encoded in db.execute(
        f"SELECT user, partition, wake, {present}, state FROM {table}"
    ):
        here = f"the {what} of user {from_name(user)!r}"
        if partition != partition_of(from_name(user), count):
            yield f"{here} stands in partition {partition}, which is another's"
        try:
            state = UserState.decode(encoded)
            again = state.encode()
            steady = again == encoded or UserState.decode(again).encode() == again
        except Exception as error:  # whatever decoding trips over is what is wrong with it
            yield f"{here} cannot be read: {type(error).__name__}: {error}; put back a backup, or erase the user"
            continue
        if not steady:
            yield f"{here} is not the same when it is written again"
        if state.user != from_name(user):
            yield f"{here} is that of {state.user!r}"
        # Where time itself failed for somebody, the wake-up was taken away, and a fault says so.
        if wake != state.wake and not (wake is None and user in stopped):
            yield f"{here}: its wake-up is {state.wake}, the column says {wake}"
        if is_present is not None and bool(is_present) != (state.present_since is not None):
            yield f"{here}: whether they are there is not what the column says"


def _outbox(db: sqlite3.Connection) -> Iterator[str]:
    rows = db.execute(
        "SELECT id, user, rule, expires_at, CAST(line AS BLOB), user IN (SELECT user FROM states) FROM outbox"
    )
    for name, user, rule, expires_at, line, is_known in rows:
        here = f"message {from_name(name)!r} of the outbox"
        try:
            message = decode_message(line)
        except (msgspec.MsgspecError, Refused, ValueError) as error:
            yield f"{here} cannot be read: {error}"
            continue
        if (message.id, message.expires_at) != (from_name(name), expires_at):
            yield f"{here}: its columns are not those of its line"
        if rule and not is_known:
            yield f"{here}: rule {from_name(rule)!r} said it to user {from_name(user)!r}, of whom nothing is known"


def _faults(db: sqlite3.Connection) -> Iterator[str]:
    for number, line in db.execute("SELECT number, CAST(line AS BLOB) FROM faults"):
        try:
            decode_entry(line)
        except (msgspec.MsgspecError, Refused, ValueError) as error:
            yield f"fault {number} cannot be read: {error}"


def _rules(db: sqlite3.Connection) -> Iterator[str]:
    for at, rules_hash in db.execute(
        "SELECT at, hash FROM rule_moments WHERE hash NOT IN (SELECT hash FROM rule_sets) ORDER BY at"
    ):
        yield f"the rules {from_name(rules_hash)}, which hold from {at} on, are not in the store"
    for partition, number in db.execute(
        "SELECT partition, number FROM log WHERE kind = 'rules' AND at NOT IN (SELECT at FROM rule_moments)"
    ):
        yield f"partition {partition}, entry {number}: the store knows nothing of rules that begin to hold there"
