"""An expression that does not hold, with other numbers so that it does. It evaluates no expression."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from engine.core.expression_text import prepare
from engine.core.units import MILLISECOND, SECOND, format_duration, from_timedelta

_TURNED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.Eq}


def loosened(source: str, values: Mapping[str, Any]) -> tuple[str, float] | None:
    """The expression with the numbers and spans changed that the ``values`` of its names fall short of; and how far
    they are changed, as a share of what they were. None where it is no matter of numbers.

    Parts that must all hold are looked at each by itself: ``a >= 3 and b``.
    """
    if not source.isascii():
        return None  # the places of the syntax tree are bytes
    prepared = prepare(source)
    lead = len(prepared.text) - len(prepared.text.lstrip(" "))
    root = ast.parse(prepared.text[lead:], mode="eval").body
    edits: list[tuple[int, int, str, float]] = []
    for part in _conjuncts(root):
        match part:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                kind: Any = type(op)
                for name, literal, way in ((left, right, kind), (right, left, _TURNED.get(kind))):
                    value = values.get(ast.unparse(name))
                    start = lead + literal.col_offset
                    span = prepared.durations.get(start)
                    number = span if span is not None else _number(literal)
                    found = None if way is None or number is None else _other(value, way, number)
                    if found is not None:
                        edits.append((start, lead + (literal.end_col_offset or 0), *found))
                        break
    if not edits:
        return None
    text = source
    for start, stop, literal_text, _ in sorted(edits, reverse=True):
        text = text[:start] + literal_text + text[stop:]
    return text, sum(edit[3] for edit in edits)


def _conjuncts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _conjuncts(value)
    else:
        yield node


def _number(node: ast.expr) -> int | float | None:
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
    return None


def _other(value: Any, way: type[ast.cmpop], number: Any) -> tuple[str, float] | None:
    """The literal for which the comparison holds, and how far it is from the one that was written."""
    if isinstance(number, timedelta):
        if not isinstance(value, timedelta):
            return None
        micros, limit = from_timedelta(value), from_timedelta(number)
        unit = SECOND if micros >= SECOND else MILLISECOND
        other = _moved(micros - micros % unit, micros + -micros % unit, unit, way, micros, limit)
        return None if other is None or other <= 0 else (format_duration(other), abs(limit - other) / limit)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    step: int | float = 1 if isinstance(value, int) else abs(value) / 1000 or 1
    other = _moved(value, value, step, way, value, number)
    return None if other is None else (repr(other), abs(number - other) / (abs(number) or 1))


def _moved(below: Any, above: Any, step: Any, way: type[ast.cmpop], value: Any, limit: Any) -> Any:
    """The limit for which ``value way limit`` holds; None where it does already, or where no limit can help."""
    if way is ast.GtE and value < limit:
        return below
    if way is ast.Gt and value <= limit:
        return below if below < value else below - step
    if way is ast.LtE and value > limit:
        return above
    if way is ast.Lt and value >= limit:
        return above if above > value else above + step
    if way is ast.Eq and value != limit and below == above:
        return value
    return None
