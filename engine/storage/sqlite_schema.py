"""The SQLite file: its tables, how one is made, and how it is known to be ours before anything is written.

Everything SQLite-specific that is not a query of the running store is here; `sqlite_queries` has those.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from engine.storage.base import PARTITIONS_DEFAULT, StoreUnusable

Durability = Literal["full", "normal"]
CHECKED_BYTES_MAX = 512 * 1024 * 1024  # beyond it opening would take too long

APPLICATION_ID = 0x50_52_4F_41  # "PROA": what `file` and we know the database by
SCHEMA_VERSION = 3
WAL_BYTES_MAX = 64 * 1024 * 1024  # what the write-ahead log is cut back to after a checkpoint
CACHE_KIB = 32 * 1024
OWNER_ALONE = 0o600  # the rights of a file that is made
BUSY_PAUSE_S = 0.01  # before a file that is locked is tried again
READ_BUSY_MS = 5_000  # how long a reader waits for somebody who holds all of the file

# The order of what is sent is that of its numbers, none of which is ever used again.
_OUTBOX = """
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id UNIQUE NOT NULL,
    user NOT NULL,
    at INTEGER NOT NULL,
    rule NOT NULL,
    client NOT NULL,
    expires_at INTEGER,
    line TEXT NOT NULL
);
CREATE INDEX outbox_by_user ON outbox (user, at);
CREATE INDEX outbox_by_expiry ON outbox (expires_at) WHERE expires_at IS NOT NULL;
""".strip()

# What the folded part of the log comes to: of each user the state that it leads to, and what rule sets that began later
# may still want to know of it.
_BASES = """
CREATE TABLE bases (
    user PRIMARY KEY NOT NULL,
    partition INTEGER NOT NULL,
    wake INTEGER,
    state BLOB NOT NULL,
    past BLOB NOT NULL
);
CREATE INDEX bases_by_wake ON bases (partition, wake) WHERE wake IS NOT NULL;
""".strip()

# Names (users, rules, ids) are TEXT; one with a lone surrogate, which is no UTF-8, is a BLOB of its bytes.
# The columns that hold them have no declared type, so that SQLite leaves both as they are.
SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;

CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    folded INTEGER NOT NULL DEFAULT 0,
    folded_at INTEGER NOT NULL DEFAULT -1
);

CREATE TABLE log (
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    once_id,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;
CREATE INDEX log_by_user ON log (user, number) WHERE kind = 'event';
CREATE INDEX log_by_id ON log (user, once_id) WHERE once_id IS NOT NULL;

CREATE TABLE states (
    user PRIMARY KEY NOT NULL,
    partition INTEGER NOT NULL,
    wake INTEGER,
    present INTEGER NOT NULL,
    state BLOB NOT NULL
);
CREATE INDEX states_by_wake ON states (partition, wake) WHERE wake IS NOT NULL;
CREATE INDEX states_present ON states (present) WHERE present = 1;

CREATE TABLE decisions (
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;
CREATE INDEX decisions_by_at ON decisions (partition, at);
CREATE INDEX decisions_by_user ON decisions (user, number);
CREATE INDEX sends_by_user ON log (user, number) WHERE kind = 'send';

{_OUTBOX}
{_BASES}
CREATE TABLE faults (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    trace TEXT NOT NULL
);

CREATE TABLE rule_sets (hash PRIMARY KEY NOT NULL, sources TEXT NOT NULL);

CREATE TABLE rule_moments (at INTEGER NOT NULL, hash NOT NULL, UNIQUE (at, hash));
"""

# What makes a file of the version before into one of this version. `FORMER` lets one be read as it is.
UPGRADES: Mapping[int, str] = {
    2: "CREATE INDEX log_by_user ON log (user, number) WHERE kind = 'event'",
    3: f"""
ALTER TABLE partitions ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN folded_at INTEGER NOT NULL DEFAULT -1;
ALTER TABLE log ADD COLUMN once_id;
CREATE INDEX log_by_id ON log (user, once_id) WHERE once_id IS NOT NULL;
CREATE INDEX decisions_by_at ON decisions (partition, at);
CREATE INDEX decisions_by_user ON decisions (user, number);
CREATE INDEX sends_by_user ON log (user, number) WHERE kind = 'send';
ALTER TABLE outbox RENAME TO former_outbox;
DROP INDEX outbox_by_user;
DROP INDEX outbox_by_expiry;
{_OUTBOX}
INSERT INTO outbox (id, user, at, rule, client, expires_at, line)
SELECT id, user, at, rule, '', expires_at, line FROM former_outbox ORDER BY rowid;
DROP TABLE former_outbox;
{_BASES}
""",
}

