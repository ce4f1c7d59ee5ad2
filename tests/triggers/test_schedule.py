"""What the vectors of `schedule` do not show: building, and the moments at their edges."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from engine.core.cron import parse_cron
from engine.core.refusal import Refused
from engine.core.rules import Policy, Trigger
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, SECOND, parse_at
from engine.core.zones import parse_zone
from engine.triggers.schedule import KIND, parse_interval, parse_schedule_zone

PARIS = parse_zone("Europe/Paris")
START = parse_at("2026-03-27T10:00:00Z")


def present(since: int, now: int, **attributes: Any) -> UserState:
    state = UserState("ann")
    state.present_since, state.now, state.attributes = since, now, attributes
    return state


def build(**values: Any) -> Trigger:
    trigger = KIND.build(values, "r/0/f")
    assert isinstance(trigger, Trigger)
    return trigger


@pytest.mark.parametrize("values", [{"every": 10 * MINUTE}, {"cron": parse_cron("* * * * *")}, {"at": ((9, 0),)}])
def test_nothing_is_due_while_the_user_is_absent(values: dict[str, Any]) -> None:
    state = UserState("ann")
    state.now = START
    assert build(**values).due(state, Policy()) is None


@pytest.mark.parametrize(
    ("now", "due"),
    [(0, 10), (10 * MINUTE - 1, 10), (10 * MINUTE, 20), (10 * MINUTE + 1, 20), (3 * HOUR, 190)],
)
def test_every_counts_from_the_start_of_presence(now: int, due: int) -> None:
    trigger = build(every=10 * MINUTE)
    assert trigger.due(present(START, START + now), Policy()) == START + due * MINUTE


@pytest.mark.parametrize(
    ("zone", "attributes", "hour_utc"),
    [
        (None, {"timezone": "America/New_York"}, 11),
        ("UTC", {"timezone": "America/New_York"}, 12),
        ("user", {"timezone": "America/New_York"}, 16),
        ("user", {}, 11),
        ("user", {"timezone": "Mars/Olympus"}, 11),
        ("user", {"timezone": 7}, 11),
    ],
)
def test_the_zone_is_the_one_written_or_the_users_or_the_policys(
    zone: str | None, attributes: dict[str, Any], hour_utc: int
) -> None:
    values = {"at": ((12, 0),)} if zone is None else {"at": ((12, 0),), "timezone": parse_schedule_zone(zone)}
    state = present(START, START, **attributes)
    due = build(**values).due(state, Policy(zone=PARIS))
    assert due == parse_at(f"2026-03-27T{hour_utc:02}:00:00Z")


def test_the_facts_are_the_moment_in_its_zone_and_there_is_no_event() -> None:
    trigger = build(at=((12, 0),), timezone=PARIS)
    state = present(START, START)
    due = trigger.due(state, Policy())
    assert due is not None
    state.now = due
    fired = trigger.fire(state, Policy())
    assert fired is not None
    assert fired.event is None
    assert (fired.facts["at"].hour, fired.facts["at"].astimezone(UTC).hour) == (12, 11)
    assert trigger.due(state, Policy()) == due + 24 * HOUR


def test_days_hold_for_times_alone() -> None:
    trigger = build(at=((9, 0),), days=("mon",))
    assert trigger.due(present(START, START), Policy()) == parse_at("2026-03-30T09:00:00Z")
    for values in ({"cron": parse_cron("@daily")}, {"every": HOUR}):
        with pytest.raises(Refused, match='"days" belongs to "at"'):
            build(**values, days=("mon",))


def test_a_zone_beside_every_is_refused() -> None:
    with pytest.raises(Refused, match='"timezone" says nothing beside "every"'):
        build(every=HOUR, timezone="user")


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(Refused, match='expected an IANA time zone such as "Europe/Paris", got "User"'):
        parse_schedule_zone("User")


def test_every_is_at_least_a_second() -> None:
    assert parse_interval("1s") == SECOND
    with pytest.raises(Refused, match='expected at least 1s, got "999ms"'):
        parse_interval("999ms")
