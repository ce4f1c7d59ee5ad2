"""ProgSnap2, the interchange form of programming processes (CSSPLICE/progsnap2): a folder, or its main table alone.

The code itself (CodeStates) and the link tables are not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from engine.core.model import Event
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Once, Progress, rereadable
from engine.replay.formats.base import BATCH_EVENTS, Head, Option, Settings, UnknownForm
from engine.replay.formats.progsnap2_order import METADATA, SCOPES_MAX, Metadata, Ordering, ordered_rows, ordering_of
from engine.replay.formats.progsnap2_row import RowReader
from engine.replay.table import Row, table_rows

MAIN_TABLE = "MainTable.csv"
_REQUIRED = frozenset({"EventType", "EventID", "SubjectID"})


class ProgSnap2:
    """Rows are events. Where the metadata say that the order decides, an event is never before the one it follows."""

    name = "progsnap2"
    doc = "A folder of ProgSnap2, or its MainTable.csv."
    options: tuple[Option, ...] = ("--timezone", "--user-at", "--clock")

    def recognises(self, head: Head) -> bool:
        if head.is_folder:
            return MAIN_TABLE in head.files
        header = head.lines[0].decode("utf-8", "replace") if head.lines else ""
        return {cell.strip('"') for cell in header.split(",")} >= _REQUIRED

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        folder = log if os.path.isdir(log) else os.path.dirname(log)
        table = os.path.join(log, MAIN_TABLE) if os.path.isdir(log) else log
        # Beside what is read from a stream there is nothing.
        metadata = Metadata(None) if isinstance(log, Once) else ordering_of(os.path.join(folder, METADATA))
        with rereadable(table, progress) as again:
            header = _header(again, table)
            ordering = metadata.columns_in(header, table)
            rows = ordered_rows(again, ordering, bad, progress)
            yield from _events(table, RowReader(header, settings, table), rows, ordering, bad)


def _header(again: str, table: str) -> Row:
    header = next((row for _, row in table_rows(again, BadRecords())), [])
    missing = _REQUIRED - set(header)
    if missing:
        raise UnknownForm(f"{table}: expected the columns {', '.join(sorted(_REQUIRED))}, got none {min(missing)}")
    return header


def _events(
    table: str, reader: RowReader, rows: Iterator[tuple[int, Row]], ordering: Ordering | None, bad: BadRecords
) -> Iterator[list[Event]]:
    batch: list[Event] = []
    last: dict[tuple[str, ...], int] = {}  # of each scope, the moment of the event before
    for line, row in rows:
        try:
            event = reader.read(row)
        except BadLine as trouble:
            bad.add(table, line, trouble, ",".join(row))
            continue
        if ordering is not None:
            scope = ordering.scope(row)
            event = _not_before(event, last.get(scope))
            if scope not in last and len(last) >= SCOPES_MAX:
                del last[next(iter(last))]
            last[scope] = event.at
        batch.append(event)
        if len(batch) == BATCH_EVENTS:
            yield batch
            batch = []
    if batch:
        yield batch


def _not_before(event: Event, moment: int | None) -> Event:
    """The event, at that moment if its own stamp is earlier: then the stamp is what it reported."""
    if moment is None or event.at >= moment:
        return event
    return Event(event.type, event.user, moment, event.data, event.id, event.session, event.at)
