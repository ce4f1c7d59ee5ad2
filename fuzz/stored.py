"""What the store gives back, damaged: entries and states. It is read as it was written, or refused as damaged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.core.evaluate import apply
from engine.core.model import Event, Message
from engine.core.refusal import Refused
from engine.core.rules import Timeline
from engine.core.state import StateTooLarge, StateUnreadable, StateVersionUnknown, UserState
from engine.core.units import MINUTE, SECOND
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.storage.base import Entry
from engine.storage.codec import decode_entry, decode_message, encode_entry, encode_message
from engine.triggers import KINDS
from fuzz.pages import json_blocks, vector_rules
from fuzz.rules import EVENTS, START
from fuzz.target import Target


def attempt_entry(data: bytes) -> None:
    try:
        entry = decode_entry(data)
    except (msgspec.MsgspecError, Refused):
        pass
    else:
        assert decode_entry(encode_entry(entry)) == entry
    try:
        message = decode_message(data)
    except (msgspec.MsgspecError, Refused):
        return
    assert decode_message(encode_message(message)) == message


def attempt_state(data: bytes) -> None:
    try:
        state = UserState.decode(data)
    except (StateUnreadable, StateVersionUnknown):
        return
    try:
        encoded = state.encode()
    except (StateTooLarge, TypeError, ValueError, AttributeError, OverflowError):
        return  # its parts are of other kinds: an event of this user is set aside as a fault
    try:
        again = UserState.decode(encoded)
    except StateUnreadable:
        return
    again.encode()


def states() -> list[bytes]:
    """A state for every vector, after some events."""
    found = []
    for text in vector_rules():
        try:
            timeline = Timeline(load({"a.yaml": text}, KINDS))
        except RuleErrors:
            continue
        state = UserState("ann")
        at = START
        for seconds, event_type, fields in EVENTS[:-1]:
            at += seconds * SECOND
            apply(timeline, state, Event(event_type, "ann", at, dict(fields), "e", "s"), [])  # type: ignore[arg-type]
        found.append(state.encode())
    return sorted(set(found))


def entries() -> Sequence[bytes]:
    event = Event("test.failed", "ann", START, {"test": "t1", "n": [1, 2.5, None]}, "e1", "s1", START - MINUTE)
    message = Message("m", "question", "Hm?", ("Ja",), {"link": "/a"}, START + MINUTE)
    written = [
        Entry("event", START, "ann", event),
        Entry("send", START, "ann", message=message, client="laptop"),
        Entry("rules", START, rules_hash="ab" * 32),
    ]
    return [*map(encode_entry, written), encode_message(message), *(line.encode() for line in json_blocks())]


WORDS = ('"at":', '"kind":"send"', '"user":', '"data":', '"at_reported":', "1970-01-01T00:00:00.000000Z", "\\ud800")
ENTRIES = Target(attempt_entry, entries, WORDS, 2048)
STATES = Target(attempt_state, states, ("same", "opened", "\0span", "\0at", "\0list", "Etc/UTC"), 4096)
