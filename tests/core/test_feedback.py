"""What comes back of messages, where the vectors do not show it: whom it is about, what nobody can mean, and bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply, run
from engine.core.feedback import take_preferences, take_receipt
from engine.core.model import Decision, Event
from engine.core.remembered import LEVELS, MESSAGES_MAX, NAMES_MAX, Outstanding, Preferences
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import DAY, HOUR, MINUTE, format_at, parse_at
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
RULES = """
version: 1
policy: {simultaneous: 9}
rules:
  - {id: r, topic: testing, trigger: {event: e}, expires: 10m, message: {type: question, text: x}}
  - {id: s, trigger: {event: e}, message: {type: suggestion, text: x}}
  - id: heard
    trigger: {event: message.*}
    message: {type: notification, text: "{{ event.type }} {{ event.rule | default('none') }}"}
"""
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def rule_set() -> RuleSet:
    return load({"rules.yaml": RULES}, KINDS)


def state_with(**messages: Outstanding) -> UserState:
    state = UserState("ann")
    state.now = START
    state.messages = dict(messages)
    return state


def receipt(word: str, **data: Any) -> Event:
    return Event(f"message.{word}", "ann", START, data)


def test_the_event_says_which_message_it_is_about() -> None:
    state = state_with(m1=Outstanding("r", 1), m2=Outstanding("s", 2))
    assert take_receipt(rule_set(), state, receipt("seen", message_id="m1", note=1)).data == {
        "message_id": "m1",
        "note": 1,
        "rule": "r",
        "message_type": "question",
        "topic": "testing",
    }
    assert take_receipt(rule_set(), state, receipt("seen", rule="s")).data == {
        "message_id": "m2",
        "rule": "s",
        "message_type": "suggestion",
    }


def test_an_id_goes_before_the_rule_that_is_named_beside_it() -> None:
    state = state_with(m1=Outstanding("r", 1), m2=Outstanding("s", 2))
    event = take_receipt(rule_set(), state, receipt("answered", message_id="m1", rule="s"))
    assert event.data["rule"] == "r"
    assert list(state.messages) == ["m2"]


@pytest.mark.parametrize(
    "data",
    [{}, {"message_id": "m9"}, {"message_id": "m9", "rule": "r"}, {"message_id": 7, "rule": "r"}, {"rule": "gone"}],
)
@pytest.mark.parametrize("word", ["delivered", "seen", "engaged", "answered", "dismissed", "expired"])
def test_what_is_about_no_message_names_no_rule_and_changes_nothing(word: str, data: dict[str, Any]) -> None:
    state = state_with(m1=Outstanding("r", 1, waits=True))
    before = state.encode()
    event = take_receipt(rule_set(), state, receipt(word, **data))
    assert event.data == {name: value for name, value in data.items() if name != "rule"}
    assert state.encode() == before


@pytest.mark.parametrize("word", ["answered", "dismissed", "muted", "expired"])
def test_a_rule_is_muted_also_by_a_message_of_which_nothing_more_was_to_come(word: str) -> None:
    state = state_with(m1=Outstanding("r", 1), m2=Outstanding("s", 2))
    take_receipt(rule_set(), state, receipt(word, message_id="m1"))
    state.preferences = None
    again = UserState.decode(state.encode())
    event = take_receipt(rule_set(), again, receipt("muted", message_id="m1", rule="s"))
    assert event.data == {"message_id": "m1", "rule": "r", "message_type": "question", "topic": "testing"}
    assert again.preferences is not None
    assert again.preferences.muted == ["r"]
    # Anything else comes too late.
    late = take_receipt(rule_set(), again, receipt("answered", message_id="m1"))
    assert late.data == {"message_id": "m1"}


@pytest.mark.parametrize(("after", "kept"), [(-1, False), (0, False), (1, True)])
def test_what_is_snoozed_until_now_is_not_remembered(after: int, kept: bool) -> None:
    state = state_with()
    until = format_at(START + after)
    take_preferences(state, {"snoozed": {"r": until}, "snoozedUntil": until})
    assert (state.preferences is not None) == kept


def test_of_messages_that_are_over_the_latest_can_still_be_muted() -> None:
    names = [f"m{number}" for number in range(MESSAGES_MAX + 1)]
    state = state_with(**{name: Outstanding("r", 1) for name in names})
    for name in names:
        state.drop_message(name)
    take_receipt(rule_set(), state, receipt("muted", message_id="m0"))
    assert state.preferences is None
    take_receipt(rule_set(), state, receipt("muted", message_id="m1"))
    assert state.preferences is not None


def test_of_several_messages_of_a_rule_the_latest_is_meant() -> None:
    state = state_with(m1=Outstanding("r", 1), m2=Outstanding("r", 2), m3=Outstanding("s", 3))
    found = [take_receipt(rule_set(), state, receipt("dismissed", rule="r")).data.get("message_id") for _ in range(3)]
    assert found == ["m2", "m1", None]


@pytest.mark.parametrize(
    ("word", "stays"),
    [
        ("delivered", True),
        ("seen", True),
        ("engaged", True),
        ("answered", False),
        ("dismissed", False),
        ("muted", False),
    ],
)
def test_after_some_words_nothing_more_is_to_come(word: str, stays: bool) -> None:
    state = state_with(m1=Outstanding("r", 1, waits=True))
    take_receipt(rule_set(), state, receipt(word, message_id="m1"))
    assert ("m1" in state.messages) == stays
    # Whatever is said of it, somebody has got it.
    assert not any(message.waits for message in state.messages.values())


@pytest.mark.parametrize(
    ("words", "ignored"),
    [
        ((), True),
        (("delivered", "seen"), True),
        (("engaged",), False),
        (("engaged", "seen"), False),
        (("answered",), False),
        (("dismissed",), False),
        (("muted",), False),
    ],
)
@pytest.mark.parametrize("at", [MINUTE, 10 * MINUTE - 1])
def test_only_what_nobody_has_turned_to_is_ignored(words: tuple[str, ...], ignored: bool, at: int) -> None:
    events = [
        Event("e", "ann", START, {}),
        *[Event(f"message.{word}", "ann", START + at, {"rule": "r"}) for word in words],
    ]
    decisions: list[Decision] = []
    run(Timeline(rule_set()), UserState("ann"), events, START + HOUR, decisions)
    texts = [(decision.at - START, decision.message.text) for decision in decisions if decision.message is not None]
    assert ((10 * MINUTE, "message.expired r") in texts) == ignored
    assert sum("expired" in text for _, text in texts) == ignored


def test_a_receipt_at_the_very_expiry_comes_too_late() -> None:
    timeline, state, decisions = Timeline(rule_set()), UserState("ann"), list[Decision]()
    run(timeline, state, [Event("e", "ann", START, {})], START + 10 * MINUTE - 1, decisions)
    apply(timeline, state, Event("message.answered", "ann", START + 10 * MINUTE, {"rule": "r"}), decisions)
    assert [decision.message.text for decision in decisions if decision.message] == [
        "x",
        "x",
        "message.expired r",
        "message.answered none",
    ]


def test_absent_users_let_messages_expire_as_well() -> None:
    timeline, state, decisions = Timeline(rule_set()), UserState("ann"), list[Decision]()
    events = [Event("session.start", "ann", START, {}), Event("e", "ann", START, {})]
    events += [Event("session.end", "ann", START + 1, {})]
    run(timeline, state, events, START + MINUTE, decisions)
    assert state.present_since is None
    advance(timeline, state, START + HOUR, decisions)
    assert [(decision.at - START, decision.rule, decision.outcome) for decision in decisions][2:] == [
        (10 * MINUTE, "heard", "absent")
    ]
    assert state.wake is None


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_that_is_known_is_taken(level: str) -> None:
    state = state_with()
    take_preferences(state, {"level": level})
    assert (state.preferences or Preferences()).level == level


@pytest.mark.parametrize(
    "data",
    [
        {"level": "loud"},
        {"level": None},
        {"level": 1},
        {"muted": "r"},
        {"muted": {"r": True}},
        {"muted": None},
        {"snoozed": ["r"]},
        {"snoozed": None},
        {"snoozedUntil": "soon"},
        {"snoozedUntil": True},
        {"snoozedUntil": {}},
        {"unheard": "of"},
        {},
    ],
)
def test_what_cannot_be_meant_leaves_what_was_wished(data: dict[str, Any]) -> None:
    state = state_with()
    wished = {
        "level": "less",
        "muted": ["r"],
        "snoozed": {"s": format_at(START + 1)},
        "snoozedUntil": format_at(START + 1),
    }
    take_preferences(state, wished)
    before = state.encode()
    take_preferences(state, data)
    assert state.encode() == before


def test_whoever_takes_back_all_wishes_has_none() -> None:
    state = state_with()
    take_preferences(state, {"level": "less", "muted": ["r"], "snoozed": {"s": format_at(START + 1)}})
    assert state.preferences is not None
    take_preferences(state, {"level": "normal", "muted": [], "snoozed": {}})
    assert state.preferences is None


def test_wishes_are_bounded_in_number_and_length() -> None:
    state = state_with()
    names = [f"r{number}" for number in range(NAMES_MAX + 5)]
    take_preferences(state, {"muted": ["x" * 129, *names, "r0"]})
    take_preferences(state, {"snoozed": {"x" * 129: START + DAY, **{name: format_at(START + DAY) for name in names}}})
    wishes = state.preferences
    assert wishes is not None
    assert wishes.muted == names[:NAMES_MAX]
    assert sorted(wishes.snoozed) == sorted(names[:NAMES_MAX])
    # One more is not muted, and the others stay.
    take_receipt(rule_set(), state, receipt("muted", rule="one more"))
    assert wishes.muted == names[:NAMES_MAX]


@pytest.mark.parametrize(
    ("name", "muted"), [("r", ["r"]), ("gone", ["gone"]), ("", []), ("x" * 129, []), (7, []), (None, [])]
)
def test_a_rule_can_be_muted_though_no_message_of_it_is_known(name: Any, muted: list[str]) -> None:
    state = state_with()
    take_receipt(rule_set(), state, receipt("muted", rule=name))
    assert (state.preferences or Preferences()).muted == muted


def test_a_rule_is_muted_once() -> None:
    state = state_with(m1=Outstanding("r", 1), m2=Outstanding("r", 2))
    take_receipt(rule_set(), state, receipt("muted", message_id="m1"))
    take_receipt(rule_set(), state, receipt("muted", message_id="m2"))
    assert (state.preferences or Preferences()).muted == ["r"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ("user.preferences", "message.muted", "message.answered", "message.dismissed", "message.x")
            ),
            st.dictionaries(
                st.sampled_from(("level", "muted", "snoozed", "snoozedUntil", "rule", "message_id", "response")), json
            ),
        ),
        max_size=4,
    )
)
def test_nothing_that_can_be_said_breaks_anything(said: list[tuple[str, dict[str, Any]]]) -> None:
    timeline, state = Timeline(rule_set()), UserState("ann")
    events = [Event("e", "ann", START, {}), *[Event(name, "ann", START, data) for name, data in said]]
    # As JSON brings it.
    events = msgspec.json.decode(msgspec.json.encode(events), type=list[Event])
    run(timeline, state, events, START + HOUR, [])
    encoded = state.encode()
    assert UserState.decode(encoded).encode() == encoded
