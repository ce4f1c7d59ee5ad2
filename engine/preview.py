"""When schedules will come: their next times, and what becomes of them on nights when clocks are changed.

It looks ahead from a moment that it is given, and fires nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from heapq import merge

from engine.core.calendar import Calendar, moment_of, moment_of_change
from engine.core.quiet import QuietHours, holding, quiet_until
from engine.core.rules import Rule
from engine.core.units import DAY, to_datetime
from engine.triggers.schedule import CalendarSchedule, IntervalSchedule

YEAR = 365 * DAY


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A calendar of a rule, in the zone in which it is read for the user in question."""

    rule: Rule
    calendar: Calendar
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of a schedule. ``quiet`` are the hours that keep the rule from speaking then; ``held_until`` is when
    they end, where they hold a message back rather than drop it.
    """

    at: int
    rule: Rule
    zone: tzinfo
    quiet: QuietHours | None = None
    held_until: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the clocks in a zone: at the moment ``at`` they go from ``before`` to ``after``, both local times."""

    at: int
    zone: tzinfo
    before: datetime
    after: datetime

    @property
    def skips(self) -> bool:
        """Whether local times are left out; otherwise they are repeated."""
        return self.after > self.before

    def holds(self, local: datetime) -> bool:
        """Whether the local time is one of those that are skipped, or that come twice."""
        return min(self.before, self.after) <= local < max(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Moved:
    """Local times of a schedule, in order, that a change of the clocks skips or repeats. ``at``: when the first comes.

    What is skipped comes at one moment, all of it.
    """

    scheduled: Scheduled
    times: tuple[datetime, ...]
    at: int


def schedules(rules: Sequence[Rule], policy_zone: tzinfo, user_zone: tzinfo) -> list[Scheduled]:
    """All schedules by calendar of rules that are not off, for a user of that zone."""
    zones = {None: policy_zone, "user": user_zone}
    return [
        Scheduled(rule, trigger.calendar, trigger.zone if isinstance(trigger.zone, tzinfo) else zones[trigger.zone])
        for rule in rules
        for trigger in rule.triggers
        if rule.mode != "off" and isinstance(trigger, CalendarSchedule)
    ]


def intervals(rules: Sequence[Rule]) -> list[tuple[Rule, int]]:
    """The rules that speak every so often in a session, and the spans."""
    return [
        (rule, trigger.span)
        for rule in rules
        for trigger in rule.triggers
        if rule.mode != "off" and isinstance(trigger, IntervalSchedule)
    ]


def occurrences(found: Sequence[Scheduled], since: int, until: int, user_zone: tzinfo) -> Iterator[Occurrence]:
    """Every time from ``since`` to before ``until``, in order; those of one moment in rule order. One after the other
    as they are asked for, for a schedule may have very many.
    """
    streams = [_times(one, number, since, until) for number, one in enumerate(found)]
    for at, number in merge(*streams):
        rule = found[number].rule
        quiet = None if rule.urgent else holding(rule.quiet_hours, at, user_zone)
        end = quiet_until(rule.quiet_hours, at, user_zone) if quiet is not None and quiet.then == "hold" else None
        yield Occurrence(at, rule, found[number].zone, quiet, end)


def _times(one: Scheduled, number: int, since: int, until: int) -> Iterator[tuple[int, int]]:
    at = one.calendar.next_after(since - 1, one.zone)
    while at is not None and at < until:
        yield at, number
        at = one.calendar.next_after(at, one.zone)


def changes(zone: tzinfo, since: int, until: int) -> list[Change]:
    """The changes of the clocks in between, in order. Two on one day are seen as one, if at all."""
    found = []
    for start in range(since, until, DAY):
        end = min(start + DAY, until)
        at = moment_of_change(start, end, zone)
        if at is not None:
            before = to_datetime(at - 1, zone).replace(tzinfo=None) + timedelta(microseconds=1)
            found.append(Change(at, zone, before, to_datetime(at, zone).replace(tzinfo=None)))
    return found


def moved(change: Change, found: Sequence[Scheduled]) -> list[Moved]:
    """What a change of the clocks does to the schedules of its zone; those that it does not touch are left out."""
    result = []
    for one in found:
        if one.zone is not change.zone:
            continue
        times = tuple(_local_times(one.calendar, change))
        if times:
            result.append(Moved(one, times, moment_of(times[0], one.zone)))
    return result


def _local_times(calendar: Calendar, change: Change) -> Iterator[datetime]:
    first, last = sorted((change.before.date(), change.after.date()))
    day = first
    while day <= last:
        if calendar.comes_on(day):
            for minute in calendar.minutes:
                local = datetime.combine(day, time()) + timedelta(minutes=minute)
                if change.holds(local):
                    yield local
        day += timedelta(days=1)
