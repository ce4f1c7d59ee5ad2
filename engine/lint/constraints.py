"""Comparisons of one name with literals: which of them contradict each other, which leave nothing out."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.core.expression_text import prepare
from engine.core.model import plain
from engine.core.shapes import NAMESPACES

TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = MappingProxyType(
    {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
)
COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = MappingProxyType({
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
})  # fmt: skip
ORDERED = frozenset({"number", "duration"})
Span = Callable[[ast.expr], timedelta | None]


class Literal(NamedTuple):
    """Literals of two kinds are never equal: as in the language, true is not 1."""

    kind: str
    value: Any

    def __str__(self) -> str:
        if self.kind == "text":
            return f'"{self.value}"'
        if self.kind == "truth":
            return "true" if self.value else "false"
        return "null" if self.value is None else str(plain(self.value))


class Test(NamedTuple):
    """``path`` compared with ``literals``, of which there is one but for ``in``."""

    path: str
    sign: type[ast.cmpop]
    literals: tuple[Literal, ...]

    def allows(self, literal: Literal) -> bool | None:
        """Whether it holds of a name with that value; None where that is a matter of types."""
        if self.sign in (ast.In, ast.NotIn):
            return (literal in self.literals) == (self.sign is ast.In)
        (mine,) = self.literals
        if self.sign in (ast.Eq, ast.NotEq):
            return (literal == mine) == (self.sign is ast.Eq)
        return COMPARED[self.sign](literal.value, mine.value) if literal.kind == mine.kind else None

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.literals))
        return f"{self.path} {_SIGNS[self.sign]} {f'[{shown}]' if self.sign in (ast.In, ast.NotIn) else shown}"


_SIGNS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip


def path_of(node: ast.expr) -> str | None:
    """``event.context.file`` of such an expression, None for any other."""
    match node:
        case ast.Name() if node.id in NAMESPACES:
            return node.id
        case ast.Attribute():
            owner = path_of(node.value)
            return None if owner is None else f"{owner}.{node.attr}"
        case ast.Subscript(slice=ast.Constant(value=str() | int() as index)):
            owner = path_of(node.value)
            return None if owner is None else f"{owner}.{index}" if isinstance(index, str) else f"{owner}[{index}]"
    return None


def literal_of(node: ast.expr, span: Span) -> Literal | None:
    duration = span(node)
    if duration is not None:
        return Literal("duration", duration)
    match node:
        case ast.Constant(value=bool() as value):
            return Literal("truth", value)
        case ast.Constant(value=int() | float() as value):
            return Literal("number", value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if value is not True:
            return Literal("number", -value)
        case ast.Constant(value=str() as value):
            return Literal("text", value)
        case ast.Constant(value=None) | ast.Name(id="null"):
            return Literal("null", None)
        case ast.Name(id="true" | "false" as word):
            return Literal("truth", word == "true")
    return None


def tests_of(node: ast.expr, span: Span, ordered: frozenset[str]) -> list[Test]:
    """The comparisons of names with literals that all have to hold for this one to hold; a chain gives several.

    Of ``<`` and the like only those with literals of the kinds ``ordered``.
    """
    if not isinstance(node, ast.Compare):
        return []
    tests = []
    left = node.left
    for operation, right in zip(node.ops, node.comparators, strict=True):
        test = _test(left, type(operation), right, span, ordered)
        if test is not None:
            tests.append(test)
        left = right
    return tests


def tests_in(source: str) -> list[tuple[Test, int, str]]:
    """All comparisons of names with literals in an expression, wherever they stand, each with its offset and text."""
    prepared = prepare(source)
    lead = len(prepared.text) - len(prepared.text.lstrip(" "))
    encoded = prepared.text[lead:].encode()

    def offset(byte: int) -> int:
        return lead + len(encoded[:byte].decode())

    def span(node: ast.expr) -> timedelta | None:
        return prepared.durations.get(offset(node.col_offset)) if isinstance(node, ast.Name) else None

    found = []
    for node in ast.walk(ast.parse(prepared.text[lead:], mode="eval").body):
        if isinstance(node, ast.Compare):
            start, end = offset(node.col_offset), offset(node.end_col_offset or node.col_offset)
            found += [(test, start, source[start:end]) for test in tests_of(node, span, ORDERED | {"text"})]
    return found


def _test(left: ast.expr, sign: type[ast.cmpop], right: ast.expr, span: Span, ordered: frozenset[str]) -> Test | None:
    path = path_of(left)
    if sign in (ast.In, ast.NotIn):
        if path is None or not isinstance(right, ast.List | ast.Tuple):
            return None
        items = [literal_of(item, span) for item in right.elts]
        known = tuple([item for item in items if item is not None])
        return Test(path, sign, known) if known and len(known) == len(items) else None
    if path is None:
        left, right, sign = right, left, TURNED.get(sign, sign)
        path = path_of(left)
    literal = literal_of(right, span)
    if path is None or literal is None or sign not in COMPARED:
        return None
    if sign not in (ast.Eq, ast.NotEq) and literal.kind not in ordered:
        return None
    return Test(path, sign, (literal,))


class Constraints:
    """Tests that must all hold, of any names."""

    def __init__(self) -> None:
        self.tests: dict[str, list[Test]] = {}

    def add(self, test: Test) -> str | None:
        """Add one more; the contradiction that it makes, in words, or None."""
        earlier = self.tests.setdefault(test.path, [])
        earlier.append(test)
        wanted = next((one for one in earlier if one.sign in (ast.Eq, ast.In)), None)
        if wanted is not None:
            # Only these values come into question, and each of them must pass all tests.
            left = [one for one in wanted.literals if all(other.allows(one) is not False for other in earlier)]
            if not left:
                other = next((one for one in earlier if one is not wanted and not _compatible(wanted, one)), None)
                return f"{wanted} and {other}" if other is not None else f"no value of {test.path} passes all of it"
            return None
        for other in earlier[:-1]:
            if _exclude(other, test):
                return f"{other} and {test}"
        return None


def _compatible(wanted: Test, other: Test) -> bool:
    return any(other.allows(literal) is not False for literal in wanted.literals)


def _exclude(one: Test, other: Test) -> bool:
    """Whether two tests of one name with an order leave no number between them."""
    (mine, *_), (theirs, *_) = one.literals, other.literals
    if mine.kind != theirs.kind or mine.kind not in ORDERED:
        return False
    if one.sign in (ast.Lt, ast.LtE):
        one, other, mine, theirs = other, one, theirs, mine
    if one.sign not in (ast.Gt, ast.GtE) or other.sign not in (ast.Lt, ast.LtE):
        return False
    if mine.value == theirs.value:
        return one.sign is ast.Gt or other.sign is ast.Lt
    above: bool = mine.value > theirs.value
    return above


def never_false(tests: Sequence[Test]) -> str:
    """Why tests of which one is enough cannot all be false; "" where they can, as far as can be told."""
    for number, one in enumerate(tests):
        for other in tests[:number]:
            if one.path != other.path:
                continue
            if one.sign is other.sign is ast.NotEq and one.literals != other.literals:
                return f"{one.path} cannot be {other.literals[0]} and {one.literals[0]} at once"
            if {one.sign, other.sign} == {ast.Eq, ast.NotEq} and one.literals == other.literals:
                return f"{one.path} is {one.literals[0]}, or it is not"
            if _exclude(_opposite(other), _opposite(one)):
                return f"{one.path} passes {other}, or else {one}"
    return ""


_OPPOSITE: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip


def _opposite(test: Test) -> Test:
    return test._replace(sign=_OPPOSITE.get(test.sign, test.sign))
