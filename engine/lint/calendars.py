"""Schedules and quiet hours: a schedule all of whose times are quiet, a rule that is never out of quiet hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise

from engine.core.calendar import Calendar
from engine.core.quiet import QuietHours, holding
from engine.core.rules import Policy, Rule
from engine.core.units import DAY, format_duration
from engine.lint.finding import Finding
from engine.lint.places import Reading
from engine.triggers.schedule import CalendarSchedule, IntervalSchedule

# Four years, so that there is a 29th of February and each date has come on several days of the week. Fixed, for a
# finding must not depend on the day on which somebody looks.
LOOKED_FROM, LOOKED_TO = date(2027, 1, 1), date(2031, 1, 1)
_DAYS = (LOOKED_TO - LOOKED_FROM).days
_MONDAY = datetime(2027, 1, 4)


def check_calendars(reading: Reading) -> Iterator[Finding]:
    policy = reading.rules.policy
    for rule in reading.rules:
        if rule.mode == "off":
            continue
        if _is_always_quiet(rule):
            names = " and ".join(f'"{hours.name}"' for hours in rule.quiet_hours)
            keys = ("quiet_hours",) if reading.says(rule, "quiet_hours") else ()
            message = f"{rule.id} keeps {names}, which leave no minute of the week, so it never sends anything"
            hint = "leave some of them out, or make them shorter"
            yield reading.found("always-quiet", reading.of_rule(rule, *keys), message, hint, rule)
            continue
        for position, trigger in enumerate(rule.triggers):
            if isinstance(trigger, IntervalSchedule) and trigger.span > DAY:
                place = reading.of_trigger(rule, position, "every")
                message = (
                    f'"every: {format_duration(trigger.span)}" counts from the start of a session, so {rule.id} waits'
                    " for one that lasts longer than a day"
                )
                hint = 'for days of the calendar write "at" or "cron"'
                yield reading.found("every-over-a-day", place, message, hint, rule)
            if isinstance(trigger, CalendarSchedule):
                yield from _quiet_schedule(reading, rule, position, trigger, policy)


def _is_always_quiet(rule: Rule) -> bool:
    hours = [quiet for quiet in rule.quiet_hours if quiet.then == "drop"]
    if rule.urgent or sum((quiet.end - quiet.start) % 1440 * len(quiet.days) for quiet in hours) < 7 * 1440:
        return False
    week = (_MONDAY + timedelta(minutes=minute) for minute in range(7 * 1440))
    return all(any(quiet.holds(local) for quiet in hours) for local in week)


def _quiet_schedule(
    reading: Reading, rule: Rule, position: int, trigger: CalendarSchedule, policy: Policy
) -> Iterator[Finding]:
    dropping = [hours for hours in rule.quiet_hours if hours.then == "drop"]
    if not dropping or rule.urgent:
        return
    # Quiet hours are those of the user's zone; who has none of their own lives in the policy's.
    zone = trigger.zone if isinstance(trigger.zone, tzinfo) else policy.zone
    names = _quiet_names(trigger.calendar, zone, dropping, policy.zone)
    if not names:
        return
    whom = "everybody" if trigger.zone == "user" else f"everybody in the policy's zone, {policy.zone_name},"
    kept = " and ".join(f'"{name}"' for name in names)
    message = (
        f"every time of this schedule lies in the quiet hours {kept} that {rule.id} keeps:"
        f" for {whom} nothing is ever sent"
    )
    hint = 'choose other times, or write "quiet_hours: none" or "urgent: true"'
    yield reading.found("always-quiet", reading.of_trigger(rule, position), message, hint, rule)


def _quiet_names(calendar: Calendar, zone: tzinfo, hours: Sequence[QuietHours], user_zone: tzinfo) -> list[str]:
    """The quiet hours in which the times of the calendar lie, if all of them do, and there are any; else none."""
    names: dict[str, None] = {}
    known: set[int] = set()  # days of the week that have been looked at, with the clocks as they always are
    changing = _changing_days(zone)
    for number in range(_DAYS):
        day = LOOKED_FROM + timedelta(days=number)
        is_plain = zone is user_zone and day not in changing
        if not calendar.comes_on(day) or (is_plain and day.weekday() in known):
            continue
        for at in calendar.moments(day, zone):
            found = holding(hours, at, user_zone)
            if found is None:
                return []
            names[found.name] = None
        if is_plain:
            known.add(day.weekday())
    return list(names)


@lru_cache(maxsize=64)
def _changing_days(zone: tzinfo) -> frozenset[date]:
    """The days on which, or next to which, the clocks of the zone are changed."""
    noons = [datetime.combine(LOOKED_FROM + timedelta(days=number), time(12), zone) for number in range(-1, _DAYS + 1)]
    changed = set()
    for before, after in pairwise(noons):
        if before.utcoffset() != after.utcoffset():
            changed |= {before.date(), after.date()}
    return frozenset(changed)
