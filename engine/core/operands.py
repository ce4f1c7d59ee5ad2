"""Which names an expression looks at as they are: what a reader of a trace wants the values of. It decides nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from engine.core.closures import Run
from engine.core.scope import Scope
from engine.core.shapes import NAMESPACES
from engine.core.unknown import Unknown

NAMES_SHOWN_MAX = 3  # whose values the reason of a false condition tells

Names = tuple[tuple[str, Run], ...]  # each as its author calls it, and how it is read


def named_operands(root: ast.expr) -> Iterator[ast.expr]:
    """``event.n`` and the like where they are compared, looked up with ``in`` or taken for true, in that order.

    What is calculated or handed to a function is left out: its value is not the name's.
    """
    match root:
        case ast.BoolOp():
            for value in root.values:
                yield from named_operands(value)
        case ast.UnaryOp(op=ast.Not()):
            yield from named_operands(root.operand)
        case ast.Compare():
            yield from (operand for operand in (root.left, *root.comparators) if _is_name(operand))
        case _ if _is_name(root):
            yield root


def seen(names: Names, scope: Scope) -> tuple[Any, ...]:
    """Name and value in turn, as far as they are known: ``("user.skill", "expert", "event.n", 1)``."""
    parts: tuple[Any, ...] = ()
    for name, run in names:
        value = run(scope)
        if value.__class__ is not Unknown:
            parts += (name, value)
    return parts


def _is_name(node: ast.expr) -> bool:
    """A field of a namespace, at any depth; a namespace alone is too much to show."""
    is_field = False
    while True:
        match node:
            case ast.Attribute():
                node, is_field = node.value, True
            case ast.Subscript(slice=ast.Constant()):
                node, is_field = node.value, True
            case _:
                return is_field and isinstance(node, ast.Name) and node.id in NAMESPACES
