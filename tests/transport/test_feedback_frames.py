from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import is_activity
from engine.core.remembered import NAMES_MAX
from engine.transport.decoding import WireError
from engine.transport.feedback import LEVELS, OUTCOMES, PREFERENCES, read_outcome, read_preferences

SNOOZES = [0, 1.5, 1_774_605_600_000, "2026-03-27T10:00:00Z", "2026-03-27T11:00:00+01:00"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_is_an_event_about_its_message(outcome: str) -> None:
    event_type, data = read_outcome({"type": "outcome", "id": "m1", "outcome": outcome, "clientId": "ann"})
    assert (event_type, data) == (f"message.{outcome}", {"message_id": "m1"})
    assert not is_activity(event_type)


@pytest.mark.parametrize(("given", "data"), [({"response": "Yes"}, {"response": "Yes"}), ({"response": None}, {})])
def test_an_outcome_may_say_what_was_answered(given: dict[str, Any], data: dict[str, Any]) -> None:
    assert read_outcome({"id": "m1", "outcome": "answered", **given})[1] == {"message_id": "m1", **data}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({}, 'expected "id" to be the id of a message, a non-empty string, got nothing'),
        ({"id": ""}, 'expected "id" to be the id of a message, a non-empty string, got an empty string'),
        ({"id": 7}, 'expected "id" to be the id of a message, a non-empty string, got a number'),
        ({"id": "m" * 129}, 'expected "id" to have at most 128 characters, got 129'),
        ({"id": "m"}, 'expected "outcome" to be seen, engaged, answered, dismissed or muted, got nothing'),
        (
            {"id": "m", "outcome": "delivered"},
            'expected "outcome" to be seen, engaged, answered, dismissed or muted, got "delivered"',
        ),
        (
            {"id": "m", "outcome": ["seen"]},
            'expected "outcome" to be seen, engaged, answered, dismissed or muted, got a list',
        ),
        ({"id": "m", "outcome": "answered", "response": 1}, 'expected "response" to be a string, got a number'),
        (
            {"id": "m", "outcome": "seen", "rule": "idle"},
            'expected only outcome, response besides type, clientId, id, session, at, got "rule"',
        ),
    ],
)
def test_an_outcome_that_cannot_be_meant_is_refused(frame: dict[str, Any], message: str) -> None:
    with pytest.raises(WireError) as refused:
        read_outcome({"type": "outcome", **frame})
    assert (refused.value.code, refused.value.message) == ("bad_frame", message)


@pytest.mark.parametrize(
    "data",
    [
        *({"level": level} for level in LEVELS),
        {"muted": []},
        {"muted": ["idle", "topic", "*"]},
        {"muted": ["m" * 128] * NAMES_MAX},
        {"mute": ["idle"]},
        {"unmute": ["idle", "*"], "mute": []},
        {"snoozedUntil": None},
        *({"snoozedUntil": moment} for moment in SNOOZES),
        {"snoozed": {}},
        {"snoozed": {"idle": 0, "tips": "2026-03-27T10:00:00Z"}},
        {"level": "more", "muted": [], "snoozedUntil": None, "snoozed": {}},
    ],
)
def test_preferences_are_told_as_they_were_said_and_only_those_that_were(data: dict[str, Any]) -> None:
    assert read_preferences({"type": "preferences", "clientId": "ann", "at": 5, **data}) == data


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({}, "expected at least one of level, muted, mute, unmute, snoozedUntil, snoozed, got none"),
        (
            {"snooze": 5},
            "expected only level, muted, mute, unmute, snoozedUntil, snoozed "
            'besides type, clientId, id, session, at, got "snooze"',
        ),
        ({"level": "Off"}, 'expected "level" to be off, less, normal or more, got "Off"'),
        ({"level": None}, 'expected "level" to be off, less, normal or more, got null'),
        ({"muted": "idle"}, 'expected "muted" to be a list of rules and topics, got a string'),
        ({"mute": "idle"}, 'expected "mute" to be a list of rules and topics, got a string'),
        ({"unmute": [""]}, 'expected the names in "unmute" to be of 1 to 128 characters, got an empty string'),
        ({"muted": [1]}, 'expected the names in "muted" to be of 1 to 128 characters, got a number'),
        ({"muted": [""]}, 'expected the names in "muted" to be of 1 to 128 characters, got an empty string'),
        ({"muted": ["m" * 129]}, 'expected the names in "muted" to be of 1 to 128 characters, got one of 129'),
        ({"muted": ["m"] * 101}, 'expected "muted" to name at most 100 rules and topics, got 101'),
        (
            {"snoozedUntil": "15m"},
            '"snoozedUntil": expected an RFC 3339 time such as "2026-03-27T10:00:00Z", got "15m"',
        ),
        ({"snoozedUntil": True}, '"snoozedUntil": expected a time, got True'),
        ({"snoozed": ["idle"]}, 'expected "snoozed" to be an object, rule or topic to time, got a list'),
        ({"snoozed": {"": 0}}, 'expected the names in "snoozed" to be of 1 to 128 characters, got an empty string'),
        ({"snoozed": {"idle": None}}, '"snoozed.idle": expected a time, got None'),
        (
            {"snoozed": {str(number): 0 for number in range(101)}},
            'expected "snoozed" to name at most 100 rules and topics, got 101',
        ),
    ],
)
def test_preferences_that_cannot_be_meant_are_refused(frame: dict[str, Any], message: str) -> None:
    with pytest.raises(WireError) as refused:
        read_preferences({"type": "preferences", **frame})
    assert (refused.value.code, refused.value.message) == ("bad_frame", message)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from([*OUTCOMES, *LEVELS, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*PREFERENCES, "id", "outcome", "response", "type"]), values))
def test_whatever_a_frame_holds_is_read_or_refused(frame: dict[str, Any]) -> None:
    for read in (read_outcome, read_preferences):
        with suppress(WireError):
            read(frame)
