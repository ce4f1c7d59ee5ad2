"""Sorted runs on disk: blocks of bytes in temporary files, merged in passes so that few are open. Knows no contents.

The files have no names, so that nothing is left behind however the process ends.
"""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

RUNS_MAX = 32  # of one level; so many become one of the next
READ_BYTES = 64 * 1024
WRITE_BYTES = 1 << 20
_LENGTH_BYTES = 4


class Run:
    """Blocks in the order in which they were written. They can be gone through again and again, also at once."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        """Raises OSError with the folder where that is full."""
        with naming_the_folder():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # it is read as long as it lives
            # Whoever goes through events has no end at which to say that he will not do so again.
            self._closing = weakref.finalize(self, self._file.close)
            # There are many runs, and only one is being written: the others need no room for that.
            stream = io.BufferedWriter(self._file, WRITE_BYTES)
            for block in blocks:
                stream.write(len(block).to_bytes(_LENGTH_BYTES, "little"))
                stream.write(block)
            stream.detach()

    def __iter__(self) -> Iterator[bytes]:
        stream = io.BufferedReader(Positioned(self._file.fileno()), READ_BYTES)
        while length := stream.read(_LENGTH_BYTES):
            yield stream.read(int.from_bytes(length, "little"))

    def close(self) -> None:
        self._closing()


class Positioned(io.RawIOBase):
    """A file from its beginning, whoever else reads it, in this process or in another."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as `BufferedReader` calls it
        size = os.preadv(self._descriptor, [buffer], self._at)
        self._at += size
        return size


class Runs:
    """Runs in the order in which they came. ``merge`` makes of some that follow one another the blocks of one."""

    def __init__(self, merge: Callable[[Sequence[Iterable[bytes]]], Iterator[bytes]]) -> None:
        self._merge = merge
        self._levels: list[list[Run]] = []

    def add(self, blocks: Iterable[bytes], level: int = 0) -> None:
        if level == len(self._levels):
            self._levels.append([])
        runs = self._levels[level]
        runs.append(Run(blocks))
        if len(runs) == RUNS_MAX:
            self.add(self._merge(runs), level + 1)
            for run in runs:
                run.close()
            runs.clear()

    def all(self) -> list[Run]:
        """The oldest first."""
        return [run for runs in reversed(self._levels) for run in runs]

    def __bool__(self) -> bool:
        return any(self._levels)


@contextmanager
def naming_the_folder() -> Iterator[None]:
    """An error of a file without a name, such as a full disk, is told as one of the folder that it is in."""
    try:
        yield
    except OSError as error:
        folder = f"{tempfile.gettempdir()} (for temporary files; TMPDIR names another folder)"
        raise OSError(error.errno, error.strerror, folder) from None
