"""The text of a frame or a body to JSON values, within bounds, with the place of every mistake. Pure functions.

What the values mean is not known here: see `wire`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.core.model import Json

DEPTH_MAX = 32  # of lists and mappings within each other, the frame itself counted
NAME_LENGTH_MAX = 128  # characters of a type, a clientId, an id, a session
# What msgpack can hold, and so what a user's state can remember.
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1


class WireError(Exception):
    """What a client sent cannot be meant, or not be taken now. ``code`` is for programs, ``message`` for who wrote the
    client; after ``retry_after_s`` seconds it may be sent again, if there is any use in that."""

    def __init__(self, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def bad_frame(message: str) -> WireError:
    return WireError("bad_frame", message)


def decode_json(text: str | bytes) -> Json:
    """JSON, with the place of a mistake as ``line:column`` (both from 1). Raises `WireError`."""
    try:
        encoded = text if isinstance(text, bytes) else text.encode()
        return _decoder.decode(encoded)
    except UnicodeError:
        raise bad_frame(f"expected UTF-8, got something else at offset {_not_utf_8(text)}") from None
    except RecursionError:
        raise bad_frame(f"expected at most {DEPTH_MAX} levels of nesting, got more") from None
    except msgspec.ValidationError:
        raise bad_frame("expected numbers that a double can hold, got a larger one") from None
    except msgspec.DecodeError as error:
        place, why = _locate(encoded, str(error))
        raise bad_frame(f"{place}: expected JSON: {why}") from None


def _not_utf_8(text: str | bytes) -> int:
    """Where the first thing stands that is no UTF-8, in characters of a text and in bytes of bytes."""
    try:
        text.decode() if isinstance(text, bytes) else text.encode()
    except UnicodeError as error:
        return int(getattr(error, "start", 0))
    return 0


def check_bounds(value: Json, depth_max: int = DEPTH_MAX) -> None:
    """Refuse JSON that is nested deeper than ``depth_max`` or holds an integer of more than 64 bits."""
    if isinstance(value, dict) and depth_max > 1:
        for item in value.values():
            kind = type(item)
            if kind is dict or kind is list or (kind is int and not INTEGER_MIN <= item <= INTEGER_MAX):
                break
        else:
            return  # nearly always there is nothing in it that could be too much
    level = [value]
    for _ in range(depth_max + 1):
        below: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, int) and not INTEGER_MIN <= item <= INTEGER_MAX:
                raise WireError("bad_frame", f"expected integers of at most 64 bits, got one of {item.bit_length()}")
        if not below:
            return
        level = below
    raise bad_frame(f"expected at most {depth_max} levels of nesting, got more")


def _locate(encoded: bytes, why: str) -> tuple[str, str]:
    """The place of msgspec's complaint as ``line:column``, and the complaint without its place."""
    found = _BYTE.search(why)
    # Without a place it is the end of the text that came too soon.
    before = encoded[: int(found[1])] if found else encoded
    half = _half_escaped(encoded[: len(before) + len(r"\ud800")])
    if half is not None:
        # Of one near the end the decoder only says that the text is too short for the other half.
        before, why = encoded[:half], "half a surrogate pair, which is no character"
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    if found is None and half is None:
        return f"{line}:{column}", "the text ends too soon" if encoded.strip() else "the text is empty"
    return f"{line}:{column}", _BYTE.sub("", why).removeprefix("JSON is malformed: ")


def _half_escaped(encoded: bytes) -> int | None:
    """Where the first ``\\ud800`` stands that has no other half beside it."""
    high: int | None = None
    end = 0
    for escape in _ESCAPE.finditer(encoded):
        unit = 0 if escape[1] is None else int(escape[1], 16)
        is_low = 0xDC00 <= unit <= 0xDFFF
        if high is not None and not (is_low and escape.start() == end):
            return high
        if is_low and high is None:
            return escape.start()
        high = escape.start() if 0xD800 <= unit <= 0xDBFF else None
        end = escape.end()
    return high


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value == "" and isinstance(value, str):
        return "an empty string"
    return KINDS.get(type(value), "null")


KINDS: dict[type, str] = {
    str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object",
}  # fmt: skip
_BYTE = re.compile(r" \(byte (\d+)\)")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)")
_decoder = msgspec.json.Decoder()
