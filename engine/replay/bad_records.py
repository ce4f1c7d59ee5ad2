"""Records of a log that cannot be read: counted by reason, the first few kept to be shown. None goes unseen.

And what logs declare of themselves, which is shown as well.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.core.model import Json

SHOWN_MAX = 5
TEXT_MAX = 160  # characters of a bad record that are shown


class BadLine(Exception):
    """One record cannot become an event. ``reason`` is the trouble as it is counted, ``detail`` this case of it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class BadRecord:
    """``line`` is numbered from 1; ``text`` is the beginning of the record on one line."""

    log: str
    line: int
    reason: str
    detail: str
    text: str

    def __str__(self) -> str:
        message = f"{self.log}:{self.line}: {self.reason}"
        if self.detail:
            message += f" ({self.detail})"
        return f"{message}: {self.text}" if self.text else message


Place = tuple[int, int]  # the number of the log, and the line in it


@dataclass(slots=True)
class BadRecords:
    """``counts`` by reason; ``shown`` are the first `SHOWN_MAX` in the order of the logs and of their lines.

    ``misses`` says what the mapping, or the engine's own form, asks of the first bad record if that is an object, and
    it has not; "" if nothing. ``declared`` is what the first `SHOWN_MAX` logs with a header say of themselves.
    """

    counts: dict[str, int] = field(default_factory=dict)
    shown: list[BadRecord] = field(default_factory=list)
    misses: str = ""
    declared: list[str] = field(default_factory=list)
    _log_number: int = 0
    _firsts: dict[str, Place] = field(default_factory=dict)
    _places: list[Place] = field(default_factory=list)  # of those that are shown

    def begin(self) -> None:
        """What is added from now on is of another log, or of what holds it."""
        self._log_number += 1

    def add(
        self,
        log: str,
        line: int,
        trouble: BadLine,
        text: bytes | str = b"",
        misses: Callable[[], str] | None = None,
    ) -> None:
        """``misses`` is asked where the record is the first of all so far."""
        place = self._log_number, line
        if not self._places or place < self._places[0]:
            self.misses = "" if misses is None else misses()
        self._count(trouble.reason, 1, place)
        if len(self.shown) < SHOWN_MAX or place < self._places[-1]:
            # A log that can be read once is a name with a stream in it; this is the name alone.
            self._show(place, BadRecord(str(log), line, trouble.reason, trouble.detail, _one_line(text)))

    def merge(self, other: BadRecords) -> None:
        """Add what another process found in its part of the same logs."""
        if other._places and (not self._places or other._places[0] < self._places[0]):
            self.misses = other.misses
        for reason, count in other.counts.items():
            self._count(reason, count, other._firsts[reason])
        for place, record in zip(other._places, other.shown, strict=True):
            self._show(place, record)
        self.declared += other.declared

    def by_reason(self) -> list[tuple[str, int]]:
        """The counts, those of reasons that occur early in the logs first."""
        return sorted(self.counts.items(), key=lambda one: self._firsts.get(one[0], (0, 0)))

    def _count(self, reason: str, count: int, place: Place) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count
        self._firsts[reason] = min(place, self._firsts.get(reason, place))

    def _show(self, place: Place, record: BadRecord) -> None:
        at = bisect_right(self._places, place)
        self._places.insert(at, place)
        self.shown.insert(at, record)
        del self._places[SHOWN_MAX:], self.shown[SHOWN_MAX:]

    def declare(self, log: str, header: Mapping[str, Json]) -> None:
        """A log begins with a header that says this."""
        if len(self.declared) < SHOWN_MAX:
            says = _one_line(", ".join(f"{name} {_said(value)}" for name, value in header.items()))
            what = "it is synthetic: nobody did any of this" if header.get("synthetic") is True else "it has a header"
            self.declared.append(f"{log}: {what} ({says})" if says else f"{log}: {what}")

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def _said(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _one_line(text: bytes | str) -> str:
    # Four bytes make at most one character, so this much is enough to show TEXT_MAX of them.
    if isinstance(text, bytes):
        text = text[: 4 * TEXT_MAX + 1].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else " " for c in text[: TEXT_MAX + 1]).strip()
    return shown[:TEXT_MAX] + "…" if len(text) > TEXT_MAX else shown
