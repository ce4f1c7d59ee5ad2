"""What a template may say: checked on Jinja's syntax tree when a rule is loaded, and made ready for the sandbox.

Renders nothing. Refuses constructs whose cost cannot be bounded, and names that nothing has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError

from engine.core.names import check_field
from engine.core.near_words import did_you_mean
from engine.core.refusal import Refused
from engine.core.shapes import NAMESPACES
from engine.core.template_bounds import INTEGER_MAX
from engine.core.template_filters import FILTERS, LOOP_METHODS, STRING_METHODS, TESTS
from engine.core.template_sandbox import SANDBOX
from engine.core.template_wording import reworded

# Of the syntax tree. Low enough that neither Jinja's compiler nor Python's comes near its own limit, wherever
# it is called from: a template must be refused on every machine or on none.
DEPTH_MAX = 50
BRACKETS_MAX = 24  # brackets that only group leave no trace in the tree, and cost the parser a dozen calls each
BLOCKS_MAX = 10  # loops within loops: Python compiles at most twenty

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.For, nodes.If, nodes.CondExpr,
    nodes.Assign, nodes.AssignBlock, nodes.FilterBlock, nodes.With, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.Filter, nodes.Test, nodes.Call, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Concat, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
)  # fmt: skip
_REFUSED_WORDS: dict[type[nodes.Node], str] = {
    nodes.Macro: "{% macro %}",
    nodes.CallBlock: "{% call %}",
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.ScopedEvalContextModifier: "{% autoescape %}",
    nodes.EvalContextModifier: "{% autoescape %}",
    nodes.Pow: "the power operator",
    nodes.NSRef: "setting an attribute",
}
# Filters that take the name of another, and where it stands among their arguments.
_NAMED_FILTER = {"map": 0}
_NAMED_TEST = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}

# Python lets an unknown escape pass, with a warning that a later version makes an error.
_ESCAPE = re.compile(
    r"\\(?:[\\'\"abfnrtv\n]|[0-3][0-7]{2}|[0-7]{1,2}(?![0-7])|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{)"
)
_HAS_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(source: str, trigger_facts: Collection[str] | None) -> tuple[nodes.Template, tuple[str, ...]]:
    """The checked syntax tree, and the namespaces that it speaks of, in order. Raises `Refused`."""
    where = _Where(source)
    try:
        _check_tokens(source, where)
        tree = SANDBOX.parse(source)
        stored = _stored_names(tree)
    except TemplateSyntaxError as trouble:
        raise _in_our_words(trouble, where) from None
    except (RecursionError, MemoryError):
        raise Refused("the template is nested too deeply", code="bad-template") from None
    except Refused:
        raise
    except (ValueError, OverflowError, TemplateError):
        raise Refused("a number or a text of the template cannot be read", code="bad-template") from None
    checker = _Checker(where, stored, trigger_facts)
    checker.check(tree, depth=0, loops=0)
    return tree, tuple(name for name in NAMESPACES if name in checker.namespaces)


def _in_our_words(trouble: TemplateSyntaxError, where: _Where) -> Refused:
    message = trouble.message or "this is no template"
    refused = reworded(message) or Refused(message[:1].lower() + message[1:].rstrip("."))
    refused.code = "bad-template"
    # Jinja counts every line break as one character.
    if not refused.offset or "\r" in where.source:
        refused.offset = where.line(trouble.lineno)
    return refused


class _Where:
    """Character offsets of what Jinja knows by line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", source))]

    def line(self, number: int | None) -> int:
        # Jinja gives some of its nodes no line.
        number = number or 1
        return self.starts[min(max(number, 1), len(self.starts)) - 1]

    def word(self, number: int | None, word: str) -> int:
        """Where ``word`` first stands as a word of its own in that line or after it, else where the line begins."""
        start = self.line(number)
        match = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(self.source, start)
        return match.start() if match is not None else start


def _check_tokens(source: str, where: _Where) -> None:
    depth = 0
    for line, kind, value in SANDBOX.lex(source):
        if kind == "operator":
            depth += (value in ("(", "[", "{")) - (value in (")", "]", "}"))
            if depth > BRACKETS_MAX:
                raise Refused(
                    f"the template is nested too deeply: at most {BRACKETS_MAX} brackets",
                    code="bad-template",
                    offset=where.line(line),
                )
        elif kind == "string":
            rest = value.replace("\\\\", "")
            for match in re.finditer(r"\\(.?)", rest, re.DOTALL):
                if _ESCAPE.match(rest, match.start()) is None:
                    raise Refused(
                        f'the text has an unknown escape "\\{match[1]}"',
                        code="bad-template",
                        offset=where.line(line),
                        hint='write "\\\\" for a backslash',
                    )


