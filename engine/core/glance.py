"""A value at a glance: as short JSON for a reason, whatever its size. Reads no more than it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from engine.core.model import plain
from engine.core.unknown import show

LENGTH_MAX = 40  # characters of a value that are shown; what is longer ends in "…"


def glance(value: Any) -> str:
    """At most `LENGTH_MAX` characters on one line. Durations and moments stand as the language writes them."""
    if value.__class__ is str and _is_plain(value):
        return f'"{value}"'
    text = ""
    # Every piece has a character, so that this ends early in a large value, and comes no deeper than it shows.
    for piece in _pieces(value):
        text += piece
        if len(text) > LENGTH_MAX:
            return text[: LENGTH_MAX - 1] + "…"
    return text


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield _quoted(value)
    elif isinstance(value, dict):
        yield "{"
        for place, (name, item) in enumerate(value.items()):
            yield f"{', ' if place else ''}{_quoted(str(name))}: "
            yield from _pieces(item)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, item in enumerate(value):
            if place:
                yield ", "
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, timedelta | datetime):
        yield plain(value)
    else:
        yield show(value)


def _quoted(text: str) -> str:
    if _is_plain(text):
        return f'"{text}"'
    return '"' + _SPECIAL.sub(_escaped, text[:LENGTH_MAX]) + '"' * (len(text) < LENGTH_MAX)


def _is_plain(text: str) -> bool:
    return len(text) <= LENGTH_MAX - 2 and _SPECIAL.search(text) is None


# What JSON escapes, and what a terminal would act on or not show. Written out, for what Python holds to be printable
# changes with its version, and a reason must not.
_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]')


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match.group())[1:-1]