# What a reader sees of a file before version 3, which it may not upgrade.
FORMER = """
CREATE TEMP VIEW partitions AS SELECT *, 0 AS folded, -1 AS folded_at FROM main.partitions;
CREATE TEMP VIEW log AS SELECT *, NULL AS once_id FROM main.log;
CREATE TEMP VIEW outbox AS SELECT rowid AS number, '' AS client, * FROM main.outbox;
CREATE TEMP VIEW bases AS SELECT user, partition, wake, state, x'' AS past FROM main.states WHERE false;
"""
VERSION_READ_MIN = 1


def connect(
    path: Path,
    *,
    partition_count: int | None,
    durability: Durability,
    read_only: bool,
    busy_timeout_ms: int,
    look_through: bool = True,
) -> tuple[sqlite3.Connection, int]:
    """A connection to the store at ``path``, made if there is none, and its number of partitions.

    The connection begins no transactions of its own accord. Raises `StoreUnusable`; nothing of a file that is
    not ours has been changed then. A file of an earlier version is upgraded, unless it is only read. ``look_through``:
    a file that is not too large is searched for damage first.
    """
    _check_path(path, read_only)
    # The path becomes a URI because only a URI can say that nothing is to be written.
    address = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    if read_only and _is_at_rest(path, address):
        address += "&immutable=1"
    try:
        if not read_only:
            make_for_owner(path)
        db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=busy_timeout_ms / 1000)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    try:
        # At one moment, for somebody else may be making it.
        with transaction(db, "BEGIN"):
            is_ours = _is_ours(db, path)
        if not is_ours:
            if read_only:
                raise StoreUnusable(f'"{path}" is empty: there is nothing to read')
            _make(db, path, PARTITIONS_DEFAULT if partition_count is None else partition_count)
        if look_through:
            _check_whole(db, path)
        _tune(db, path, durability, read_only, busy_timeout_ms)
        if not read_only:
            _upgrade(db)
        elif _version(db) < 3:
            _execute_all(db, FORMER)
        return db, _partition_count(db, path, partition_count)
    except sqlite3.Error as error:
        db.close()
        raise _unusable(path, error) from error
    except BaseException:
        db.close()
        raise


def make_for_owner(path: Path) -> None:
    """An empty file that its owner alone may read, for people write into it; one that is there stays as it is.

    SQLite gives the write-ahead log the rights of the file. Where none can be made, SQLite says why.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ALONE))


def open_to_read(path: Path) -> sqlite3.Connection:
    """The store as it lies there, whole or not. Raises `StoreUnusable`."""
    db, _ = connect(
        path, partition_count=None, durability="full", read_only=True, busy_timeout_ms=READ_BUSY_MS, look_through=False
    )
    return db


def open_to_write(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """A store that is there. Raises `StoreUnusable`."""
    if not path.exists():
        raise StoreUnusable(f'there is no file "{path}"')
    db, _ = connect(
        path, partition_count=None, durability="full", read_only=False, busy_timeout_ms=busy_timeout_ms,
    )  # fmt: skip
    return db


def _is_at_rest(path: Path, address: str) -> bool:
    """Whether it can be read only as a file that nobody writes: it lies where no write-ahead log can be made.

    A write-ahead log that is there belongs to it, so that without it the newest part would be missing.
    """
    if path.with_name(path.name + "-wal").exists():
        return False
    db = sqlite3.connect(address, uri=True)
    try:
        db.execute("PRAGMA application_id")
    except sqlite3.Error as error:
        return _has_no_room_for_a_log(error)
    finally:
        db.close()
    return False


def _has_no_room_for_a_log(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"))


def _check_path(path: Path, read_only: bool) -> None:
    if path.is_dir():
        raise StoreUnusable(f'"{path}" is a directory, expected the path of a SQLite file')
    if not path.parent.is_dir():
        raise StoreUnusable(f'the directory "{path.parent}" does not exist: make it, or name a file elsewhere')
    if read_only and not path.exists():
        raise StoreUnusable(f'there is no file "{path}" to read')


def _check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Look through a file that is not too large for pages that are damaged: half a gigabyte takes about a second."""
    if path.stat().st_size > CHECKED_BYTES_MAX:
        return
    [(found,), *_] = db.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise StoreUnusable(f'"{path}" is damaged ({" ".join(str(found).split())}): put back a backup of it')