def _stored_names(tree: nodes.Template) -> frozenset[str]:
    return frozenset(name.name for name in tree.find_all(nodes.Name) if name.ctx != "load")


class _Checker:
    """One walk over a syntax tree; raises `Refused` at the first thing that is not allowed."""

    def __init__(self, where: _Where, stored: frozenset[str], trigger_facts: Collection[str] | None) -> None:
        self.where = where
        self.stored = stored
        self.trigger_facts = trigger_facts
        self.namespaces: set[str] = set()

    def check(self, node: nodes.Node, depth: int, loops: int) -> None:
        if not isinstance(node, _ALLOWED):
            words = next((words for kind, words in _REFUSED_WORDS.items() if isinstance(node, kind)), "this construct")
            raise self._refused(f"{words} is not allowed in a template", node)
        if depth > DEPTH_MAX:
            raise self._refused("the template is nested too deeply", node)
        if isinstance(node, nodes.Name):
            self._check_name(node, loops)
        elif isinstance(node, nodes.Const):
            self._check_constant(node)
        elif isinstance(node, nodes.Filter | nodes.Test):
            self._check_filter(node)
        elif isinstance(node, nodes.Getattr | nodes.Getitem):
            self._check_field(node)
        elif isinstance(node, nodes.Call):
            self._check_call(node)
            if isinstance(node.node, nodes.Name):
                # The name of the one function there is; elsewhere it is no name.
                for child in node.iter_child_nodes(exclude=("node",)):
                    self.check(child, depth + 1, loops)
                return
        elif isinstance(node, nodes.For):
            loops += 1
            if node.recursive:
                raise self._refused("a recursive loop is not allowed in a template", node)
            if loops > BLOCKS_MAX:
                raise self._refused("the loops of the template are nested too deeply", node)
        for child in node.iter_child_nodes():
            self.check(child, depth + 1, loops)

    def _check_name(self, node: nodes.Name, loops: int) -> None:
        name = node.name
        if node.ctx != "load":
            if name in NAMESPACES or name in ("range", "loop", "self"):
                raise self._refused(
                    f'"{name}" has a meaning already and cannot be set', node, word=name, hint="choose another name"
                )
        elif name in NAMESPACES:
            self.namespaces.add(name)
        elif not (name in self.stored or (name == "loop" and loops)):
            message = f'unknown name "{name}", there are {", ".join(NAMESPACES)}'
            known = (*NAMESPACES, *sorted(self.stored))
            raise self._unknown(message, name, known, node, code="unknown-name")

    def _check_constant(self, node: nodes.Const) -> None:
        value = node.value
        if isinstance(value, str) and _HAS_SURROGATE.search(value):
            raise self._refused("the text has half a character in it", node)
        if (isinstance(value, int) and value >= INTEGER_MAX) or (isinstance(value, float) and not math.isfinite(value)):
            raise self._refused("the number is out of range", node)

    def _check_filter(self, node: nodes.Filter | nodes.Test) -> None:
        self._check_known(node, node.name, "filter" if isinstance(node, nodes.Filter) else "test")
        for what, table in (("filter", _NAMED_FILTER), ("test", _NAMED_TEST)):
            place = table.get(node.name)
            if isinstance(node, nodes.Filter) and place is not None and len(node.args) > place:
                argument = node.args[place]
                if isinstance(argument, nodes.Const) and isinstance(argument.value, str):
                    self._check_known(node, argument.value, what)

    def _check_known(self, node: nodes.Node, name: str, what: str) -> None:
        known = FILTERS if what == "filter" else TESTS
        if name not in known:
            raise self._unknown(f'unknown {what} "{name}"', name, sorted(known), node, code=f"unknown-{what}")

    def _check_field(self, node: nodes.Getattr | nodes.Getitem) -> None:
        if not isinstance(node.node, nodes.Name):
            return
        if isinstance(node, nodes.Getattr):
            name = node.attr
        elif isinstance(node.arg, nodes.Const):
            name = str(node.arg.value)
        else:
            return
        try:
            check_field(node.node.name, name, self.trigger_facts)
        except Refused as refused:
            refused.offset = self.where.word(node.lineno, name)
            raise

    def _check_call(self, node: nodes.Call) -> None:
        target = node.node
        if isinstance(target, nodes.Name) and target.name == "range" and target.name not in self.stored:
            return
        if not isinstance(target, nodes.Getattr):
            name = target.name if isinstance(target, nodes.Name) else ""
            raise self._refused(
                f'"{name}" cannot be called' if name else "this cannot be called",
                node,
                word=name,
                hint=f'use the filter: "|{name}"' if name in FILTERS else "",
            )
        is_loop = isinstance(target.node, nodes.Name) and target.node.name == "loop"
        if target.attr not in (LOOP_METHODS if is_loop else STRING_METHODS):
            hint = f'use the filter: "|{target.attr}"' if target.attr in FILTERS else ""
            raise self._refused(f'there is no method "{target.attr}"', node, word=target.attr, hint=hint)

    def _refused(self, message: str, node: nodes.Node, *, word: str = "", hint: str = "") -> Refused:
        offset = self.where.word(node.lineno, word) if word else self.where.line(node.lineno)
        return Refused(message, code="bad-template", offset=offset, hint=hint)

    def _unknown(self, message: str, name: str, known: Collection[str], node: nodes.Node, *, code: str) -> Refused:
        # The line of a node is that on which it begins, and the name may stand further down.
        offset = self.where.word(node.lineno, name)
        return Refused(message, code=code, offset=offset, hint=did_you_mean(name, known))


