"""Durations and moments, text to integer microseconds and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.refusal import Refused
from engine.core.units import (
    AT_MAX,
    AT_MIN,
    DAY,
    DURATION_LENGTH_MAX,
    DURATION_MAX,
    HOUR,
    MILLISECOND,
    MINUTE,
    SECOND,
    format_at,
    format_duration,
    from_datetime,
    from_timedelta,
    meant_duration,
    parse_at,
    parse_duration,
    show_at,
    show_moments,
    to_datetime,
    to_timedelta,
)
from engine.core.zones import parse_zone


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1ms", MILLISECOND),
        ("250ms", 250 * MILLISECOND),
        ("90s", 90 * SECOND),
        ("5m", 5 * MINUTE),
        ("05m", 5 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("2d", 2 * DAY),
        ("1d1h1m1s1ms", DAY + HOUR + MINUTE + SECOND + MILLISECOND),
        ("1m1ms", MINUTE + MILLISECOND),
        ("0h5m", 5 * MINUTE),
        ("90m", 90 * MINUTE),
        ("3660d", DURATION_MAX),
    ],
)
def test_a_duration_is_what_its_units_add_up_to(text: str, span: int) -> None:
    assert parse_duration(text) == span


NOT_DURATIONS = [
    "", " ", "5", "m", "5 m", " 5m", "5m ", "5m\n", "-5m", "+5m", "1.5h", "5M", "5min", "5w", "30m1h", "5m5m", "1ms1s",
    "٣m", "３m", "5µs", "5us", "1_0m", "1h 30m",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_duration(text)
    assert refused.value.message == f'expected a duration such as "90s", "5m" or "1h30m", got "{text}"'
    assert refused.value.code == "bad-value"


def test_a_span_of_thousands_of_digits_is_refused_like_any_other() -> None:
    assert parse_duration("0" * (DURATION_LENGTH_MAX - 2) + "5s") == 5 * SECOND
    for digits in (DURATION_LENGTH_MAX, 5_000):
        with pytest.raises(Refused) as refused:
            parse_duration("9" * digits + "s")
        assert refused.value.message == f'expected a duration such as "90s", "5m" or "1h30m", got "{"9" * 80}"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0s", 'expected a duration longer than nothing, got "0s"'),
        ("0d0h0m0s0ms", 'expected a duration longer than nothing, got "0d0h0m0s0ms"'),
        ("3660d1ms", 'expected a duration of at most 3660d, got "3660d1ms"'),
        ("3661d", 'expected a duration of at most 3660d, got "3661d"'),
    ],
)
def test_nothing_and_too_much_are_refused(text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_duration(text)
    assert refused.value.message == said


@given(st.integers(1, DURATION_MAX // MILLISECOND))
def test_a_duration_reads_back_as_it_was_written(millis: int) -> None:
    assert parse_duration(format_duration(millis * MILLISECOND)) == millis * MILLISECOND


@given(st.integers(1, DURATION_MAX))
def test_what_is_finer_than_a_millisecond_is_cut_off(span: int) -> None:
    text = format_duration(span)
    assert (0 if text == "0s" else parse_duration(text)) == span - span % MILLISECOND
    assert format_duration(-span) == ("0s" if text == "0s" else f"-{text}")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0s"),
        (999, "0s"),
        (MILLISECOND, "1ms"),
        (59 * SECOND, "59s"),
        (60 * SECOND, "1m"),
        (90 * MINUTE, "1h30m"),
        (DAY + MILLISECOND, "1d1ms"),
        (-MINUTE, "-1m"),
    ],
)
def test_a_duration_is_written_as_short_as_it_can_be(span: int, text: str) -> None:
    assert format_duration(span) == text


@given(st.integers(-DURATION_MAX, DURATION_MAX))
def test_a_span_is_the_same_as_a_timedelta(span: int) -> None:
    assert from_timedelta(to_timedelta(span)) == span


# Moments.

T = 1_774_605_600 * SECOND  # 2026-03-27T10:00:00Z


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("2026-03-27T10:00:00Z", T),
        ("2026-03-27t10:00:00z", T),
        ("2026-03-27 10:00:00Z", T),
        ("2026-03-27T10:00Z", T),
        ("2026-03-27T10:00:00.250Z", T + 250 * MILLISECOND),
        ("2026-03-27T10:00:00.000001Z", T + 1),
        ("2026-03-27T10:00:00.0000019Z", T + 1),
        ("2026-03-27T12:00:00+02:00", T),
        ("2026-03-27T05:15:00-04:45", T),
        ("20260327T100000Z", T),
        ("2026-03-27T10:00:00", T),
        ("2026-03-27", T - 10 * HOUR),
        ("1970-01-01T00:00:00Z", 0),
        ("8999-12-31T23:59:59.999999Z", AT_MAX),
        (0, 0),
        (1_774_605_600, T),
        (1_774_605_600.25, T + 250 * MILLISECOND),
        (1_774_605_600_250, T + 250 * MILLISECOND),
        (1_774_605_600_250.5, T + 250_500),
        (0.000001, 1),
        (100_000_000_000, 100_000_000_000 * SECOND),
        (100_000_000_001, 100_000_000_001 * MILLISECOND),
        (100_000_000_000.0, 100_000_000_000 * SECOND),
        (221_845_391_999_999, AT_MAX - 999),
    ],
)
def test_a_stamp_is_the_moment_that_it_says(stamp: Any, at: int) -> None:
    assert parse_at(stamp) == at


@pytest.mark.parametrize(
    "stamp",
    [
        "", "yesterday", "10:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-03-27T25:00:00Z", "1774605600",
        "2026-03-27T10:00:00+25:00", "٢٠٢٦-03-27", "2026-03-27T10:00:00 Europe/Paris",
        True, False, None, [], {}, float("nan"), float("inf"), float("-inf"), 1e300, 10**40, -(10**40),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(stamp: Any) -> None:
    with pytest.raises(Refused, match="expected a"):
        parse_at(stamp)


@pytest.mark.parametrize(
    "stamp",
    [
        -1, -0.000001, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00+00:01", "0001-01-01T00:00:00+14:00",
        "8999-12-31T23:59:59-00:01", "9000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", 221_845_392_000_000,
        -100_000_000_001,
    ],
)  # fmt: skip
def test_a_moment_outside_of_what_can_be_written_is_refused(stamp: Any) -> None:
    with pytest.raises(Refused, match="expected a time between the years 1970 and 8999, got"):
        parse_at(stamp)


def test_a_long_text_is_not_quoted_whole() -> None:
    with pytest.raises(Refused) as refused:
        parse_at("x" * 10_000)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("stamp", "zone", "text"),
    [
        ("2026-03-27T10:00:00", "Europe/Paris", "2026-03-27T09:00:00.000000Z"),
        ("2026-07-27T10:00:00", "Europe/Paris", "2026-07-27T08:00:00.000000Z"),
        ("2026-03-27T10:00:00Z", "Europe/Paris", "2026-03-27T10:00:00.000000Z"),
        # PEP 495: in the gap with the offset from before it, in the overlap the first of the two.
        ("2026-03-29T02:30:00", "Europe/Paris", "2026-03-29T01:30:00.000000Z"),
        ("2026-10-25T02:30:00", "Europe/Paris", "2026-10-25T00:30:00.000000Z"),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00.000000Z"),
    ],
)
def test_a_stamp_without_an_offset_is_local_time(stamp: str, zone: str, text: str) -> None:
    assert format_at(parse_at(stamp, parse_zone(zone))) == text


moments = st.integers(AT_MIN, AT_MAX)


@given(moments)
def test_a_moment_reads_back_as_it_was_written(at: int) -> None:
    assert parse_at(format_at(at)) == at
    assert from_datetime(to_datetime(at)) == at


@given(moments, moments)
def test_written_moments_sort_as_the_moments_do(one: int, other: int) -> None:
    assert (format_at(one) < format_at(other)) == (one < other)


@given(moments, st.sampled_from(("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC")))
def test_a_moment_is_the_same_in_every_zone(at: int, name: str) -> None:
    assert from_datetime(to_datetime(at, parse_zone(name))) == at


def test_moments_are_exact_where_floats_are_not() -> None:
    assert to_datetime(AT_MAX) == datetime(8999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert to_datetime(AT_MAX) - to_datetime(AT_MAX - 1) == timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1w", ["7d"]), ("2 weeks", ["14d"]), ("90 min", ["1h30m"]), ("1.5h", ["1h30m"]), ("30m1h", ["1h30m"]),
        ("1 hour, 5 minutes", ["1h5m"]), ("week", ["7d"]), ("5", ["5s", "5m"]), ("5270401", ["5270401s"]),
        ("0", []), ("9999999999", []), ("1h30", []), ("5mm", []), ("m", []), ("0.0001ms", []), ("600w", []),
        ("\u0665", []), ("5 minutes" + " " * 40, ["5m"]), ("1m " * 20, []),
    ],
)  # fmt: skip
def test_what_is_no_duration_may_be_meant_as_one(text: str, meant: list[str]) -> None:
    spans = " or ".join(f'"{span}"' for span in meant)
    assert meant_duration(text) == (f"did you mean {spans}?" if meant else "")
    for span in meant:
        parse_duration(span)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (500_000, "1970-01-01T00:00:00.500Z"),
        (1_000, "1970-01-01T00:00:00.001Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_000_000_000, "1970-01-01T00:16:40Z"),
    ],
)
def test_people_are_shown_no_digits_of_a_second_that_say_nothing(at: int, shown: str) -> None:
    assert show_at(at) == shown
    assert parse_at(shown) == at
    assert show_moments(f'until {format_at(at)}, said "000Z"') == f'until {shown}, said "000Z"'
