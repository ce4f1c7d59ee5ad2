"""crontab(5), and local times on the nights when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.calendar import MOMENTS_KEPT_MAX, ZONES_KEPT_MAX, Agenda, Calendar, moment_of
from engine.core.cron import parse_cron, parse_time_of_day, times_of_day
from engine.core.refusal import Refused
from engine.core.units import AT_MAX, DAY, HOUR, MINUTE, format_at, parse_at
from engine.core.zones import parse_zone, zone_names
from engine.loading.tree import PARSER

TABLE: dict[str, list[dict[str, Any]]] = yaml.load((Path(__file__).parent / "crontab.yaml").read_text("utf-8"), PARSER)
# Zones, each with the two nights of 2026 (UTC days) on which its clocks change.
NIGHTS = {
    "Europe/Paris": ("2026-03-28", "2026-10-24"),
    "America/New_York": ("2026-03-07", "2026-10-31"),
    "Australia/Lord_Howe": ("2026-10-03", "2026-04-04"),
    "UTC": ("2026-02-28", "2026-12-31"),
}


def named(cases: list[dict[str, Any]], key: str) -> list[Any]:
    return [pytest.param(case, id=case[key] or "nothing") for case in cases]


def following(calendar: Calendar, at: int, zone: tzinfo, count: int) -> list[int]:
    moments = []
    for _ in range(count):
        found = calendar.next_after(at, zone)
        assert found is not None
        moments.append(at := found)
    return moments


@pytest.mark.parametrize("case", named(TABLE["comes"] + TABLE["nights"], "name"))
def test_a_cron_comes_when_crontab_says(case: dict[str, Any]) -> None:
    zone = parse_zone(case.get("zone", "UTC"))
    moments = following(parse_cron(case["cron"]), parse_at(case["from"]), zone, len(case["comes"]))
    assert [format_at(at) for at in moments] == [format_at(parse_at(stamp)) for stamp in case["comes"]]


@pytest.mark.parametrize("case", named(TABLE["refused"], "cron"))
def test_what_is_no_cron_is_refused_where_it_is_wrong(case: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        parse_cron(case["cron"])
    refused = caught.value
    assert (refused.code, refused.offset) == ("bad-cron", case["offset"])
    assert case["says"] in refused.message
    assert case.get("hint", "") in refused.hint


def test_an_endless_cron_is_refused_unread() -> None:
    with pytest.raises(Refused, match="at most 400 characters"):
        parse_cron("0," * 300 + "0 * * * *")


@pytest.mark.parametrize(("text", "time"), [("00:00", (0, 0)), ("09:30", (9, 30)), ("23:59", (23, 59))])
def test_times_of_day_are_read(text: str, time: tuple[int, int]) -> None:
    assert parse_time_of_day(text) == time


@pytest.mark.parametrize("text", ["24:00", "9:00", "09:60", "09:00:00", "9am", "", "09:00 ", "０９:00"])
def test_other_times_of_day_are_refused(text: str) -> None:
    with pytest.raises(Refused, match='expected a time of day such as "09:30"') as caught:
        parse_time_of_day(text)
    assert caught.value.code == "bad-value"
    assert ("00:00" in caught.value.hint) == (text == "24:00")


def test_times_of_day_come_in_order_on_their_days() -> None:
    calendar = times_of_day([(17, 30), (9, 0)], ["mon", "sun"])
    moments = following(calendar, parse_at("2026-03-27T00:00Z"), UTC, 5)
    assert [format_at(at)[:16] for at in moments] == [
        "2026-03-29T09:00", "2026-03-29T17:30", "2026-03-30T09:00", "2026-03-30T17:30", "2026-04-05T09:00",
    ]  # fmt: skip


def test_the_calendar_ends_where_time_does() -> None:
    calendar = parse_cron("* * * * *")
    for zone in (UTC, parse_zone("Pacific/Kiritimati"), parse_zone("Pacific/Pago_Pago")):
        last = AT_MAX // MINUTE * MINUTE
        assert calendar.next_after(last - 1, zone) == last
        assert calendar.next_after(last, zone) is None
        assert calendar.next_after(AT_MAX, zone) is None
    assert parse_cron("0 0 29 2 *").next_after(AT_MAX - DAY, UTC) is None


CRON_TEXTS = st.builds(
    " ".join,
    st.tuples(
        st.sampled_from(["*", "0", "30", "15,45", "*/7", "*/15", "59", "10-20/3"]),
        st.sampled_from(["*", "0", "1", "2", "3", "*/2", "1-3", "0,23"]),
        st.sampled_from(["*", "*", "1", "25-31", "*/2", "8,29"]),
        st.sampled_from(["*", "*", "3,10", "oct-dec"]),
        st.sampled_from(["*", "*", "0", "sun", "1-5", "6-7", "*/3"]),
    ),
)
ZONE_NIGHTS = st.sampled_from([(zone, night) for zone, nights in NIGHTS.items() for night in nights])
SCAN_DAYS = 3


def holds_by_hand(cron: str, local: datetime) -> bool:
    """Whether a local minute is one of the cron's: another reading of the man page, kept apart from the parser."""
    minute, hour, day, month, weekday = cron.split()
    by_date = field_by_hand(day, local.day, 1, 31)
    by_week = any(field_by_hand(weekday, number, 0, 7) for number in {local.isoweekday() % 7, local.isoweekday()})
    if weekday.startswith("*"):
        by_week = field_by_hand(weekday, local.isoweekday() % 7, 0, 6)
    either = not day.startswith("*") and not weekday.startswith("*")
    return (
        field_by_hand(minute, local.minute, 0, 59)
        and field_by_hand(hour, local.hour, 0, 23)
        and field_by_hand(month, local.month, 1, 12)
        and ((by_date or by_week) if either else (by_date and by_week))
    )


