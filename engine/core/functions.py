"""The functions of the expression language, on known values. They never raise and have no effect.

`defined`, `default`, `matches`, and ``any``/``all`` over a list that is written out are compiled in
`engine.core.expressions`, because they look at how their arguments were written or whether they are known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import re2

from engine.core.operations import NUMBERS, bounded, member, order
from engine.core.refusal import Refused
from engine.core.units import format_at, format_duration, from_datetime, from_timedelta
from engine.core.unknown import Unknown, fault, kind_of, show

REGEX_MAX = 500  # characters of a regular expression
REGEX_MEMORY_MAX = 1 << 20  # bytes of RE2's program and automaton; RE2 searches more slowly rather than exceed it
# Steps of RE2's program times characters of the text, for each of an expression's regular expressions at once. One unit
# takes RE2 up to 3 ns where its automaton has no room (measured), so that an expression takes 0.1 s at the very worst.
SEARCH_WORK_MAX = 32_000_000
ROUND_DIGITS_MAX = 18  # either side of the point; beyond it rounding an integer would build a huge power of ten


class Function(NamedTuple):
    """How many arguments a function takes, and what it does. ``args_max`` None is any number."""

    args_min: int
    args_max: int | None
    call: Callable[..., Any]


def compile_regex(pattern: str) -> Any:
    """The compiled pattern, in RE2's syntax: searching takes time linear in the text. Raises `Refused`."""
    if len(pattern) > REGEX_MAX:
        raise Refused(
            f"expected a regular expression of at most {REGEX_MAX} characters, got {len(pattern)}",
            code="too-large",
        )
    options = re2.Options()
    options.log_errors = False  # it would write to the standard error stream
    options.max_mem = REGEX_MEMORY_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        reason = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        hint = "" if "(?" not in reason else "RE2 has no look-ahead and no look-behind"
        raise Refused(f"expected a regular expression, got {reason}", code="bad-regex", hint=hint) from None


class Searches:
    """The regular expressions of one expression: the longer they are together, the shorter a text may be."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps = 0

    def add(self, pattern: Any) -> Callable[[Any], Any]:
        """What finds out whether the pattern is found anywhere in a text."""
        self._steps += pattern.programsize
        return lambda text: self._search(pattern, text)

    def _search(self, pattern: Any, text: Any) -> Any:
        if not isinstance(text, str):
            return fault(f"matches({show(text)}, …) is given {kind_of(text)}, not text")
        if len(text) * self._steps > SEARCH_WORK_MAX:
            return fault(
                f"matches(…) is given {len(text)} characters, at most {SEARCH_WORK_MAX // self._steps} of them"
            )
        try:
            return pattern.search(text) is not None
        except UnicodeEncodeError:
            return fault("matches(…) is given text with half a surrogate pair")


def _wrong(name: str, value: Any, wanted: str) -> Unknown:
    return fault(f"{name}({show(value)}) is given {kind_of(value)}, not {wanted}")


def _len(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    return _wrong("len", value, "text, a list or a mapping")


def _lower(text: Any) -> Any:
    return bounded(text.lower()) if isinstance(text, str) else _wrong("lower", text, "text")


def _upper(text: Any) -> Any:
    return bounded(text.upper()) if isinstance(text, str) else _wrong("upper", text, "text")


def _startswith(text: Any, start: Any) -> Any:
    if isinstance(text, str) and isinstance(start, str):
        return text.startswith(start)
    return _wrong("startswith", start if isinstance(text, str) else text, "text")


def _endswith(text: Any, end: Any) -> Any:
    if isinstance(text, str) and isinstance(end, str):
        return text.endswith(end)
    return _wrong("endswith", end if isinstance(text, str) else text, "text")


def _contains(container: Any, item: Any) -> Any:
    return member(item, container)


def _least(*values: Any) -> Any:
    return _extreme("min", "<", values)


def _greatest(*values: Any) -> Any:
    return _extreme("max", ">", values)


def _extreme(name: str, sign: str, values: tuple[Any, ...]) -> Any:
    if len(values) == 1:
        if not isinstance(values[0], list | tuple):
            return _wrong(name, values[0], "a list or several values")
        values = tuple(values[0])
        if not values:
            return fault(f"{name}([]) is given an empty list")
    best = values[0]
    # The first is compared with itself, so that a single value which has no order is a fault as well.
    for value in values:
        better = order(sign, value, best)
        if isinstance(better, Unknown):
            return better
        if better:
            best = value
    return best


def _abs(value: Any) -> Any:
    if type(value) in NUMBERS or isinstance(value, timedelta):
        try:
            return bounded(abs(value))
        except OverflowError:
            return fault("abs(a duration) is out of range")
    return _wrong("abs", value, "a number")


def _round(value: Any, digits: Any = None) -> Any:
    if type(value) not in NUMBERS:
        return _wrong("round", value, "a number")
    if digits is not None and (type(digits) is not int or abs(digits) > ROUND_DIGITS_MAX):
        return fault(f"round(…, {show(digits)}) takes whole digits from -{ROUND_DIGITS_MAX} to {ROUND_DIGITS_MAX}")
    try:
        return bounded(round(value) if digits is None else round(value, digits))
    except (OverflowError, ValueError):
        return fault(f"round({show(value)}) is out of range")


def _int(value: Any) -> Any:
    return _number("int", int, value)


def _float(value: Any) -> Any:
    return _number("float", float, value)


def _number(name: str, convert: Callable[[Any], Any], value: Any) -> Any:
    if not isinstance(value, str | int | float):
        return _wrong(name, value, "a number or text")
    try:
        return bounded(convert(value))
    except (ValueError, OverflowError):
        return fault(f"{name}({show(value)}) is no number")


def _str(value: Any) -> Any:
    """Truth values and null as they are written in a rule, durations as ``"5m"``, moments as RFC 3339 in UTC.

    A list or a mapping has no text of its own: it is a fault.
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return show(value)
    if type(value) in NUMBERS:
        known = bounded(value)
        return known if isinstance(known, Unknown) else repr(known)
    if isinstance(value, timedelta):
        return format_duration(from_timedelta(value))
    if isinstance(value, datetime):
        return format_at(from_datetime(value))
    return _wrong("str", value, "a single value")


def _any(values: Any) -> Any:
    return any(map(bool, values)) if isinstance(values, list | tuple) else _wrong("any", values, "a list")


def _all(values: Any) -> Any:
    return all(map(bool, values)) if isinstance(values, list | tuple) else _wrong("all", values, "a list")


FUNCTIONS: dict[str, Function] = {
    "len": Function(1, 1, _len),
    "lower": Function(1, 1, _lower),
    "upper": Function(1, 1, _upper),
    "startswith": Function(2, 2, _startswith),
    "endswith": Function(2, 2, _endswith),
    "contains": Function(2, 2, _contains),
    "min": Function(1, None, _least),
    "max": Function(1, None, _greatest),
    "abs": Function(1, 1, _abs),
    "round": Function(1, 2, _round),
    "int": Function(1, 1, _int),
    "float": Function(1, 1, _float),
    "str": Function(1, 1, _str),
    "any": Function(1, 1, _any),
    "all": Function(1, 1, _all),
}
# Those that need to see more than values; only how many arguments they take is said here.
SPECIAL_FUNCTIONS: dict[str, int] = {"defined": 1, "default": 2, "matches": 2}
FUNCTION_NAMES = (*FUNCTIONS, *SPECIAL_FUNCTIONS)
