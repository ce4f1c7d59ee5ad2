"""What an operator does to the file of a store beside the server that runs on it: give back room, make a copy.

It knows the file and no table, so neither can lose anything: SQLite does both, in transactions of its own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.storage.base import StoreError, StoreUnusable
from engine.storage.sqlite_check import check_file
from engine.storage.sqlite_schema import make_for_owner, open_to_read, open_to_write
from engine.storage.sqlite_thread import told_of

PAGES_AT_ONCE = 500  # that are given back in one transaction, so that a server waits for no more
BUSY_TIMEOUT_MS = 10_000
FOLDING_WAIT_S = 0.05  # between looks whether a server has folded in its write-ahead log


def vacuum(path: Path, *, full: bool = False, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> tuple[int, int]:
    """Give the free pages of the file back to the disk. How many bytes it had before and has after.

    ``full`` writes all that there is anew, closely packed; it needs twice the room for that, and a server waits
    meanwhile. A file that was made before pages could be given back one by one is always written anew.
    ``busy_timeout_ms``: how long others are waited for. Raises `StoreError`, also where the disk has too little room;
    the file is as it was then.
    """
    db = open_to_write(path, busy_timeout_ms)
    before = path.stat().st_size
    try:
        with _told(path):
            (mode,) = db.execute("PRAGMA auto_vacuum").fetchone()
            if full or mode != 2:  # 2 is incremental: sqlite.org/pragma.html
                _check_room(path, 2 * before)
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("VACUUM")
            else:
                while db.execute("PRAGMA freelist_count").fetchone()[0]:
                    db.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
            deadline = time.monotonic() + busy_timeout_ms / 1000
            while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                # Readers are waited for by SQLite itself; a server that is folding in its own log is not.
                if time.monotonic() >= deadline:
                    raise StoreError(f'"{path}" is being read by somebody: try again when that is done', "busy")
                time.sleep(FOLDING_WAIT_S)
    finally:
        db.close()
    return before, path.stat().st_size


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise StoreError(
            f'writing "{path}" anew takes up to {needed:,} bytes of room on its disk, and there are {free:,}', "full"
        )


def backup(path: Path, target: Path) -> int:
    """A copy of the store as it is at one moment, in a new file. How many bytes it has.

    The copy gets its name when it is whole: it has been checked and is on the disk. Nothing is ever written over.
    Raises `StoreUnusable` and `StoreError`; no part of a copy is left then.
    """
    if target.exists():
        raise StoreUnusable(f'"{target}" exists: name a file that does not')
    if not target.parent.is_dir():
        raise StoreUnusable(f'the directory "{target.parent}" does not exist: make it, or name a file elsewhere')
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    source = open_to_read(path)
    try:
        with _told(target):
            _copy(source, partial)
        problems = check_file(partial)
        if problems:
            raise StoreError(f'the copy of "{path}" is damaged, as the file itself may be: {problems[0]}', "corrupt")
        with _told(target):
            name_whole(partial, target)
    finally:
        source.close()
        for rest in (partial, *(partial.with_name(partial.name + suffix) for suffix in ("-wal", "-shm", "-journal"))):
            rest.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: sqlite3.Connection, partial: Path) -> None:
    make_for_owner(partial)
    copy = sqlite3.connect(partial, isolation_level=None)
    try:
        # All in one go, so that it is of one moment and is not begun again whenever a server writes. Nobody waits.
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        copy.close()


def name_whole(partial: Path, target: Path) -> None:
    """Give the copy its name, once it is on the disk; whoever took the name meanwhile keeps it."""
    for place in (partial, partial.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    try:
        os.link(partial, target)
    except FileExistsError:
        raise StoreUnusable(f'"{target}" exists: name a file that does not') from None
    except OSError:
        # A file system without links.
        os.rename(partial, target)
    with suppress(OSError):
        partial.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite and the system complain of becomes a `StoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise told_of(error, path) from error
