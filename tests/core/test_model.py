"""The values that cross the core's border."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import OUTCOMES, Event, Outcome, derive_id, is_activity, plain
from engine.core.zones import parse_zone


# Ids stand in stores and in recorded decisions: that they are these is a promise, not a detail.
@pytest.mark.parametrize(
    ("cause", "derived"),
    [
        (("",), "0b00406f2d64605d0d85a6a98df2d425"),
        (("idle", "ann", 1_774_605_600_000_000, 0, "e1"), "882c41a158774686e417ff700f028328"),
        (("idle", "żółw", 1), "ee577a9b9381499d008487816b87284f"),
        (("\ud800",), "ee8b71570d69a146ccdee4a5a3d31afd"),
    ],
)
def test_an_id_stays_what_it_was(cause: tuple[str | int, ...], derived: str) -> None:
    assert derive_id(*cause) == derived


causes = st.lists(st.text("a1:,\0", max_size=3), min_size=1, max_size=3)


@given(causes, causes)
def test_another_cause_is_another_id(one: list[str], other: list[str]) -> None:
    assert (derive_id(*one) == derive_id(*other)) == (one == other)


def test_an_id_is_32_hex_digits() -> None:
    assert len(derive_id("x")) == 32
    assert int(derive_id("x"), 16) >= 0


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("x", "x"),
        (timedelta(minutes=5), "5m"),
        (timedelta(0), "0s"),
        (timedelta(minutes=-5), "-5m"),
        (datetime(2026, 3, 27, 10, tzinfo=UTC), "2026-03-27T10:00:00.000000Z"),
        (datetime(2026, 3, 27, 10, tzinfo=parse_zone("Europe/Paris")), "2026-03-27T09:00:00.000000Z"),
        (date(2026, 3, 27), "2026-03-27"),
        ((1, (timedelta(seconds=1),)), [1, ["1s"]]),
        ({"a": [timedelta(seconds=1)], 2: ()}, {"a": ["1s"], "2": []}),
    ],
)
def test_plain_is_json(value: Any, json: Any) -> None:
    assert plain(value) == json
    assert msgspec.json.decode(msgspec.json.encode(plain(value))) == json


@pytest.mark.parametrize(
    ("event_type", "is_one"),
    [
        ("edit", True),
        ("chat_message", True),
        ("user_response", True),
        ("message", True),
        ("messages.read", True),
        ("session.started", True),
        ("pinged", True),
        ("session.start", False),
        ("session.end", False),
        ("message.seen", False),
        ("message.", False),
        ("user.identify", False),
        ("user.preferences", False),
        ("ping", False),
    ],
)
def test_activity_is_everything_but_lifecycle(event_type: str, is_one: bool) -> None:
    assert is_activity(event_type) is is_one


def test_every_outcome_has_its_place_in_tables() -> None:
    assert set(OUTCOMES) == set(get_args(Outcome))
    assert len(OUTCOMES) == len(set(OUTCOMES))


def test_an_event_survives_its_encoding() -> None:
    event = Event("e", "ann", 7, {"a": [1, {"b": None}]}, "id", "s1", 5)
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
