"""Moments and spans of the command line, and the zone in which moments are that name none. It reads no log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from engine.cli.stopping import refused_as, stop
from engine.core.calendar import moment_of
from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.units import parse_at, parse_duration, to_datetime
from engine.core.zones import parse_zone

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?")
_ELSEWHERE = timezone(timedelta(hours=1))


def needs_zone(*written: str | None) -> bool:
    """Whether one of the moments, None for those that are not given, names no zone of its own."""
    return any(_needs_zone(moment) for moment in written if moment is not None)


def _needs_zone(written: str) -> bool:
    try:
        return parse_at(written) != parse_at(written, _ELSEWHERE)
    except Refused:
        return bool(_CLOCK.fullmatch(written))


def end_meant(until: str | None, zone: str | None) -> int | None:
    """The moment of ``--until``, in that zone where it names none. Stops where it is none."""
    where = zone_of(zone)
    with refused_as("--until"):
        return None if until is None else parse_at(until, where)


def zone_of(name: str | None) -> tzinfo:
    """The zone of ``--timezone``. Stops where there is none of that name."""
    try:
        return UTC if name is None else parse_zone(name)
    except Refused as refused:
        stop(f"--timezone: {refused.message}")


def span_meant(option: str, written: str) -> int:
    """A duration of the command line. Stops where it is none."""
    try:
        return parse_duration(written)
    except Refused as refused:
        stop(f"{option}: {refused.message}" + (f"; {refused.hint}" if refused.hint else ""))


def moment_meant(written: str, zone: tzinfo, events: Sequence[Event], option: str = "--at") -> int:
    """A moment, or a time of the only day on which the user did something. Stops where it is neither."""
    try:
        if not _CLOCK.fullmatch(written):
            return parse_at(int(written) if written.isdecimal() else written, zone)
        days = sorted({to_datetime(event.at, zone).date() for event in events})
        if len(days) > 1:
            stop(f'{option}: "{written}" of which day? the log has {days[0]} to {days[-1]}; write {days[-1]}T{written}')
        if not days:
            return 0  # that there is no such user is said by whoever looks for them
        return moment_of(datetime.combine(days[0], datetime.strptime(written, _form(written)).time()), zone)
    except Refused:
        stop(f'{option}: expected a time such as "2026-03-27T10:00:00Z", or "14:09" of the only day, got "{written}"')


def _form(written: str) -> str:
    return "%H:%M" + (":%S" if written.count(":") == 2 else "") + (".%f" if "." in written else "")
