"""Which kind of value a part of an expression has, if it has one, and which two kinds never match in a comparison.

It knows the names whose kind the engine itself sees to, and says nothing of the data of events and the attributes of
users.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from types import MappingProxyType

from engine.core.refusal import Refused
from engine.core.scope import NOW_FIELDS
from engine.core.units import format_duration, parse_duration
from engine.lint.constraints import Span, Test, literal_of, path_of

_OF_NOW = {f"now.{name}": "text" if name in ("weekday", "date") else "number" for name in NOW_FIELDS}
KINDS_OF_NAMES: Mapping[str, str] = MappingProxyType({
    **_OF_NOW, "now": "moment",
    "session.age": "duration", "session.events": "number", "session.id": "text", "user.id": "text",
    "event.type": "text", "event.id": "text", "event.session": "text", "event.at": "moment",
    "event.at_reported": "moment",
    "trigger.kind": "text", "trigger.count": "number", "trigger.first_at": "moment", "trigger.at": "moment",
    "trigger.idle": "duration", "trigger.waited": "duration", "trigger.lasted": "duration", "trigger.away": "duration",
    "trigger.keyword": "text", "trigger.keywords": "list", "trigger.response": "text", "trigger.steps": "list",
})  # fmt: skip
_MOMENTS = frozenset(name for name, kind in KINDS_OF_NAMES.items() if kind == "moment")
_CALLS = {"len": "number", "int": "number", "float": "number", "str": "text", "lower": "text", "upper": "text"}
# What `+ - * /` and the like make of two kinds; other pairs are left alone.
_MADE: Mapping[tuple[str, str, str], str] = {
    ("moment", "Sub", "moment"): "duration", ("moment", "Sub", "duration"): "moment",
    ("moment", "Add", "duration"): "moment", ("duration", "Add", "duration"): "duration",
    ("duration", "Sub", "duration"): "duration", ("duration", "Mult", "number"): "duration",
    ("number", "Mult", "duration"): "duration", ("duration", "Div", "duration"): "number",
    ("duration", "Div", "number"): "duration", ("text", "Add", "text"): "text",
}  # fmt: skip
WORDS: Mapping[str, str] = {
    "duration": "a duration", "number": "a number", "text": "text", "moment": "a moment", "list": "a list",
    "truth": "a truth value", "null": "null", "mapping": "a mapping",
}  # fmt: skip
_ORDERED = frozenset({"duration", "number", "text", "moment"})
_HOLDING = frozenset({"text", "list"})  # what `in` can look into


def kind_of(node: ast.expr, span: Span) -> str | None:
    """The kind of its value, if it has one; None where that depends on who wrote the events."""
    literal = literal_of(node, span)
    if literal is not None:
        return literal.kind
    path = path_of(node)
    if path is not None:
        return kind_of_name(path)
    match node:
        case ast.List() | ast.Tuple():
            return "list"
        case ast.Call(func=ast.Name(id=name)):
            return _CALLS.get(name)
        case ast.BinOp():
            left, right = kind_of(node.left, span), kind_of(node.right, span)
            if left == right == "number":
                return "number"
            return _MADE.get((left or "", type(node.op).__name__, right or ""))
    return None


def kind_of_name(path: str) -> str | None:
    """``trigger.first_at`` and ``trigger.first_at.hour``: a moment has the fields of ``now``."""
    owner, _, field = path.rpartition(".")
    return KINDS_OF_NAMES.get(f"now.{field}" if owner in _MOMENTS else path)


def clash(left: str | None, sign: type[ast.cmpop], right: str | None) -> bool:
    """Whether a comparison of two kinds comes to nothing, whatever the values."""
    if sign is ast.In or sign is ast.NotIn:
        return right is not None and (right not in _HOLDING or (right == "text" and left not in (None, "text")))
    if left is None or right is None:
        return False
    return left != right or (sign not in (ast.Eq, ast.NotEq) and left not in _ORDERED)


def mend(node: ast.expr, kind: str, wanted: str, span: Span) -> str:
    """How what stands there, of ``kind``, becomes one of the kind that is ``wanted``; "" where there is no saying."""
    literal = literal_of(node, span)
    if literal is None:
        return ""
    if wanted == "duration":
        return _as_duration(kind, literal.value)
    if wanted == "number" and kind == "text" and _is_number(literal.value):
        return f"write {literal.value} without the quotes"
    if wanted == "text" and kind == "number":
        return f'write "{literal}"'
    if wanted == "moment":
        return 'a moment has the fields of "now": hour, weekday, date and so on'
    if wanted == "list" and kind == "text":
        return 'look it up with "in"'
    return ""


def as_kind(test: Test, kinds: Collection[str]) -> str:
    """The test's only literal as it is written to be of the only kind there is; "" where there is no saying."""
    if len(kinds) != 1 or len(test.literals) != 1:
        return ""
    (kind,), (literal,) = kinds, test.literals
    if kind == "number" and literal.kind == "text" and _is_number(literal.value):
        return f"{literal.value} without the quotes"
    if kind == "text" and literal.kind == "number":
        return f'"{literal}", or compare float({test.path})'
    return ""


def _as_duration(kind: str, value: object) -> str:
    if kind == "number" and isinstance(value, int) and value > 0:
        try:
            whole = format_duration(parse_duration(f"{value}s"))
        except Refused:
            whole = ""
        return f"write {value}s or {whole}" if whole not in ("", f"{value}s") else f"write {value}s or {value}m"
    if kind == "text" and isinstance(value, str):
        try:
            return f"write {format_duration(parse_duration(value))} without the quotes"
        except Refused:
            pass
    return "write a duration such as 90s or 5m" if kind in ("number", "text") else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text.strip() == text
