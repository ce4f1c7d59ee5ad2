"""The filters, tests and methods that a template may use: pure ones, each within the render's budget.

An explicit list: what Jinja adds one day is not allowed until it stands here. Nothing here draws, reads or waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.exceptions import TemplateError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.tests import TESTS as JINJA_TESTS

from engine.core.template_bounds import (
    LOOP_STEPS_MAX,
    TEXT_CHARS_MAX,
    Budget,
    RenderFailed,
    as_json,
    check_length,
    kind_of,
)

# Jinja's own, behind the guard of `_bounded`.
BORROWED_FILTERS = (
    "abs", "batch", "count", "d", "default", "dictsort", "filesizeformat", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select",
    "selectattr", "slice", "sort", "title", "truncate", "unique", "urlencode", "wordcount",
)  # fmt: skip
BORROWED_TESTS = (
    "!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false",
    "float", "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan", "lt", "mapping", "ne",
    "none", "number", "odd", "sequence", "string", "true", "undefined",
)  # fmt: skip
# These answer about a missing value or look at no more than its ends, so they ask for no weighing.
_LIGHT = frozenset({"d", "default", "defined", "undefined", "count", "length", "first", "last"})
_TAKES_MISSING = frozenset({"d", "default", "defined", "undefined"})
# Of these the value is text: a number or a list is written as the message would show it.
_OF_TEXT = frozenset({"title", "truncate", "wordcount"})
# Of these a function of Python is called for each item, some of them several times.
_OF_ITEMS = frozenset({
    "batch", "dictsort", "groupby", "map", "max", "min", "reject", "rejectattr", "select", "selectattr", "slice",
    "sort", "unique",
})  # fmt: skip
_ITEM_WORK = 3
# What Jinja's own filters and tests raise at values they were not made for; `truncate` asserts its length.
_MISUSE = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, TemplateError)

STRING_METHODS = (
    "upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "split", "startswith", "endswith",
)  # fmt: skip
LOOP_METHODS = ("cycle", "changed")

# A conversion of the ``format`` filter. No "c": it makes characters that are none. No "r" and "a": they show
# Python's view of a value. No "*": it takes the width from the data.
_CONVERSION = re.compile(r"%(?:\(\w+\))?[#0\- +]*(\d{0,3})(?:\.\d{0,2})?([diouxXeEfFgGs%])", re.ASCII)
_CONVERSIONS_MAX = 64


def demand(value: Any) -> Any:
    """The value, if there is one; raises Jinja's own error that names what is missing."""
    if isinstance(value, Undefined):
        str(value)
    return value


