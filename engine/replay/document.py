"""JSON logs to their records, whether a record is a line, an item of a list, or a document of its own; and by a mapping
to events. It holds one record at a time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec

from engine.core.model import Event, Json
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress, read_blocks, read_head, read_lines
from engine.replay.elements import OUTERMOST, elements
from engine.replay.json_bounds import check_bounds
from engine.replay.jsonl import PIECE_LINES, Whereabouts, mapped_form, read_piece
from engine.replay.mapping import Source

LOOKED_AT_BYTES = 64 * 1024  # of a log, to tell lines from a document
_decode = msgspec.json.Decoder().decode


class JsonRecord(NamedTuple):
    """``number`` is the line, or in a document the how manieth record; both count from 1."""

    number: int
    text: bytes
    value: dict[str, Json]


def json_batches(log: str, source: Source, bad: BadRecords, progress: Progress | None = None) -> Iterator[list[Event]]:
    """The events of a log that is a JSON document: of a list, or of the list at the ``records`` of the mapping."""
    form = mapped_form(source)
    piece: list[bytes] = []
    first = 1
    for number, text in _document(log, bad, progress, (source.records or OUTERMOST,), not source.records):
        # Line breaks mean nothing between the parts of a record, and within them there can be none.
        piece.append(text.replace(b"\n", b" "))
        if len(piece) == PIECE_LINES:
            if batch := read_piece(piece, form, Whereabouts(log, range(first, first + len(piece)), source, bad)):
                yield batch
            piece, first = [], number + 1
    if piece and (batch := read_piece(piece, form, Whereabouts(log, range(first, first + len(piece)), source, bad))):
        yield batch


def json_records(
    log: str,
    bad: BadRecords,
    progress: Progress | None = None,
    within: Collection[str] = (OUTERMOST,),
    having: re.Pattern[bytes] | None = None,
) -> Iterator[JsonRecord]:
    """The records of a log: objects that are lines, or documents, or stand in the lists ``within`` either.

    What is none of them is counted in ``bad``. Texts in which ``having`` is not found are left out unread. Raises
    OSError.
    """
    in_lines = is_lines(read_head(log, LOOKED_AT_BYTES))
    texts = _lines(log, bad, progress) if in_lines else _document(log, bad, progress, within)
    for number, text in texts:
        if not text or text.isspace() or (having is not None and having.search(text) is None):
            continue
        try:
            check_bounds(text)
            value = _decode(text)
        except BadLine as trouble:
            bad.add(log, number, trouble, text)
            continue
        except msgspec.MsgspecError as error:
            bad.add(log, number, BadLine("not JSON", str(error)), text)
            continue
        for item in _items(value, within) if in_lines else (value,):
            if isinstance(item, dict):
                yield JsonRecord(number, text, item)
            else:
                bad.add(log, number, BadLine("not an object", "expected {…}"), text)


def is_lines(start: bytes) -> bool:
    """Whether a log that begins so has a record in each line, and is not a document that goes over several."""
    lines = [line for line in start.split(b"\n", 3)[:3] if line.strip()]
    if not lines or lines[0].lstrip().startswith(b"["):
        return False
    try:
        _decode(lines[0])
    except msgspec.MsgspecError as error:
        # It breaks off: an object that goes on in the next line, unless what follows are objects by themselves.
        if "truncated" in str(error):
            return len(lines) > 1 and all(map(_is_object, lines[1:]))
    except (UnicodeDecodeError, RecursionError):
        pass  # whoever reads the line says so
    return True


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_decode(line), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _lines(log: str, bad: BadRecords, progress: Progress | None) -> Iterator[tuple[int, bytes]]:
    for first, lines in read_lines(log, bad, progress):
        yield from enumerate(lines, first)


def _document(
    log: str, bad: BadRecords, progress: Progress | None, within: Collection[str], alone: bool = True
) -> Iterator[tuple[int, bytes]]:
    """The records of a document with their numbers, an empty text for one that is counted as bad already."""
    number = 0
    try:
        for number, record in enumerate(elements(read_blocks(log, progress), within, alone), 1):
            if isinstance(record, BadLine):
                bad.add(log, number, record)
                yield number, b""
                continue
            try:
                record.decode()
            except UnicodeDecodeError as error:
                bad.add(log, number, BadLine("not UTF-8", f"byte {error.start + 1}"), record)
                yield number, b""
            else:
                yield number, record
    except BadLine as damage:
        bad.add(log, number + 1, damage)


def _items(value: Json, within: Collection[str]) -> list[Json]:
    """What stands in the lists within a record of a line, or the record itself where there are none."""
    if isinstance(value, list) and OUTERMOST in within:
        return value
    found: list[Json] = []
    has_list = False
    for path in within if isinstance(value, dict) else ():
        inner = value
        for step in path.split("."):
            inner = inner.get(step) if isinstance(inner, dict) else None
        if isinstance(inner, list):
            has_list = True
            found += inner
    return found if has_list else [value]


def first_records(start: bytes, within: Collection[str], most: int = 10) -> list[dict[str, Json]]:
    """The first records of a log that begins so, as far as they are whole and objects."""
    found: list[dict[str, Json]] = []
    in_lines = is_lines(start)
    texts = iter(start.split(b"\n")) if in_lines else elements(iter([start]), within)
    try:
        for text in texts:
            if len(found) >= most:
                break
            if isinstance(text, bytes):
                found += _objects(text, within if in_lines else ())
    except BadLine:
        pass  # what is cut off at the end of the beginning
    return found[:most]


def _objects(text: bytes, within: Collection[str]) -> list[dict[str, Json]]:
    try:
        check_bounds(text)
        value = _decode(text)
    except (BadLine, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return [item for item in (_items(value, within) if within else [value]) if isinstance(item, dict)]
