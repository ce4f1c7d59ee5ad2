"""Events, messages and outcomes as items of a rule file's ``tests:``, in one line each. It runs nothing.

What it writes is read back as what it was (`scenarios` is the reader), but for whole numbers of more than 63 bits,
which become the nearest fraction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from engine.core.model import Event, Json
from engine.core.units import MILLISECOND, format_duration, show_at
from engine.loading.read import INTEGER_BITS_MAX
from engine.loading.scenarios import EVENT

FLOAT_BITS = 1024  # from which on a whole number may be beyond all that IEEE 754 has


def event_item(event: Event, start: int) -> str:
    """``{after: 2m, type: test.failed, test: t1}``; ``start`` is that of the test."""
    beside = {name: value for name, value in event.data.items() if name not in EVENT.keys and name != "user"}
    inside = {name: value for name, value in event.data.items() if name not in beside}
    parts = [when(event.at, start), f"type: {text_item(event.type)}"]
    parts += [f"{name}: {text_item(value)}" for name, value in (("session", event.session), ("id", event.id)) if value]
    parts += [f"{text_item(name)}: {flow(value)}" for name, value in beside.items()]
    if inside:
        parts.append(f"data: {flow(inside)}")
    return "{" + ", ".join(parts) + "}"


def mapping_item(at: int, start: int, values: Mapping[str, Json]) -> str:
    """``{after: 2m, rule: stuck, …}``: what is expected at a moment. Values that are None are left out."""
    parts = [when(at, start), *(f"{name}: {flow(value)}" for name, value in values.items() if value is not None)]
    return "{" + ", ".join(parts) + "}"


def when(at: int, start: int) -> str:
    """How long after the start; the moment itself where that is finer than a duration can say."""
    span = at - start
    return f"at: {text_item(show_at(at))}" if span % MILLISECOND else f"after: {format_duration(span)}"


def flow(value: Json) -> str:
    """A JSON value in one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_item(str(name))}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, int) and INTEGER_BITS_MAX < value.bit_length() < FLOAT_BITS:
        value = float(value)  # a rule file takes no whole number so large
    return text_item(value) if isinstance(value, str) else json.dumps(value)


# What means itself in YAML without quotes, wherever it stands: words, but none that is a truth value or nothing, to
# readers of YAML 1.1 either.
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z_][A-Za-z0-9_./-]*", re.IGNORECASE)


def text_item(text: str) -> str:
    """A text, in quotes where it would mean something else without."""
    if _PLAIN.fullmatch(text):
        return text
    # A JSON string is a double-quoted text of YAML; what is beyond ASCII is escaped where it does not print.
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(part if part.isprintable() else _escaped(part) for part in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
