"""The stamps of a log to microseconds, fast: what `units.parse_at` says, remembered in two halves.

Must not give a moment that `units.parse_at` would not give; a test holds it to that.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo

from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.units import AT_MAX, AT_MIN, parse_at

REMEMBERED_MAX = 100_000  # of each half; then it forgets and begins again
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
# Finer fractions than milliseconds seldom come twice: they would only fill the memory.
_REST = re.compile(r"(?:|:\d\d(?:\.\d{1,3})?)(Z|[+-]\d\d:\d\d|)", re.ASCII)


class Stamps:
    """Reads the stamps of one log; those without an offset are local times in ``zone``.

    ``2026-03-27T10:00`` and ``:05.250Z`` each stand for a number of microseconds, whatever the other is, so
    their sum is the moment. Logs repeat both: a stamp costs two look-ups.
    """

    __slots__ = ("_minutes", "_rests", "zone")

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.zone = zone
        self._minutes: dict[str, int] = {}
        self._rests: dict[str, int] = {}

    def parse(self, stamp: Json) -> int:
        """Microseconds, as `parse_at` has it; raises `Refused` as it does."""
        if type(stamp) is str:
            minute = self._minutes.get(stamp[:16])
            if minute is not None:
                rest = self._rests.get(stamp[16:])
                if rest is not None:
                    at = minute + rest
                    if AT_MIN <= at <= AT_MAX:
                        return at
            return self._learn(stamp)
        return parse_at(stamp, self.zone)

    def _learn(self, stamp: str) -> int:
        at = parse_at(stamp, self.zone)
        minute, rest = stamp[:16], stamp[16:]
        found = _REST.fullmatch(rest)
        # A stamp without an offset is only a sum where the zone has the same offset at every moment.
        if found is None or _MINUTE.fullmatch(minute) is None or not (found[1] or self.zone is UTC):
            return at
        try:
            start = parse_at(minute)
        except Refused:
            return at  # such as the last minutes of 1969, reached from 1970 by an offset
        if len(self._minutes) >= REMEMBERED_MAX:
            self._minutes.clear()
        if len(self._rests) >= REMEMBERED_MAX:
            self._rests.clear()
        self._minutes[minute] = start
        self._rests[rest] = at - start
        return at
