"""One server per database file: a lock that the system lets go of when its process ends, however it ends.

The commits of two servers on one file would be safe; their sessions would not: each would take the other's live
connections for those of a process that is gone.
"""

from __future__ import annotations

import os
from io import TextIOWrapper
from pathlib import Path

from engine.storage.base import StoreUnusable

try:
    import fcntl
except ImportError:  # Windows has no flock; there nobody watches over this
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """The lock of the database at ``path``, in the file ``path.lock`` beside it, which stays there."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._database = path
        self._file: TextIOWrapper | None = None

    def take(self) -> None:
        """Raises `StoreUnusable` where another server holds it, or the file cannot be made."""
        try:
            file = self._path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreUnusable(f'cannot make "{self._path}": {error.strerror or error}') from None
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read(20).strip()
                file.close()
                process = f" (process {holder})" if holder else ""
                advice = "stop it, or name another file as the store (--store, or store in settings and programs)"
                raise StoreUnusable(f'"{self._database}" is in use by another server{process}: {advice}') from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
