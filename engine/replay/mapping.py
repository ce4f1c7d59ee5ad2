"""What a source mapping says: where in a foreign record the parts of an event stand. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Literal

from engine.core.model import Json
from engine.replay.naming import name_of, path_of

Format = Literal["jsonl", "json", "csv"]
LogName = Literal["name", "path"]


@dataclass(frozen=True, slots=True)
class Place:
    """One part of an event: where it stands in the record, or the constant ``value`` where ``path`` is None.

    In JSON a path is dotted (``data.level``); in CSV it is the name of a column, dots and all. With ``log`` it is the
    name of the log, or its path within what was given, which `Source.of_log` makes a constant. ``line`` and ``column``
    say where the mapping has it, from 1.
    """

    path: str | None
    value: Json = None
    line: int = 1
    column: int = 1
    log: LogName | None = None

    def of_log(self, log: str, given: str) -> Place:
        if self.log is None:
            return self
        return replace(self, value=name_of(log) if self.log == "name" else path_of(log, given), log=None)


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

    def of_log(self, log: str, given: str) -> Source:
        """The mapping for one log of what was given, in which the name of the log is known."""
        data = None if self.data is None else {name: place.of_log(log, given) for name, place in self.data.items()}
        return replace(
            self,
            user=self.user.of_log(log, given),
            type=self.type.of_log(log, given),
            session=None if self.session is None else self.session.of_log(log, given),
            id=None if self.id is None else self.id.of_log(log, given),
            data=data,
        )
