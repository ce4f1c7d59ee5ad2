"""The lines of entries and decisions, as they are written. That they come back is the conformance suite's."""

from __future__ import annotations

import msgspec
import pytest

from engine.core.model import Decision, Event, Message, Reason
from engine.core.refusal import Refused
from engine.storage.base import Entry
from engine.storage.codec import decode_entry, encode_decision, encode_entry


def test_a_decision_is_one_line_with_its_fields_in_order() -> None:
    message = Message("m", "question", "Hm?", ("Ja",), {"link": "/a"}, 1_000_000)
    sent = Decision(0, "ann", "idle", 3, "sent", None, {"kind": "event"}, "e1", message)
    absent = Decision(0, "ann \ud800", "idle", 3, "absent", Reason("absent"), {"kind": "schedule"})
    assert encode_decision(sent).decode() == (
        '{"at":"1970-01-01T00:00:00.000000Z","user":"ann","rule":"idle","outcome":"sent","reason":null,'
        '"trigger":{"kind":"event"},"event":"e1","message":{"id":"m","type":"question","text":"Hm?",'
        '"options":["Ja"],"data":{"link":"/a"},"expires_at":"1970-01-01T00:00:01.000000Z"}}'
    )
    assert encode_decision(absent).decode() == (
        '{"at":"1970-01-01T00:00:00.000000Z","user":"ann \\ud800","rule":"idle","outcome":"absent",'
        '"reason":"the user has no open session","trigger":{"kind":"schedule"},"message":null}'
    )


def test_a_decision_says_what_was_and_what_was_drawn_where_there_is_something_to_say() -> None:
    message = Message("m", "question", "Hm?")
    sent = Decision(0, "ann", "idle", 3, "sent", None, {"kind": "event"}, "", message, "held", "ask", 2 / 3)
    assert encode_decision(sent).decode() == (
        '{"at":"1970-01-01T00:00:00.000000Z","user":"ann","rule":"idle","outcome":"sent","was":"held","reason":null,'
        '"trigger":{"kind":"event"},"message":{"id":"m","type":"question","text":"Hm?"},'
        '"variant":"ask","probability":0.6666666666666666}'
    )


def test_an_event_without_id_session_or_own_stamp_says_nothing_of_them() -> None:
    entry = Entry("event", 0, "ann", Event("x", "ann", 0, {}))
    line = b'{"at":"1970-01-01T00:00:00.000000Z","user":"ann","type":"x","data":{}}'
    assert encode_entry(entry) == line
    assert decode_entry(line) == entry


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"at":"x"}',
        b'{"at":1}',
        b'{"kind":"other","at":"1970-01-01"}',
        b"\xff",
        b'{"user":"\\ud800","data":' + b"[" * 5000,
        b'{"at":"1970-01-01T00:00:00Z","user":"\xc6x"}',
        b'{"data":' + b"[" * 5000,
        b'{"at":"1970-01-01T00:00:00Z","use\\ud800":"x"}',
    ],
)
def test_a_line_that_was_never_written_is_refused(line: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, Refused)):
        decode_entry(line)
