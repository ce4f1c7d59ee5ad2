"""Frames of clients and bodies of requests: any bytes give values, or an error in the protocol's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from engine.core.model import Event
from engine.intake import Input
from engine.storage.base import Entry
from engine.storage.codec import decode_entry, encode_entry
from engine.transport.bodies import Order, read_events, read_message, read_one
from engine.transport.decoding import WireError
from engine.transport.plain import to_input
from engine.transport.wire import Ping, Said, encode, error_frame, read_frame
from fuzz.pages import json_blocks
from fuzz.target import Target

MESSAGE_MAX = 600  # characters of an error that is shown to a client
CODES = frozenset({"bad_frame", "reserved_type", "too_many_clients"})

WORDS = (
    '"type"', '"clientId"', '"message"', '"events"', '"id"', '"at"', '"session"', '"data"', '"chat_message"', '"ping"',
    '"user_response"', '"questionId"', '"response"', '"outcome"', '"seen"', '"answered"', '"preferences"', '"level"',
    '"muted"', '"snoozedUntil"', '"user.identify"', '"timezone"', '"Europe/Paris"', '"session.start"', '"message.x"',
    '"hello"', '"protocol"', '"resume"', '"received"', '"seq"', '"to"', '"all"', '"user"', '"client"', '"text"',
    '"options"', '"test.failed"', '"2026-03-27T10:00:00Z"', "null", "true", "1e400", "-0", "18446744073709551616",
    "\\ud800", "\\udc00", "[[[[", "{}", "\n", '{"type":"a"}', "NaN",
)  # fmt: skip


def attempt_frame(data: bytes) -> None:
    said = answered(read_frame, data)
    if isinstance(said, list):
        for item in said:
            _check_said(item)
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return
    if "\x00" not in text or said is not None:
        answered(read_frame, text)


def attempt_body(data: bytes) -> None:
    answered(read_one, data)
    for item in answered(read_events, data) or ():
        _check_said(item)
    order = answered(read_message, data)
    if order is not None:
        assert isinstance(order, Order)
        json.loads(encode({"text": order.text, "options": list(order.options), "data": order.data}))


def answered(read: Callable[[Any], Any], given: Any) -> Any:
    """What is read, or None where it is refused properly."""
    try:
        return read(given)
    except WireError as error:
        refused = error
    assert refused.code in CODES, refused.code
    assert 0 < len(refused.message) <= MESSAGE_MAX, refused.message
    json.loads(encode(error_frame(refused.code, refused.message)))
    return None


def _check_said(said: Said | Ping) -> None:
    assert isinstance(said, Said)
    check_input(to_input(said, said.client or "c", said.session))


def check_input(item: Input) -> None:
    """What goes to the store comes back from it."""
    event = Event(item.type, item.user, 0, item.data, item.id, item.session, item.at_reported)
    entry = Entry("event", 0, item.user, event)
    assert decode_entry(encode_entry(entry)) == entry


def seeds() -> Sequence[bytes]:
    return [text.encode() for text in json_blocks("protocol.md", "embedding.md", "delivery.md")]


FRAMES = Target(attempt_frame, seeds, WORDS)
BODIES = Target(attempt_body, seeds, WORDS)
