"""Calendars: local times that repeat, and the moments at which they come in a time zone.

Runs no clock and keeps no time: it is asked what comes after a moment, and answers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Generic, TypeVar

from engine.core.units import AT_MAX, DAY, EPOCH, MINUTE, from_datetime, to_datetime

# The 29th of February that must also fall on a weekday comes every 28 years, over a year 2100 every 40.
DAYS_AHEAD_MAX = 41 * 366
MOMENTS_KEPT_MAX = 65_536  # per agenda; a day without any counts as one
ZONES_KEPT_MAX = 64  # per calendar

Owner = TypeVar("Owner")


class Calendar:
    """A set of local times that repeat, to the minute. Make one with `cron.parse_cron` or `cron.times_of_day`.

    ``minutes`` are counted from midnight. ``weekdays`` count from Sunday, 0. A day comes that suits month, date
    and weekday; with ``either_day`` that suits the month and one of the other two.
    """

    __slots__ = ("_agendas", "dates", "either_day", "minutes", "months", "text", "weekdays")

    def __init__(
        self,
        text: str,
        minutes: Collection[int],
        *,
        months: Collection[int] = range(1, 13),
        dates: Collection[int] = range(1, 32),
        weekdays: Collection[int] = range(7),
        either_day: bool = False,
    ) -> None:
        self.text = text
        self.minutes = tuple(sorted(minutes))
        self.months = frozenset(months)
        self.dates = frozenset(dates)
        self.weekdays = frozenset(weekdays)
        self.either_day = either_day
        self._agendas: dict[tzinfo, Agenda[None]] = {}

    def __repr__(self) -> str:
        return f"Calendar({self.text!r})"

    def next_after(self, at: int, zone: tzinfo) -> int | None:
        """The first moment strictly after ``at`` at which one of the local times comes in ``zone``; microseconds.

        A local time that the zone skips comes at the first instant after the gap, several of them once. One that
        it repeats comes once, at the first. None where time ends (`AT_MAX`).
        """
        agenda = self._agendas.get(zone)
        if agenda is None:
            if len(self._agendas) >= ZONES_KEPT_MAX:
                del self._agendas[next(iter(self._agendas))]
            agenda = self._agendas[zone] = Agenda([(self, None)], zone)
        return agenda.next_after(at)[0]

    def comes_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_date, by_weekday = day.day in self.dates, day.isoweekday() % 7 in self.weekdays
        return (by_date or by_weekday) if self.either_day else (by_date and by_weekday)

    def moments(self, day: date, zone: tzinfo) -> list[int]:
        """When the times of that local day come, in order; equal moments may stand there twice."""
        midnight = datetime.combine(day, time())
        if zone is UTC or _keeps_its_offset(midnight, zone):
            start = from_datetime(midnight.replace(tzinfo=zone))
            return [start + minute * MINUTE for minute in self.minutes]
        return [moment_of(midnight + timedelta(minutes=minute), zone) for minute in self.minutes]


class Agenda(Generic[Owner]):
    """Several calendars of one zone, as one: what comes next, and whose it is.

    Asked again and again about the same days (by many users), it keeps those that it has worked out: a cache of
    a pure function, of which nothing shows but the speed. Days are those of UTC, numbered from 1970.
    """

    __slots__ = ("_calendars", "_days", "_kept", "_next_days", "_zone")

    def __init__(self, calendars: Sequence[tuple[Calendar, Owner]], zone: tzinfo) -> None:
        self._calendars = tuple(calendars)
        self._zone = zone
        self._days: dict[int, tuple[list[int], list[tuple[Owner, ...]]]] = {}
        self._kept = 0
        # From a day on which nothing comes any more to the next on which something does.
        self._next_days: dict[int, int] = {}

    def next_after(self, at: int) -> tuple[int | None, tuple[Owner, ...]]:
        """The first moment strictly after ``at``, and the owners of all that comes then, in the order given."""
        day = at // DAY
        moments, owners = self._day(day)
        place = bisect_right(moments, at)
        if place == len(moments):
            following = self._day_after(day)
            if following is None:
                return None, ()
            moments, owners = self._day(following)
            place = 0
        return (moments[place], owners[place]) if moments[place] <= AT_MAX else (None, ())

    def _day_after(self, day: int) -> int | None:
        following = self._next_days.get(day)
        if following is None:
            last = min(day + DAYS_AHEAD_MAX, AT_MAX // DAY)
            following = next((ahead for ahead in range(day + 1, last + 1) if self._day(ahead)[0]), None)
            if following is None:
                return None
            if len(self._next_days) >= MOMENTS_KEPT_MAX:
                self._next_days.clear()
            self._next_days[day] = following
        return following

    def _day(self, day: int) -> tuple[list[int], list[tuple[Owner, ...]]]:
        found = self._days.get(day)
        if found is None:
            found = self._work_out(day)
            if self._kept >= MOMENTS_KEPT_MAX:
                self._days.clear()
                self._kept = 0
            self._days[day] = found
            self._kept += max(len(found[0]), 1)
        return found

    def _work_out(self, day: int) -> tuple[list[int], list[tuple[Owner, ...]]]:
        start, end = day * DAY, (day + 1) * DAY
        by_moment: dict[int, list[Owner]] = {}
        local_days = _local_days(day, self._zone)
        for calendar, owner in self._calendars:
            mine: set[int] = set()
            for local_day in local_days:
                if calendar.comes_on(local_day):
                    mine.update(at for at in calendar.moments(local_day, self._zone) if start <= at < end)
            for at in mine:
                by_moment.setdefault(at, []).append(owner)
        moments = sorted(by_moment)
        return moments, [tuple(by_moment[at]) for at in moments]


def _local_days(day: int, zone: tzinfo) -> list[date]:
    """The local days of which a time can come on that day of UTC: what a gap of up to a day moves counts in."""
    first = (EPOCH + timedelta(days=day)).date()
    if zone is UTC:
        return [first]
    return [first + timedelta(days=days) for days in (-2, -1, 0, 1) if date.min < first]


def _keeps_its_offset(midnight: datetime, zone: tzinfo) -> bool:
    """Whether no clock is changed on that local day, nor at either end of it. Nowhere are two changes on one day."""
    offsets = set()
    for hours in (0, 12, 24):
        local = midnight + timedelta(hours=hours)
        for fold in (0, 1):
            offsets.add(zone.utcoffset(local.replace(fold=fold)))
    return len(offsets) == 1


def moment_of(local: datetime, zone: tzinfo) -> int:
    """When a naive local time comes in ``zone``, in microseconds: the first time it does, or the end of its gap."""
    early = local.replace(tzinfo=zone, fold=0)
    moment = from_datetime(early)
    if to_datetime(moment, zone).replace(tzinfo=None) == local:
        return moment
    # In a gap. Read with the offset from before it (fold=0) the time lies after the change, read with the offset
    # from after it (fold=1) before the change: PEP 495. The change is the first microsecond of the new offset.
    before = from_datetime(local.replace(tzinfo=zone, fold=1))
    change = moment_of_change(before, moment, zone)
    return moment if change is None else change


def moment_of_change(since: int, until: int, zone: tzinfo) -> int | None:
    """The first microsecond of the offset that holds at ``until``, if at ``since`` there is another; else None."""
    former = to_datetime(since, zone).utcoffset()
    if to_datetime(until, zone).utcoffset() == former:
        return None
    while until - since > 1:
        middle = (since + until) // 2
        if to_datetime(middle, zone).utcoffset() == former:
            since = middle
        else:
            until = middle
    return until
