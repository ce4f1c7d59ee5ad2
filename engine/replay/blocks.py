"""The bytes of a log, in blocks: a file or standard input, plain or packed. Knows nothing of what they say.

Whatever is wrong with the bytes themselves (a damaged gzip, text that is not UTF-8, a line without end) is a
bad record, and what could be read counts.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Protocol

from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.runs import Run
from engine.replay.unpack import BLOCK_BYTES, unpack

LINE_BYTES_MAX = 16 << 20
SQLITE_MAGIC = b"SQLite format 3\x00"  # sqlite.org/fileformat.html, section 1.3
BOM = b"\xef\xbb\xbf"
BOMS_16 = (b"\xff\xfe", b"\xfe\xff")
STDIN = "-"
STORES = ("sqlite:", "redis:/", "rediss:/", "redis+cluster:/", "rediss+cluster:/")  # how settings name one

Progress = Callable[[int], None]  # told how many more bytes of the file have been read


def is_store(log: str) -> bool:
    """Whether it is what a server has recorded: named as settings name a store, or a SQLite file, by its first 16
    bytes; the name of a file does not matter. Raises OSError."""
    if log.startswith(STORES):
        return True
    # What is no file, such as a pipe, could be read only once.
    if log == STDIN or not stat.S_ISREG(os.stat(log).st_mode):
        return False
    with open(log, "rb") as stream:
        return stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Once(str):
    """A log that can be read once, such as standard input: its name as messages have it, and its bytes.

    Its beginning may be looked at before it is read. ``told`` says that others tell of the progress.
    """

    _stream: Readable
    _told: bool
    _kept: list[bytes]

    def __new__(cls, name: str, stream: Readable, told: bool = False) -> Once:
        once = super().__new__(cls, name)
        once._stream = stream
        once._told = told
        once._kept = []
        return once

    def peek(self) -> Iterator[bytes]:
        """The first blocks, which are kept to be read."""
        yield from list(self._kept)
        for block in _raw_blocks(self._stream, None):
            self._kept.append(block)
            yield block

    def read(self, progress: Progress | None) -> Iterator[bytes]:
        if self._told:
            progress = None
        while self._kept:
            block = self._kept.pop(0)
            if progress is not None:
                progress(len(block))
            yield block
        yield from _raw_blocks(self._stream, progress)


class Copied(str):
    """The name of a log that lies in a temporary file."""

    blocks: Run


@contextmanager
def rereadable(log: str, progress: Progress | None = None) -> Iterator[str]:
    """The log, or where it can be read once, a copy that can be read as often as needed; it takes room on disk.

    Raises OSError with the folder of temporary files where that is full.
    """
    if not isinstance(log, Once):
        yield log
        return
    copied = Copied(log)
    copied.blocks = Run(log.read(progress))
    try:
        yield copied
    finally:
        copied.blocks.close()


def read_blocks(log: str, progress: Progress | None = None) -> Generator[bytes, None, None]:
    """The log's bytes, unpacked where they are packed (by the first bytes, whatever the name is).

    Raises OSError where the file cannot be read, and `BadLine` where what is packed breaks off or is damaged, or is
    UTF-16: what was yielded before that was read.
    """
    with _opened(log, progress) as raw, closing(unpack(raw)) as blocks:
        first = next(blocks, b"")
        # Half of what UTF-16 has for letters is UTF-8 too, and would look like damage of another kind.
        if first.startswith(BOMS_16):
            raise BadLine("not UTF-8", "it is UTF-16: iconv -f UTF-16 -t UTF-8 makes it UTF-8")
        yield first
        yield from blocks


def read_head(log: str, size: int) -> bytes:
    """The first ``size`` bytes, unpacked, or all where they are fewer; the log can be read from its beginning after
    that, so standard input comes as `Once`. What is damaged is told by whoever reads on. Raises OSError.
    """
    start = b""
    with suppress(BadLine), closing(unpack(log.peek()) if isinstance(log, Once) else read_blocks(log)) as blocks:
        for block in blocks:
            start += block
            if len(start) >= size + len(BOM):
                break
    return start.removeprefix(BOM)[:size]


@contextmanager
def _opened(log: str, progress: Progress | None) -> Iterator[Iterator[bytes]]:
    if isinstance(log, Once):
        yield log.read(progress)
    elif isinstance(log, Copied):
        # Its bytes have been told of when it was copied.
        yield iter(log.blocks)
    elif log == STDIN:
        yield _raw_blocks(sys.stdin.buffer, progress)
    else:
        with open(log, "rb") as stream:
            yield _raw_blocks(stream, progress)


def _raw_blocks(stream: Readable, progress: Progress | None) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        if progress is not None:
            progress(len(block))
        yield block


def read_lines(log: str, bad: BadRecords, progress: Progress | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """``(number of the first, lines)``, many at a time. Numbers count from 1.

    A line that is too long or not UTF-8 is a bad record; it comes as an empty line, so that numbers go on.
    """
    number, rest = 1, b""
    first = True
    skipping = False  # inside a line that is too long
    try:
        for block in read_blocks(log, progress):
            if first:
                block, first = block.removeprefix(BOM), False
            if skipping:
                _, newline, block = block.partition(b"\n")
                if not newline:
                    continue
                skipping = False
                number += 1
            whole, newline, tail = block.rpartition(b"\n")
            if newline:
                lines = _checked(log, number, rest + whole, bad)
                yield number, lines
                number += len(lines)
                rest = tail
            else:
                rest += block
            if len(rest) > LINE_BYTES_MAX:
                bad.add(log, number, _TOO_LONG, rest[:1024])
                rest, skipping = b"", True
    except BadLine as damage:
        bad.add(log, number, damage, rest)
        return
    if rest:
        yield number, _checked(log, number, rest, bad)


def _checked(log: str, number: int, text: bytes, bad: BadRecords) -> list[bytes]:
    """The lines of a text whose last newline is cut off, the unreadable ones emptied."""
    lines = text.split(b"\n")
    if len(lines[0]) > LINE_BYTES_MAX:  # the others are within one block
        bad.add(log, number, _TOO_LONG, lines[0][:1024])
        text = text[len(lines[0]) :]
        lines[0] = b""
    try:
        text.decode()  # all at once: a hundredth of what the lines one by one would take
    except UnicodeDecodeError:
        for index, line in enumerate(lines):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                bad.add(log, number + index, BadLine("not UTF-8", f"byte {error.start + 1}"), line)
                lines[index] = b""
    return lines


_TOO_LONG = BadLine("line too long", f"more than {LINE_BYTES_MAX >> 20} MiB")


class BlockStream(io.RawIOBase):
    """The same bytes as a stream. ``damage`` says what was wrong where it ended before its end."""

    def __init__(self, log: str, progress: Progress | None = None) -> None:
        self._blocks = read_blocks(log, progress)
        self._rest = memoryview(b"")
        self.damage: BadLine | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    return 0
                self._rest = memoryview(block)
        except BadLine as damage:
            self.damage = damage
            return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