def _unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    """What SQLite says, in words that help whoever named the file."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
        return StoreUnusable(f'"{path}" is not a SQLite database: name another file')
    if _has_no_room_for_a_log(error):
        return StoreUnusable(
            f'"{path}" cannot be opened ({error}): the file and its directory must be readable and writable, '
            'to read only as well where there is a write-ahead log ("-wal") beside the file'
        )
    return StoreUnusable(f'"{path}" cannot be used: {error}')


def _is_ours(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a store; False for one that is empty. Raises `StoreUnusable` for any other."""
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    version = _version(db)
    if application_id == APPLICATION_ID:
        if not VERSION_READ_MIN <= version <= SCHEMA_VERSION:
            raise StoreUnusable(
                f'"{path}" was written by another version of proactive (schema {version}, this one knows '
                f"{VERSION_READ_MIN} to {SCHEMA_VERSION}): use the version that wrote it or a later one, or name "
                "another file"
            )
        return True
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id or version or tables:
        raise StoreUnusable(f'"{path}" is a SQLite database of another program: name another file')
    return False


def _make(db: sqlite3.Connection, path: Path, partition_count: int) -> None:
    """Make the tables; where somebody else did so a moment ago, theirs stand."""
    # So that what is freed can be given back piece by piece; it has to be said before there is anything.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with transaction(db):
        if not _is_ours(db, path):
            _execute_all(db, SCHEMA)
            db.execute("INSERT INTO meta VALUES ('partition_count', ?)", (partition_count,))
            rows = [(partition,) for partition in range(partition_count)]
            db.executemany("INSERT INTO partitions (partition, version, cursor, last_at) VALUES (?, 0, 0, -1)", rows)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring a file of an earlier version up to this one, all or nothing; of two who try at once the second waits."""
    if _version(db) == SCHEMA_VERSION:
        return
    with transaction(db):
        for version in range(_version(db) + 1, SCHEMA_VERSION + 1):
            _execute_all(db, UPGRADES[version])
            db.execute(f"PRAGMA user_version = {version}")


def _execute_all(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        db.execute(statement)


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """All or nothing; by default nobody else writes beside it, from its first statement on."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors, a full disk among them, SQLite has rolled back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def write_ahead(db: sqlite3.Connection, busy_timeout_ms: int) -> str:
    """The journal mode that the file has then, nearly always "wal".

    Where somebody else goes over to it at the same moment, SQLite says at once that the file is locked, and does not
    wait as it does elsewhere.
    """
    until = time.monotonic() + busy_timeout_ms / 1000
    while True:
        try:
            return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(BUSY_PAUSE_S)


def _tune(db: sqlite3.Connection, path: Path, durability: Durability, read_only: bool, busy_timeout_ms: int) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if read_only:
        return
    if write_ahead(db, busy_timeout_ms) != "wal":
        raise StoreUnusable(f'the file system of "{path}" does not support a write-ahead log: use a local disk')
    # What is deleted is overwritten, so that a file of which much was folded keeps nothing of it on its free pages.
    db.execute("PRAGMA secure_delete = ON").fetchall()
    # FULL: what was committed outlives a loss of power; NORMAL: it outlives the process, and a loss of power
    # may take the last commits (and leaves the file whole).
    db.execute(f"PRAGMA synchronous = {durability.upper()}")
    db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
    # SQLite opens a file that it may not write without a word; better told now than at the first event.
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE meta SET value = value")
    db.execute("ROLLBACK")


def _partition_count(db: sqlite3.Connection, path: Path, expected: int | None) -> int:
    row = db.execute("SELECT value FROM meta WHERE name = 'partition_count'").fetchone()
    if row is None:
        raise StoreUnusable(f'"{path}" does not say how many partitions it has: it is damaged')
    count = int(row[0])
    if expected is not None and count != expected:
        raise StoreUnusable(
            f'"{path}" was made with {count} partitions, not {expected}: that is fixed when a store is made'
        )
    return count
