"""How entries and decisions are written: JSON lines that people can read and a replay reads back unchanged.

It keeps nothing and opens nothing. An event's line is the native log line of the rule language (section 2);
the other kinds of entry carry ``kind``, which an event's line never does, so that a line tells what it is.

A lone surrogate (what broken UTF-16 leaves behind) cannot be written as UTF-8. A line with one is written in
ASCII with the surrogate as an escape, ``"\\ud800"``, and reads back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from engine.core.model import Decision, Event, Json, Message, plain
from engine.core.reasons import explain
from engine.core.refusal import Refused
from engine.core.units import format_at, from_datetime
from engine.storage.base import Entry, EntryKind

Line = TypeVar("Line", bound=msgspec.Struct)


class _MessageLine(msgspec.Struct, omit_defaults=True):
    id: str
    type: str
    text: str
    options: tuple[str, ...] = ()
    data: dict[str, Json] = {}
    expires_at: str | None = None
    prompt: str = ""


class _EntryLine(msgspec.Struct, omit_defaults=True):
    """Every field that a line can have, in the order in which they are written. ``rules`` is a hash."""

    id: str = ""
    at: str = ""
    kind: EntryKind = "event"
    user: str = ""
    session: str | None = None
    type: str = ""
    data: dict[str, Json] | None = None
    at_reported: str | None = None
    rules: str = ""
    message: _MessageLine | None = None
    once: bool = False
    client: str = ""


class _TakingBackLine(msgspec.Struct):
    """What `taken_back` wants to know of a decision."""

    user: str
    outcome: str
    was: str = ""
    message: _MessageLine | None = None


TAKES_BACK = b'"outcome":"cancelled","was":"sent"'  # nearly all lines are without it, and need not be read for that
_encoder = msgspec.json.Encoder()
_entry_decoder: msgspec.json.Decoder[_EntryLine] = msgspec.json.Decoder(_EntryLine)
_taking_back_decoder: msgspec.json.Decoder[_TakingBackLine] = msgspec.json.Decoder(_TakingBackLine)
_message_decoder: msgspec.json.Decoder[_MessageLine] = msgspec.json.Decoder(_MessageLine)


def encode_entry(entry: Entry, *, is_stamped: bool = True) -> bytes:
    """One line, without the line feed. An event is stamped with the entry's moment, which is its own.

    A line that is not ``is_stamped`` has no moment: whoever keeps it has that beside it.
    """
    event = entry.event
    at = format_at(entry.at) if is_stamped else ""
    if event is not None:
        line = _EntryLine(
            id=event.id,
            at=at,
            user=event.user,
            session=event.session,
            type=event.type,
            data=event.data,
            at_reported=None if event.at_reported is None else format_at(event.at_reported),
            once=entry.once,
        )
    else:
        line = _EntryLine(
            at=at,
            kind=entry.kind,
            user=entry.user,
            rules=entry.rules_hash,
            message=None if entry.message is None else _message_line(entry.message),
            once=entry.once,
            client=entry.client,
        )
    return _encode(line)


def decode_entry(line: bytes, unstamped_at: int | None = None, number: str = "") -> Entry:
    """What `encode_entry` was given. Raises `msgspec.MsgspecError` or `Refused` for any other line.

    ``unstamped_at`` is the moment of a line that is not stamped, and ``number`` the id of its event if it has none.
    """
    fields = _decode(_entry_decoder, _EntryLine, line)
    event_id = fields.id
    if unstamped_at is not None and not fields.at:
        at = unstamped_at
        event_id = event_id or number
    else:
        at = _read_at(fields.at)
    if fields.kind == "event":
        reported = None if fields.at_reported is None else _read_at(fields.at_reported)
        data = {} if fields.data is None else fields.data
        event = Event(fields.type, fields.user, at, data, event_id, fields.session, reported)
        return Entry("event", at, fields.user, event, once=fields.once)
    message = None if fields.message is None else _message(fields.message)
    return Entry(
        fields.kind, at, fields.user, rules_hash=fields.rules, message=message, once=fields.once, client=fields.client
    )


def encode_message(message: Message) -> bytes:
    """A message as the outbox keeps it."""
    return _encode(_message_line(message))


def decode_message(line: bytes) -> Message:
    return _message(_decode(_message_decoder, _MessageLine, line))


def encode_decision(decision: Decision) -> bytes:
    """One line, without the line feed: the form in which decisions are recorded, compared and handed out.

    The order of the fields is part of the form: two decisions are the same if their lines are, byte for byte.
    ``event`` is left out where no event caused it, ``was`` where it is the candidate's first decision, ``variant``
    and ``probability`` where nothing was drawn; ``reason`` and ``message`` are null where there is none.
    """
    reason, message = decision.reason, decision.message
    fields: dict[str, Json] = {
        "at": format_at(decision.at),
        "user": decision.user,
        "rule": decision.rule,
        "outcome": decision.outcome,
    }
    if decision.was is not None:
        fields["was"] = decision.was
    fields["reason"] = None if reason is None else explain(reason)
    fields["trigger"] = {name: fact if type(fact) is str else plain(fact) for name, fact in decision.trigger.items()}
    if decision.event_id:
        fields["event"] = decision.event_id
    fields["message"] = None if message is None else _message_line(message)
    if decision.variant is not None:
        fields["variant"] = decision.variant
    if decision.probability is not None:
        fields["probability"] = decision.probability
    return _encode(fields)


def taken_back(line: bytes) -> tuple[str, str] | None:
    """Of a recorded decision by which a message that was sent is cancelled, its user and id; None of any other."""
    if TAKES_BACK not in line:
        return None
    decision = _decode(_taking_back_decoder, _TakingBackLine, line)
    if (decision.outcome, decision.was) != ("cancelled", "sent") or decision.message is None:
        return None
    return decision.user, decision.message.id


def every_taken_back(lines: Iterable[bytes]) -> list[tuple[str, str]]:
    """Of recorded decisions what `taken_back` tells; those that cannot be read are passed over."""
    found = []
    for line in lines:
        with suppress(msgspec.MsgspecError, Refused):
            if (pair := taken_back(line)) is not None:
                found.append(pair)
    return found


def _message_line(message: Message) -> _MessageLine:
    expires_at = None if message.expires_at is None else format_at(message.expires_at)
    return _MessageLine(
        message.id, message.type, message.text, message.options, message.data, expires_at, message.prompt
    )


def _message(line: _MessageLine) -> Message:
    expires_at = None if line.expires_at is None else _read_at(line.expires_at)
    return Message(line.id, line.type, line.text, line.options, line.data, expires_at, line.prompt)


def _read_at(stamp: str) -> int:
    """The inverse of `format_at`, over all that it can write: an expiry may lie beyond the last moment of an event."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused(f'expected a time such as "2026-03-27T10:00:00.000000Z", got "{stamp[:80]}"')
    return from_datetime(moment)


def _encode(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def _decode(decoder: msgspec.json.Decoder[Line], kind: type[Line], line: bytes) -> Line:
    try:
        return decoder.decode(line)
    except msgspec.ValidationError:
        raise
    except (UnicodeDecodeError, RecursionError) as error:
        # Only where the store is damaged: neither can be written.
        raise msgspec.DecodeError(str(error)) from None
    except msgspec.DecodeError:
        # msgspec takes an escaped lone surrogate for an error; the standard library reads it.
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if fields is None:
            raise
        try:
            return msgspec.convert(fields, kind)
        except UnicodeEncodeError as error:
            # In a name of the line's own fields, where nothing of a client's stands.
            raise msgspec.DecodeError(str(error)) from None
