"""Apache Parquet, where pyarrow is installed (the extra ``parquet``). It holds a thousand rows at a time.

Columns are those of the engine's own form, or as a mapping says.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from engine.core.model import Event, Json
from engine.core.units import SECOND, format_at, from_datetime, from_timedelta
from engine.loading.wording import listed
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import Head, Option, Settings, UnknownForm
from engine.replay.mapping import Place, Source
from engine.replay.records import make_event
from engine.replay.stamps import Stamps
from engine.replay.table import UnknownColumn

MAGIC = b"PAR1"  # parquet.apache.org, File Format
NEEDED = ("at", "user", "type")
OWN = (*NEEDED, "session", "id", "data")
DEPTH_MAX = 100  # of lists and mappings within a cell
ROWS = 1000  # that are held at once, with all their cells

Row = dict[str, Any]
ReadRow = Callable[[Row], Event]


class Parquet:
    """A row is an event. Moments and durations become text as elsewhere, decimals numbers, bytes Base64."""

    name = "parquet"
    doc = 'Apache Parquet; needs pip install "proactive-engine[parquet]".'
    options: tuple[Option, ...] = ("--timezone",)

    def recognises(self, head: Head) -> bool:
        return head.start.startswith(MAGIC)

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        """As every format. Raises `UnknownForm` where pyarrow is missing, the log is no plain file, or a column is."""
        with open(log, "rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise UnknownForm(f"{log}: a Parquet file can be read only as it is: unpack it, and name it as a file")
        pyarrow = _pyarrow(log)
        try:
            file = import_module("pyarrow.parquet").ParquetFile(log, pre_buffer=False, memory_map=False)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            bad.add(log, 1, BadLine("damaged Parquet", _first_line(error)))
            return
        with file:
            read = _reader(log, file.schema_arrow.names, settings)
            yield from _Rows(log, file, read, bad, progress).batches(pyarrow)


def _pyarrow(log: str) -> Any:
    try:
        return import_module("pyarrow")
    except ImportError:
        raise UnknownForm(
            f'{log}: to read Parquet pyarrow must be installed: pip install "proactive-engine[parquet]"'
        ) from None


class _Rows:
    """The rows of one file, from its first to its last, as far as they can be read."""

    def __init__(self, log: str, file: Any, read: ReadRow, bad: BadRecords, progress: Progress | None) -> None:
        self._log = log
        self._file = file
        self._read = read
        self._bad = bad
        self._progress = progress
        self._number = 1
        self._told = 0

    def batches(self, pyarrow: Any) -> Iterator[list[Event]]:
        try:
            for table in self._file.iter_batches(ROWS, use_threads=False):
                events = self._events(table)
                self._tell()
                if events:
                    yield events
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            self._bad.add(self._log, self._number, BadLine("damaged Parquet", _first_line(error)))

    def _events(self, table: Any) -> list[Event]:
        events = []
        for row in self._rows(table):
            try:
                if isinstance(row, BadLine):
                    raise row
                events.append(self._read(row))
            except BadLine as trouble:
                self._bad.add(self._log, self._number, trouble, "" if isinstance(row, BadLine) else repr(row)[:1000])
            self._number += 1
        return events

    def _rows(self, table: Any) -> Iterator[Row | BadLine]:
        """All at once, and one by one where something in one of them cannot be had."""
        table = table.from_arrays([_micros(column) for column in table.columns], names=table.schema.names)
        try:
            yield from table.to_pylist()
        except ValueError:
            for index in range(len(table)):
                try:
                    yield table.slice(index, 1).to_pylist()[0]
                except ValueError as error:
                    broken = isinstance(error, UnicodeDecodeError)
                    yield BadLine("not UTF-8") if broken else BadLine("bad value", _first_line(error))

    def _tell(self) -> None:
        if self._progress is not None:
            come = os.path.getsize(self._log) * (self._number - 1) // max(1, self._file.metadata.num_rows)
            self._progress(come - self._told)
            self._told = come


def _micros(column: Any) -> Any:
    """A column of moments in nanoseconds to microseconds, the rest cut off; any other as it is."""
    types = import_module("pyarrow").types
    if types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(import_module("pyarrow").timestamp("us", tz=column.type.tz), safe=False)
    return column


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160]


def _reader(log: str, columns: list[str], settings: Settings) -> ReadRow:
    if settings.source is not None:
        return _mapped(log, columns, settings.source)
    lacking = [name for name in NEEDED if name not in columns]
    if lacking:
        raise UnknownForm(
            f"{log}: the log has no column {listed(lacking, 'or')}; it has {listed(columns, 'and')}; "
            "--source says what its columns mean"
        )
    stamps = Stamps(settings.zone)

    def read(row: Row) -> Event:
        values = {name: plain(value) for name, value in row.items() if name not in NEEDED}
        data = values.get("data")
        if data is not None and not isinstance(data, dict):
            raise BadLine("bad data", f"expected a mapping, got {data!r}"[:120])
        further = {name: value for name, value in values.items() if name not in OWN and value is not None}
        further.update((name, value) for name, value in (data or {}).items() if value is not None)
        user, event_type = plain(row["user"]), plain(row["type"])
        at = _stamp(row["at"], stamps.zone)
        return make_event(stamps, at, user, event_type, values.get("session"), values.get("id"), further)

    return read


def _mapped(log: str, columns: list[str], source: Source) -> ReadRow:
    stamps = Stamps(source.zone)
    at = _finder(log, columns, source.at)
    names = [_finder(log, columns, place) for place in (source.user, source.type, source.session, source.id)]
    fields = {name: _finder(log, columns, place) for name, place in (source.data or {}).items()}

    def read(row: Row) -> Event:
        found = row if source.data is None else {name: find(row) for name, find in fields.items()}
        data = {name: plain(value) for name, value in found.items() if value is not None}
        user, event_type, session, event_id = [plain(find(row)) for find in names]
        return make_event(stamps, _stamp(at(row), stamps.zone), user, event_type, session, event_id, data)

    return read


def _finder(log: str, columns: list[str], place: Place | None) -> Callable[[Row], Any]:
    if place is None:
        return lambda row: None
    if place.path is None:
        return lambda row: place.value
    # A column may have dots in its name.
    first, *steps = [place.path] if place.path in columns else place.path.split(".")
    if first not in columns:
        near = get_close_matches(first, columns, n=1)
        hint = f'; did you mean "{near[0]}"' if near else f"; it has {listed(columns, 'and')}"
        raise UnknownColumn(f'{log}: the log has no column "{first}"{hint}', place)

    def find(row: Row) -> Any:
        value = row[first]
        for step in steps:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    return find


def _stamp(value: Any, zone: tzinfo) -> Json:
    """What `Stamps` reads: a moment without an offset is local time in ``zone``."""
    if isinstance(value, datetime):
        return _moment(value, zone)
    return plain(value)


def _moment(moment: datetime, zone: tzinfo) -> str:
    try:
        return format_at(from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)))
    except (OverflowError, ValueError):
        return moment.isoformat()  # beyond what a log can have; whoever reads it says so


def plain(value: Any, depth: int = 0) -> Json:
    """A cell as JSON has it. What is no number (NaN, infinity) is nothing. Raises `BadLine`."""
    if value is None or isinstance(value, str | int):  # a truth is an int too
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > DEPTH_MAX:
        raise BadLine("nested too deeply", f"more than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        return {str(name): plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, depth + 1) for inner in value]
    if isinstance(value, Decimal):
        return plain(float(value), depth)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return _moment(value, UTC)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return from_timedelta(value) / SECOND
    raise BadLine("bad value", f"of type {type(value).__name__}")