def rewrite(tree: nodes.Template) -> nodes.Template:
    """The same template, with everything whose cost depends on data going through the budget of the render.

    Only for a tree that `parse` has checked. What is a node of its own in Jinja (a loop, a slice, a comparison, a
    call) becomes a filter of `template_filters.REWRITTEN`, which no template can name itself.
    """
    for name, value in tree.iter_fields():
        setattr(tree, name, _rewritten(value))
    return tree


def _rewritten(value: Any) -> Any:
    if isinstance(value, list):
        return [_rewritten(item) for item in value]
    if not isinstance(value, nodes.Node):
        return value
    weight = _weight(value.body) + _weight(value.else_) if isinstance(value, nodes.For) else 0
    for name, part in list(value.iter_fields()):
        setattr(value, name, _rewritten(part))
    if isinstance(value, nodes.For):
        value.iter = _through("_steps", value.iter, nodes.Const(weight, lineno=value.lineno))
    elif isinstance(value, nodes.Call):
        return _rewritten_call(value)
    elif isinstance(value, nodes.Getitem) and isinstance(value.arg, nodes.Slice):
        cut = value.arg
        nothing = nodes.Const(None, lineno=value.lineno)
        return _through("_slice", value.node, cut.start or nothing, cut.stop or nothing, cut.step or nothing)
    elif isinstance(value, nodes.Concat):
        return _through("_concat", *value.nodes)
    elif isinstance(value, nodes.Compare):
        value.expr = _weighed(value.expr)
        for operand in value.ops:
            operand.expr = _weighed(operand.expr)
    elif isinstance(value, nodes.List | nodes.Dict) or (isinstance(value, nodes.Tuple) and value.ctx == "load"):
        return _through("_weighed", value)
    return value


def _rewritten_call(call: nodes.Call) -> nodes.Filter:
    if isinstance(call.node, nodes.Getattr):
        name = nodes.Const(call.node.attr, lineno=call.lineno)
        target: nodes.Expr = call.node.node
        args = [name, *call.args]
    else:
        # `range`: its first argument stands where a filter has its value.
        target = call.args[0] if call.args else nodes.Const(None, lineno=call.lineno)
        args = call.args[1:]
    filter_name = "_method" if isinstance(call.node, nodes.Getattr) else "_range"
    return nodes.Filter(
        target, filter_name, args, call.kwargs, call.dyn_args, call.dyn_kwargs, lineno=call.lineno
    )  # fmt: skip


def _weighed(value: nodes.Expr) -> nodes.Expr:
    return value if isinstance(value, nodes.Const) else _through("_weighed", value)


def _through(name: str, value: nodes.Node, *args: nodes.Node) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)


def _weight(body: list[nodes.Node]) -> int:
    """How many operations one turn through ``body`` takes at most, loops within it aside: those pay for themselves."""
    return sum(1 + len(part.data) if isinstance(part, nodes.TemplateData) else 1 for part in _all_nodes(body))


def _all_nodes(body: list[nodes.Node]) -> Iterator[nodes.Node]:
    for node in body:
        yield node
        yield from node.find_all(nodes.Node)
