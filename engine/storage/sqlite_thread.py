"""The thread on which a SQLite file is read and written, and what its errors mean. It knows no table.

Whatever touches the connection runs on the thread, one piece of work after the other, so the event loop never waits.
What was written goes into the write-ahead log first. Folding that into the file is left for moments in which nothing
else waits, so that no commit pays for it; only where none comes for long is it done all the same.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.core.refusal import Refused
from engine.storage.base import StoreError, Trouble
from engine.storage.sqlite_schema import transaction

CHECKPOINT_WRITES = 64  # transactions after which the write-ahead log is folded in as soon as nothing waits
CHECKPOINT_WRITES_MAX = 1_024  # and after which it is, whatever waits
# Beyond it readers are waited for, so that the write-ahead log can begin anew; they are done in a moment.
WAL_BYTES_WANTED = 16 * 1024 * 1024
READERS_WAIT_MS = 100
FREE_BYTES_MIN = 1024 * 1024  # a disk with less than this is full, whatever SQLite says of it

Result = TypeVar("Result")

# What SQLite says, by the beginning of the name of its error: sqlite.org/rescode.html.
_STATES: tuple[tuple[str, Trouble], ...] = (
    ("SQLITE_FULL", "full"),
    ("SQLITE_READONLY", "read_only"),
    ("SQLITE_PERM", "read_only"),
    ("SQLITE_CANTOPEN", "read_only"),
    ("SQLITE_CORRUPT", "corrupt"),
    ("SQLITE_NOTADB", "corrupt"),
    ("SQLITE_BUSY", "busy"),
    ("SQLITE_LOCKED", "busy"),
    ("SQLITE_PROTOCOL", "busy"),
    ("SQLITE_IOERR", "io"),
)
_ADVICE: dict[Trouble, str] = {
    "full": "free some space on its disk, and it goes on by itself; what was acknowledged is kept",
    "read_only": "let the file, its folder and its file system be written to, and it goes on by itself",
    "corrupt": 'stop the server and put back a backup ("proactive db check" says what is damaged)',
    "busy": "another program holds the file; it goes on by itself once that is done",
    "io": "see to its disk; it goes on by itself, and what was acknowledged is kept",
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class Closed(StoreError):
    """The store has been closed."""


class SqliteThread:
    """Made with a connection that was made on ``executor``, which has one thread."""

    def __init__(self, db: sqlite3.Connection, executor: ThreadPoolExecutor, path: Path, *, read_only: bool) -> None:
        self.db = db  # for the thread alone
        self.path = path
        self.read_only = read_only
        self._executor = executor
        self._waiting = 0  # pieces of work that are not done; for the event loop alone
        self._unfolded = 0  # transactions since the last checkpoint; for the thread alone
        # Told on the event loop how many seconds a checkpoint took, and whether it was made.
        self.on_checkpoint: Callable[[float, bool], None] = lambda seconds, ok: None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do it on the thread. What SQLite complains of becomes a `StoreError`; nothing was changed then."""
        self._loop = asyncio.get_running_loop()
        try:
            doing = self._loop.run_in_executor(self._executor, work)
        except RuntimeError:
            raise Closed("the store is closed") from None
        self._waiting += 1
        try:
            return await doing
        except (sqlite3.Error, msgspec.MsgspecError, Refused) as error:
            raise told_of(error, self.path) from error
        finally:
            self._waiting -= 1
            if not self._waiting and self._unfolded >= CHECKPOINT_WRITES:
                self._fold_in_later()

    def _fold_in_later(self) -> None:
        with suppress(RuntimeError):  # closed meanwhile, which has folded it in
            self._executor.submit(self._fold_in)

    async def close(self) -> None:
        def end() -> None:
            # A reader may be in the way of folding the log in; whoever opens the file next does it then.
            with suppress(sqlite3.Error):
                self.db.execute("PRAGMA busy_timeout = 0")
                if not self.read_only:
                    self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.db.close()

        with suppress(Closed):
            await self.run(end)
        self._executor.shutdown()

    # From here on everything runs on the thread.

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with transaction(self.db, begin):
            yield self.db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside, from its first statement on."""
        self.check_writable()
        with self.transaction("BEGIN IMMEDIATE") as db:
            yield db
        self._unfolded += 1
        if self._unfolded >= CHECKPOINT_WRITES_MAX:
            self._fold_in()

    def check_writable(self) -> None:
        if self.read_only:
            raise StoreError(f'the store "{self.path}" was opened to be read only', "read_only")

    def _fold_in(self) -> None:
        """Fold the write-ahead log in, as far as readers let us; whatever fails is tried again after more writes."""
        self._unfolded = 0
        began = time.monotonic()
        try:
            _, pages, _ = self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            (page_size,) = self.db.execute("PRAGMA page_size").fetchone()
            if pages * page_size > WAL_BYTES_WANTED:
                with self.patience(READERS_WAIT_MS):
                    self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            is_made = True
        except sqlite3.Error:
            is_made = False
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop may have been closed meanwhile
                self._loop.call_soon_threadsafe(self.on_checkpoint, time.monotonic() - began, is_made)

    @contextmanager
    def patience(self, milliseconds: int) -> Iterator[None]:
        """Wait so long, no longer and no shorter, for whoever is in the way."""
        (before,) = self.db.execute("PRAGMA busy_timeout").fetchone()
        self.db.execute(f"PRAGMA busy_timeout = {milliseconds}")
        try:
            yield
        finally:
            self.db.execute(f"PRAGMA busy_timeout = {before}")


def told_of(error: Exception, path: Path) -> StoreError:
    """The error in words for an operator: what went wrong, and what to do about it."""
    state = trouble_of(error, path)
    advice = "" if state is None else f": {_ADVICE[state]}"
    return StoreError(f'the store "{path}" could not do it: {error}{advice}', state)


def trouble_of(error: Exception, path: Path) -> Trouble | None:
    """What is the matter with the store at ``path``, as far as the error tells."""
    if isinstance(error, msgspec.MsgspecError | Refused):
        return "corrupt"
    if isinstance(error, OSError):
        return "full" if error.errno in _FULL else "read_only" if error.errno in _READ_ONLY else "io"
    name = getattr(error, "sqlite_errorname", "")
    state = next((state for start, state in _STATES if name.startswith(start)), None)
    if state == "io":
        # Where the index of the write-ahead log finds no room, SQLite calls that an I/O error.
        with suppress(OSError):
            if shutil.disk_usage(path.parent).free < FREE_BYTES_MIN:
                return "full"
    return state
