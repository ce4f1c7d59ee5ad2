"""Former contents of a SQLite file, overwritten beside the server that runs on it. It decides nothing about rows.

Rows that are deleted are overwritten at once (`secure_delete`), copies of them that SQLite left behind as it moved
rows about are not; `sqlite_gaps` overwrites those. Nobody waits for that: as long as a reader holds on to a file whose
write-ahead log is empty nothing is folded in, so the file stands still while commits go on into the log. The pages
that were written to the log meanwhile are few; they are done at the end, in the moment for which commits are held up.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from engine.storage import sqlite_gaps
from engine.storage.base import StoreError
from engine.storage.sqlite_schema import connect
from engine.storage.sqlite_thread import told_of

BUSY_TIMEOUT_MS = 5_000  # how long others are waited for
TRIES = 3  # beside commits; then they are held up for the whole of it
FOLDING_S = 0.005  # between looks whether somebody else is done with folding in
LOCK_TRIES = 100  # until nobody has committed between the folding in and the lock

# How many erasures have left something, and that those of which so many were known have not any more.
REMAINS = "SELECT value FROM meta WHERE name = 'remains'"
FEWER_REMAINS = "UPDATE meta SET value = max(value - ?, 0) WHERE name = 'remains'"

_WAL_HEADER, _FRAME_HEADER = 32, 24  # bytes: sqlite.org/fileformat2.html, section 4.1
_PAGE = struct.Struct(">I")


def wipe(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> int:
    """Overwrite what erasures have left; on how many pages something was. 0 where none has left anything.

    When it returns nothing of what was erased before the call is in the file or in its write-ahead log. Blocks, while
    others read and commit. A file that was made before pages could be given back one by one is written anew, and
    everybody waits. Raises `StoreError`; what remains is done by a repetition.
    """
    try:
        with closing(_connection(path, busy_timeout_ms)) as writer:
            (remains,) = writer.execute(REMAINS).fetchone() or (0,)
            if not remains:
                return 0
            if not writer.execute("PRAGMA auto_vacuum").fetchone()[0]:
                return _write_anew(writer, path, remains)
            with closing(_connection(path, busy_timeout_ms)) as reader, _gaps(path) as gaps:
                cleared = 0
                for _ in range(TRIES):
                    found, is_done = _wipe_beside(writer, reader, gaps, path, remains)
                    cleared += found
                    if is_done:
                        return cleared
                return cleared + _wipe_alone(writer, gaps, path, remains)
    except (sqlite3.Error, OSError) as error:
        raise told_of(error, path) from error


class _Program:
    """`sqlite_gaps` at work on a file, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self._process = process
        self._path = path

    def clear(self, asked: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            self._process.stdin.write(asked + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())
        except (OSError, ValueError):
            *_, why = ["it ended", *self._process.stderr.read().split("\n")[:-1]]
            raise StoreError(f'former contents of "{self._path}" could not be overwritten: {why}', "io") from None


@contextmanager
def _gaps(path: Path) -> Iterator[_Program]:
    # Without the site packages and the environment: it needs neither, and begins in a few milliseconds.
    command = [sys.executable, "-I", "-S", sqlite_gaps.__file__, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield _Program(process, path)
        finally:
            process.kill()


def _wipe_beside(
    writer: sqlite3.Connection, reader: sqlite3.Connection, gaps: _Program, path: Path, remains: int
) -> tuple[int, bool]:
    """On how many pages something was; and whether that is all: False where somebody committed at the wrong moment."""
    _lock(writer, path)
    reader.execute("BEGIN")
    reader.execute(REMAINS).fetchone()  # only now it holds on to the file
    writer.execute("ROLLBACK")
    cleared = gaps.clear("all")
    writer.execute("BEGIN IMMEDIATE")
    written = " ".join(map(str, _pages_in_log(writer, path)))
    before = _commits_of_others(writer)
    writer.execute("ROLLBACK")
    reader.execute("ROLLBACK")
    _lock(writer, path)
    # What was committed between those two locks has been folded in, and nobody knows into which pages.
    if _commits_of_others(writer) != before:
        writer.execute("ROLLBACK")
        return cleared, False
    if written:
        cleared += gaps.clear(written)
    _tell_done(writer, remains)
    return cleared, True


def _wipe_alone(writer: sqlite3.Connection, gaps: _Program, path: Path, remains: int) -> int:
    _lock(writer, path)
    cleared = gaps.clear("all")
    _tell_done(writer, remains)
    return cleared


def _tell_done(writer: sqlite3.Connection, remains: int) -> None:
    # By this commit, too, others let go of the pages they hold in memory, in whose gaps there is still what was there.
    writer.execute(FEWER_REMAINS, (remains,))
    writer.execute("COMMIT")


def _lock(writer: sqlite3.Connection, path: Path) -> None:
    """Nobody commits from here on, and all that was committed is in the file."""
    for _ in range(LOCK_TRIES):
        _fold_in(writer, path)
        writer.execute("BEGIN IMMEDIATE")
        if not _log_of(path).stat().st_size:
            return
        writer.execute("ROLLBACK")
    raise StoreError(f'"{path}" is being written to all the time: try again', "busy")


def _fold_in(writer: sqlite3.Connection, path: Path) -> None:
    """For readers SQLite waits by itself; not for somebody who is folding in at the same moment."""
    until = time.monotonic() + writer.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    while writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() >= until:
            raise StoreError(
                f'"{path}" is being read, so that former contents cannot be overwritten yet: try again', "busy"
            )
        time.sleep(FOLDING_S)


def _commits_of_others(db: sqlite3.Connection) -> int:
    """Another number after each."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def _pages_in_log(db: sqlite3.Connection, path: Path) -> list[int]:
    """Numbers of the pages in the write-ahead log, and perhaps of some that were to be and were not."""
    (page_size,) = db.execute("PRAGMA page_size").fetchone()
    found = set()
    with _log_of(path).open("rb") as file:
        place = _WAL_HEADER
        while len(number := os.pread(file.fileno(), _PAGE.size, place)) == _PAGE.size:
            found.add(_PAGE.unpack(number)[0])
            place += _FRAME_HEADER + page_size
    return sorted(found)


def _write_anew(writer: sqlite3.Connection, path: Path, remains: int) -> int:
    """How many pages there were."""
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
    writer.execute("VACUUM")
    _fold_in(writer, path)
    writer.execute("BEGIN IMMEDIATE")
    _tell_done(writer, remains)
    return int(pages)


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _connection(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    db, _ = connect(
        path, partition_count=None, durability="full", read_only=False, busy_timeout_ms=busy_timeout_ms,
        look_through=False,
    )  # fmt: skip
    return db
