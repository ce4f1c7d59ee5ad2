"""Calendars: crontab(5) and times of day, to the moments at which they come in a time zone.

Runs no clock and keeps no time. APScheduler's CronTrigger does the arithmetic of the fields, on local time taken
as if it were UTC; what the fields mean, and at which moment a local time comes, is decided here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from engine.core.refusal import Refused
from engine.core.units import AT_MAX, from_datetime, to_datetime

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

CRON_LENGTH_MAX = 400
MOMENTS_KEPT_MAX = 4096  # per calendar and zone
ZONES_KEPT_MAX = 64  # per calendar
# How far beyond the kept moments a question may lie before it is cheaper to begin anew there.
EXTEND_MAX = 64

_MINUTE = timedelta(minutes=1)


class Field(NamedTuple):
    """One of the five fields. Numbers outside ``first`` to ``last`` are errors; names stand for numbers."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# crontab(5) begins the week on Sunday, and calls it 0 and 7.
CRON_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 7, CRON_DAYS),
)
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_PART = re.compile(r"(?P<all>\*)|(?P<low>[0-9A-Za-z]+)(?:-(?P<high>[0-9A-Za-z]+))?")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Calendar:
    """A set of local times that repeat. Make one with `parse_cron` or `times_of_day`.

    Asked again and again about the same stretch of time (by many users), it remembers the moments it has found:
    a cache of a pure function, of which nothing shows but the speed.
    """

    __slots__ = ("_runs", "_triggers", "text")

    def __init__(self, text: str, triggers: Sequence[CronTrigger]) -> None:
        self.text = text
        self._triggers = tuple(triggers)
        self._runs: dict[tzinfo, _Run] = {}

    def __repr__(self) -> str:
        return f"Calendar({self.text!r})"

    def next_after(self, at: int, zone: tzinfo) -> int | None:
        """The first moment strictly after ``at`` at which one of the local times comes in ``zone``; microseconds.

        A local time that the zone skips comes at the first instant after the gap, several of them once. One that
        it repeats comes once, at the first. None at the end of time (`AT_MAX`).
        """
        run = self._runs.get(zone)
        if run is None:
            if len(self._runs) >= ZONES_KEPT_MAX:
                del self._runs[next(iter(self._runs))]
            run = self._runs[zone] = _Run()
        if not run.covers(at):
            if run.moments and at >= run.moments[-1]:
                self._extend(run, at, zone)
            if not run.covers(at):
                found = self._compute(at, zone)
                if found is None:
                    return None
                run.since, run.moments = at, [found]
        return run.moments[bisect_right(run.moments, at)]

    def _extend(self, run: _Run, at: int, zone: tzinfo) -> None:
        for _ in range(EXTEND_MAX):
            following = self._compute(run.moments[-1], zone)
            if following is None:
                return
            run.moments.append(following)
            if following > at:
                break
        if len(run.moments) > MOMENTS_KEPT_MAX:
            dropped = len(run.moments) // 2
            run.since = run.moments[dropped - 1]
            del run.moments[:dropped]

    def _compute(self, at: int, zone: tzinfo) -> int | None:
        """`next_after` without memory."""
        if at >= AT_MAX:
            return None
        local = to_datetime(at, zone).replace(tzinfo=None, second=0, microsecond=0, fold=0)
        while True:
            following = self._next_local(local)
            if following is None:
                return None
            moment = moment_of(following, zone)
            # In the second pass of a repeated hour the local times ahead have come already, in the first.
            if moment > at:
                return moment if moment <= AT_MAX else None
            local = following

    def _next_local(self, local: datetime) -> datetime | None:
        """The first of the local times after ``local``, which is a whole minute."""
        start = (local + _MINUTE).replace(tzinfo=UTC)
        found = [trigger.get_next_fire_time(None, start) for trigger in self._triggers]
        return min((time.replace(tzinfo=None) for time in found if time is not None), default=None)


