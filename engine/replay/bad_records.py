"""Records of a log that cannot be read: counted by reason, the first few kept to be shown. None goes unseen.

And what logs declare of themselves, which is shown as well.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter

from engine.core.model import Json

SHOWN_MAX = 5
LOGS_NOTED_MAX = 10_000  # of which it is known whether they had events
TEXT_MAX = 160  # characters of a bad record that are shown


class BadLine(Exception):
    """One record cannot become an event. ``reason`` is the trouble as it is counted, ``detail`` this case of it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class BadRecord:
    """``line`` is numbered from 1; ``text`` is the beginning of the record on one line.

    ``alone`` is how many there are of a log that has nothing else, where this one stands for them all; 0 if not.
    """

    log: str
    line: int
    reason: str
    detail: str
    text: str
    alone: int = 0

    def __str__(self) -> str:
        message = f"{self.log}:{self.line}: {self.reason}"
        if self.alone:
            message = f"{self.log}: none of {self.alone:,} records could be read, line {self.line}: {self.reason}"
        if self.detail:
            message += f" ({self.detail})"
        return f"{message}: {self.text}" if self.text else message


Place = tuple[int, int]  # the number of the log, and the line in it


@dataclass(slots=True)
class _First:
    """How many there are, and the first `SHOWN_MAX` with their lines."""

    count: int = 0
    records: list[tuple[int, BadRecord]] = field(default_factory=list)

    def keep(self, line: int, record: BadRecord) -> None:
        self.records.insert(bisect_right(self.records, line, key=itemgetter(0)), (line, record))
        del self.records[SHOWN_MAX:]


@dataclass(slots=True)
class _OfLog:
    """What is bad in one log, and in the archive that holds it, since the log before."""

    is_member: bool
    own: _First = field(default_factory=_First)
    holder: _First = field(default_factory=_First)


@dataclass(slots=True)
class BadRecords:
    """``counts`` by reason.

    ``misses`` says what the mapping, or the engine's own form, asks of the first bad record if that is an object, and
    it has not; "" if nothing. ``declared`` is what the first `SHOWN_MAX` logs with a header say of themselves.
    """

    counts: dict[str, int] = field(default_factory=dict)
    misses: str = ""
    declared: list[str] = field(default_factory=list)
    _log: str = ""
    _log_number: int = 0
    _is_member: bool = False
    _firsts: dict[str, Place] = field(default_factory=dict)
    _logs: dict[int, _OfLog] = field(default_factory=dict)  # the first `SHOWN_MAX` that have any, by their numbers
    _with_events: set[int] = field(default_factory=set)  # logs, of the first `LOGS_NOTED_MAX`

    def begin(self, log: str, *, is_member: bool = False) -> None:
        """What is added from now on is of another log, or of what holds it: a folder or an archive, if it
        ``is_member``."""
        self._log_number += 1
        self._log = str(log)
        self._is_member = is_member

    def note_events(self) -> None:
        """The log has something that can be read."""
        if self._log_number <= LOGS_NOTED_MAX:
            self._with_events.add(self._log_number)

    def add(
        self,
        log: str,
        line: int,
        trouble: BadLine,
        text: bytes | str = b"",
        misses: Callable[[], str] | None = None,
    ) -> None:
        """``misses`` is asked where the record is the first of all so far."""
        number = self._log_number
        if (number, line) < self._first:
            self.misses = "" if misses is None else misses()
        self._count(trouble.reason, 1, (number, line))
        kept = self._kept(number, self._is_member)
        if kept is None:
            return
        # What is wrong with an archive comes between its files, under its own name.
        first = kept.own if log.startswith(self._log) else kept.holder
        first.count += 1
        if len(first.records) < SHOWN_MAX or line < first.records[-1][0]:
            # A log that can be read once is a name with a stream in it; this is the name alone.
            first.keep(line, BadRecord(str(log), line, trouble.reason, trouble.detail, _one_line(text)))

    def merge(self, other: BadRecords) -> None:
        """Add what another process found in its part of the same logs."""
        if other._first < self._first:
            self.misses = other.misses
        for reason, count in other.counts.items():
            self._count(reason, count, other._firsts[reason])
        for number, theirs in other._logs.items():
            kept = self._kept(number, theirs.is_member)
            for mine, added in ((kept.own, theirs.own), (kept.holder, theirs.holder)) if kept is not None else ():
                mine.count += added.count
                for line, record in added.records:
                    mine.keep(line, record)
        self._with_events |= other._with_events
        self.declared += other.declared

    @property
    def shown(self) -> list[BadRecord]:
        """The first `SHOWN_MAX` in the order of the logs and of their lines; of one of several files that has nothing
        else the first alone, which says so. To be asked when all has been read."""
        found: list[tuple[Place, BadRecord]] = []
        for number, kept in self._logs.items():
            own = kept.own.records
            noted = number <= LOGS_NOTED_MAX and number not in self._with_events
            if kept.is_member and noted and kept.own.count > 1:
                line, record = own[0]
                own = [(line, replace(record, alone=kept.own.count))]
            found += [((number, line), record) for line, record in (*own, *kept.holder.records)]
        found.sort(key=itemgetter(0))
        return [record for _, record in found[:SHOWN_MAX]]

    @property
    def further(self) -> int:
        """How many there are beside those that are shown, or spoken for."""
        return self.total - sum(record.alone or 1 for record in self.shown)

    def by_reason(self) -> list[tuple[str, int]]:
        """The counts, those of reasons that occur early in the logs first."""
        return sorted(self.counts.items(), key=lambda one: self._firsts.get(one[0], (0, 0)))

    @property
    def _first(self) -> Place:
        """Where the first of all is; past everything where there is none."""
        return min(self._firsts.values(), default=(sys.maxsize, 0))

    def _kept(self, number: int, is_member: bool) -> _OfLog | None:
        """Where the records of that log are kept, None if they will not be shown."""
        kept = self._logs.get(number)
        if kept is None and (len(self._logs) < SHOWN_MAX or number < max(self._logs)):
            kept = self._logs[number] = _OfLog(is_member)
            if len(self._logs) > SHOWN_MAX:
                del self._logs[max(self._logs)]
        return kept

    def _count(self, reason: str, count: int, place: Place) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count
        self._firsts[reason] = min(place, self._firsts.get(reason, place))

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
