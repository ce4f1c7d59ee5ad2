from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Message
from engine.core.units import SECOND
from engine.storage.base import OutboxMessage
from engine.transport.decoding import DEPTH_MAX, WireError
from engine.transport.wire import (
    EVENTS_MAX,
    Ping,
    Said,
    chat_response,
    encode,
    message_frame,
    read_frame,
)

AT = 1_625_097_600 * SECOND + 999_999


def nested(levels: int) -> str:
    """An event that is ``levels`` mappings deep, itself counted."""
    return '{"type":"x"' + ',"a":{"b":1' * (levels - 1) + "}" * levels


NAMEABLE = 'expected "type" to be words of letters, digits, "_" and "-", joined by ".", ":", "/" or one space,'
ZONE = 'expected "timezone" to be an IANA time zone such as "Europe/Paris",'
HALF = "expected JSON: half a surrogate pair, which is no character"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"type": "chat_message", "message": "How?", "mode": "ask", "context": {}, "clientId": "vscode_1234_abcd"}',
            Said("chat_message", {"message": "How?", "mode": "ask", "context": {}}, "vscode_1234_abcd"),
        ),
        (
            '{"type": "user_response", "questionId": "q", "response": "Yes please", "clientId": "c"}',
            Said("user_response", {"questionId": "q", "response": "Yes please"}, "c"),
        ),
        ('{"type": "test.failed", "test": "t1"}', Said("test.failed", {"test": "t1"})),
        ('{"type": "x", "clientId": null, "session": null, "id": null, "at": null}', Said("x", {})),
        (
            '{"type": "x", "id": 7, "session": "s", "at": "1970-01-01T00:00:01Z", "user": "u", "data": {"a": 1}}',
            Said("x", {"user": "u", "data": {"a": 1}}, None, "7", "s", SECOND),
        ),
        ('{"type": "user.identify", "skill": "expert"}', Said("user.identify", {"skill": "expert"})),
        ('{"type": "user.preferences", "level": "off"}', Said("user.preferences", {"level": "off"})),
        ('{"type": "user.identify", "timezone": "Asia/Kolkata"}', Said("user.identify", {"timezone": "Asia/Kolkata"})),
        ('{"type": "user.identify", "timezone": null}', Said("user.identify", {"timezone": None})),
        ('{"type": "moved", "timezone": "Paris"}', Said("moved", {"timezone": "Paris"})),
        ('{"type": "Hint 2 taken"}', Said("Hint 2 taken", {})),
        ('{"type": "ide:file/öffnen.now_2-b"}', Said("ide:file/öffnen.now_2-b", {})),
        ('{"type": "sessions"}', Said("sessions", {})),
        (
            '{"type": "outcome", "id": "m1", "outcome": "dismissed", "clientId": "c", "at": 1, "session": "s"}',
            Said("message.dismissed", {"message_id": "m1"}, "c", "", "s", SECOND),
        ),
        (
            '{"type": "preferences", "level": "less", "id": "p1", "clientId": "c"}',
            Said("user.preferences", {"level": "less"}, "c", "p1"),
        ),
        ('{"type": "messages.read"}', Said("messages.read", {})),
        (f'{{"type": "{"t" * 128}", "clientId": "{"c" * 128}"}}', Said("t" * 128, {}, "c" * 128)),
        ('{"type": "x", "n": 18446744073709551615}', Said("x", {"n": 2**64 - 1})),
    ],
)
def test_a_frame_is_read_as_what_a_client_said(text: str, said: Said) -> None:
    assert read_frame(text) == [said]


def test_a_ping_is_no_event_and_may_name_its_client() -> None:
    assert read_frame('{"type": "ping"}') == Ping()
    assert read_frame('{"type": "ping", "clientId": "c"}') == Ping("c")


