"""What formats of one entry per line have in common. It knows none of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from engine.core.model import Event
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress, read_lines


class LineReader(Protocol):
    """Reads the lines of one log, one after the other."""

    def read(self, number: int, line: str) -> Event | None:
        """The event that this line completes, None where it completes none. Raises `BadLine` for the line."""
        ...

    def end(self) -> Event | None:
        """The event that the end of the log completes."""
        ...


def read_texts(
    log: str, reader: LineReader, bad: BadRecords, progress: Progress | None = None
) -> Iterator[list[Event]]:
    """The events of a log's lines, those of one block of its bytes at a time. Empty lines are given to the reader too.

    Raises OSError.
    """
    read = reader.read
    for first, lines in read_lines(log, bad, progress):
        batch: list[Event] = []
        for number, line in enumerate(lines, first):
            for text in line.decode().removesuffix("\r").split("\r"):  # of which some old makers make line ends
                try:
                    event = read(number, text)
                except BadLine as trouble:
                    bad.add(log, number, trouble, text)
                else:
                    if event is not None:
                        batch.append(event)
        if batch:
            yield batch
    last = reader.end()
    if last is not None:
        yield [last]
