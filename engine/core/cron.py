"""crontab(5) and times of day, read: text to `Calendar`. It knows what the fields mean, and no time zone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from engine.core.calendar import Calendar
from engine.core.refusal import Refused

CRON_LENGTH_MAX = 400


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
    return Calendar(
        word,
        [60 * hour + minute for hour in hours for minute in minutes],
        months=months,
        dates=days,
        weekdays=weekdays,
        either_day=not (days_free or weekdays_free),
    )


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
    return Calendar(text, [60 * hour + minute for hour, minute in ordered], weekdays=days)


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
