"""Which fields expressions and templates read: ``event.test``, ``user.skill``. It looks at no value.

What is asked about (``defined``, ``default``) may be missing, so whatever a text guards anywhere is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from engine.core.expression_text import prepare
from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.render import Template
from engine.core.template_syntax import parse
from engine.lint.constraints import path_of

_GUARDS = frozenset({"defined", "default"})
_TEMPLATE_GUARDS = frozenset({"defined", "undefined", "default", "d"})


def read_by_expression(source: str) -> dict[str, int]:
    """Path → offset in the source of where it is read first."""
    prepared = prepare(source)
    lead = len(prepared.text) - len(prepared.text.lstrip(" "))
    encoded = prepared.text[lead:].encode()
    root = ast.parse(prepared.text[lead:], mode="eval").body
    read: dict[str, int] = {}
    guarded: set[str] = set()
    for node in ast.walk(root):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _GUARDS and node.args:
            path = path_of(node.args[0])
            guarded.add(path or "")
        if isinstance(node, ast.Attribute | ast.Subscript):
            path = path_of(node)
            if path is not None:
                read.setdefault(path, lead + len(encoded[: node.col_offset].decode()))
    return _unguarded(read, guarded)


def read_by_template(template: Template) -> dict[str, int]:
    """Path → 0, as `read_by_expression`."""
    if not any(mark in template.source for mark in ("{{", "{%")):
        return {}
    try:
        tree, _ = parse(template.source, None)
    except Refused:
        return {}
    read: dict[str, int] = {}
    guarded: set[str] = set()
    for node in _walk(tree):
        kind = type(node).__name__
        if kind in ("Test", "Filter") and node.name in _TEMPLATE_GUARDS:
            guarded.add(_template_path(node.node) or "")
        elif kind in ("Getattr", "Getitem"):
            path = _template_path(node)
            if path is not None:
                read.setdefault(path, 0)
    return _unguarded(read, guarded)


def templates_in(data: Json) -> Iterator[Template]:
    """All templates in the data of a message, at any depth."""
    if isinstance(data, Template):
        yield data
    elif isinstance(data, dict | list | tuple):
        for item in data.values() if isinstance(data, dict) else data:
            yield from templates_in(item)


def _unguarded(read: dict[str, int], guarded: set[str]) -> dict[str, int]:
    """Of paths that go on into others only the longest; none that is guarded, nor what lies within such a one."""
    return {
        path: offset
        for path, offset in read.items()
        if not any(other.startswith((f"{path}.", f"{path}[")) for other in read)
        and not any(path == guard or path.startswith((f"{guard}.", f"{guard}[")) for guard in guarded)
    }


def _walk(node: Any) -> Iterator[Any]:
    """All nodes but the methods that are called: ``event.test.upper()`` reads ``event.test``."""
    yield node
    for child in node.iter_child_nodes():
        is_method = type(node).__name__ == "Call" and child is node.node and type(child).__name__ == "Getattr"
        yield from _walk(child.node if is_method else child)


def _template_path(node: Any) -> str | None:
    match type(node).__name__:
        case "Name":
            name: str = node.name
            return name
        case "Getattr":
            owner = _template_path(node.node)
            return None if owner is None else f"{owner}.{node.attr}"
        case "Getitem" if type(node.arg).__name__ == "Const" and isinstance(node.arg.value, str):
            owner = _template_path(node.node)
            return None if owner is None else f"{owner}.{node.arg.value}"
    return None
