"""Schedules and quiet hours: a schedule all of whose times are quiet, a rule that is never out of quiet hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from engine.core.quiet import holding
from engine.core.rules import Policy, Rule
from engine.core.units import DAY, format_duration, parse_at
from engine.lint.finding import Finding
from engine.lint.places import Reading
from engine.triggers.schedule import CalendarSchedule, IntervalSchedule

# Four years, so that there is a 29th of February and each date has come on several days of the week. Fixed, for a
# finding must not depend on the day on which somebody looks.
LOOKED_FROM, LOOKED_TO = parse_at("2027-01-01T00:00:00Z"), parse_at("2031-01-01T00:00:00Z")
OCCURRENCES_MAX = 100_000  # that are looked at; who has more, and all of them quiet, is given the benefit of the doubt
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
    names: dict[str, None] = {}
    at, count = LOOKED_FROM - 1, 0
    while count < OCCURRENCES_MAX:
        following = trigger.calendar.next_after(at, zone)
        if following is None or following >= LOOKED_TO:
            break
        found = holding(dropping, following, policy.zone)
        if found is None:
            return
        names[found.name] = None
        at, count = following, count + 1
    if not count or count == OCCURRENCES_MAX:
        return
    whom = "everybody" if trigger.zone == "user" else f"everybody in the policy's zone, {policy.zone_name},"
    kept = " and ".join(f'"{name}"' for name in names)
    message = (
        f"every time of this schedule lies in the quiet hours {kept} that {rule.id} keeps:"
        f" for {whom} nothing is ever sent"
    )
    hint = 'choose other times, or write "quiet_hours: none" or "urgent: true"'
    yield reading.found("always-quiet", reading.of_trigger(rule, position), message, hint, rule)
