"""All that is remembered of one user, written and read again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.kept import KEPT_EVENT_BYTES_MAX, KEPT_TEXT_MAX
from engine.core.model import Event, Message
from engine.core.remembered import LEVELS, MESSAGES_MAX, Held, Outstanding, Preferences
from engine.core.state import (
    ATTRIBUTE_BYTES_MAX,
    FIELD_COUNT,
    SESSION_NAME_MAX,
    STATE_BYTES_MAX,
    STATE_VERSION,
    Sent,
    StateTooLarge,
    StateUnreadable,
    StateVersionUnknown,
    UserState,
    is_small_attribute,
    keep,
    session_name,
)
from engine.core.units import to_datetime

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
sents = st.builds(
    Sent, moments, counts, counts, counts, st.lists(moments, max_size=4), counts,
    st.none() | st.dictionaries(names, moments, min_size=1, max_size=3),
)  # fmt: skip
outstanding = st.builds(Outstanding, names, moments, st.none() | moments, st.booleans(), st.booleans())
preferences = st.builds(
    Preferences, st.sampled_from(LEVELS), st.lists(names, max_size=3), st.dictionaries(names, moments, max_size=3)
)
messages = st.builds(
    Message, names, names, names, st.lists(names, max_size=3).map(tuple),
    st.dictionaries(names, json_values, max_size=2), st.none() | moments,
)  # fmt: skip
zones = st.sampled_from(("Etc/UTC", "Europe/Paris", "America/St_Johns")).map(ZoneInfo)
facts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | names
    | st.builds(to_datetime, st.integers(0, 2**51), zones) | moments.map(lambda span: timedelta(microseconds=span)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
helds = st.builds(
    Held, names, moments, messages, st.none() | events, st.dictionaries(names, facts, max_size=3),
    until=st.none() | moments, quiet_until=st.none() | moments, reached=st.booleans(), variant=st.none() | names,
    probability=st.none() | st.floats(0, 1),
)  # fmt: skip


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
    state.opened_by = draw(st.just(state.last_activity) | st.none() | events)
    state.left_at = draw(st.none() | moments)
    state.preferences = draw(st.none() | preferences)
    state.spent = draw(st.dictionaries(names, sents, max_size=2))
    state.messages = draw(st.dictionaries(names, outstanding, max_size=3))
    state.finished = draw(st.dictionaries(names, names, max_size=3))
    state.held = draw(st.lists(helds, max_size=2).map(tuple))
    return state


def plain_value(value: Any) -> Any:
    """The value with all that compares by identity as its fields."""
    if isinstance(value, Sent | Outstanding | Preferences | Held):
        return type(value), {name: plain_value(getattr(value, name)) for name in type(value).__slots__}
    if isinstance(value, Mapping):
        return {name: plain_value(item) for name, item in value.items()}
    return [plain_value(item) for item in value] if isinstance(value, list | tuple) else value


def fields(state: UserState) -> dict[str, Any]:
    return {name: plain_value(getattr(state, name)) for name in UserState.__slots__}


@given(states())
def test_a_state_reads_back_as_it_was_written(state: UserState) -> None:
    encoded = state.encode()
    again = UserState.decode(encoded)
    assert fields(again) == fields(state)
    assert again.encode() == encoded


@given(states())
def test_what_is_in_order_stays_in_order(state: UserState) -> None:
    again = UserState.decode(state.encode())
    assert list(again.messages) == list(state.messages)
    assert list(again.finished) == list(state.finished)
    assert [list(sent.by_value or ()) for sent in again.spent.values()] == [
        list(sent.by_value or ()) for _, sent in sorted(state.spent.items())
    ]


@given(states())
def test_the_event_that_opened_a_session_is_written_once_where_it_is_the_last_activity(state: UserState) -> None:
    state.opened_by = state.last_activity
    again = UserState.decode(state.encode())
    assert again.opened_by is again.last_activity


# As version 1 wrote them: a new user, one with everything, and one with halves of characters.
NEW_1 = "dc001001a3616e6effffc08080c0c00000c0c0008080"
_REST_1 = (
    "82a27331cf00064dfe6ca44200a0cf00064dfe729a2300c0cf00064dfe6ca44200030496ab746573742e6661696c6564cf00064dfe906788"
    "0082a474657374a27431a16e9301cb4004000000000000c0a26539a27331cf00064dfe905845c0cf00064dfe906788001181a468696e7495"
    "cf00064dfe7e85e50005030192cf00064dfe78900400cf00064dfe7e85e50081b368696e742f636f756e742d303030303030303081a091cf"
    "00064dfe8a71a700"
)
FULL_1 = (
    "dc001001a3616e6ecf00064dfe9067880000cf00064dfea2492b0082a46e616d65a3416e6ea56c6576656c02" + _REST_1
)  # fmt: skip
BROKEN_1 = "dc001101c407616e6e20eda080cf00064dfe9067880000cf00064dfea2492b0081a46e616d65c403edb080" + _REST_1 + "c3"


def test_a_new_user_of_version_1_is_a_new_user() -> None:
    state = UserState.decode(bytes.fromhex(NEW_1))
    assert fields(state) == fields(UserState("ann"))
    assert state.encode() == UserState("ann").encode()


@pytest.mark.parametrize(
    ("written", "user", "attributes"),
    [(FULL_1, "ann", {"name": "Ann", "level": 2}), (BROKEN_1, "ann \ud800", {"name": "\udc00"})],
)
def test_what_version_1_remembered_is_remembered(written: str, user: str, attributes: dict[str, Any]) -> None:
    at = 1774605600000000
    state = UserState(user)
    state.now, state.rules_since, state.wake, state.attributes = at, 0, at + 300_000_000, attributes
    state.sessions = {"s1": at - 600_000_000, "": at - 500_000_000}
    state.present_since, state.presence, state.session_events = at - 600_000_000, 3, 4
    state.last_activity = Event(
        "test.failed", user, at, {"test": "t1", "n": [1, 2.5, None]}, "e9", "s1", at - 1_000_000
    )
    state.idle_since, state.activity_count = at, 17
    state.sent = {"hint": Sent(at - 300_000_000, 5, 3, 1, [at - 400_000_000, at - 300_000_000])}
    state.memory = {"hint/count-00000000": {"": [at - 100_000_000]}}
    read = UserState.decode(bytes.fromhex(written))
    assert fields(read) == fields(state)
    assert fields(UserState.decode(read.encode())) == fields(state)


def test_messages_beyond_their_bound_push_out_the_oldest() -> None:
    state = UserState("ann")
    for number in range(MESSAGES_MAX + 2):
        state.add_message(f"m{number}", Outstanding("r", number))
    assert list(state.messages) == [f"m{number}" for number in range(2, MESSAGES_MAX + 2)]
    assert state.finished == {"m0": "r", "m1": "r"}


def test_what_one_user_has_nothing_of_is_nothing_of_another() -> None:
    ann, bob = UserState("ann"), UserState("bob")
    ann.add_message("m", Outstanding("r", 1))
    ann.spending("b").count(1, 0, 1, 1)
    assert (dict(bob.messages), dict(bob.spent), list(bob.held)) == ({}, {}, [])
    ann.drop_message("m")
    ann.drop_spending("b")
    assert (dict(ann.finished), dict(bob.finished)) == ({"m": "r"}, {})
    ann.finished = bob.finished
    assert ann.encode() == UserState("ann").encode()
    with pytest.raises(TypeError, match="belongs to one user"):
        ann.messages["m"] = Outstanding("r", 1)  # type: ignore[index]


def broken() -> UserState:
    state = UserState("ann \ud800")
    state.now = 5
    state.attributes = {"name\udc00": "\ud83d", "list": ["x\ud800", {"\udfff": None}], "whole": "\U0001f600"}
    state.sessions = {"\ud800s": 1, "s": 2}
    state.last_activity = Event("t\ud800", state.user, 5, {"message": "cut \ud83d"}, "\udc00", "\ud800s")
    state.sent = {"r": Sent(3, 1, 1, 1, [3])}
    state.memory = {"k": [1, "\ud800"]}
    state.opened_by = state.last_activity
    message = Message("m", "question", "\ud800?", ("\udc00",), {"\ud800": "\ud800"})
    state.held = (Held("r", 4, message, state.last_activity, {"steps": [{"text": "\ud800"}]}),)
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
    state.opened_by = None
    state.held = ()
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


@pytest.mark.parametrize(
    "fields",
    [
        5, None, "ann", [], [2], [2, "ann"], {}, [2, "ann", *range(14), 5], [2, "ann", *[None] * 15], [[2], "ann"],
    ],
)  # fmt: skip
def test_bytes_that_no_version_wrote_are_said_to_be_damaged(fields: object) -> None:
    with pytest.raises(StateUnreadable, match="bytes that are stored as a state are none"):
        UserState.decode(msgspec.msgpack.encode(fields))


def test_a_state_cut_short_or_with_something_behind_it_is_damaged() -> None:
    encoded = UserState("ann").encode()
    for damaged in (b"", *(encoded[:stop] for stop in range(len(encoded))), encoded + b"x"):
        with pytest.raises(StateUnreadable):
            UserState.decode(damaged)
