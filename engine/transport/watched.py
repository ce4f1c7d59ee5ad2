"""A small file of keys that is read again when it has changed. It knows nothing of what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from engine.core.refusal import Refused

T = TypeVar("T")
Stamp = tuple[int, int, int, int]

log = structlog.get_logger("proactive")


class WatchedFile(Generic[T]):
    """Read at once. ``read`` may raise `Refused`, and so does this then; what holds later goes on holding.

    A file that cannot be read any more, or not be meant, changes nothing but for a line in the log: an edit that
    is half done must not lock everybody out. ``made_by`` is the hint where there is no such file.
    """

    def __init__(self, path: Path, read: Callable[[bytes], T], bytes_max: int, made_by: str = "") -> None:
        self._path = path
        self._read = read
        self._bytes_max = bytes_max
        self._made_by = made_by
        self._stamp = stamp_of(path)
        self._value = self._now()

    def current(self) -> T:
        """What the file says. Costs a look at its date unless it has changed."""
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            # Taken down even where reading fails, so that one edit is one line in the log.
            self._stamp = stamp
            try:
                self._value = self._now()
                log.info("= keys read again", path=str(self._path))
            except Refused as refused:
                log.error("! keys not read, the former hold", why=refused.message)
        return self._value

    def _now(self) -> T:
        try:
            with self._path.open("rb") as file:
                content = file.read(self._bytes_max + 1)
        except OSError as error:
            hint = self._made_by if isinstance(error, FileNotFoundError) else ""
            raise Refused(
                f"{self._path}: cannot be read: {(error.strerror or str(error)).lower()}", hint=hint
            ) from None
        if len(content) > self._bytes_max:
            raise Refused(f"{self._path}: expected at most {self._bytes_max // 1024} KiB, got more")
        try:
            return self._read(content)
        except Refused as refused:
            raise Refused(f"{self._path}: {refused.message}", hint=refused.hint) from None


def stamp_of(path: Path) -> Stamp | None:
    """What differs when a file has been written or replaced; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
