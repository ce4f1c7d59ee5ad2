"""Quiet hours against the wall clock, minute by minute, over the nights in which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.quiet import STEPS_MAX, QuietHours, holding, quiet_until
from engine.core.units import DAY, HOUR, MINUTE, parse_at

PARIS = ZoneInfo("Europe/Paris")
ZONES = (PARIS, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe"), UTC)
# Evenings before nights in which the clocks of Paris, New York or Lord Howe (by half an hour) change, and one of rest.
EVENINGS = (
    "2026-03-28T20:00:00Z",
    "2026-10-24T20:00:00Z",
    "2026-03-08T02:00:00Z",
    "2026-11-01T01:00:00Z",
    "2026-04-04T10:00:00Z",
    "2026-10-03T10:00:00Z",
    "2026-07-01T20:00:00Z",
)
WEEK = frozenset(range(7))

minutes = st.sampled_from((0, 1, 60, 90, 120, 135, 150, 165, 180, 210, 240, 480, 1200, 1320, 1380, 1439))
hours = st.builds(
    lambda start, end, days, then: QuietHours("q", days, start, end if end != start else (start + 1) % 1440, then),
    minutes,
    minutes,
    st.one_of(st.just(WEEK), st.frozensets(st.integers(0, 6), min_size=1)),
    st.sampled_from(("drop", "hold")),
)


def wall_clock(at: int, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone).replace(tzinfo=None)


def lies_in(quiet: QuietHours, shown: datetime) -> bool:
    """Whether it lies in the hours of some day on which they start: today's or yesterday's."""
    for back in (0, 1):
        day = datetime.combine(shown.date() - timedelta(days=back), datetime.min.time())
        start = day + timedelta(minutes=quiet.start)
        end = day + timedelta(minutes=quiet.end)
        if end <= start:
            end += timedelta(days=1)
        if day.weekday() in quiet.days and start <= shown < end:
            return True
    return False


@settings(max_examples=200, deadline=None)
@given(
    st.lists(hours, min_size=1, max_size=3),
    st.sampled_from(ZONES),
    st.sampled_from(EVENINGS),
    st.integers(0, 12 * 60),
    st.integers(-1, 1),
)
def test_they_hold_and_end_as_the_wall_clock_says(
    quiet: list[QuietHours], zone: ZoneInfo, evening: str, after: int, off: int
) -> None:
    at = parse_at(evening) + after * MINUTE + off
    now = [each for each in quiet if lies_in(each, wall_clock(at, zone))]
    found = holding(quiet, at, zone)
    assert (found is not None) == bool(now)
    if found is not None:
        assert found == next((each for each in now if each.then == "drop"), now[0])

    until = quiet_until(quiet, at, zone)
    if not now:
        assert until == at
        return
    # They change at whole minutes alone; what has not ended in nine days will not.
    moment = at - at % MINUTE + MINUTE
    while moment < at + 9 * DAY and any(lies_in(each, wall_clock(moment, zone)) for each in quiet):
        moment += MINUTE
    assert until == (moment if moment < at + 9 * DAY else None)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-28T21:59:59.999999Z", "2026-03-29T06:00:00Z"),
        ("2026-10-24T21:00:00Z", "2026-10-25T07:00:00Z"),
        ("2026-03-29T05:59:59.999999Z", "2026-03-29T06:00:00Z"),
        ("2026-10-25T06:59:59.999999Z", "2026-10-25T07:00:00Z"),
    ],
)
def test_a_night_ends_by_the_clock_also_where_it_has_9_or_11_hours(at: str, until: str) -> None:
    nights = QuietHours("nights", WEEK, 22 * 60, 8 * 60)
    assert quiet_until([nights], parse_at(at), PARIS) == parse_at(until)


def test_hours_that_begin_twice_in_a_night_end_in_between() -> None:
    # Clocks go from 03:00 back to 02:00, when it is not quarter past two any more.
    evening = QuietHours("evening", WEEK, 2 * 60 + 15, 0)
    back = parse_at("2026-10-25T01:00:00Z")
    assert quiet_until([evening], back - 45 * MINUTE, PARIS) == back
    assert quiet_until([evening], back - 1, PARIS) == back
    assert quiet_until([evening], back, PARIS) == back
    assert quiet_until([evening], back + 15 * MINUTE, PARIS) == parse_at("2026-10-25T23:00:00Z")


def test_hours_that_cover_the_week_never_end() -> None:
    halves = [QuietHours("day", WEEK, 8 * 60, 20 * 60), QuietHours("night", WEEK, 20 * 60, 8 * 60)]
    assert quiet_until(halves, parse_at("2026-03-27T10:00:00Z"), PARIS) is None


def test_hours_that_cover_all_days_but_one_end_with_it() -> None:
    others = frozenset(range(6))
    halves = [QuietHours("day", others, 8 * 60, 20 * 60), QuietHours("night", others, 20 * 60, 8 * 60)]
    # From Monday at eight to Sunday at eight.
    monday = parse_at("2026-03-30T06:00:00Z")
    assert quiet_until(halves, monday, PARIS) == monday + 6 * DAY
    assert STEPS_MAX > 2 * 6


def test_it_is_quiet_in_each_users_own_night() -> None:
    nights = QuietHours("nights", WEEK, 22 * 60, 8 * 60)
    at = parse_at("2026-07-01T21:00:00Z")
    assert holding([nights], at, PARIS) == nights
    assert holding([nights], at, UTC) is None
    assert quiet_until([nights], at, PARIS) == at + 9 * HOUR


def test_with_another_fate_they_are_the_same_hours() -> None:
    nights = QuietHours("nights", WEEK, 22 * 60, 8 * 60)
    assert nights.ending_in("hold") == QuietHours("nights", WEEK, 22 * 60, 8 * 60, "hold")
    assert nights.then == "drop"
