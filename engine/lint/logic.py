"""What an expression can come to, read off its syntax tree: never true, never false, or with a value that cannot be.

All it says holds for every event and every user; where it cannot tell, anything is possible.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from engine.core.expression_text import prepare
from engine.core.expressions import compile_expression
from engine.core.functions import SPECIAL_FUNCTIONS
from engine.core.refusal import Refused
from engine.core.rules import Policy
from engine.core.scope import WEEKDAYS, Scope
from engine.core.shapes import NAMESPACES
from engine.core.state import UserState
from engine.core.unknown import Unknown
from engine.lint.constraints import COMPARED, ORDERED, TURNED, Constraints, literal_of, never_false, path_of, tests_of
from engine.lint.kinds import WORDS, clash, kind_of, kind_of_name, mend
from engine.lint.types import covers
from engine.loading.wording import listed, shorten

TRUE, FALSE, UNKNOWN = "true", "false", "unknown"
Can = frozenset[str]  # what an expression can come to
_ANY: Can = frozenset({TRUE, FALSE, UNKNOWN})
_SPANS: Mapping[str, tuple[int, int]] = {
    "now.hour": (0, 23), "now.minute": (0, 59), "now.day": (1, 31), "now.month": (1, 12),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the names of an expression.

    ``types``: patterns of the types that the event can have, None for any. ``kinds``: those of the triggers.
    ``dead``: namespaces of which nothing is known when it is evaluated.
    """

    types: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    dead: frozenset[str] = frozenset()


class Oddity(NamedTuple):
    """Something that cannot be meant, at ``offset`` of the source."""

    code: str
    offset: int
    message: str
    hint: str = ""