def test_events_stand_together_and_share_the_client_of_their_frame() -> None:
    frame = '{"type": "events", "clientId": "c", "events": [{"type": "a"}, {"type": "b", "clientId": "d"}]}'
    assert read_frame(frame) == [Said("a", {}, "c"), Said("b", {}, "d")]
    frame = '{"type": "events", "events": [{"type": "outcome", "id": "m", "outcome": "seen"}]}'
    assert read_frame(frame) == [Said("message.seen", {"message_id": "m"})]
    assert read_frame('{"type": "events", "events": []}') == []


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "bad_frame", "1:1: expected JSON: the text is empty"),
        ("{", "bad_frame", "1:2: expected JSON: the text ends too soon"),
        (r'{"type": "\ud800"}', "bad_frame", f"1:11: {HALF}"),
        (r'{"type": "\\\ud83d\ude00\udc00 and more"}', "bad_frame", f"1:25: {HALF}"),
        ('{\n"type": "\\ud800 and some more text"}', "bad_frame", f"2:10: {HALF}"),
        (r'{"\uDBFF\uD800": 1, "type": "x"}', "bad_frame", f"1:3: {HALF}"),
        (r'{"a": "\ud83d\ude00\\ud800', "bad_frame", "1:27: expected JSON: the text ends too soon"),
        ('{"type": "x",}', "bad_frame", "1:14: expected JSON: trailing comma in object"),
        ('{\n "type": é}', "bad_frame", "2:10: expected JSON: invalid character"),
        ('{"é": NaN}', "bad_frame", "1:7: expected JSON: invalid character"),
        ('{"type": "x", "n": 1e999}', "bad_frame", "expected numbers that a double can hold, got a larger one"),
        (
            '{"type": "x", "n": 18446744073709551616}',
            "bad_frame",
            "expected integers of at most 64 bits, got one of 65",
        ),
        (
            '{"type": "events", "events": [{"type": "preferences", "level": "loud"}]}',
            "bad_frame",
            'events[0]: expected "level" to be off, less, normal or more, got "loud"',
        ),
        ('"\ud800"', "bad_frame", "expected UTF-8, got something else at offset 1"),
        ("[]", "bad_frame", "expected a JSON object, got a list"),
        ("1", "bad_frame", "expected a JSON object, got a number"),
        ("null", "bad_frame", "expected a JSON object, got null"),
        ("{}", "bad_frame", 'expected a field "type", found none'),
        ('{"type": 1}', "bad_frame", 'expected "type" to be a non-empty string, got a number'),
        ('{"type": null}', "bad_frame", 'expected "type" to be a non-empty string, got null'),
        ('{"type": true}', "bad_frame", 'expected "type" to be a non-empty string, got a boolean'),
        ('{"type": ""}', "bad_frame", 'expected "type" to be a non-empty string, got an empty string'),
        (f'{{"type": "{"t" * 129}"}}', "bad_frame", 'expected "type" to have at most 128 characters, got 129'),
        (
            '{"type": "x", "clientId": ""}',
            "bad_frame",
            'expected "clientId" to be a non-empty string, got an empty string',
        ),
        ('{"type": "x", "clientId": 5}', "bad_frame", 'expected "clientId" to be a non-empty string, got a number'),
        (
            f'{{"type": "x", "clientId": "{"c" * 129}"}}',
            "bad_frame",
            'expected "clientId" to have at most 128 characters, got 129',
        ),
        ('{"type": "x", "id": true}', "bad_frame", 'expected "id" to be a non-empty string, got a boolean'),
        ('{"type": "x", "session": {}}', "bad_frame", 'expected "session" to be a non-empty string, got an object'),
        (
            '{"type": "x", "at": "now"}',
            "bad_frame",
            '"at": expected an RFC 3339 time such as "2026-03-27T10:00:00Z", got "now"',
        ),
        ('{"type": "chat_message"}', "bad_frame", 'expected "message" to be a string, got nothing'),
        ('{"type": "chat_message", "message": null}', "bad_frame", 'expected "message" to be a string, got null'),
        (
            '{"type": "chat_message", "message": "", "context": []}',
            "bad_frame",
            'expected "context" to be an object, got a list',
        ),
        (
            '{"type": "user_response", "questionId": "q"}',
            "bad_frame",
            'expected "response" to be a string, got nothing',
        ),
        (
            '{"type": "user_response", "response": "q"}',
            "bad_frame",
            'expected "questionId" to be a string, got nothing',
        ),
        ('{"type": "events"}', "bad_frame", 'expected "events" to be a list, got null'),
        (
            '{"type": "events", "events": [{"type": "a"}, 5]}',
            "bad_frame",
            "events[1]: expected an event as a JSON object, got a number",
        ),
        (
            '{"type": "events", "events": [{"type": "ping"}]}',
            "bad_frame",
            'events[0]: expected an event, got a frame of type "ping", which is none',
        ),
        (
            '{"type": "events", "events": [{"type": "session.end"}]}',
            "reserved_type",
            'events[0]: events of type "session.end" are told by the server alone',
        ),
        *(
            (f'{{"type": "{name}"}}', "bad_frame", f'{NAMEABLE} such as "test.failed", got "{name}"')
            for name in ("file saved!!", "two  spaces", " x", "x ", "x.", "a..b", "test.*", "*", "a*b", "$x", "a+b")
        ),
        (
            '{"type": "events", "events": [{"type": "x"}, {"type": "x!"}]}',
            "bad_frame",
            f'events[1]: {NAMEABLE} such as "test.failed", got "x!"',
        ),
        ('{"type": "user.identify", "timezone": "Paris"}', "bad_frame", f'{ZONE} got "Paris"'),
        ('{"type": "user.identify", "timezone": "europe/paris"}', "bad_frame", f'{ZONE} got "europe/paris"'),
        ('{"type": "user.identify", "timezone": ""}', "bad_frame", f"{ZONE} got an empty string"),
        ('{"type": "user.identify", "timezone": 2}', "bad_frame", f"{ZONE} got a number"),
        (
            '{"type": "user.preferences", "level": "loud"}',
            "bad_frame",
            'expected "level" to be off, less, normal or more, got "loud"',
        ),
        (
            '{"type": "user.preferences"}',
            "bad_frame",
            "expected at least one of level, muted, mute, unmute, snoozedUntil, snoozed, got none",
        ),
        ('{"type": "session.start"}', "reserved_type", 'events of type "session.start" are told by the server alone'),
        ('{"type": "message.seen"}', "reserved_type", 'events of type "message.seen" are told by the server alone'),
    ],
)
def test_a_bad_frame_is_refused_with_what_was_expected_and_found(text: str, code: str, message: str) -> None:
    with pytest.raises(WireError) as refused:
        read_frame(text)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_nesting_is_bounded() -> None:
    assert read_frame(nested(DEPTH_MAX))
    for text in (nested(DEPTH_MAX + 1), '{"type":"x","a":' + "[" * 30_000 + "]" * 30_000 + "}"):
        with pytest.raises(WireError, match="expected at most 32 levels of nesting, got more"):
            read_frame(text)


