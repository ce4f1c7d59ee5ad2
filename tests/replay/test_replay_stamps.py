"""`Stamps` is `parse_at`, also for many at once: whatever one says, the other says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.refusal import Refused
from engine.core.units import parse_at
from engine.replay.stamps import Stamps

ZONES = [UTC, ZoneInfo("Europe/Paris"), ZoneInfo("Australia/Lord_Howe")]


def outcome(parse, stamp):
    try:
        return parse(stamp)
    except Refused as refused:
        return str(refused)


EDGES = [
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:59+00:01",
    "1970-01-01T00:01:00+00:01",
    "1969-12-31T23:59:00-00:01",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-00:01",
    "2016-02-29T12:00",
    "2015-02-29T12:00",
    "2016-02-29 12:00:01.5+01:00",
    "2016-02-29T12:00:60Z",
    "2016-02-29T24:00:00Z",
    "2016-02-29T12:00:00.1234567Z",
    "20160229T120000Z",
    "2016-W09-1T12:00",
    "2016-10-30T02:30:00",
    "2016-03-27T02:30:00",
    "２０16-02-29T12:00:00Z",
    "2016-02-29T12:00:0１Z",
    "",
    " 2016-02-29T12:00:00Z",
    "2016-02-29T12:00:00 Z",
    1456747200,
    1456747200.25,
    1456747200250,
    -1,
    True,
    None,
    [],
    {},
    float("nan"),
]


OFFSETS = st.one_of(st.none(), st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))))


@st.composite
def written(draw):
    moment = draw(st.datetimes(min_value=datetime(1969, 12, 31), max_value=datetime(2100, 1, 1)))
    moment = moment.replace(tzinfo=draw(OFFSETS))
    text = moment.isoformat(
        sep=draw(st.sampled_from("T ")),
        timespec=draw(st.sampled_from(["auto", "minutes", "seconds", "milliseconds", "microseconds"])),
    )
    return text.replace("+00:00", draw(st.sampled_from(["Z", "+00:00"])))


@given(stamps=st.lists(written() | st.sampled_from(EDGES), max_size=8), zone=st.sampled_from(ZONES))
def test_many_at_once_are_read_as_one_by_one(stamps, zone):
    def moment(stamp):
        try:
            return parse_at(stamp, zone)
        except Refused:
            return None

    assert Stamps(zone).parse_all(stamps) == [moment(stamp) for stamp in stamps]


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_of_many_at_once_each_edge_is_read_as_alone(zone):
    usual = "2026-03-27T10:00:00.000001Z"
    for edge in EDGES:
        expected = outcome(lambda value: parse_at(value, zone), edge)
        found = Stamps(zone).parse_all([usual, edge])
        assert found == [parse_at(usual), expected if isinstance(expected, int) else None], edge
