from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.units import MINUTE
from engine.transport.bodies import Order, read_events, read_frames, read_message, read_one
from engine.transport.decoding import WireError
from engine.transport.wire import EVENTS_MAX, Ping, Said

A, B = '{"type": "a"}', '{"type": "b", "clientId": "c"}'


@pytest.mark.parametrize(
    "body",
    [
        f"[{A}, {B}]",
        f"{A}\n{B}",
        f"{A}\n{B}\n",
        f"\n\n{A}\r\n\n{B}\r\n",
        f'{{"type": "events",\n "events": [{A},\n {B}]}}',
    ],
)
def test_events_come_as_a_list_a_frame_or_lines(body: str) -> None:
    assert read_events(body.encode()) == [Said("a", {}), Said("b", {}, "c")]


def test_one_event_may_take_several_lines() -> None:
    assert read_events(b'{"type":\n "a"\n}') == [Said("a", {})]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "1:1: expected JSON: the text is empty"),
        ('{"type":\n "a",}', "2:6: expected JSON: trailing comma in object"),
        (f'{A}\n{{"type": "b",}}', "2:14: expected JSON: trailing comma in object"),
        (f"{A}\n\n[]", "3:1: expected an event as a JSON object, got a list"),
        (f'{A}\n{{"type": "session.end"}}', '2:1: events of type "session.end" are told by the server alone'),
        (f'[{A}, {{"type": 5}}]', '[1]: expected "type" to be a non-empty string, got a number'),
        ('{"type": "ping"}', 'expected an event, got a frame of type "ping", which is none'),
        ("5", "expected a JSON object, got a number"),
        (f"[{', '.join([A] * (EVENTS_MAX + 1))}]", "expected at most 500 events in one request, got 501"),
        ("\n".join([A] * (EVENTS_MAX + 1)), "expected at most 500 events in one request, got more"),
    ],
)
def test_bad_events_are_refused_with_their_place(body: str, message: str) -> None:
    with pytest.raises(WireError) as refused:
        read_events(body.encode())
    assert refused.value.message == message


def test_the_most_events_of_one_request_are_taken() -> None:
    assert len(read_events("\n".join([A] * EVENTS_MAX).encode())) == EVENTS_MAX


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from([A, B, "{", "[]", ""])).map("\n".join).map(str.encode)
)
def test_whatever_is_posted_is_read_or_refused(body: bytes) -> None:
    for read in (read_events, read_one, read_message, read_frames):
        with suppress(WireError):
            read(body)


def test_one_frame_is_one() -> None:
    assert read_one(A.encode()) == Said("a", {})
    assert read_one(b'{"type": "ping"}') == Ping()
    with pytest.raises(WireError, match="expected one frame, got 2 events"):
        read_one(f'{{"type": "events", "events": [{A}, {B}]}}'.encode())


@pytest.mark.parametrize(
    ("to", "user", "client"), [({"client": "c"}, None, "c"), ({"user": "u"}, "u", None), ({"all": True}, None, None)]
)
def test_a_message_goes_to_one_or_to_all(to: dict[str, object], user: str | None, client: str | None) -> None:
    body = {"to": to, "type": "question", "text": "Well?", "options": ["a"], "data": {"k": 1}}
    assert read_message(json.dumps(body).encode()) == Order(user, client, "question", "Well?", ("a",), {"k": 1})


def test_a_message_may_say_how_long_it_waits_and_what_it_is_known_by() -> None:
    body = {"to": {"all": True}, "type": "question", "expires": "1h30m", "id": "m1"}
    assert read_message(json.dumps(body).encode()) == Order(None, None, "question", "", (), {}, 90 * MINUTE, "m1")


@pytest.mark.parametrize("body", [f"[{A}, {B}]", f"{A}\n{B}\n"])
def test_frames_come_as_a_list_or_lines(body: str) -> None:
    assert read_frames(body.encode()) == [json.loads(A), json.loads(B)]
    assert read_frames(b'{"type":\n "received"}') == [{"type": "received"}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"[{', '.join([A] * (EVENTS_MAX + 1))}]", "expected at most 500 frames in one request, got 501"),
        ("\n".join([A] * (EVENTS_MAX + 1)), "expected at most 500 frames in one request, got more"),
        (f"{A}\n{{", "2:2: expected JSON: the text ends too soon"),
    ],
)
def test_bad_frames_are_refused_with_their_place(body: str, message: str) -> None:
    with pytest.raises(WireError) as refused:
        read_frames(body.encode())
    assert refused.value.message == message


TO = 'expected "to" to be {"user": NAME}, {"user": NAME, "client": NAME}, {"client": NAME} or {"all": true}'
GOOD = {"to": {"all": True}, "type": "question", "text": "Well?"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"to": None}, TO),
        ({"to": {"all": False}}, TO),
        ({"to": {"client": ""}}, TO),
        ({"to": {"client": "a", "all": True}}, TO),
        ({"type": ""}, 'expected "type" to be a string of 1 to 128 characters'),
        ({"text": 5}, 'expected "text" to be a string of at most 16384 characters'),
        ({"text": "x" * 16385}, 'expected "text" to be a string of at most 16384 characters'),
        ({"options": ["x", 1]}, 'expected "options" to be a list of at most 20 strings'),
        ({"options": ["x"] * 21}, 'expected "options" to be a list of at most 20 strings'),
        ({"data": []}, 'expected "data" to be an object'),
        ({"txt": "x"}, 'expected only to, type, text, options, data, expires, id, got "txt"'),
        ({"expires": "soon"}, '"expires": expected a duration such as "90s", "5m" or "1h30m", got "soon"'),
        ({"expires": 60}, 'expected "expires" to be a duration such as "10m", got a number'),
        ({"id": ""}, 'expected "id" to be a non-empty string, got an empty string'),
    ],
)
def test_a_bad_message_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(WireError) as refused:
        read_message(json.dumps({**GOOD, **change}).encode())
    assert refused.value.message == message


def test_a_message_cannot_have_a_type_of_the_protocol() -> None:
    with pytest.raises(WireError, match='"error" is a type of the protocol itself; choose another'):
        read_message(json.dumps({**GOOD, "type": "error"}).encode())
