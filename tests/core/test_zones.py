"""Time zones by their IANA names, from the pinned tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest

from engine.core import zones
from engine.core.refusal import Refused
from engine.core.zones import find_zone, parse_zone, zone_names


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC"])
def test_utc_is_pythons_own(name: str) -> None:
    assert find_zone(name) is UTC


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Paris",
        "America/Argentina/Buenos_Aires",
        "America/Port-au-Prince",
        "Etc/GMT+5",
        "EST5EDT",
        "Asia/Kolkata",
    ],
)
def test_a_name_of_the_database_is_found(name: str) -> None:
    zone = find_zone(name)
    assert zone is not None
    assert str(zone) == name


def test_every_name_of_the_database_is_found() -> None:
    assert [name for name in zone_names() if find_zone(name) is None] == []
    assert len(zone_names()) > 400


NOT_ZONES = [
    "", " ", "/", "Europe", "europe/paris", "EUROPE/PARIS", "Europe/Paris ", "Europe//Paris", "Europe/Paris/",
    "/Europe/Paris",
    "../zones", "..", "Europe/../Europe/Paris", "Mars/Olympus", "+02:00", "CEST", "zone.tab", "Europe/__init__",
    "Europe\x00", "x" * 65, "Europe/Paris\n", "tzdata.zi",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_ZONES)
def test_anything_else_is_none(name: str) -> None:
    assert find_zone(name) is None


def test_an_unknown_zone_is_refused_with_an_example() -> None:
    with pytest.raises(Refused) as refused:
        parse_zone("Mars/Olympus")
    assert refused.value.message == 'expected an IANA time zone such as "Europe/Paris", got "Mars/Olympus"'
    assert refused.value.code == "bad-timezone"


@pytest.mark.parametrize(
    ("name", "summer_minutes", "winter_minutes"),
    [("Europe/Paris", 120, 60), ("America/New_York", -240, -300), ("Australia/Lord_Howe", 630, 660)],
)
def test_a_zone_knows_summer_and_winter(name: str, summer_minutes: int, winter_minutes: int) -> None:
    zone = parse_zone(name)
    for month, minutes in ((7, summer_minutes), (1, winter_minutes)):
        assert datetime(2026, month, 1, tzinfo=zone).utcoffset() == timedelta(minutes=minutes)


def test_the_tables_are_those_that_are_pinned() -> None:
    assert version("tzdata") == "2026.6"


def test_names_that_are_too_long_are_not_even_remembered() -> None:
    before = zones._find_zone.cache_info().currsize
    assert find_zone("Europe/" + "a" * zones.NAME_LENGTH_MAX) is None
    assert find_zone("A" * 100_000) is None
    assert zones._find_zone.cache_info().currsize == before