class Examined:
    """One expression, taken apart."""

    def __init__(self, source: str, known: Known) -> None:
        prepared = prepare(source)
        self.source = source
        self.known = known
        self.lead = len(prepared.text) - len(prepared.text.lstrip(" "))
        self.encoded = prepared.text[self.lead :].encode()
        self.durations = prepared.durations
        self.root = ast.parse(prepared.text[self.lead :], mode="eval").body
        self.oddities: list[Oddity] = []
        self.can = self.possible(self.root)

    def offset(self, byte: int) -> int:
        return self.lead + len(self.encoded[:byte].decode())

    def span(self, node: ast.expr) -> timedelta | None:
        """The duration that stands there, None for anything else."""
        return self.durations.get(self.offset(node.col_offset)) if isinstance(node, ast.Name) else None

    def text(self, node: ast.expr) -> str:
        end = node.end_col_offset or node.col_offset
        return self.source[self.offset(node.col_offset) : self.offset(end)]

    def possible(self, node: ast.expr) -> Can:
        match node:
            case ast.BoolOp(op=ast.And()):
                return _all_of([self.possible(value) for value in node.values])
            case ast.BoolOp():
                return _denied(_all_of([_denied(self.possible(value)) for value in node.values]))
            case ast.UnaryOp(op=ast.Not()):
                return _denied(self.possible(node.operand))
            case ast.Compare(ops=ops):
                known = self.constant(node) or self.unknown(node)
                if known is not None or self.is_mixed(node):
                    return known or _ANY  # what never matches has been noted
                return self.comparison(node) if len(ops) == 1 else _ANY
        return self.constant(node) or self.unknown(node) or _ANY

    def constant(self, node: ast.expr) -> Can | None:
        """What an expression without names comes to."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id in NAMESPACES:
                return None
        try:
            value = compile_expression(self.text(node)).evaluate(Scope(UserState(""), None, 0, Policy()))
        except Refused:
            return None
        return frozenset({UNKNOWN if isinstance(value, Unknown) else TRUE if value else FALSE})

    def unknown(self, node: ast.expr) -> Can | None:
        return frozenset({UNKNOWN}) if self.is_unknown(node) else None

    def is_unknown(self, node: ast.expr) -> bool:
        """Whether its value needs one of the names of which nothing is known."""
        match node:
            case ast.Attribute(value=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)):
                return name in self.known.dead
            case ast.Attribute() | ast.Subscript():
                return self.is_unknown(node.value)
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.List(elts=[]) | ast.Tuple(elts=[])]):
                return False
            case ast.Compare(ops=[ast.In() | ast.NotIn()]):
                return self.is_unknown(node.left)
            case ast.Compare(ops=[_]):
                return self.is_unknown(node.left) or self.is_unknown(node.comparators[0])
            case ast.BinOp():
                return self.is_unknown(node.left) or self.is_unknown(node.right)
            case ast.UnaryOp():
                return self.is_unknown(node.operand)
            case ast.Call(func=ast.Name(id=name)) if name not in (*SPECIAL_FUNCTIONS, "any", "all"):
                return any(self.is_unknown(argument) for argument in node.args)
        return False

    def is_mixed(self, node: ast.Compare) -> bool:
        """Whether it compares kinds of values that never match; the first such pair is noted."""
        operands = [node.left, *node.comparators]
        for operation, left, right in zip(node.ops, operands, node.comparators, strict=False):
            kind, other, sign = kind_of(left, self.span), kind_of(right, self.span), type(operation)
            if not clash(kind, sign, other):
                continue
            whole = self.source[self.offset(left.col_offset) : self.offset(right.end_col_offset or right.col_offset)]
            sides = [(self.text(one), of) for one, of in ((left, kind), (right, other)) if of is not None]
            said = [f"never {name}" if of == "null" else f"{name} is {WORDS[of]}" for name, of in sides]
            how = "is never false" if sign is ast.NotEq else "never holds"
            code = "always-holds" if sign is ast.NotEq else "never-holds"
            hint = self.mended(left, kind, right, other, sign)
            message = f'"{shorten(whole)}" {how}: {" and ".join(said)}'
            self.oddities.append(Oddity(code, self.offset(left.col_offset), message, hint))
            return True
        return False

    def mended(
        self, left: ast.expr, kind: str | None, right: ast.expr, other: str | None, sign: type[ast.cmpop]
    ) -> str:
        """How to make one kind of the two, by way of the one that is written out."""
        if kind is None or other is None or sign in (ast.In, ast.NotIn):
            return ""
        if "null" in (kind, other):
            name = self.text(right if kind == "null" else left)
            return f"write {'' if sign is ast.NotEq else 'not '}defined({name})"
        return mend(right, other, kind, self.span) or mend(left, kind, other, self.span)

    def comparison(self, node: ast.Compare) -> Can:
        """Of a name with a value: whether it can have that value at all."""
        (operation,), (right,) = node.ops, node.comparators
        left, sign = node.left, type(operation)
        if path_of(left) is None and sign not in (ast.In, ast.NotIn):
            left, right, sign = right, left, TURNED.get(sign, sign)
        path = path_of(left)
        if path is None:
            return _ANY
        if sign in (ast.In, ast.NotIn) and isinstance(right, ast.List | ast.Tuple):
            for item in right.elts:
                self.can_be(path, item)
        elif path in _SPANS:
            return self.in_span(node, path, sign, right)
        elif sign in (ast.Eq, ast.NotEq):
            self.can_be(path, right)
        return _ANY  # what cannot be has been noted, and then nothing more is said of the whole

    def can_be(self, path: str, right: ast.expr) -> bool:
        """Whether the name can have the value; where it cannot, that is noted."""
        mine, theirs = kind_of_name(path), kind_of(right, self.span)
        if mine is not None and theirs is not None and mine != theirs:
            message = f"{path} is {WORDS[mine]} and never {self.text(right)}"
            return self.impossible(right, message, mend(right, theirs, mine, self.span))
        if not isinstance(right, ast.Constant) or not isinstance(right.value, str):
            return True
        text = right.value
        if path == "now.weekday" and text not in WEEKDAYS:
            return self.impossible(right, f'now.weekday is never "{text}"', f"the days are {listed(WEEKDAYS, 'and')}")
        if path == "trigger.kind" and self.known.kinds and text not in self.known.kinds:
            kinds = listed(self.known.kinds, "or")
            return self.impossible(right, f'trigger.kind is never "{text}"', f"the triggers of the rule are {kinds}")
        types = self.known.types
        if path == "event.type" and types is not None and not any(covers(pattern, text) for pattern in types):
            hint = f"the events that come here are {listed(types, 'or')}"
            return self.impossible(right, f'event.type is never "{text}"', hint)
        return True

    def impossible(self, node: ast.expr, message: str, hint: str) -> bool:
        self.oddities.append(Oddity("impossible-value", self.offset(node.col_offset), message, hint))
        return False

    def in_span(self, node: ast.Compare, path: str, sign: type[ast.cmpop], right: ast.expr) -> Can:
        value = literal_of(right, self.span)
        if value is None or value.kind != "number" or sign not in COMPARED:
            return _ANY
        low, high = _SPANS[path]
        outcomes = {COMPARED[sign](number, value.value) for number in range(low, high + 1)}
        if len(outcomes) != 1:
            return _ANY
        always = "always" if True in outcomes else "never"
        self.impossible(node, f'"{self.text(node)}" is {always} true', f"{path} goes from {low} to {high}")
        return frozenset({TRUE if True in outcomes else FALSE})


def examine(sources: Sequence[str], known: Known) -> Iterator[tuple[int, Oddity]]:
    """What cannot be meant of expressions that must all hold: which of them, and what."""
    together = Constraints()
    is_clean = True
    for number, source in enumerate(sources):
        examined = Examined(source, known)
        oddities = examined.oddities or list(_alone(examined))
        is_clean = is_clean and not oddities
        yield from ((number, oddity) for oddity in oddities)
        for conjunct in _flattened(examined.root, ast.And) if is_clean else ():
            clash = next(
                (clash for test in tests_of(conjunct, examined.span, ORDERED) if (clash := together.add(test))), None
            )
            if clash is not None:
                yield number, Oddity("never-holds", examined.offset(conjunct.col_offset), f"this never holds: {clash}")
                return


def _alone(examined: Examined) -> Iterator[Oddity]:
    """What is to be said of one expression as a whole, and of its parts that must all hold."""
    root = examined.root
    shown = shorten(examined.source)
    if TRUE not in examined.can:
        dead = sorted(name for name in examined.known.dead if f"{name}." in examined.source)
        why = f": {_DEAD[dead[0]]}" if dead else ", whatever the event and the user"
        yield Oddity("never-holds", 0, f'"{shown}" never holds{why}')
    elif examined.can == {TRUE}:
        yield Oddity("always-holds", 0, f'"{shown}" always holds', "leave it out")
    else:
        for conjunct in _flattened(root, ast.And):
            either = list(_flattened(conjunct, ast.Or))
            tests = [tests_of(part, examined.span, ORDERED) for part in either]
            one_each = [test[0] for test in tests if len(test) == 1]
            if len(either) > 1 and (why := never_false(one_each)):
                yield Oddity("always-holds", examined.offset(conjunct.col_offset), f"this is never false: {why}")


_DEAD: Mapping[str, str] = {
    "event": "nothing is known of an event when only a schedule fires",
    "session": "the session is over when its end fires; trigger.lasted says how long it was",
}


def _flattened(node: ast.expr, kind: type[ast.boolop]) -> Iterator[ast.expr]:
    """The operands of nested ``and`` or ``or``, else the expression itself."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, kind):
        for value in node.values:
            yield from _flattened(value, kind)
    else:
        yield node


def _all_of(operands: Sequence[Can]) -> Can:
    """What ``and`` can come to, if its operands are as independent as they can be."""
    can = set()
    if any(FALSE in operand for operand in operands):
        can.add(FALSE)
    if all(TRUE in operand for operand in operands):
        can.add(TRUE)
    if any(UNKNOWN in operand for operand in operands) and all(operand != {FALSE} for operand in operands):
        can.add(UNKNOWN)
    return frozenset(can)


def _denied(can: Can) -> Can:
    return frozenset({TRUE: FALSE, FALSE: TRUE}.get(one, one) for one in can)
