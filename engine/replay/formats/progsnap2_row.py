"""A row of a ProgSnap2 main table to an event. It knows no other row."""

from __future__ import annotations

import re
from datetime import tzinfo
from functools import lru_cache

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.core.units import parse_at
from engine.core.zones import parse_zone
from engine.replay.bad_records import BadLine
from engine.replay.formats.base import Settings, UnknownForm
from engine.replay.records import event_of
from engine.replay.stamps import Stamps
from engine.replay.table import Row, check_cells

UNKNOWN = ("", "NA")  # the second is how R writes it
_CLOCKS = {"server": "Server", "client": "Client"}
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-]\d\d):?(\d\d)", re.ASCII)
_NAMES_ZONE = re.compile(r".*(?:Z|z|[+-]\d\d:?\d\d)", re.ASCII | re.DOTALL)
_WHOLE = ("Order", "Attempt")
# What became of it, by the column that says most: a submission that is wrong did compile.
_OK = {
    "Correct": {"true": True, "1": True, "false": False, "0": False},
    "ExecutionResult": {"success": True},
    "CompileResult": {"success": True, "warning": True},
}
_TEXTS = ("ProgramErrorOutput", "CompileMessageData")


class RowReader:
    """Reads the rows of a table with such a header. Raises `UnknownForm` where it has no clock."""

    def __init__(self, header: Row, settings: Settings, table: str) -> None:
        self._header = header
        self._zone = settings.zone
        self._user_at = settings.user or "SubjectID"
        self._stamps = Stamps(settings.zone)
        wanted = _CLOCKS[settings.clock]
        clocks = [clock for clock in (wanted, *_CLOCKS.values()) if f"{clock}Timestamp" in header]
        if not clocks:
            raise UnknownForm(f"{table}: expected a column ServerTimestamp or ClientTimestamp, got none")
        self._stamp_at, self._zone_at = f"{clocks[0]}Timestamp", f"{clocks[0]}Timezone"
        self._no_data = {self._stamp_at, self._zone_at, "EventType", "EventID", "SubjectID", "SessionID"}

    def read(self, row: Row) -> Event:
        """Raises `BadLine`."""
        check_cells(row, len(self._header))
        cells = {name: cell for name, cell in zip(self._header, row, strict=True) if cell not in UNKNOWN}
        return event_of(
            self._moment(cells.get(self._stamp_at), cells.get(self._zone_at)),
            cells.get(self._user_at),
            cells.get("EventType"),
            cells.get("SessionID"),
            cells.get("EventID"),
            self._data(cells),
        )

    def _moment(self, stamp: str | None, zone: str | None) -> int:
        if stamp is None:
            raise BadLine("no time")
        try:
            # A stamp that names its zone needs no other.
            if zone is None or _NAMES_ZONE.fullmatch(stamp[10:]):
                return self._stamps.parse(stamp)
            offset = _OFFSET.fullmatch(zone)
            if offset is not None:
                return self._stamps.parse(f"{stamp}{offset[1]}:{offset[2]}")
            return parse_at(stamp, _zone(zone))
        except Refused as refused:
            raise BadLine("bad time", refused.message) from None

    def _data(self, cells: dict[str, str]) -> dict[str, Json]:
        data: dict[str, Json] = {name: cell for name, cell in cells.items() if name not in self._no_data}
        for name in _WHOLE:
            if name in data and (number := _number(data[name])) is not None and number.is_integer():
                data[name] = int(number)
        score = _number(cells.get("Score", ""))
        if score is not None:
            data["Score"] = score
        ok = outcome(cells, score)
        if ok is not None:
            data["ok"] = ok
        text = next((cells[name] for name in _TEXTS if name in cells), None)
        if text is not None:
            data["text"] = text
        return data


def outcome(cells: dict[str, str], score: float | None) -> bool | None:
    """Whether it went well: by ``Correct``, or a full ``Score``, or else how it ran, or how it compiled."""
    correct = _OK["Correct"].get(cells.get("Correct", "").lower())
    if correct is not None:
        return correct
    if score is not None:
        return score >= 1
    for column in ("ExecutionResult", "CompileResult"):
        if column in cells:
            return _OK[column].get(cells[column].lower(), False)
    return None


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None  # neither of the infinities, nor what is no number


@lru_cache(maxsize=1000)
def _zone(name: str) -> tzinfo:
    return parse_zone("UTC" if name == "GMT" else name)