def test_events_of_one_frame_are_bounded() -> None:
    event = {"type": "x"}
    assert len(read_frame(json.dumps({"type": "events", "events": [event] * EVENTS_MAX}))) == EVENTS_MAX  # type: ignore[arg-type]
    with pytest.raises(WireError, match="expected at most 500 events in one frame, got 501"):
        read_frame(json.dumps({"type": "events", "events": [event] * (EVENTS_MAX + 1)}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
frames = st.dictionaries(
    st.sampled_from(["type", "clientId", "id", "session", "at", "events", "message", "context", "questionId"]),
    st.sampled_from(["chat_message", "user_response", "events", "ping", "x"]) | json_values,
)


@given(st.text() | st.binary() | json_values.map(json.dumps) | frames.map(json.dumps))
def test_whatever_comes_in_is_read_or_refused(text: str | bytes) -> None:
    with suppress(WireError):
        assert isinstance(read_frame(text), Ping | list)


@pytest.mark.parametrize(
    ("message", "rule", "frame"),
    [
        (
            Message("m1", "question", "Want a hint?", ("Yes", "No"), {"topic": "dp"}, AT + 60 * SECOND),
            "stuck",
            {
                "type": "backend_message",
                "message": "Want a hint?",
                "messageType": "question",
                "timestamp": 1_625_097_600,
                "id": "m1",
                "questionId": "m1",
                "options": ["Yes", "No"],
                "rule": "stuck",
                "expiresAt": 1_625_097_660,
                "topic": "dp",
            },
        ),
        (
            Message("m2", "suggestion", "Try this"),
            "",
            {
                "type": "backend_message",
                "message": "Try this",
                "messageType": "suggestion",
                "timestamp": 1_625_097_600,
                "id": "m2",
            },
        ),
        (
            Message("m2", "suggestion", "Try this", ("Show me",)),
            "",
            {
                "type": "backend_message",
                "message": "Try this",
                "messageType": "suggestion",
                "timestamp": 1_625_097_600,
                "id": "m2",
                "questionId": "m2",
                "options": ["Show me"],
            },
        ),
        (
            Message("m3", "code_suggestion", "", (), {"code": "x", "language": "python", "explanation": "y"}),
            "r",
            {
                "type": "code_suggestion",
                "timestamp": 1_625_097_600,
                "id": "m3",
                "rule": "r",
                "code": "x",
                "language": "python",
                "explanation": "y",
            },
        ),
        (
            Message("m4", "celebrate", "Well done"),
            "",
            {"type": "celebrate", "message": "Well done", "timestamp": 1_625_097_600, "id": "m4"},
        ),
    ],
)
def test_a_message_travels_in_the_shape_of_its_type(message: Message, rule: str, frame: dict[str, Any]) -> None:
    made = message_frame(OutboxMessage("ann", message, AT, rule))
    assert made == frame
    assert list(made) == list(frame), "the protocol's own fields stand first"


def test_data_is_never_merged_over_the_fields_of_the_protocol() -> None:
    data = {
        "type": "evil",
        "message": "evil",
        "messageType": "evil",
        "timestamp": 0,
        "id": "evil",
        "questionId": "evil",
    }
    plain = message_frame(OutboxMessage("ann", Message("m", "question", "Hi"), AT))
    assert message_frame(OutboxMessage("ann", Message("m", "question", "Hi", (), data), AT)) == plain


def test_half_a_character_leaves_as_the_sign_for_what_is_none() -> None:
    assert encode(chat_response("a \ud800é", AT)) == (
        '{"type":"chat_response","message":"a \N{REPLACEMENT CHARACTER}é","timestamp":1625097600}'
    )


def test_a_frame_is_json_with_its_own_characters() -> None:
    assert encode({"type": "x", "message": "é"}) == '{"type":"x","message":"é"}'