def field_by_hand(text: str, value: int, first: int, last: int) -> bool:
    for name, number in {"sun": 0, "oct": 10, "dec": 12}.items():
        text = text.replace(name, str(number))
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, high = (first, last) if span == "*" else [int(end) for end in (span.split("-") * 2)[:2]]
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


def scan(cron: str, zone: tzinfo, start: int, end: int) -> list[int]:
    """Every moment after ``start`` up to ``end``, found minute by minute of UTC, with no arithmetic on local time."""
    moments = []
    # Offsets of these zones are whole minutes, so what was skipped before is seen from the minute before.
    before = datetime.fromtimestamp(start // 1_000_000, zone).replace(tzinfo=None)
    for at in range(start + MINUTE, end + 1, MINUTE):
        local = datetime.fromtimestamp(at // 1_000_000, zone)
        naive = local.replace(tzinfo=None, fold=0)
        fresh = [] if local.fold else [naive]
        skipped = naive - timedelta(minutes=1)
        while skipped > before and not local.fold:
            fresh.append(skipped)
            skipped -= timedelta(minutes=1)
        if any(holds_by_hand(cron, time) for time in fresh):
            moments.append(at)
        # In the second pass time stands still for a calendar.
        before = max(before, naive)
    return moments


@settings(max_examples=60, deadline=None)
@given(CRON_TEXTS, ZONE_NIGHTS)
def test_a_calendar_agrees_with_a_scan_of_every_minute(cron: str, night: tuple[str, str]) -> None:
    zone = parse_zone(night[0])
    start = parse_at(night[1] + "T00:00Z")
    end = start + SCAN_DAYS * DAY
    calendar = parse_cron(cron)
    found = []
    at: int | None = start
    while (at := calendar.next_after(at, zone)) is not None and at <= end:
        found.append(at)
    assert found == scan(cron, zone, start, end)


@settings(max_examples=60, deadline=None)
@given(CRON_TEXTS, ZONE_NIGHTS, st.lists(st.integers(-2 * DAY, 4 * DAY), min_size=1, max_size=30))
def test_what_was_asked_before_changes_no_answer(cron: str, night: tuple[str, str], after: list[int]) -> None:
    zone = parse_zone(night[0])
    start = parse_at(night[1] + "T00:00Z")
    warmed = parse_cron(cron)
    for span in after:
        answer = parse_cron(cron).next_after(start + span, zone)
        assert warmed.next_after(start + span, zone) == answer
        assert answer is not None
        # At the edges of what is now remembered.
        for at in (answer - 1, answer):
            assert warmed.next_after(at, zone) == parse_cron(cron).next_after(at, zone)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(zone_names()), st.integers(0, 60 * 365), st.sampled_from(["*/10 * * * *", "30 */2 * * *"]))
def test_moments_strictly_increase_in_every_zone(name: str, day: int, cron: str) -> None:
    moments = following(parse_cron(cron), day * DAY, parse_zone(name), 40)
    assert all(earlier < later for earlier, later in pairwise(moments))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(zone_names()), st.integers(0, 60 * 365 * 24 * 4))
def test_a_local_time_comes_when_the_clock_shows_it_or_jumps_over_it(name: str, quarter: int) -> None:
    zone = parse_zone(name)
    local = datetime(1970, 1, 3) + timedelta(minutes=15 * quarter)
    at = moment_of(local, zone)

    def shown(moment: int) -> datetime:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(zone).replace(tzinfo=None)

    assert shown(at) >= local > shown(at - 1)


def test_the_memory_of_a_calendar_is_bounded_and_shows_in_nothing() -> None:
    calendar = parse_cron("* * * * *")
    start = parse_at("2026-01-01T00:00Z")
    agenda = Agenda([(calendar, "it")], UTC)
    days = MOMENTS_KEPT_MAX // (24 * 60) + 10
    for day in (*range(days), 0, days // 2):
        at = start + day * DAY + HOUR
        assert agenda.next_after(at) == (at + MINUTE, ("it",))
        assert sum(len(moments) for moments, _ in agenda._days.values()) <= MOMENTS_KEPT_MAX + 24 * 60
    for name in zone_names()[: ZONES_KEPT_MAX + 5]:
        calendar.next_after(start, parse_zone(name))
    assert len(calendar._agendas) == ZONES_KEPT_MAX


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(("0 * * * *", "*/7 1-3 * * *", "30 2 * * 0", "0 12 29 2 *", "0 0 1 * 1")), min_size=1),
    st.sampled_from(sorted(NIGHTS)),
    st.integers(0, 400 * 24 * 60),
)
def test_several_calendars_as_one_are_the_soonest_of_them(crons: list[str], name: str, minute: int) -> None:
    zone = parse_zone(name)
    calendars = [parse_cron(cron) for cron in crons]
    at = parse_at("2026-01-01T00:00Z") + minute * MINUTE
    moments = [calendar.next_after(at, zone) for calendar in calendars]
    soonest = min(moment for moment in moments if moment is not None)
    owners = tuple(place for place, moment in enumerate(moments) if moment == soonest)
    agenda = Agenda(list(zip(calendars, range(len(calendars)), strict=True)), zone)
    assert agenda.next_after(at) == (soonest, owners)
