"""What a render may cost, counted and never timed: steps, work and sizes, so that a template fails alike everywhere.

Knows no Jinja and no scope; it weighs plain values and writes them as text.
"""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import Any

from engine.core.units import format_duration, from_timedelta

SOURCE_CHARS_MAX = 8 * 1024
OUTPUT_CHARS_MAX = 16 * 1024  # a chat message of five pages: nobody is shown more
TEXT_CHARS_MAX = 16 * 1024  # of any value on the way there
LOOP_STEPS_MAX = 10_000  # of all loops of one render together
# One unit is about one operation on a scalar, a character put out, or sixteen characters moved. A render that
# spends all of it takes about a tenth of a second; ordinary messages spend a few dozen.
WORK_MAX = 1_000_000
NESTING_MAX = 64  # of values; well below the interpreter's own limit, which depends on who calls
INTEGER_MAX = 2**63

_CHARS_SHIFT = 4


class RenderFailed(Exception):
    """A template could not be rendered. ``reason`` says why, in words that are the same on every machine."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """What is left of one render's allowance. Every method raises `RenderFailed` when it is used up."""

    __slots__ = ("steps", "work")

    def __init__(self) -> None:
        self.steps = LOOP_STEPS_MAX
        self.work = WORK_MAX

    def spend(self, units: int) -> None:
        self.work -= units
        if self.work < 0:
            raise RenderFailed("the template does too much work")

    def step(self, weight: int) -> None:
        """One turn of a loop whose body has ``weight`` operations."""
        self.steps -= 1
        if self.steps < 0:
            raise RenderFailed(f"the loops of the template take more than {LOOP_STEPS_MAX} steps")
        self.spend(weight)

    def weigh(self, value: Any) -> None:
        """Spend what looking at every part of ``value`` once would cost, and refuse what is nested too deeply.

        A part that appears twice is counted twice: lists that hold themselves over and over
        (``{% set a = [a, a] %}``) are small in memory and without end to everyone who walks them.
        """
        if isinstance(value, str):
            self.spend(1 + (len(value) >> _CHARS_SHIFT))
            return
        if not isinstance(value, list | tuple | dict):
            self.spend(1)
            return
        unweighed: list[tuple[Any, int]] = [(value, 1)]
        while unweighed:
            container, depth = unweighed.pop()
            if depth > NESTING_MAX:
                raise RenderFailed(f"a value is nested more than {NESTING_MAX} levels deep")
            self.spend(len(container) + 1)
            parts = (*container, *container.values()) if isinstance(container, dict) else container
            for part in parts:
                if isinstance(part, str):
                    self.spend(len(part) >> _CHARS_SHIFT)
                elif isinstance(part, list | tuple | dict):
                    unweighed.append((part, depth + 1))

    def settle(self, value: Any) -> Any:
        """A value that an operation has made, once it is known to be within bounds."""
        if isinstance(value, str):
            check_length(len(value))
        elif isinstance(value, int):
            if not -INTEGER_MAX <= value < INTEGER_MAX:
                raise RenderFailed("a number is out of range: integers end at 2**63")
        elif isinstance(value, float) and not math.isfinite(value):
            raise RenderFailed("a number is out of range")
        self.weigh(value)
        return value

    def text(self, value: Any) -> str:
        """``value`` as a message shows it.

        Nothing (null) is the empty text, durations are ``5m``, moments RFC 3339 with their offset, truth values
        ``true`` and ``false``, lists and mappings JSON.
        """
        if type(value) is str:
            return value
        if isinstance(value, list | tuple | dict):
            self.weigh(value)
            return as_json(value)
        return scalar_text(value)


def check_length(chars: int) -> None:
    """Before a text of that many characters is built."""
    if chars > TEXT_CHARS_MAX:
        raise RenderFailed(f"a text grows longer than {TEXT_CHARS_MAX} characters")


def scalar_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, timedelta):
        return format_duration(from_timedelta(value))
    if isinstance(value, datetime):
        return value.isoformat()
    raise RenderFailed(f"{kind_of(value)} cannot be shown")


def as_json(value: Any) -> str:
    """A weighed value as JSON text, mappings in their own order."""
    return json.dumps(value, ensure_ascii=False, default=scalar_text)


def kind_of(value: Any) -> str:
    """What a value is, in the words of the language, for a reason."""
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return "nothing" if value is None else "this value"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a text"),
    (bool, "a truth value"),
    ((int, float), "a number"),
    ((list, tuple), "a list"),
    (dict, "a mapping"),
    (timedelta, "a duration"),
    (datetime, "a moment"),
)
