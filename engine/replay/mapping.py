"""What a source mapping says: where in a foreign record the parts of an event stand. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal

from engine.core.model import Json

Format = Literal["jsonl", "json", "csv"]


@dataclass(frozen=True, slots=True)
class Place:
    """One part of an event: where it stands in the record, or the constant ``value`` where ``path`` is None.

    In JSON a path is dotted (``data.level``); in CSV it is the name of a column, dots and all. ``line`` and
    ``column`` say where the mapping has it, from 1.
    """

    path: str | None
    value: Json = None
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A mapping. ``data`` is a place for each field of the event, or None for the whole record.

    A field whose place is absent, null or (in CSV) empty is left out of the event: to a rule it is unknown.
    ``zone`` holds for stamps without an offset. ``records`` is the path of the list in a JSON document, "" for the
    document itself; ``delimiter`` the sign between the cells of a CSV.
    """

    at: Place
    user: Place
    type: Place
    session: Place | None = None
    id: Place | None = None
    data: dict[str, Place] | None = field(default_factory=dict)
    format: Format = "jsonl"
    zone: tzinfo = UTC
    records: str = ""
    delimiter: str = ","
    file: str = ""
