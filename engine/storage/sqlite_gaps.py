"""A program of its own: overwrites what nobody reads on the pages of a SQLite file, the gaps between its cells.

Where SQLite moves rows from page to page it leaves copies in the gap between a page's list of cells and its first cell,
and never looks there again; `secure_delete` overwrites rows that are deleted, and not those copies. This changes no
byte that SQLite reads. It takes no locks: whoever starts it sees to it that nobody writes to these pages meanwhile.

It is a process of its own because a process that closes a file loses every lock it had on it, those of its SQLite
connections as well (sqlite.org/howtocorrupt.html, section 2.2). So it imports nothing of the engine. What stands where
in a file: sqlite.org/fileformat2.html, sections 1.3, 1.6 and 1.8. It never touches a file without pointer-map pages.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

PAGES_AT_ONCE = 256
LOCK_BYTE = 0x40000000  # the page with this byte is never used
HEADER_BYTES = 100  # of the file, before the first page's own
# Kinds of pages as their pointer-map entries have them; all others have no cells.
WITH_CELLS = frozenset({1, 5})  # the root of a b-tree, and any other page of one
# How long the header of a page with cells is, by its first byte.
PAGE_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}

_U16 = struct.Struct(">H")
_CELLS = struct.Struct(">HH")


class Unreadable(Exception):
    """It is no file of the kind that can be overwritten page by page."""


class Gaps:
    """``file`` is a SQLite file, opened for reading and writing without a buffer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file.fileno()
        header = os.pread(self._file, HEADER_BYTES, 0)
        if not header.startswith(b"SQLite format 3\0") or not any(header[52:56]):
            raise Unreadable("expected a SQLite file with pointer-map pages")
        (size,) = _U16.unpack_from(header, 16)
        self._size = 65536 if size == 1 else size
        self._usable = self._size - header[20]
        self._unused = LOCK_BYTE // self._size + 1
        self._zeros = bytes(self._size)

    def clear_all(self) -> int:
        """Of every page; on how many something stood there."""
        return self._clear(self._all())

    def clear(self, numbers: Iterable[int]) -> int:
        """As `clear_all`, of these pages."""
        return self._clear((number, self._read(number, 1)) for number in sorted(set(numbers)))

    def _all(self) -> Iterator[tuple[int, bytes]]:
        number = 1
        while pages := self._read(number, PAGES_AT_ONCE):
            for start in range(0, len(pages), self._size):
                yield number, pages[start : start + self._size]
                number += 1

    def _clear(self, pages: Iterable[tuple[int, bytes]]) -> int:
        cleared = 0
        map_number, kinds = 0, b""
        for number, page in pages:
            if len(page) < self._size or number == self._unused:
                continue
            at = 0
            if number == 1:
                at = HEADER_BYTES
            else:
                needed = self._map_of(number)
                if needed != map_number:
                    map_number, kinds = needed, self._read(needed, 1)
                if number == map_number or kinds[5 * (number - map_number - 1)] not in WITH_CELLS:
                    continue
            start, end = self._gap(number, page, at)
            if page[start:end] != self._zeros[: end - start]:
                os.pwrite(self._file, self._zeros[: end - start], (number - 1) * self._size + start)
                cleared += 1
        os.fsync(self._file)
        return cleared

    def _map_of(self, number: int) -> int:
        """The number of the page that says what kind of page this is; its own for a pointer-map page."""
        each = self._usable // 5 + 1
        found = (number - 2) // each * each + 2
        return found + 1 if found == self._unused else found

    def _gap(self, number: int, page: bytes, at: int) -> tuple[int, int]:
        header = PAGE_HEADER_BYTES.get(page[at], 0)
        cells, end = _CELLS.unpack_from(page, at + 3)
        start = at + header + 2 * cells
        end = end or 65536
        if not header or not start <= end <= self._usable:
            raise Unreadable(f"page {number} is damaged")
        return start, end

    def _read(self, number: int, count: int) -> bytes:
        return os.pread(self._file, count * self._size, (number - 1) * self._size)


def main() -> None:
    """Its argument is the file. Each line of the input is "all" or numbers of pages; each is answered by a count."""
    with open(sys.argv[1], "r+b", buffering=0) as file:
        try:
            gaps = Gaps(file)
            for line in sys.stdin:
                asked = line.split()
                cleared = gaps.clear_all() if asked == ["all"] else gaps.clear(map(int, asked))
                sys.stdout.write(f"{cleared}\n")
                sys.stdout.flush()
        except Unreadable as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
