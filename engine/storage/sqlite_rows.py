"""Values as SQLite's rows have them, and back: names, entries, messages, faults. It executes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.storage.base import PAGE_BYTES, Entry, Fault, OutboxMessage
from engine.storage.codec import decode_message, encode_entry, encode_message

TRACE_LENGTH_MAX = 16_384  # characters of a fault's trace that are kept: the last ones, where the error stands

Name = str | bytes  # as SQLite keeps it: see `sqlite_schema.SCHEMA`


def to_name(text: str) -> Name:
    """The text itself, or its bytes where it has a lone surrogate: two texts are never the same name."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_name(name: Name) -> str:
    return name.decode("utf-8", "surrogatepass") if isinstance(name, bytes) else name


def page_of(rows: Iterable[Any], bytes_max: int = PAGE_BYTES) -> list[Any]:
    """Of the rows that a statement comes to so many that they weigh that much, all where they do not."""
    page: list[Any] = []
    size = 0
    for row in rows:
        page.append(row)
        for value in row:
            if type(value) is bytes:
                size += len(value)
        if size >= bytes_max:
            break
    return page


EntryRow = tuple[int, int, int, str, Name, Name | None, str]


def entry_row(partition: int, number: int, entry: Entry) -> EntryRow:
    once_id = to_name(entry.once_id) if entry.once else None
    return partition, number, entry.at, entry.kind, to_name(entry.user), once_id, encode_entry(entry).decode()


def outgoing_row(outgoing: OutboxMessage) -> tuple[Name, Name, int, Name, Name, int | None, bytes]:
    message = outgoing.message
    return (
        to_name(message.id),
        to_name(outgoing.user),
        outgoing.at,
        to_name(outgoing.rule),
        to_name(outgoing.client),
        message.expires_at,
        encode_message(message),
    )


def message_of(user: str, line: bytes, at: int, rule: Name, client: Name) -> OutboxMessage:
    return OutboxMessage(user, decode_message(line), at, from_name(rule), from_name(client))


def fault_row(fault: Fault) -> tuple[int, Name, bytes, str]:
    trace = fault.trace[-TRACE_LENGTH_MAX:].encode("utf-8", "backslashreplace").decode()
    return fault.at, to_name(fault.user), encode_entry(fault.entry), trace
