"""CSV (RFC 4180, with a header) to events, by a mapping. Every cell is text: nothing is guessed to be a number.

`csv` would have been the name of this file; the standard library has it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import BlockStream, Progress
from engine.replay.mapping import Place, Source
from engine.replay.records import make_event
from engine.replay.stamps import Stamps
from engine.replay.unpack import BLOCK_BYTES

# Nine digits and more are an epoch number; eight can be a date without dashes (20260327).
EPOCH = re.compile(r"\d{9,}(\.\d+)?", re.ASCII)
BROKEN_TEXT = re.compile("[\udc80-\udcff]")  # what is left of bytes that are not UTF-8

BATCH_ROWS = 5000
ROW_MAX = 4 << 20  # characters of a row, in all its lines; of a cell the library takes no more than 131,072

Row = list[str]


class UnknownColumn(Refused):
    """A mapping names a column that the header has not, or has twice; ``place`` says where the mapping does."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message, code="unknown-column")
        self.place = place


def csv_batches(log: str, source: Source, bad: BadRecords, progress: Progress | None = None) -> Iterator[list[Event]]:
    """The events of a log, in the order of its rows, some thousands at a time. Raises `UnknownColumn`.

    A row whose number of cells is not the header's is a bad record: nobody can tell which cell is missing.
    """
    batch: list[Event] = []
    read: Callable[[Row], Event] | None = None
    for line, row in table_rows(log, bad, source.delimiter, progress):
        if read is None:
            read = _row_reader(source, row)
            continue
        try:
            batch.append(read(row))
        except BadLine as trouble:
            bad.add(log, line, trouble, ",".join(row))
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def table_rows(
    log: str, bad: BadRecords, delimiter: str = ",", progress: Progress | None = None
) -> Iterator[tuple[int, Row]]:
    """The rows of a CSV that are not empty, the header first, each with the line in which it begins."""
    stream = BlockStream(log, progress)
    text = io.TextIOWrapper(
        io.BufferedReader(stream, BLOCK_BYTES), encoding="utf-8-sig", errors="surrogateescape", newline=""
    )
    lines = _Lines(text)
    # Strict, for otherwise a quotation mark that is never closed would take the rest of the log for one cell.
    rows = csv.reader(lines, strict=True, delimiter=delimiter)
    line = 1
    while True:
        try:
            row = next(rows)
            if row:
                yield line, row
        except StopIteration:
            break
        except csv.Error as error:
            detail = "a quoted cell has no end" if "end of data" in str(error) else str(error)
            bad.add(log, line, BadLine("not CSV", detail))
        except BadLine as trouble:
            bad.add(log, line, trouble)
        line = lines.number + 1
        lines.begin_row()
    if stream.damage is not None:
        bad.add(log, line, stream.damage)


def check_cells(row: Row, width: int) -> None:
    """Raises `BadLine` where the number of cells is not the header's, or one of them is no text."""
    if len(row) != width:
        raise BadLine("wrong number of cells", f"expected {width}, found {len(row)}")
    if any(BROKEN_TEXT.search(cell) for cell in row):
        raise BadLine("not UTF-8")


class _Lines:
    """The lines of a CSV, for its reader. It is told of no more than `ROW_MAX` characters that are one row."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._size = 0
        self.number = 0  # of the last line that was read

    def begin_row(self) -> None:
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(ROW_MAX + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._size += len(line)
        if self._size <= ROW_MAX:
            return line
        while line and line[-1] not in "\r\n":
            line = self._text.readline(ROW_MAX)
        raise BadLine("record too long", f"more than {ROW_MAX >> 20} Mi characters")


def _row_reader(source: Source, header: Row) -> Callable[[Row], Event]:
    width = len(header)
    indexes = {name: index for index, name in enumerate(header)}
    stamps = Stamps(source.zone)

    def finder(place: Place | None) -> Callable[[Row], Json]:
        if place is None:
            return lambda row: None
        if place.path is None:
            return lambda row: place.value
        if place.path not in indexes:
            near = get_close_matches(place.path, header, n=1)
            hint = f'; did you mean "{near[0]}"' if near else f"; it has {', '.join(header)}"[:300]
            raise UnknownColumn(f'the log has no column "{place.path}"{hint}', place)
        if header.count(place.path) > 1:
            raise UnknownColumn(f'the log has {header.count(place.path)} columns "{place.path}"; rename one', place)
        return cell(indexes[place.path])

    def cell(index: int) -> Callable[[Row], Json]:
        return lambda row: row[index] or None

    main = [finder(place) for place in (source.at, source.user, source.type, source.session, source.id)]
    fields = (
        [(name, cell(index)) for name, index in indexes.items()]
        if source.data is None
        else [(name, finder(place)) for name, place in source.data.items()]
    )

    def read(row: Row) -> Event:
        check_cells(row, width)
        at, user, event_type, session, event_id = [find(row) for find in main]
        if type(at) is str and EPOCH.fullmatch(at):
            at = float(at) if "." in at else int(at)
        data = {name: value for name, find in fields if (value := find(row)) is not None}
        return make_event(stamps, at, user, event_type, session, event_id, data)

    return read
