"""Values as Redis has them, and back: entries, commits, messages, faults, bases. It asks nothing of Redis.

Numbers go as decimal text. What only Python reads is packed into one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine.core.model import Event
from engine.storage.base import FAULTS_MAX, OUTBOX_PER_USER_MAX, Base, Commit, Entry, Fault, OutboxMessage
from engine.storage.codec import decode_entry, decode_message, encode_entry, encode_message
from engine.storage.order import moved_up
from engine.storage.redis_keys import to_bytes, to_name, to_text

TRACE_LENGTH_MAX = 2_000  # characters of a fault's trace that are kept: the last ones; memory is dearer than a disk

Arguments = list[bytes | str | int]

_KINDS = {"event": b"e", "send": b"s", "tick": b"t", "rules": b"r"}

_packed = msgspec.msgpack.Encoder()
_message_decoder = msgspec.msgpack.Decoder(tuple[int, bytes, bytes, bytes])
_base_decoder = msgspec.msgpack.Decoder(tuple[int | None, bytes])


def entry_arguments(entry: Entry) -> tuple[bytes, bytes, int, bytes]:
    """What ``put_entries`` of the functions takes: user, the field of its once, moment, what stands in the log."""
    name, once, packed = _in_the_log(entry, encode_entry(entry))
    return name, once, entry.at, packed


def ingested_arguments(entry: Entry) -> tuple[bytes, bytes, bytes, bytes]:
    """As `entry_arguments`, without a moment: it gets that of the log."""
    name, once, packed = _in_the_log(entry, encode_entry(entry, is_stamped=False))
    return name, once, b"", packed


def _in_the_log(entry: Entry, line: bytes) -> tuple[bytes, bytes, bytes]:
    name = b"" if entry.kind in ("tick", "rules") else to_name(entry.user)
    once_id = b"=" + to_bytes(entry.once_id) if entry.once else b""
    packed = b"%d %d %b%b%b%b" % (len(name) + 1, len(once_id), _KINDS[entry.kind], name, once_id, line)
    return name, once_field(name, once_id[1:]) if once_id else b"", packed


def once_field(name: bytes, once_id: bytes) -> bytes:
    return b"%d:%b%b" % (len(name), name, once_id)


def entry_of(packed: bytes, partition: int, number: int) -> Entry:
    """An entry of the log, at the moment that it got there. See ``put_entries`` of the functions."""
    at, _, who_length, once_length, rest = packed.split(b" ", 4)
    moment = int(at)
    entry = decode_entry(rest[int(who_length) + int(once_length) :], moment, f"{partition}-{number}")
    return entry if entry.at == moment else moved_up(entry, moment)


def pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    values = iter(flat)
    return zip(values, values, strict=True)


def commit_arguments(commit: Commit) -> Arguments:
    """The arguments of the function ``commit``: a head, then twelve sections that are counted."""
    appended = commit.appended
    arguments: Arguments = [
        commit.version,
        commit.cursor,
        OUTBOX_PER_USER_MAX,
        FAULTS_MAX,
        appended[0].at if appended else "",
        appended[-1].at if appended else "",
        int(commit.told),
        "" if commit.evaluated_at is None else commit.evaluated_at,
    ]
    _section(arguments, [value for entry in appended for value in entry_arguments(entry)])
    _add_states(arguments, commit)
    _section(arguments, [value for user, at, line in commit.decisions for value in (to_name(user), at, line)])
    _section(arguments, [value for outgoing in commit.outbox for value in _message_arguments(outgoing)])
    _section(arguments, [value for name, text in commit.reworded for value in (to_bytes(name), b"=" + to_bytes(text))])
    _section(arguments, [to_bytes(message_id) for message_id in commit.withdrawn])
    _section(arguments, [moment_line(entry) for entry in appended if entry.kind == "rules"])
    _section(arguments, [value for fault in commit.faults for value in _fault_arguments(fault)])
    return arguments


def _section(arguments: Arguments, values: Sequence[bytes | str | int]) -> None:
    arguments.append(len(values))
    arguments += values


def _add_states(arguments: Arguments, commit: Commit) -> None:
    """States by sub-hash; wake-ups that are and that are not; who is there and who is not."""
    names = {user: to_name(user) for user in commit.states}
    buckets: dict[bytes, Arguments] = {}
    for user, state in commit.states.items():
        name = names[user]
        buckets.setdefault(name[:1], []).extend((name, state))
    grouped: Arguments = []
    for bucket, values in buckets.items():
        grouped.append(bucket)
        _section(grouped, values)
    _section(arguments, grouped)
    moved = names if not commit.unmoved else {user: names[user] for user in names if user not in commit.unmoved}
    wakes: Arguments = []
    for user, name in moved.items():
        wake = commit.wakes[user]
        if wake is not None:
            wakes += (wake, name)
    _section(arguments, wakes)
    _section(arguments, [name for user, name in moved.items() if commit.wakes[user] is None])
    _section(arguments, [name for user, name in moved.items() if commit.present[user]])
    _section(arguments, [name for user, name in moved.items() if not commit.present[user]])


def moment_line(entry: Entry) -> bytes:
    return b"%d " % entry.at + to_bytes(entry.rules_hash)


def moment_of(line: bytes) -> tuple[int, str]:
    at, _, rules_hash = line.partition(b" ")
    return int(at), to_text(rules_hash)


def _message_arguments(outgoing: OutboxMessage) -> tuple[bytes, bytes, int, int | str, bytes]:
    message = outgoing.message
    expires = "" if message.expires_at is None else message.expires_at
    return to_bytes(message.id), to_name(outgoing.user), outgoing.at, expires, message_record(outgoing)


def message_record(outgoing: OutboxMessage) -> bytes:
    """All of it but the user."""
    record = outgoing.at, to_bytes(outgoing.rule), to_bytes(outgoing.client), encode_message(outgoing.message)
    return _packed.encode(record)


def message_of(user: str, record: bytes, words: bytes) -> OutboxMessage:
    """``words`` are what it says now, b"" where they are still its own and begin with "=" otherwise."""
    at, rule, client, line = _message_decoder.decode(record)
    message = decode_message(line)
    if words:
        message = msgspec.structs.replace(message, text=to_text(words[1:]), prompt="")
    return OutboxMessage(user, message, at, to_text(rule), to_text(client))


def _fault_arguments(fault: Fault) -> tuple[bytes, bytes]:
    trace = fault.trace[-TRACE_LENGTH_MAX:].encode("utf-8", "backslashreplace")
    return to_name(fault.user), _packed.encode((fault.at, encode_entry(fault.entry), trace))


def base_arguments(base: Base) -> tuple[bytes, int | str, bytes, bytes]:
    """User, wake-up, what it is, past."""
    past = b"\n".join(encode_entry(Entry("event", event.at, event.user, event)) for event in base.past)
    wake = "" if base.wake is None else base.wake
    return to_name(base.user), wake, _packed.encode((base.wake, base.state)), past


def base_of(user: str, packed: bytes, past: bytes | None) -> Base:
    wake, state = _base_decoder.decode(packed)
    return Base(user, state, wake, past_of(past))


def past_of(past: bytes | None) -> tuple[Event, ...]:
    entries = [decode_entry(line) for line in past.split(b"\n")] if past else []
    return tuple([entry.event for entry in entries if entry.event is not None])
