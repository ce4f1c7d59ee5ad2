"""What the operators of an expression do to known values. Never raises: what makes no sense is an `Unknown`.

Moments are compared and subtracted as points of time, never by their local clocks: Python's own arithmetic on
two datetimes of one zone ignores that the clocks were changed in between.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from engine.core.units import from_datetime, from_timedelta, to_datetime, to_timedelta
from engine.core.unknown import Unknown, fault, kind_of, show

TEXT_MAX = 10_000  # characters of a text that an expression makes
LIST_MAX = 1_000  # items of a list that an expression makes
INT_MIN, INT_MAX = -(2**63), 2**63 - 1  # what msgpack and every client can carry
COMPARE_DEPTH_MAX = 64  # nesting of lists and mappings that are compared; fixed, so that no call stack decides

NUMBERS = frozenset({int, float})  # exact types: a truth value is no number
_ORDERED_ALIKE = frozenset({str, timedelta})
_LISTS = (list, tuple)

ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _TooDeep(Exception):
    pass


def equal(left: Any, right: Any) -> bool | Unknown:
    """Python's equality, but a truth value never equals a number. Unknown only where both nest too deep."""
    try:
        return _equal(left, right, COMPARE_DEPTH_MAX)
    except _TooDeep:
        return fault(f"a comparison goes deeper than {COMPARE_DEPTH_MAX} levels")


def _equal(left: Any, right: Any, depth: int) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, datetime) and isinstance(right, datetime):
        return from_datetime(left) == from_datetime(right)
    if isinstance(left, _LISTS) and isinstance(right, _LISTS):
        if depth == 0:
            raise _TooDeep
        return len(left) == len(right) and all(
            _equal(one, other, depth - 1) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        if depth == 0:
            raise _TooDeep
        return left.keys() == right.keys() and all(_equal(left[key], right[key], depth - 1) for key in left)
    return bool(left == right)


def order(sign: str, left: Any, right: Any) -> bool | Unknown:
    """``<``, ``<=``, ``>`` or ``>=`` between two numbers, texts, durations or moments; else a fault."""
    kind, other = type(left), type(right)
    if (kind in NUMBERS and other in NUMBERS) or (kind is other and kind in _ORDERED_ALIKE):
        return ORDERINGS[sign](left, right)
    if kind is datetime and other is datetime:
        return ORDERINGS[sign](from_datetime(left), from_datetime(right))
    return fault(f"{show(left)} {sign} {show(right)} compares {kind_of(left)} with {kind_of(right)}")


def member(item: Any, container: Any) -> bool | Unknown:
    """Whether a text stands in a text, a value in a list, a key in a mapping."""
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if isinstance(container, _LISTS):
        unsure: Unknown | None = None
        for candidate in container:
            same = equal(item, candidate)
            if isinstance(same, Unknown):
                unsure = same
            elif same:
                return True
        return False if unsure is None else unsure
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    return fault(f"{show(item)} in {show(container)} looks for {kind_of(item)} in {kind_of(container)}")


def arithmetic(sign: str, left: Any, right: Any) -> Any:
    """One of ``+ - * / // %``. A division by zero, a result beyond bounds, a senseless pair is a fault."""
    kind, other = type(left), type(right)
    try:
        if kind in NUMBERS and other in NUMBERS:
            return bounded(_NUMERIC[sign](left, right))
        compute = _MIXED.get((sign, list if kind is tuple else kind, list if other is tuple else other))
        if compute is not None:
            return bounded(compute(left, right))
    except ZeroDivisionError:
        return fault(f"{show(left)} {sign} {show(right)} divides by zero")
    except (OverflowError, ValueError):
        return fault(f"{show(left)} {sign} {show(right)} is out of range")
    return fault(f"{show(left)} {sign} {show(right)} combines {kind_of(left)} with {kind_of(right)}")


def negative(value: Any) -> Any:
    if type(value) in NUMBERS or type(value) is timedelta:
        return arithmetic("*", value, -1)
    return fault(f"-{show(value)} negates {kind_of(value)}")


def positive(value: Any) -> Any:
    if type(value) in NUMBERS or type(value) is timedelta:
        return value
    return fault(f"+{show(value)} takes {kind_of(value)} for a number")


def bounded(value: Any) -> Any:
    """The computed value if the language can hold it, else a fault. What is only read has no bound here."""
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return fault(f"a text would have {len(value)} characters, at most {TEXT_MAX}")
    if type(value) is int and not INT_MIN <= value <= INT_MAX:
        return fault("a whole number would be beyond 64 bits")
    if type(value) is float and not isfinite(value):
        return fault("a number would be infinite or none at all")
    return value


def _join(left: str, right: str) -> Any:
    return left + right


def _chain(left: Any, right: Any) -> Any:
    if len(left) + len(right) > LIST_MAX:
        return fault(f"a list would have {len(left) + len(right)} items, at most {LIST_MAX}")
    return [*left, *right]


def _repeat_text(text: str, count: int) -> Any:
    if len(text) * count > TEXT_MAX:
        return fault(f"{show(text)} repeated would have more than {TEXT_MAX} characters")
    return text * count


def _repeat_list(items: Any, count: int) -> Any:
    # Lists of lists would multiply: a few nested repetitions make more items than anybody can compare.
    if any(isinstance(item, list | tuple | dict) for item in items):
        return fault("a list that holds lists or mappings cannot be repeated")
    if len(items) * count > LIST_MAX:
        return fault(f"a list repeated would have more than {LIST_MAX} items")
    return list(items) * count


def _later(moment: datetime, span: timedelta) -> datetime:
    return to_datetime(from_datetime(moment) + from_timedelta(span), moment.tzinfo or UTC)


def _between(left: datetime, right: datetime) -> timedelta:
    return to_timedelta(from_datetime(left) - from_datetime(right))


_NUMERIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}

_MIXED: dict[tuple[str, type, type], Callable[[Any, Any], Any]] = {
    ("+", str, str): _join,
    ("+", list, list): _chain,
    ("*", str, int): _repeat_text,
    ("*", int, str): lambda count, text: _repeat_text(text, count),
    ("*", list, int): _repeat_list,
    ("*", int, list): lambda count, items: _repeat_list(items, count),
    ("+", timedelta, timedelta): operator.add,
    ("-", timedelta, timedelta): operator.sub,
    ("*", timedelta, int): operator.mul,
    ("*", timedelta, float): operator.mul,
    ("*", int, timedelta): operator.mul,
    ("*", float, timedelta): operator.mul,
    ("/", timedelta, int): operator.truediv,
    ("/", timedelta, float): operator.truediv,
    ("/", timedelta, timedelta): operator.truediv,
    ("//", timedelta, int): operator.floordiv,
    ("//", timedelta, timedelta): operator.floordiv,
    ("%", timedelta, timedelta): operator.mod,
    ("+", datetime, timedelta): _later,
    ("+", timedelta, datetime): lambda span, moment: _later(moment, span),
    ("-", datetime, timedelta): lambda moment, span: _later(moment, -span),
    ("-", datetime, datetime): _between,
}
