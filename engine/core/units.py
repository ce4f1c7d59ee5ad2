"""Durations and moments: text to integer microseconds and back. All time in the engine is integer microseconds UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import lru_cache

from engine.core.refusal import Refused

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": MILLISECOND}
DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
DURATION_LENGTH_MAX = 80  # characters; Python itself refuses to read a number of thousands of digits
DURATION_MAX = 3660 * DAY  # ten years: longer is surely a slip of the pen, and keeps every sum far below 2**63

# What people write where they mean a unit.
_UNIT_OF = {
    **UNITS,
    **dict.fromkeys(("w", "week", "weeks"), 7 * DAY),
    **dict.fromkeys(("day", "days"), DAY),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), HOUR),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), SECOND),
    **dict.fromkeys(("msec", "milliseconds"), MILLISECOND),
}
_UNIT = "|".join(sorted(_UNIT_OF, key=len, reverse=True))
_MEANT = re.compile(rf"(\d+(?:\.\d+)?|) *({_UNIT})(?![a-z])", re.ASCII)
_MEANT_WHOLE = re.compile(rf"(?:week|day|hour|minute|second)|(?:\d+(?:\.\d+)? *(?:{_UNIT})(?![a-z])[ ,]*)+", re.ASCII)
MEANT_MAX = 40  # characters of a text that may be meant as a duration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE = datetime(1970, 1, 1)
# Between these, with every span added and in every zone, a moment has a year of four digits.
AT_MIN = 0
AT_MAX = 221_845_392_000 * SECOND - 1  # the end of the year 8999


def parse_duration(text: str) -> int:
    """``"1h30m"`` to microseconds. Units go from large to small, each at most once.

    Raises `Refused` for anything else, zero included: no rule can mean a span of nothing.
    """
    match = DURATION.fullmatch(text) if 0 < len(text) <= DURATION_LENGTH_MAX else None
    if match is None:
        shown = text[:DURATION_LENGTH_MAX]
        raise Refused(f'expected a duration such as "90s", "5m" or "1h30m", got "{shown}"', hint=meant_duration(text))
    days, hours, minutes, seconds, millis = (int(part) if part else 0 for part in match.groups())
    span = days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND + millis * MILLISECOND
    if span == 0:
        raise Refused(f'expected a duration longer than nothing, got "{text}"')
    if span > DURATION_MAX:
        raise Refused(f'expected a duration of at most {DURATION_MAX // DAY}d, got "{text}"')
    return span


def meant_duration(text: str) -> str:
    """A hint for a text that is no duration and may be meant as one: ``1w``, ``90 min``, ``1.5h``, ``week``, ``5``."""
    words = text.strip().lower()
    if len(words) > MEANT_MAX:
        return ""
    if words.isascii() and words.isdecimal():
        spans = [f'"{words}{unit}"' for unit in ("s", "m") if 0 < int(words) * UNITS[unit] <= DURATION_MAX]
        return f"did you mean {' or '.join(spans)}?" if spans else ""
    span = Fraction()
    for number, unit in _MEANT.findall(words) if _MEANT_WHOLE.fullmatch(words) else ():
        span += Fraction(number or 1) * _UNIT_OF[unit]
    is_right = 0 < span <= DURATION_MAX and span % MILLISECOND == 0
    return f'did you mean "{format_duration(int(span))}"?' if is_right else ""


@lru_cache(maxsize=4096)
def format_duration(span: int) -> str:
    """Microseconds to the shortest text that `parse_duration` reads back: ``5_400_000_000`` is ``"1h30m"``.

    What is finer than a millisecond is cut off; nothing and less is ``"0s"`` or has a minus before it.
    """
    sign, rest = ("-", -span) if span < 0 else ("", span)
    parts = []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts) if parts else "0s"


def to_timedelta(span: int) -> timedelta:
    return timedelta(microseconds=span)


def from_timedelta(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds


def to_datetime(at: int, zone: tzinfo = UTC) -> datetime:
    """A moment as an aware datetime in ``zone``, exact to the microsecond (no float comes near it)."""
    moment = EPOCH + timedelta(microseconds=at)
    return moment if zone is UTC else moment.astimezone(zone)


def from_datetime(moment: datetime) -> int:
    """An aware datetime to microseconds."""
    return from_timedelta(moment - EPOCH)


def format_at(at: int) -> str:
    """RFC 3339 in UTC, always with six digits: ``"2016-01-04T20:45:50.000000Z"``. Sorts as text like the moment."""
    seconds, micros = divmod(at, SECOND)
    return f"{_format_seconds(seconds)}.{micros:06d}Z"


def show_at(at: int) -> str:
    """The same for people: without a fraction where that is nought, and in milliseconds where these are all."""
    return show_moments(format_at(at))


def show_moments(text: str) -> str:
    """A text with the moments in it as `show_at` has them."""
    return _LONG_STAMP.sub(r"\1\2Z", text)


_LONG_STAMP = re.compile(r"(\d\d:\d\d:\d\d)(?:\.000000|(\.\d{3})000)Z", re.ASCII)


@lru_cache(maxsize=4096)
def _format_seconds(seconds: int) -> str:
    return (_EPOCH_NAIVE + timedelta(seconds=seconds)).isoformat()


def parse_at(stamp: str | int | float, zone: tzinfo = UTC) -> int:
    """A stamp of a log to microseconds: RFC 3339 (or any ISO 8601 that Python reads) or an epoch number.

    A stamp without an offset is local time in ``zone``. Numbers are seconds, above 1e11 milliseconds
    (1e11 seconds is the year 5138; 1e11 ms is 1973). Raises `Refused`.
    """
    if isinstance(stamp, str):
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            if stamp.endswith("z"):  # RFC 3339, section 5.6: small letters mean the same; Python reads the "t" only
                return parse_at(stamp[:-1] + "Z", zone)
            raise Refused(f'expected an RFC 3339 time such as "2026-03-27T10:00:00Z", got "{stamp[:80]}"') from None
        if moment.tzinfo is None:
            # Arithmetic on the naive value is the fast path: nearly all zone-less logs are in UTC.
            if zone is UTC:
                return _checked(from_timedelta(moment - _EPOCH_NAIVE), stamp)
            moment = moment.replace(tzinfo=zone)
        return _checked(from_timedelta(moment - EPOCH), stamp)
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or stamp != stamp or abs(stamp) > 1e18:
        raise Refused(f"expected a time, got {stamp!r}"[:120])
    scale = MILLISECOND if abs(stamp) > 1e11 else SECOND
    return _checked(stamp * scale if isinstance(stamp, int) else round(stamp * scale), stamp)


def _checked(at: int, stamp: object) -> int:
    if not AT_MIN <= at <= AT_MAX:
        raise Refused(f"expected a time between the years 1970 and 8999, got {stamp!r}"[:120])
    return at
