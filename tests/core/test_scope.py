"""What an expression or a template can see at one moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.core.model import Event
from engine.core.rules import Policy
from engine.core.scope import EVENT_RESERVED, NOW_FIELDS, SESSION_FIELDS, Scope, now_field, user_zone
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, SECOND, from_datetime, parse_at, to_datetime
from engine.core.zones import parse_zone

AT = parse_at("2026-03-27T22:30:15Z")
PARIS = parse_zone("Europe/Paris")


def scope(event: Event | None = None, state: UserState | None = None, policy: Policy | None = None) -> Scope:
    return Scope(state or UserState("ann"), event, AT, policy or Policy())


def in_paris() -> UserState:
    state = UserState("ann")
    state.attributes["timezone"] = "Europe/Paris"
    return state


def test_the_reserved_names_lie_over_the_data() -> None:
    data = {"type": "x", "at": 1, "id": "x", "session": "x", "at_reported": 1, "test": "t1"}
    fields = scope(Event("e", "ann", AT, data, "e1", "s1", AT - SECOND)).event_fields()
    assert fields == {
        "type": "e",
        "at": to_datetime(AT),
        "id": "e1",
        "session": "s1",
        "at_reported": to_datetime(AT - SECOND),
        "test": "t1",
    }


def test_a_reserved_name_without_a_value_is_missing_whatever_the_data_say() -> None:
    fields = scope(Event("e", "ann", AT, {"id": "forged", "session": "forged"})).event_fields()
    assert "id" not in fields
    assert "session" not in fields


def test_an_event_that_was_on_time_was_reported_when_it_happened() -> None:
    event = Event("e", "ann", AT, {})
    assert scope(event).event_reserved("at_reported") == scope(event).event_reserved("at")


def test_the_data_of_an_event_are_never_changed() -> None:
    data = {"id": "forged"}
    scope(Event("e", "ann", AT, data)).event_fields()["new"] = 1
    assert data == {"id": "forged"}


def test_a_schedule_has_no_event() -> None:
    assert scope().event_fields() == {}
    assert [scope().event_reserved(name) for name in EVENT_RESERVED] == [None] * len(EVENT_RESERVED)


def test_moments_are_in_the_users_zone() -> None:
    there = scope(Event("e", "ann", AT, {}), in_paris())
    assert there.now.hour == 23
    assert there.event_fields()["at"].hour == 23
    assert from_datetime(there.now) == AT


@pytest.mark.parametrize(
    ("attributes", "zone"),
    [
        ({}, "Asia/Tokyo"),
        ({"timezone": "Europe/Paris"}, "Europe/Paris"),
        ({"timezone": "Mars/Olympus"}, "Asia/Tokyo"),
        ({"timezone": ""}, "Asia/Tokyo"),
        ({"timezone": 7}, "Asia/Tokyo"),
        ({"timezone": None}, "Asia/Tokyo"),
        ({"timezone": ["Europe/Paris"]}, "Asia/Tokyo"),
    ],
)
def test_a_user_lives_in_their_own_zone_or_in_the_policys(attributes: dict[str, Any], zone: str) -> None:
    assert user_zone(attributes, Policy(zone=parse_zone("Asia/Tokyo"))) is parse_zone(zone)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hour", 23),
        ("minute", 30),
        ("weekday", "fri"),
        ("date", "2026-03-27"),
        ("day", 27),
        ("month", 3),
        ("year", 2026),
    ],
)
def test_now_has_fields(name: str, value: Any) -> None:
    assert now_field(to_datetime(AT, PARIS), name) == value


def test_now_has_no_other_fields() -> None:
    for name in ("second", "tzinfo", "isoformat", "__class__", ""):
        with pytest.raises(KeyError):
            now_field(to_datetime(AT), name)
    assert [now_field(to_datetime(AT), name) for name in NOW_FIELDS]


def test_the_weekday_is_that_of_the_users_calendar() -> None:
    late = to_datetime(parse_at("2026-03-29T23:30:00Z"))
    assert now_field(late, "weekday") == "sun"
    assert now_field(late.astimezone(PARIS), "weekday") == "mon"


def test_the_user_has_a_name_that_nothing_can_hide() -> None:
    state = UserState("ann")
    state.attributes = {"id": "forged", "skill": "expert"}
    assert scope(state=state).user_fields() == {"id": "ann", "skill": "expert"}


def test_an_absent_user_has_no_session() -> None:
    state = UserState("ann")
    state.sessions = {"s1": AT}
    assert scope(state=state).session_fields() == {}


@pytest.mark.parametrize(
    ("named", "open_sessions", "found"),
    [
        (None, {}, None),
        (None, {"": 1}, None),
        (None, {"s1": 1, "s2": 2}, "s1"),
        ("s2", {"s1": 1, "s2": 2}, "s2"),
        ("s3", {}, "s3"),
        ("", {"s1": 1}, "s1"),
    ],
)
def test_the_session_is_the_one_of_the_event_or_the_oldest(
    named: str | None, open_sessions: dict[str, int], found: str | None
) -> None:
    state = UserState("ann")
    state.present_since = AT - 8 * MINUTE
    state.session_events = 3
    state.sessions = open_sessions
    fields = scope(Event("e", "ann", AT, {}, session=named), state).session_fields()
    assert fields.pop("id", None) == found
    assert fields == {"age": timedelta(minutes=8), "events": 3}
    assert set(fields) <= set(SESSION_FIELDS)


def test_time_that_has_been_asked_for_is_not_asked_for_twice() -> None:
    here = scope(state=in_paris())
    assert here.now is here.now
    assert here.at + HOUR > AT
