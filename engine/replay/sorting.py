"""Lines in order of their moments, however many: what does not fit into memory waits in files. It reads no line."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from heapq import merge
from operator import itemgetter
from types import TracebackType
from typing import IO

from engine.replay.runs import naming_the_folder

FILES_MAX = 64  # that are read at once; as many are merged into one
_LINE_OVERHEAD = 150  # bytes that a line in the list takes beyond its text, about
_HEAD = struct.Struct("<qI")  # the moment, and how long the line is

_moment_of = itemgetter(0)
Stamped = tuple[int, bytes]


class SortedLines:
    """Takes lines with their moments; then it is gone through once, and has them by moment, equals as they came.

    The files have no name, so that nothing is left of them whatever happens.
    """

    def __init__(self, memory: int) -> None:
        """``memory`` are the bytes of lines that are held, about. Where the disk is full, `add` raises OSError with the
        folder of temporary files.
        """
        self._memory = memory
        self._held: list[Stamped] = []
        self._size = 0
        self._files: list[IO[bytes]] = []

    def __enter__(self) -> SortedLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self._files:
            file.close()

    def add(self, at: int, line: bytes) -> None:
        self._held.append((at, line))
        self._size += len(line) + _LINE_OVERHEAD
        if self._size > self._memory:
            self._put_away()

    def __iter__(self) -> Iterator[bytes]:
        self._held.sort(key=_moment_of)
        runs: list[Iterable[Stamped]] = [_read(file) for file in self._files]
        # Lines at one moment come in the order of the runs, which is that in which they were added.
        for _, line in merge(*runs, self._held, key=_moment_of):
            yield line

    def _put_away(self) -> None:
        self._held.sort(key=_moment_of)
        file = _write(self._held)
        self._held, self._size = [], 0
        self._files.append(file)
        if len(self._files) == FILES_MAX:
            merged = _write(merge(*map(_read, self._files), key=_moment_of))
            for each in self._files:
                each.close()
            self._files = [merged]


def _write(lines: Iterable[Stamped]) -> IO[bytes]:
    with naming_the_folder():
        file = tempfile.TemporaryFile()  # noqa: SIM115  # it is read later
        for at, line in lines:
            file.write(_HEAD.pack(at, len(line)))
            file.write(line)
        file.flush()
    return file


def _read(file: IO[bytes]) -> Iterator[Stamped]:
    file.seek(0)
    while head := file.read(_HEAD.size):
        at, size = _HEAD.unpack(head)
        yield at, file.read(size)
