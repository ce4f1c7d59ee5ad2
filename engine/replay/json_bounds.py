"""What a JSON text may hold, looked at before it takes room. It decodes nothing."""

from __future__ import annotations

import re

from engine.replay.bad_records import BadLine

# Of lists and objects within each other, the record itself counted: more than anybody writes, and so few that neither
# reading nor judging comes near the interpreter's own limit, which differs between machines.
DEPTH_MAX = 200
# Of values in a record: an empty list takes three bytes of text, and more than sixty of memory.
VALUES_MAX = 1_000_000
_OPENING, _CLOSING = b"[{", b"]}"
# Texts, also one that never ends, and the brackets, or brackets and commas, outside of them.
_TEXT_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_TEXT_OR_VALUE = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)


def check_bounds(text: bytes) -> None:
    """Raises `BadLine` for a text that nests deeper than `DEPTH_MAX` or has more than `VALUES_MAX` values."""
    openings = text.count(b"[") + text.count(b"{")
    if len(text) > 2 * VALUES_MAX and openings + text.count(b",") > VALUES_MAX:
        _check_values(text)
    if openings > DEPTH_MAX:
        _check_depth(text)


def _check_depth(text: bytes) -> None:
    depth = 0
    for match in _TEXT_OR_BRACKET.finditer(text):
        token = match.group()
        if token in _OPENING:
            depth += 1
            if depth > DEPTH_MAX:
                raise BadLine("nested too deeply", f"more than {DEPTH_MAX} levels")
        elif token in _CLOSING:
            depth -= 1


def _check_values(text: bytes) -> None:
    values = 0
    for match in _TEXT_OR_VALUE.finditer(text):
        values += match.group() in (b"[", b"{", b",")
        if values > VALUES_MAX:
            raise BadLine("too many values", f"more than {VALUES_MAX:,}")