def _bounded(name: str, function: Any, what: str) -> Callable[..., Any]:
    """One of Jinja's own functions, with its inputs weighed, its result gathered and within bounds."""
    passes = getattr(function, "jinja_pass_arg", None)
    passed = None if passes is None else passes.name

    @pass_context
    def call(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = context.budget
        if name not in _TAKES_MISSING:
            for item in (value, *args, *kwargs.values()):
                demand(item)
        if name not in _LIGHT:
            for item in (value, *args, *kwargs.values()):
                budget.weigh(item)
        if name in _OF_TEXT:
            value = budget.text(value)
            budget.spend(len(value))  # they look at each character, and Python does so in turns of its own
        elif name in _OF_ITEMS and isinstance(value, list | tuple | dict | str):
            budget.spend(_ITEM_WORK * len(value))
        guard = _GUARDS.get(name)
        if guard is not None:
            guard(value, *args, **kwargs)
        first = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        given = () if passed is None else (first[passed],)
        try:
            result = _gathered(function(*given, value, *args, **kwargs))
        except _MISUSE as misuse:
            if isinstance(misuse, TemplateError) and misuse.message and isinstance(value, list | tuple | dict):
                raise
            raise RenderFailed(f'the {what} "{name}" cannot be used like this on {kind_of(value)}') from None
        return result if name in _TAKES_MISSING else budget.settle(result)

    return call


def _gathered(result: Any) -> Any:
    """Jinja's lazy answers as lists, so that what they cost is paid where they stand."""
    if not isinstance(result, Iterator):
        return result
    items = list(islice(result, LOOP_STEPS_MAX + 1))
    if len(items) > LOOP_STEPS_MAX:
        raise RenderFailed(f"a list grows longer than {LOOP_STEPS_MAX} items")
    return items


def _guard_count(value: Any, count: Any = 1, *args: Any, **kwargs: Any) -> None:
    """For ``batch`` and ``slice``, which fill up to a number that a template can make as large as it likes."""
    counts = (count, *(kwargs.get(key, 1) for key in ("linecount", "slices")))
    if not all(isinstance(number, int) and 1 <= number <= 1000 for number in counts):
        raise RenderFailed('"batch" and "slice" take a number from 1 to 1000')


def _guard_precision(value: Any, precision: Any = 0, *args: Any, **kwargs: Any) -> None:
    for number in (precision, kwargs.get("precision", 0)):
        if not isinstance(number, int) or not -15 <= number <= 15:
            raise RenderFailed('"round" takes a precision from -15 to 15')


_GUARDS: dict[str, Callable[..., None]] = {
    "batch": _guard_count,
    "slice": _guard_count,
    "round": _guard_precision,
}


def _own(function: Callable[..., Any]) -> Callable[..., Any]:
    """One of our own functions of a budget and a value, as a filter."""

    @pass_context
    def call(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = context.budget
        for item in (value, *args, *kwargs.values()):
            budget.weigh(demand(item))
        try:
            result = function(budget, value, *args, **kwargs)
        except (TypeError, ValueError, ArithmeticError):
            name = function.__name__.strip("_")
            raise RenderFailed(f'the filter "{name}" cannot be used like this on {kind_of(value)}') from None
        return budget.settle(result)

    return call


def _upper(budget: Budget, value: Any) -> str:
    return budget.text(value).upper()


def _lower(budget: Budget, value: Any) -> str:
    return budget.text(value).lower()


def _capitalize(budget: Budget, value: Any) -> str:
    return budget.text(value).capitalize()


def _trim(budget: Budget, value: Any, chars: str | None = None) -> str:
    return budget.text(value).strip(chars)


def _string(budget: Budget, value: Any) -> str:
    return budget.text(value)


def _tojson(budget: Budget, value: Any) -> str:
    return as_json(value)


def _center(budget: Budget, value: Any, width: int = 80) -> str:
    check_length(width)
    return budget.text(value).center(width)


def _replace(budget: Budget, value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = budget.text(value), budget.text(old), budget.text(new)
    found = text.count(old)
    if count is not None and count >= 0:
        found = min(found, count)
    check_length(len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def _indent(budget: Budget, value: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:
    """Like Jinja's, with a number of spaces only."""
    lines = budget.text(value).splitlines() or [""]
    check_length(width)
    check_length(sum(len(line) + width + 1 for line in lines))
    space = " " * width
    rest = [space + line if line or blank else line for line in lines[1:]]
    return "\n".join([(space if first else "") + lines[0], *rest])


def _format(budget: Budget, value: Any, *args: Any, **kwargs: Any) -> str:
    """printf-style, as in Jinja: ``"%.1f"|format(x)``."""
    pattern = budget.text(value)
    conversions = 0
    position = pattern.find("%")
    while position >= 0:
        match = _CONVERSION.match(pattern, position)
        conversions += 1
        if match is None or conversions > _CONVERSIONS_MAX:
            raise RenderFailed('"format" has a conversion that is not allowed')
        position = pattern.find("%", match.end())
    if kwargs:
        return pattern % {name: _formattable(budget, item) for name, item in kwargs.items()}
    return pattern % tuple(_formattable(budget, item) for item in args)


def _formattable(budget: Budget, value: Any) -> Any:
    return value if type(value) in (int, float) else budget.text(value)


def _sum(budget: Budget, value: Iterable[Any], start: Any = 0) -> Any:
    total = start
    if isinstance(value, list | tuple | dict):
        budget.spend(_ITEM_WORK * len(value))
    for item in value:
        if not isinstance(demand(item), int | float) or not isinstance(start, int | float):
            raise RenderFailed(f'"sum" adds numbers, not {kind_of(item)}')
        total += item
        budget.settle(total)
    return total


@pass_context
def _join(context: Any, value: Any, d: Any = "", attribute: Any = None) -> str:
    """Like Jinja's, with the length known before the text is built."""
    budget: Budget = context.budget
    budget.weigh(demand(value))
    if not isinstance(value, list | tuple | dict | str):
        raise RenderFailed(f'the filter "join" cannot be used on {kind_of(value)}')
    separator = budget.text(demand(d))
    if attribute is not None:
        value = FILTERS["map"](context, value, attribute=attribute)
    pieces: list[str] = []
    length = 0
    for item in value:
        piece = budget.text(demand(item))
        length += len(piece) + len(separator)
        if length - len(separator) > TEXT_CHARS_MAX:
            check_length(length - len(separator))
        pieces.append(piece)
    budget.spend(1 + length)
    return separator.join(pieces)


def _is_lower(budget: Budget, value: Any) -> bool:
    return budget.text(value).islower()


def _is_upper(budget: Budget, value: Any) -> bool:
    return budget.text(value).isupper()


# What `template_syntax.rewrite` puts in the place of constructs. Users cannot name them.


@pass_context
def _steps(context: Any, value: Any, weight: int) -> Iterator[Any]:
    """The items of a loop, each paid for when it is taken."""
    if not isinstance(demand(value), list | tuple | dict | str):
        raise RenderFailed(f"a loop cannot run over {kind_of(value)}")
    step = context.budget.step
    for item in value:
        step(weight)
        yield item


@pass_context
def _range(context: Any, *bounds: Any) -> list[int]:
    if not all(type(bound) is int for bound in bounds) or not 1 <= len(bounds) <= 3:
        raise RenderFailed('"range" takes one to three integers')
    if len(bounds) == 3 and bounds[2] == 0:
        raise RenderFailed('the step of "range" cannot be 0')
    numbers = range(*bounds)
    # Not len(): it fails on ranges that are longer than the machine can count.
    if numbers and abs(bounds[-1] if len(bounds) < 2 else bounds[1] - bounds[0]) // abs(numbers.step) > LOOP_STEPS_MAX:
        raise RenderFailed(f'"range" gives at most {LOOP_STEPS_MAX} numbers')
    context.budget.spend(1 + len(numbers))
    return list(numbers)


@pass_context
def _method(context: Any, value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """``value.name(...)``: a few methods of texts, and the two of the loop variable."""
    budget: Budget = context.budget
    if isinstance(value, LoopContext) and name in LOOP_METHODS:
        for item in args:
            budget.weigh(demand(item))
        try:
            return getattr(value, name)(*args)
        except TypeError:
            raise RenderFailed(f'"loop.{name}" needs a value') from None
    if not isinstance(demand(value), str) or name not in STRING_METHODS:
        raise RenderFailed(f'{kind_of(value)} has no method "{name}"')
    for item in (value, *args):
        budget.weigh(demand(item))
    try:
        return budget.settle(getattr(value, name)(*args, **kwargs))
    except (TypeError, ValueError, OverflowError):
        raise RenderFailed(f'the method "{name}" cannot be used like this') from None


@pass_context
def _slice(context: Any, value: Any, start: Any, stop: Any, step: Any) -> Any:
    if not isinstance(demand(value), list | tuple | str):
        raise RenderFailed(f"{kind_of(value)} cannot be cut into")
    try:
        part = value[start:stop:step]
    except (TypeError, ValueError):
        raise RenderFailed("a slice takes integers, and a step other than 0") from None
    context.budget.spend(1 + len(part))
    return part


@pass_context
def _concat(context: Any, *parts: Any) -> str:
    budget: Budget = context.budget
    pieces = [budget.text(demand(part)) for part in parts]
    length = sum(map(len, pieces))
    check_length(length)
    budget.spend(1 + (length >> 4))
    return "".join(pieces)


@pass_context
def _weighed(context: Any, value: Any) -> Any:
    """A list that was written, or one side of a comparison: paid for before anybody walks it."""
    context.budget.weigh(value)
    return value


OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "capitalize": _own(_capitalize),
    "center": _own(_center),
    "format": _own(_format),
    "indent": _own(_indent),
    "join": _join,
    "lower": _own(_lower),
    "replace": _own(_replace),
    "string": _own(_string),
    "sum": _own(_sum),
    "tojson": _own(_tojson),
    "trim": _own(_trim),
    "upper": _own(_upper),
}
FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _bounded(name, JINJA_FILTERS[name], "filter") for name in BORROWED_FILTERS},
    **OWN_FILTERS,
}
TESTS: dict[str, Callable[..., Any]] = {
    **{name: _bounded(name, JINJA_TESTS[name], "test") for name in BORROWED_TESTS},
    "lower": _own(_is_lower),
    "upper": _own(_is_upper),
}
REWRITTEN: dict[str, Callable[..., Any]] = {
    "_concat": _concat,
    "_method": _method,
    "_range": _range,
    "_slice": _slice,
    "_steps": _steps,
    "_weighed": _weighed,
}


class BoundedContext(Context):
    """Jinja's context of one render, and the budget of that render."""

    budget: Budget
