"""Expressions of the rule language (section 4), compiled once to closures in three-valued logic.

Knows no YAML and no rule. Evaluating never raises, whatever the data are: what is missing or cannot be done
is an `Unknown` that says so.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, cast

from engine.core.closures import (
    Part,
    Run,
    both,
    calculation,
    calling,
    choice,
    compare,
    constant,
    denied,
    either,
    is_defined,
    is_in,
    is_in_items,
    listing,
    or_default,
    unary,
)
from engine.core.conjuncts import required_equality
from engine.core.expression_text import NESTING_MAX, Prepared, prepare, unread
from engine.core.functions import FUNCTION_NAMES, FUNCTIONS, SPECIAL_FUNCTIONS, Searches, compile_regex
from engine.core.model import Json
from engine.core.names import check_field, check_namespace
from engine.core.near_words import did_you_mean
from engine.core.operands import NAMES_SHOWN_MAX, Names, named_operands
from engine.core.operations import INT_MAX, INT_MIN, negative, positive
from engine.core.reading import read_field, read_index, read_member, read_namespace
from engine.core.refusal import Refused
from engine.core.scope import EVENT_RESERVED, Scope
from engine.core.shapes import NAMESPACES
from engine.core.unknown import Unknown

__all__ = ["NODES_MAX", "Expression", "Unknown", "compile_expression"]

NODES_MAX = 200  # values and operations of one expression

_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: denied,
    ast.USub: negative,
    ast.UAdd: positive,
}
_NAMED = (ast.Name, ast.Attribute, ast.Subscript)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
# What Python's grammar has and the language has not, as an author would name it.
_FOREIGN: dict[type[ast.AST], str] = {
    ast.Lambda: "a lambda", ast.ListComp: "a comprehension", ast.GeneratorExp: "a comprehension",
    ast.Await: '"await"', ast.Yield: '"yield"', ast.YieldFrom: '"yield"', ast.Starred: 'a "*" before a value',
    ast.Slice: "a slice", ast.Is: '"is"', ast.IsNot: '"is not"',
}  # fmt: skip


Equality = tuple[str, Json] | None


class Expression:
    """A compiled expression. Immutable, and it may be evaluated for any number of users.

    ``needs`` are the namespaces it mentions. ``equality`` is ``(field, literal)`` where it can hold only if
    ``event.field == literal``, the literal a text or None: an event that says otherwise need not be looked
    at, one that agrees still has to be evaluated. ``names`` are what it looks at, for `operands.seen`.
    """

    __slots__ = ("_run", "equality", "names", "needs", "source")

    def __init__(self, source: str, run: Run, needs: frozenset[str], equality: Equality, names: Names) -> None:
        self.source = source
        self.needs = needs
        self.equality = equality
        self.names = names
        self._run = run

    def evaluate(self, scope: Scope) -> Any:
        """The value, or an `Unknown`. A tuple is a list; a JSON null that is there is a known None."""
        return self._run(scope)

    def holds(self, scope: Scope) -> bool:
        """Whether it is known and true, as Python takes a value for true (0, "", [] and null are not)."""
        value = self._run(scope)
        return value is True or (value.__class__ is not Unknown and bool(value))

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"


def compile_expression(
    source: str, *, namespaces: tuple[str, ...] = NAMESPACES, trigger_facts: Collection[str] | None = None
) -> Expression:
    """The expression, or `Refused` with the offset in ``source`` of what is wrong.

    Codes: bad-expression, unknown-name, bad-regex, too-large. ``trigger_facts`` are all facts that the rule's
    triggers can tell, None where that is not known.
    """
    prepared = prepare(source)
    lead = len(prepared.text) - len(prepared.text.lstrip(" "))
    root = _parse(prepared.text, lead)
    compiler = _Compiler(source, prepared, lead, namespaces, trigger_facts)
    compiler.check_size(root)
    run = compiler.part(root).run
    return Expression(source, run, frozenset(compiler.needs), required_equality(root), compiler.names(root))


def _parse(text: str, lead: int) -> ast.expr:
    if not text.strip():
        raise Refused("expected an expression, got nothing", code="bad-expression")
    try:
        return ast.parse(text[lead:], mode="eval").body
    except SyntaxError as error:
        # Python's own words differ from version to version; the position is what helps.
        # No offset, or 0: the end of the text is what came unexpectedly.
        offset = min(lead + error.offset - 1 if error.offset else len(text), len(text.rstrip()))
        raise Refused(unread(text[offset:]), code="bad-expression", offset=offset) from None
    except (RecursionError, MemoryError):
        raise Refused(f"the expression nests deeper than {NESTING_MAX}", code="too-large") from None
    except ValueError:
        raise Refused("the expression holds a character that no text can have", code="bad-expression") from None


class _Compiler:
    """Turns the nodes of one expression into closures, refusing what the language has not."""

    def __init__(
        self,
        source: str,
        prepared: Prepared,
        lead: int,
        namespaces: tuple[str, ...],
        trigger_facts: Collection[str] | None,
    ) -> None:
        self.source = source
        self.durations = prepared.durations
        self.lead = lead
        self.encoded = prepared.text[lead:].encode()
        self.namespaces = namespaces
        self.trigger_facts = trigger_facts
        self.needs: set[str] = set()
        self.searches = Searches()

    def check_size(self, root: ast.expr) -> None:
        """Refuse what is too large before anything walks it recursively."""
        waiting: list[tuple[ast.AST, int]] = [(root, 1)]
        nodes = 0
        while waiting:
            node, depth = waiting.pop()
            if isinstance(node, ast.expr):
                nodes += 1
                if nodes > NODES_MAX:
                    raise Refused(f"the expression has more than {NODES_MAX} values and operations", code="too-large")
                if depth > NESTING_MAX:
                    raise self.refused(f"the expression nests deeper than {NESTING_MAX}", node, code="too-large")
            waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node))

    def part(self, node: ast.expr) -> Part:
        match node:
            case ast.Constant():
                return self.literal(node)
            case ast.Name():
                return self.name(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Subscript():
                return self.subscript(node)
            case ast.BoolOp():
                parts = [self.part(value) for value in node.values]
                runs = [part.run for part in parts]
                return _folded(both(runs) if isinstance(node.op, ast.And) else either(runs), parts)
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
                part = self.part(node.operand)
                return _folded(unary(_UNARY[type(node.op)], part.run), [part])
            case ast.BinOp():
                sign = self.sign(node.op, node)
                left, right = self.part(node.left), self.part(node.right)
                return _folded(calculation(sign, left.run, right.run), [left, right])
            case ast.Compare():
                return self.comparison(node)
            case ast.IfExp():
                parts = [self.part(node.test), self.part(node.body), self.part(node.orelse)]
                return _folded(choice(*(part.run for part in parts)), parts)
            case ast.List() | ast.Tuple():
                parts = [self.part(item) for item in node.elts]
                return _folded(listing([part.run for part in parts]), parts)
            case ast.Call():
                return self.call(node)
        raise self.foreign(node, node)

    def names(self, root: ast.expr) -> Names:
        found = {self.path(node): node for node in named_operands(root)}
        return tuple((name, self.part(node).run) for name, node in islice(found.items(), NAMES_SHOWN_MAX))

    def literal(self, node: ast.Constant) -> Part:
        value = node.value
        if value is not None and not isinstance(value, str | bool | int | float):
            raise self.refused("expected a text, a number, true, false, null or a duration", node)
        if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
            raise self.refused("the number is beyond 64 bits", node, code="too-large")
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise self.refused("the number is too large", node, code="too-large")
        return constant(value)

    def name(self, node: ast.Name) -> Part:
        duration = self.durations.get(self.offset(node))
        if duration is not None:
            return constant(duration)
        if node.id in _WORDS:
            return constant(_WORDS[node.id])
        self.check_root(node)
        return Part(read_namespace(node.id))

    def check_root(self, node: ast.Name) -> None:
        name = node.id
        if name in FUNCTION_NAMES and name not in self.namespaces:
            raise self.refused(f'"{name}" is a function', node, hint=f"write {name}(…)")
        try:
            check_namespace(name, self.namespaces)
        except Refused as refused:
            hint = refused.hint or f"a text stands in quotation marks: '{name}'"
            raise self.refused(refused.message, node, code=refused.code, hint=hint) from None
        self.needs.add(name)

    def attribute(self, node: ast.Attribute) -> Part:
        if node.attr.startswith("_"):
            message, hint = f'the name "{node.attr}" begins with an underscore', f'write ["{node.attr}"] for a field'
            raise self.misnamed(Refused(message, code="bad-expression", hint=hint), node)
        return self.access(node, node.value, node.attr)

    def subscript(self, node: ast.Subscript) -> Part:
        index = node.slice
        if isinstance(index, ast.Slice | ast.Tuple | ast.Starred):
            raise self.refused('expected one index, such as [0] or ["name"]', node)
        part = self.part(index)
        if part.constant and isinstance(part.value, str):
            return self.access(node, node.value, part.value)
        return Part(read_index(self.part(node.value).run, part.run, self.path(node)))

    def access(self, node: ast.expr, owner: ast.expr, field: str) -> Part:
        """``owner.field`` or ``owner["field"]``, which are the same."""
        if not isinstance(owner, ast.Name) or self.offset(owner) in self.durations:
            self.check_moment(node, owner, field)
            part = self.part(owner)
            return Part(read_member(part.run, field, self.path(node)))
        if owner.id in _WORDS:
            raise self.refused(f'"{owner.id}" has no fields', owner)
        self.check_root(owner)
        try:
            check_field(owner.id, field, self.trigger_facts)
        except Refused as refused:
            raise self.misnamed(refused, node) from None
        plain_field = field if owner.id == "event" and field not in EVENT_RESERVED else None
        return Part(read_field(owner.id, field, self.path(node)), field=plain_field)

    def check_moment(self, node: ast.expr, owner: ast.expr, field: str) -> None:
        """``event.at`` is always a moment, so that what it has not is known when the rule is loaded."""
        if self.path(owner) in ("event.at", "event.at_reported"):
            try:
                check_field("now", field)
            except Refused as refused:
                message = refused.message.replace('"now"', f'"{self.path(owner)}"', 1)
                raise self.misnamed(Refused(message, code=refused.code, hint=refused.hint), node) from None

    def comparison(self, node: ast.Compare) -> Part:
        operands = [node.left, *node.comparators]
        parts = [self.part(operand) for operand in operands]
        links: list[Run] = []
        for place, op in enumerate(node.ops):
            sign = self.sign(op, node)
            left, right, right_node = parts[place], parts[place + 1], operands[place + 1]
            if sign not in ("in", "not in"):
                links.append(compare(sign, left, right))
                continue
            if right.constant or not isinstance(right_node, ast.List | ast.Tuple):
                found = is_in(left, right)
            else:
                found = is_in_items(left.run, [self.part(item).run for item in right_node.elts])
            links.append(found if sign == "in" else unary(denied, found))
        # A chain is the conjunction of its links; nothing has an effect, so its middle may be read twice.
        return _folded(links[0] if len(links) == 1 else both(links), parts)

    def call(self, node: ast.Call) -> Part:
        function = node.func
        if not isinstance(function, ast.Name):
            method = function.attr if isinstance(function, ast.Attribute) else ""
            hint = f"write {method}(…) around the value" if method in FUNCTION_NAMES else ""
            message = "values have no methods, only functions can be called"
            raise self.misnamed(Refused(message, code="bad-expression", hint=hint), function)
        name = function.id
        if name not in FUNCTION_NAMES:
            known = ", ".join(FUNCTION_NAMES)
            hint = did_you_mean(name, FUNCTION_NAMES)
            raise self.refused(f'unknown function "{name}", there are {known}', node, code="unknown-name", hint=hint)
        assert not node.keywords  # `prepare` refuses the signs that they are written with
        self.check_count(node, name)
        if name == "matches":
            return self.matching(node)
        if name in ("any", "all") and isinstance(node.args[0], ast.List | ast.Tuple):
            items = [self.part(item) for item in node.args[0].elts]
            joined = (either if name == "any" else both)([item.run for item in items] or [constant(name == "all").run])
            return _folded(unary(bool, joined), items)
        parts = [self.part(argument) for argument in node.args]
        runs = [part.run for part in parts]
        if name == "defined":
            return _folded(is_defined(runs[0]), parts)
        if name == "default":
            return _folded(or_default(runs[0], runs[1]), parts)
        return _folded(calling(FUNCTIONS[name].call, runs), parts)

    def check_count(self, node: ast.Call, name: str) -> None:
        special = SPECIAL_FUNCTIONS.get(name)
        least = special if special is not None else FUNCTIONS[name].args_min
        most = special if special is not None else FUNCTIONS[name].args_max
        count = len(node.args)
        if count < least or (most is not None and count > most):
            span = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            noun = "argument" if span in ("1", "at least 1") else "arguments"
            raise self.refused(f"{name}(…) takes {span} {noun}, got {count}", node)

    def matching(self, node: ast.Call) -> Part:
        text, pattern = node.args
        if not isinstance(pattern, ast.Constant) or not isinstance(pattern.value, str):
            raise self.refused("expected the regular expression of matches(…) as a text", pattern)
        try:
            search = self.searches.add(compile_regex(pattern.value))
        except Refused as refused:
            raise self.refused(refused.message, pattern, code=refused.code, hint=refused.hint) from None
        part = self.part(text)
        return _folded(unary(search, part.run), [part])

    def sign(self, op: ast.operator | ast.cmpop, node: ast.expr) -> str:
        if type(op) not in _SIGNS:
            raise self.foreign(op, node)
        return _SIGNS[type(op)]

    def path(self, node: ast.expr) -> str:
        """A value as an author calls it: ``event.context.file``, ``trigger.steps[0].at``; else as written."""
        match node:
            case ast.Name() if self.offset(node) not in self.durations:
                return node.id
            case ast.Attribute(value=owner) if isinstance(owner, _NAMED):
                return f"{self.path(owner)}.{node.attr}"
            case ast.Subscript(value=owner, slice=ast.Constant(value=str() as field)) if (
                isinstance(owner, _NAMED) and field.isidentifier()
            ):
                return f"{self.path(owner)}.{field}"
            case ast.Subscript(value=owner) if isinstance(owner, _NAMED):
                return f"{self.path(owner)}[{self.written(node.slice)}]"
        return self.written(node)

    def written(self, node: ast.expr) -> str:
        return self.source[self.offset(node) : self.end(node)]

    def offset(self, node: ast.expr) -> int:
        """Where it begins in the source, in characters; Python counts bytes of UTF-8."""
        return self.lead + len(self.encoded[: node.col_offset].decode())

    def end(self, node: ast.expr) -> int:
        return self.lead + len(self.encoded[: node.end_col_offset].decode())

    def foreign(self, what: ast.AST, node: ast.expr) -> Refused:
        name = _FOREIGN.get(type(what), "this")
        hint = 'write "==" or "!="' if isinstance(what, ast.Is | ast.IsNot) else ""
        return self.refused(f"{name} is not part of the rule language", node, hint=hint)

    def refused(self, message: str, node: ast.expr, *, code: str = "bad-expression", hint: str = "") -> Refused:
        return Refused(message, code=code, offset=self.offset(node), hint=hint)

    def misnamed(self, refused: Refused, node: ast.expr) -> Refused:
        """The refusal of a field's name, at that name."""
        offset = self.offset(node.slice if isinstance(node, ast.Subscript) else node)
        if isinstance(node, ast.Attribute):
            offset = self.end(node) - len(node.attr)
        return Refused(refused.message, code=refused.code, offset=offset, hint=refused.hint)


def _folded(run: Run, parts: list[Part]) -> Part:
    """What is made of constants alone is computed now, unless it is unknown: that is for the trace to say."""
    if not all(part.constant for part in parts):
        return Part(run)
    value = run(cast(Scope, None))  # constants look at no scope
    return Part(run) if isinstance(value, Unknown) else constant(value)
