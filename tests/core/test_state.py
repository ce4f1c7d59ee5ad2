"""All that is remembered of one user, written and read again."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.kept import KEPT_EVENT_BYTES_MAX, KEPT_TEXT_MAX
from engine.core.model import Event
from engine.core.state import (
    ATTRIBUTE_BYTES_MAX,
    FIELD_COUNT,
    SESSION_NAME_MAX,
    STATE_BYTES_MAX,
    STATE_VERSION,
    Sent,
    StateTooLarge,
    StateVersionUnknown,
    UserState,
    is_small_attribute,
    keep,
    session_name,
)

moments = st.integers(0, 2**53)
counts = st.integers(0, 2**31)
names = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    Event, names, st.just("ann"), moments, st.dictionaries(names, json_values, max_size=4), names, st.none() | names,
    st.none() | moments,
)  # fmt: skip
sents = st.builds(Sent, moments, counts, counts, counts, st.lists(moments, max_size=4))


@st.composite
def states(draw: st.DrawFn) -> UserState:
    state = UserState("ann")
    state.now = draw(moments)
    state.rules_since = draw(moments)
    state.wake = draw(st.none() | moments)
    state.attributes = draw(st.dictionaries(names, json_values, max_size=3))
    state.sessions = draw(st.dictionaries(names, moments, max_size=3))
    state.implicit_since = draw(st.none() | moments)
    state.present_since = draw(st.none() | moments)
    state.presence = draw(counts)
    state.session_events = draw(counts)
    state.last_activity = draw(st.none() | events)
    state.idle_since = draw(st.none() | moments)
    state.activity_count = draw(counts)
    state.sent = draw(st.dictionaries(names, sents, max_size=3))
    state.memory = draw(st.dictionaries(names, counts | st.lists(counts, max_size=3), max_size=3))
    return state


def fields(state: UserState) -> dict[str, Any]:
    values = {name: getattr(state, name) for name in UserState.__slots__}
    values["sent"] = {
        rule: tuple(getattr(sent, name) for name in Sent.__slots__) for rule, sent in values["sent"].items()
    }
    return values


@given(states())
def test_a_state_reads_back_as_it_was_written(state: UserState) -> None:
    encoded = state.encode()
    again = UserState.decode(encoded)
    assert fields(again) == fields(state)
    assert again.encode() == encoded


def broken() -> UserState:
    state = UserState("ann \ud800")
    state.now = 5
    state.attributes = {"name\udc00": "\ud83d", "list": ["x\ud800", {"\udfff": None}], "whole": "\U0001f600"}
    state.sessions = {"\ud800s": 1, "s": 2}
    state.last_activity = Event("t\ud800", state.user, 5, {"message": "cut \ud83d"}, "\udc00", "\ud800s")
    state.sent = {"r": Sent(3, 1, 1, 1, [3])}
    state.memory = {"k": [1, "\ud800"]}
    return state


def test_half_a_character_survives_the_encoding() -> None:
    read = UserState.decode(broken().encode())
    assert fields(read) == fields(broken())
    assert read.encode() == broken().encode()
    assert list(read.sessions) == ["\ud800s", "s"]


def test_a_state_without_half_characters_is_encoded_as_if_there_were_none() -> None:
    state = broken()
    state.attributes = {}
    state.sessions = {}
    state.last_activity = None
    state.memory = {}
    assert len(msgspec.msgpack.decode(state.encode())) == FIELD_COUNT + 1
    whole = UserState("ann")
    assert len(msgspec.msgpack.decode(whole.encode())) == FIELD_COUNT


@pytest.mark.parametrize(("text", "size"), [("\ud800", 3 + 2), ("a\udfff", 4 + 2), ('é\ud800"', 2 + 3 + 2 + 2)])
def test_half_a_character_takes_three_bytes_of_a_bound(text: str, size: int) -> None:
    room = ATTRIBUTE_BYTES_MAX - size
    assert is_small_attribute("n" * room, text)
    assert not is_small_attribute("n" * (room + 1), text)


def test_a_large_event_with_half_characters_is_cut_like_any_other() -> None:
    event = Event("e", "ann", 1, {"half": "\ud800" * 3000, "number": 1, "long": ["\ud800" * 3000]})
    assert keep(event).data == {"half": "\ud800" * KEPT_TEXT_MAX, "number": 1}
    assert keep(keep(event)) == keep(event)


@given(states())
def test_sessions_keep_the_order_in_which_they_were_opened(state: UserState) -> None:
    again = UserState.decode(state.encode())
    assert list(again.sessions) == list(state.sessions)
    assert again.oldest_session() == state.oldest_session()


@given(states(), st.randoms(use_true_random=False))
def test_equal_states_give_equal_bytes_however_they_came_about(state: UserState, chance: random.Random) -> None:
    encoded = state.encode()
    for table in (state.sent, state.memory):
        items = list(table.items())
        chance.shuffle(items)
        table.clear()
        table.update(items)  # type: ignore[arg-type]  # each gets back what was its own
    assert state.encode() == encoded


def test_a_new_state_is_small() -> None:
    assert len(UserState("ann").encode()) < 40


def test_a_state_that_is_too_large_is_not_written() -> None:
    state = UserState("ann")
    room = STATE_BYTES_MAX - len(state.encode())
    # The name takes one byte for its length and one, the text five for its own.
    state.memory = {"m": "x" * (room - 7)}
    assert len(state.encode()) == STATE_BYTES_MAX
    state.memory = {"m": "x" * (room - 6)}
    with pytest.raises(StateTooLarge) as refused:
        state.encode()
    assert str(refused.value) == (
        f"the state of user 'ann' would take {STATE_BYTES_MAX + 1} bytes, at most {STATE_BYTES_MAX}"
    )


def test_a_state_of_a_later_version_is_not_misread() -> None:
    later = msgspec.msgpack.encode((STATE_VERSION + 1, "ann", {"all": "new"}))
    with pytest.raises(StateVersionUnknown) as refused:
        UserState.decode(later)
    assert str(refused.value) == f"state of version {STATE_VERSION + 1}, this engine knows {STATE_VERSION}"


# Events that are kept.


def json_bytes(data: Any) -> int:
    return len(msgspec.json.encode(data))


def filled(size: int) -> dict[str, str]:
    """Data of exactly that many bytes as JSON, in texts that are too short to be cut."""
    data = {str(number): "x" * 100 for number in range(size // 120)}
    data["z"] = "x" * 10
    data["z"] += "x" * (size - json_bytes(data))
    assert json_bytes(data) == size
    return data


def test_a_small_event_is_kept_as_it_is() -> None:
    event = Event("e", "ann", 7, filled(KEPT_EVENT_BYTES_MAX), "id", "s1", 5)
    assert keep(event) is event


def test_a_larger_event_loses_fields_and_nothing_else() -> None:
    event = Event("e", "ann", 7, {**filled(KEPT_EVENT_BYTES_MAX - 20), "last": "y" * 200, "n": 1}, "id", "s1", 5)
    kept = keep(event)
    assert json_bytes(kept.data) <= KEPT_EVENT_BYTES_MAX
    assert kept.data["n"] == 1
    assert "last" not in kept.data
    assert msgspec.structs.replace(kept, data=event.data) == event


def test_a_long_text_of_a_large_event_is_cut() -> None:
    kept = keep(Event("e", "ann", 7, {"log": "x" * 100_000, "list": ["x" * 3000], "ok": True}))
    assert kept.data == {"log": "x" * KEPT_TEXT_MAX, "ok": True}


@given(
    st.dictionaries(
        st.text(max_size=2000),
        st.text(min_size=1000, max_size=6000) | st.lists(st.text(max_size=2000), max_size=3) | st.integers(0, 9),
        max_size=12,
    )
)
def test_what_is_kept_is_bounded_and_cutting_twice_is_cutting_once(data: dict[str, Any]) -> None:
    event = Event("e", "ann", 7, data)
    kept = keep(event)
    assert json_bytes(kept.data) <= KEPT_EVENT_BYTES_MAX
    assert keep(kept) == kept
    for name, value in kept.data.items():
        whole = data[name]
        assert value == whole or (isinstance(whole, str) and value == whole[:KEPT_TEXT_MAX])


def test_a_state_keeps_of_a_large_event_what_keep_says() -> None:
    state = UserState("ann")
    state.last_activity = Event("e", "ann", 7, {"log": "x" * 100_000})
    again = UserState.decode(state.encode())
    assert again.last_activity == keep(state.last_activity)


# What a state takes over.


def test_the_name_of_a_session_is_cut_to_its_bound() -> None:
    assert session_name(Event("session.start", "ann", 0, {})) == ""
    assert session_name(Event("session.start", "ann", 0, {}, session="s" * SESSION_NAME_MAX)) == "s" * SESSION_NAME_MAX
    assert session_name(Event("session.start", "ann", 0, {}, session="s" * 999)) == "s" * SESSION_NAME_MAX


def test_an_attribute_is_taken_over_up_to_its_bound() -> None:
    quotes_and_name = 3
    assert is_small_attribute("a", "x" * (ATTRIBUTE_BYTES_MAX - quotes_and_name))
    assert not is_small_attribute("a", "x" * (ATTRIBUTE_BYTES_MAX - quotes_and_name + 1))
    assert not is_small_attribute("a", ["é" * (ATTRIBUTE_BYTES_MAX // 2)])
