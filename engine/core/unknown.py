"""A value that is not known, and how values are named in the reason why. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, NoReturn

NAMES_MAX = 8  # of the names one unknown carries; a reader of a trace needs the first, not the fortieth
SHOWN_MAX = 40  # characters of a text that a fault quotes
SHOWN_INT_MAX = 10**20  # an integer beyond it is described: writing it out takes quadratic time

_KINDS: dict[type, str] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "a truth value",
    NoneType: "null",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    datetime: "a moment",
    timedelta: "a duration",
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """What an expression is when something that it depends on is missing or cannot be done.

    ``missing`` are the names that were asked for and not there (``event.context.file``), ``faults`` the
    operations that make no sense (``"a" < 1 compares text with a number``); one of them is never empty.
    It has no truth value: asking for it is a mistake of ours, so it raises.
    """

    missing: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that was missing, then all that could not be done, each once."""
        return self.missing + self.faults

    def __bool__(self) -> NoReturn:
        raise TypeError("an unknown is neither true nor false")

    def __str__(self) -> str:
        return "; ".join([f"{name} is missing" for name in self.missing] + list(self.faults))

    def joined(self, other: Unknown) -> Unknown:
        """Both reasons, this one's first."""
        if self == other:
            return self
        return Unknown(
            tuple(dict.fromkeys(self.missing + other.missing))[:NAMES_MAX],
            tuple(dict.fromkeys(self.faults + other.faults))[:NAMES_MAX],
        )


def fault(text: str) -> Unknown:
    return Unknown(faults=(text,))


def kind_of(value: Any) -> str:
    """What the language calls such a value, with its article."""
    return _KINDS.get(type(value), "something else")


def show(value: Any) -> str:
    """A value as a fault quotes it: short whatever it is, and as it would be written where it can be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= SHOWN_MAX else f'"{value[:SHOWN_MAX]}…"'
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < SHOWN_INT_MAX):
        return repr(value)
    return kind_of(value)
