"""Quiet hours: times of the week at which nobody is to be disturbed, in the user's own zone.

They are read off the wall clock: where a change of the clocks repeats an hour, it is quiet both times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, tzinfo
from typing import Literal

from engine.core.calendar import moment_of, moment_of_change
from engine.core.units import MINUTE, from_datetime, to_datetime

Then = Literal["drop", "hold"]
STEPS_MAX = 32  # ends that are looked at; where one follows upon the other for longer, it is taken for ever


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` (inside) to ``end`` (outside), both minutes of the day, on the ``days`` on which they start.

    ``days`` count from Monday, 0. Where ``end`` is not later than ``start`` they end on the following day.
    ``then`` says what becomes of a message: nothing, or it is held until they end.
    """

    name: str
    days: frozenset[int]
    start: int
    end: int
    then: Then = "drop"

    def ending_in(self, then: Then) -> QuietHours:
        """The same hours, with another fate for messages."""
        return replace(self, then=then)

    def holds(self, local: datetime) -> bool:
        """Whether the local time lies in them."""
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return self.start <= minute < self.end and today in self.days
        # Past midnight they are still those of the day before.
        return (minute >= self.start and today in self.days) or (minute < self.end and (today - 1) % 7 in self.days)

    def end_after(self, at: int, zone: tzinfo) -> int:
        """When these, which hold at ``at``, end; strictly later than ``at``."""
        local = to_datetime(at, zone)
        end = datetime.combine(local.date(), time(self.end // 60, self.end % 60))
        if end.time() <= local.time():
            end += timedelta(days=1)
        moment = moment_of(end, zone)
        if moment <= at:
            # The end comes twice that night, and the first of them is over.
            moment = from_datetime(end.replace(tzinfo=zone, fold=1))
        moment = moment if moment > at else at + MINUTE
        change = moment_of_change(at, moment, zone)
        # Where clocks are set back to before they begin, they end there, and begin once more.
        return moment if change is None or self.holds(to_datetime(change, zone)) else change


def holding(quiet: Iterable[QuietHours], at: int, zone: tzinfo) -> QuietHours | None:
    """The first of them that holds at that moment; one that drops goes before all that hold a message back."""
    return holding_by_clock(quiet, to_datetime(at, zone))


def holding_by_clock(quiet: Iterable[QuietHours], local: datetime) -> QuietHours | None:
    """The same by what the clock on the wall says."""
    found = None
    for hours in quiet:
        if hours.holds(local):
            if hours.then == "drop":
                return hours
            found = found or hours
    return found


def quiet_until(quiet: Iterable[QuietHours], at: int, zone: tzinfo) -> int | None:
    """The first moment from ``at`` on at which none of them holds; None where they cover the whole week."""
    hours = tuple(quiet)
    for _ in range(STEPS_MAX):
        found = holding(hours, at, zone)
        if found is None:
            return at
        at = found.end_after(at, zone)
    return None
