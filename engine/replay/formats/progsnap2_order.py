"""In which order the rows of a ProgSnap2 table happened, as its metadata say. It knows nothing else of the rows."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from engine.loading.wording import listed
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import UnknownForm
from engine.replay.table import Row, table_rows

METADATA = "DatasetMetadata.csv"
ORDER = "Order"
SCOPES_MAX = 200_000  # whose last place and moment are remembered; of older ones the stamps decide
CACHE_KIB = 64 * 1024  # that sorting holds in memory; the rest is on disk until the log is read
_ROWS_AT_ONCE = 1000
_WHOLE = re.compile(r"(-?\d{1,18})(?:\.0*)?", re.ASCII)  # some tools write whole numbers as 7.0
_TRUE = ("true", "1", "yes", "t")


@dataclass(frozen=True, slots=True)
class Metadata:
    """``columns`` are those within whose equal values ``Order`` decides; None where it decides nothing."""

    columns: tuple[str, ...] | None
    file: str = METADATA

    def columns_in(self, header: Row, table: str) -> Ordering | None:
        """Where they stand in a table. Raises `UnknownForm` where they do not."""
        if self.columns is None or (ORDER not in header and not self.columns):
            return None
        for name in (ORDER, *self.columns):
            if name not in header:
                raise UnknownForm(f'{self.file}: it orders events by "{name}", and {table} has no such column')
        return Ordering(header.index(ORDER), tuple(header.index(name) for name in self.columns))


@dataclass(frozen=True, slots=True)
class Ordering:
    """The places of the columns that order a row among others of its scope."""

    order_at: int
    scope_at: tuple[int, ...]

    def scope(self, row: Row) -> tuple[str, ...]:
        """Rows of the same scope have an order; those of others have none."""
        return tuple(row[place] if place < len(row) else "" for place in self.scope_at)

    def order(self, row: Row) -> int | None:
        """None where the row has no place among the others."""
        cell = row[self.order_at] if self.order_at < len(row) else ""
        whole = _WHOLE.fullmatch(cell.strip())
        return int(whole[1]) if whole else None


def ordering_of(file: str) -> Metadata:
    """What the metadata say; where there are none, the stamps decide. Raises `UnknownForm`, and OSError."""
    try:
        found = {row[0].strip(): row[1].strip() for _, row in table_rows(file, BadRecords()) if len(row) >= 2}
    except FileNotFoundError:
        return Metadata(None, file)
    scope = found.get("EventOrderScope", "")
    if not scope:
        # Before version 4 there was one property, for the whole table.
        return Metadata(() if found.get("AreEventsOrdered", "").lower() in _TRUE else None, file)
    if scope not in ("Global", "Restricted", "None"):
        known = listed(("Global", "Restricted", "None"), "or")
        raise UnknownForm(f'{file}: expected the EventOrderScope {known}, got "{scope}"')
    if found.get("IsEventOrderingConsistent", "false").lower() not in _TRUE or scope == "None":
        return Metadata(None, file)
    columns = tuple(filter(None, (name.strip() for name in found.get("EventOrderScopeColumns", "").split(";"))))
    if scope == "Restricted" and not columns:
        raise UnknownForm(f"{file}: expected EventOrderScopeColumns, since the EventOrderScope is Restricted, got none")
    return Metadata(columns if scope == "Restricted" else (), file)


def ordered_rows(
    table: str, ordering: Ordering | None, bad: BadRecords, progress: Progress | None
) -> Iterator[tuple[int, Row]]:
    """The rows with their lines, without the header: each scope's in its order, as the table has them if it can be."""
    rows = table_rows(table, bad, progress=progress)
    next(rows, None)
    if ordering is None or _in_order(table, ordering):
        yield from rows
    else:
        yield from _sorted(rows, ordering)


def _in_order(table: str, ordering: Ordering) -> bool:
    last: dict[tuple[str, ...], int] = {}
    rows = table_rows(table, BadRecords())
    next(rows, None)
    for _, row in rows:
        order = ordering.order(row)
        if order is None:
            continue
        scope = ordering.scope(row)
        before = last.get(scope)
        if before is not None and order < before:
            return False
        if before is None and len(last) >= SCOPES_MAX:
            return False  # whether it is cannot be known, and sorting does no harm
        last[scope] = order
    return True


def _sorted(rows: Iterator[tuple[int, Row]], ordering: Ordering) -> Iterator[tuple[int, Row]]:
    """By scope and order, ties and rows without an order by line, in a database that is gone when it is closed."""
    store = sqlite3.connect("")
    try:
        store.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        store.execute("CREATE TABLE rows (scope TEXT, place INTEGER, line INTEGER, cells TEXT)")
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            store.executemany(
                "INSERT INTO rows VALUES (?, ?, ?, ?)",
                [(json.dumps(ordering.scope(row)), ordering.order(row), line, json.dumps(row)) for line, row in batch],
            )
        for line, cells in store.execute("SELECT line, cells FROM rows ORDER BY scope, place, line"):
            yield line, json.loads(cells)
    finally:
        store.close()
