"""What must be equal for an expression to hold, read off its syntax tree. Evaluates nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from engine.core.model import Json
from engine.core.scope import EVENT_RESERVED


def required_equality(root: ast.expr) -> tuple[str, Json] | None:
    """The first conjunct that asks a field of the event for one text, or for null."""
    for conjunct in _conjuncts(root):
        match conjunct:
            case ast.Compare(left=one, ops=[ast.Eq()], comparators=[other]):
                for side, literal in ((one, other), (other, one)):
                    field = _event_field(side)
                    if field is not None and _is_text_or_null(literal):
                        return field, getattr(literal, "value", None)
    return None


def _conjuncts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _conjuncts(value)
    else:
        yield node


def _event_field(node: ast.expr) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id="event"), attr=str() as field):
            pass
        case ast.Subscript(value=ast.Name(id="event"), slice=ast.Constant(value=str() as field)):
            pass
        case _:
            return None
    return None if field in EVENT_RESERVED else field


def _is_text_or_null(node: ast.expr) -> bool:
    # Truth values and numbers are left out: in a table Python would find True under 1.
    match node:
        case ast.Constant(value=None | str()) | ast.Name(id="null"):
            return True
    return False