class _Run:
    """Moments of a calendar that follow one another without a gap. The first is the next after ``since``."""

    __slots__ = ("moments", "since")

    def __init__(self) -> None:
        self.since = 0
        self.moments: list[int] = []

    def covers(self, at: int) -> bool:
        return bool(self.moments) and self.since <= at < self.moments[-1]


def moment_of(local: datetime, zone: tzinfo) -> int:
    """When a naive local time comes in ``zone``, in microseconds: the first time it does, or the end of its gap."""
    early = local.replace(tzinfo=zone, fold=0)
    moment = from_datetime(early)
    if to_datetime(moment, zone).replace(tzinfo=None) == local:
        return moment
    # In a gap. Read with the offset from before it (fold=0) the time lies after the change, read with the offset
    # from after it (fold=1) before the change: PEP 495. The change is the first microsecond of the new offset.
    before = from_datetime(local.replace(tzinfo=zone, fold=1))
    offset = to_datetime(before, zone).utcoffset()
    while moment - before > 1:
        middle = (before + moment) // 2
        if to_datetime(middle, zone).utcoffset() == offset:
            before = middle
        else:
            moment = middle
    return moment


def parse_cron(text: str) -> Calendar:
    """A calendar of crontab(5): five fields, or one of the words in `MACROS`. Raises `Refused` ("bad-cron")."""
    if len(text) > CRON_LENGTH_MAX:
        raise _refused(f"expected a cron expression of at most {CRON_LENGTH_MAX} characters", CRON_LENGTH_MAX)
    word = text.strip()
    if word.startswith("@"):
        return _parse_macro(text, word)
    found = list(re.finditer(r"[^ \t\n]+", text))
    if len(found) != len(FIELDS):
        raise _refused(
            f"expected five fields (minute, hour, day of month, month, day of week), got {len(found)}",
            found[5].start() if len(found) > 5 else len(text.rstrip()),
            hint="there is no field for seconds" if len(found) == 6 else "",
        )
    values = [_parse_field(match[0], match.start(), field) for match, field in zip(found, FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    weekdays = sorted({day % 7 for day in weekdays})
    # A field that begins with a star does not count as restricted (Debian cron: `*/2` too), and then both
    # have to suit; where both are restricted, one of them is enough.
    days_free, weekdays_free = found[2][0].startswith("*"), found[4][0].startswith("*")
    comes_by_date = any(days[0] <= _MONTH_DAYS[month - 1] for month in months)
    if not comes_by_date and (days_free or weekdays_free):
        raise _refused("this day never comes in this month", found[2].start())
    if days_free or weekdays_free:
        return Calendar(word, [_trigger(minutes, hours, days, months, weekdays)])
    by_date = [_trigger(minutes, hours, days, months, range(7))] if comes_by_date else []
    return Calendar(word, [*by_date, _trigger(minutes, hours, range(1, 32), months, weekdays)])


def parse_time_of_day(text: str) -> tuple[int, int]:
    """``"09:30"`` to ``(9, 30)``. Raises `Refused`."""
    match = _TIME.fullmatch(text)
    if match is None:
        late = text == "24:00"
        raise Refused(
            f'expected a time of day such as "09:30", from "00:00" to "23:59", got "{text[:40]}"',
            hint='midnight is "00:00"' if late else "",
        )
    return int(match[1]), int(match[2])


def times_of_day(times: Iterable[tuple[int, int]], weekdays: Iterable[str] = CRON_DAYS) -> Calendar:
    """The calendar of those times (`parse_time_of_day`) on those days of the week ("mon")."""
    days = sorted({CRON_DAYS.index(day) for day in weekdays})
    ordered = sorted(set(times))
    text = ",".join(f"{hour:02}:{minute:02}" for hour, minute in ordered)
    every_date, every_month = range(1, 32), range(1, 13)
    return Calendar(text, [_trigger([minute], [hour], every_date, every_month, days) for hour, minute in ordered])


def _parse_macro(text: str, word: str) -> Calendar:
    if word in MACROS:
        return parse_cron(MACROS[word])
    offset = text.index("@")
    if word == "@reboot":
        raise _refused('"@reboot" has no meaning here: rules know no start of a machine', offset)
    raise _refused(f'expected one of {", ".join(sorted(MACROS))}, got "{word[:40]}"', offset)


def _parse_field(text: str, offset: int, field: Field) -> list[int]:
    """The numbers of one field, sorted. ``offset`` is where the field stands in the whole text."""
    values: set[int] = set()
    for part in text.split(","):
        values.update(_parse_part(part, offset, field))
        offset += len(part) + 1
    return sorted(values)


def _parse_part(part: str, offset: int, field: Field) -> range:
    match = _PART.match(part)
    if match is None:
        found = f'"{part}"' if part else "nothing"
        raise _refused(f"expected {_expected(field)}, got {found}", offset)
    if match["all"]:
        low, high = field.first, field.last - (field.names is CRON_DAYS)
    else:
        low = _number(match["low"], offset, field)
        high = low if match["high"] is None else _number(match["high"], offset + match.start("high"), field)
    if low > high:
        is_sunday = field.names is CRON_DAYS and high == 0
        raise _refused(
            f'the range "{match[0]}" ends before it begins',
            offset,
            hint=f'write "{match["low"]}-7": at the end of a range Sunday is 7' if is_sunday else "",
        )
    rest = part[match.end() :]
    if not rest:
        return range(low, high + 1)
    step_at = offset + match.end()
    if not rest.startswith("/"):
        raise _refused(f'expected a "," or a "/" or the end of the {field.name}, got "{rest}"', step_at)
    if not match["all"] and match["high"] is None:
        hint = f'write "{match["low"]}-{field.last}{rest}"'
        raise _refused(f'a step stands behind a range or a "*", not behind "{match[0]}"', step_at, hint=hint)
    step = rest[1:]
    if not step.isascii() or not step.isdigit() or len(step) > 4 or int(step) == 0:
        raise _refused(f'expected a step of 1 or more, got "{step}"', step_at + 1)
    return range(low, high + 1, int(step))


def _number(text: str, offset: int, field: Field) -> int:
    name = text.lower()
    if name in field.names:
        return field.names.index(name) + (0 if field.names is CRON_DAYS else field.first)
    if not text.isdigit() or len(text) > 4 or not field.first <= int(text) <= field.last:
        raise _refused(f'expected {_expected(field)}, got "{text}"', offset)
    return int(text)


def _expected(field: Field) -> str:
    names = f' or a name such as "{field.names[1]}"' if field.names else ""
    article = "an" if field.name == "hour" else "a"
    return f"{article} {field.name} from {field.first} to {field.last}{names}"


def _refused(message: str, offset: int, *, hint: str = "") -> Refused:
    return Refused(message, code="bad-cron", offset=offset, hint=hint)


def _trigger(
    minutes: Sequence[int], hours: Sequence[int], days: Sequence[int], months: Sequence[int], weekdays: Sequence[int]
) -> CronTrigger:
    """``weekdays`` count from Sunday, as in crontab; APScheduler counts from Monday."""
    # Imported here, for it takes longer to load than the rest of the language, and few folders have a schedule.
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger(
        month=_written(months, 12),
        day=_written(days, 31),
        day_of_week=_written(sorted((day - 1) % 7 for day in weekdays), 7),
        hour=_written(hours, 24),
        minute=_written(minutes, 60),
        second="0",
        timezone=UTC,
    )


def _written(values: Sequence[int], count_all: int) -> str:
    """Numbers as APScheduler reads them, in as few ranges as there are: it tries each of them every time."""
    if len(values) == count_all:
        return "*"
    ranges: list[list[int]] = []
    for value in values:
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1][1] = value
        else:
            ranges.append([value, value])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
