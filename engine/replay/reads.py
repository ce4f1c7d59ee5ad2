"""Which fields of events and of the user a rule looks at, read off what was compiled. It evaluates nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from jinja2 import nodes

from engine.core.expression_text import prepare
from engine.core.expressions import Expression
from engine.core.groups import Grouping
from engine.core.matcher import Matcher
from engine.core.render import Template, has_marks
from engine.core.rules import Policy, Rule, Trigger
from engine.core.template_syntax import parse
from engine.triggers.keywords import Keywords
from engine.triggers.response import Response

DEPTH_MAX = 8


@dataclass(slots=True)
class Reads:
    """``event`` and ``user`` are the names of the fields that are looked at; ``all_of`` the namespaces of which it
    cannot be told which, because they are taken as a whole. ``texts`` are the fields in which words are looked for,
    ``named`` all keys that are named at any depth, of whatever they are.
    """

    event: set[str] = field(default_factory=set)
    user: set[str] = field(default_factory=lambda: {"timezone"})
    texts: set[str] = field(default_factory=set)
    all_of: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    def looks_at(self, namespace: str, name: str) -> bool:
        return namespace in self.all_of or name in (self.event if namespace == "event" else self.user)


def reads_of(rules: Iterable[Rule], policy: Policy) -> Reads:
    """What any of the rules looks at, in triggers, conditions, limits and messages."""
    found = Reads()
    for rule in rules:
        if rule.mode != "off":
            _walk(rule, found, 0)
    _walk(policy, found, 0)
    return found


def _walk(value: Any, found: Reads, depth: int) -> None:
    if depth > DEPTH_MAX or value is None:
        return
    if isinstance(value, Expression):
        _read_expression(value, found)
    elif isinstance(value, Template):
        _read_template(value, found)
    elif isinstance(value, Matcher):
        _walk(value.where, found, depth + 1)
    elif isinstance(value, Grouping):
        for name in value.fields:
            _note_path(name, found)
    elif isinstance(value, Trigger):
        if isinstance(value, Keywords):
            _note_path(value.field, found)
            found.texts |= {value.field}
        if isinstance(value, Response):
            found.event |= {"rule", "response"}
            found.named |= {"rule", "response"}
        for inner in _slots(value):
            _walk(inner, found, depth + 1)
    elif isinstance(value, Mapping):
        for inner in value.values():
            _walk(inner, found, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _walk(inner, found, depth + 1)
    elif is_dataclass(value):
        for place in fields(value):
            _walk(getattr(value, place.name), found, depth + 1)


def _note_path(path: str, found: Reads) -> None:
    """A field of the event, or the path of a nested one."""
    found.event |= {path, path.split(".", 1)[0]}
    found.named |= {path, *path.split(".")}


def _slots(trigger: Trigger) -> Iterator[Any]:
    for owner in type(trigger).__mro__:
        for name in getattr(owner, "__slots__", ()):
            yield getattr(trigger, name, None)


def _read_expression(expression: Expression, found: Reads) -> None:
    root = ast.parse(prepare(expression.source).text.strip(), mode="eval")
    whole = {_place(node) for node in ast.walk(root) if isinstance(node, ast.Name)}
    for node in ast.walk(root):
        match node:
            case ast.Attribute(attr=key) | ast.Constant(value=str() as key):
                found.named.add(key)
        match node:
            case ast.Attribute(value=ast.Name(id=owner) as name, attr=key):
                pass
            case ast.Subscript(value=ast.Name(id=owner) as name, slice=ast.Constant(value=str() as key)):
                pass
            case _:
                continue
        whole.discard(_place(name))
        _note(owner, key, found)
    found.all_of |= {name for name, _, _ in whole if name in ("event", "user")}


def _place(node: ast.Name) -> tuple[str, int, int]:
    """A name at its place."""
    return node.id, node.lineno, node.col_offset


def _read_template(template: Template, found: Reads) -> None:
    if not has_marks(template.source):
        return
    tree, _ = parse(template.source, None)
    known: set[int] = set()
    pairs: list[tuple[nodes.Node, object]] = [(node.node, node.attr) for node in tree.find_all(nodes.Getattr)]
    pairs += [
        (node.node, node.arg.value if isinstance(node.arg, nodes.Const) else None)
        for node in tree.find_all(nodes.Getitem)
    ]
    found.named |= {key for _, key in pairs if isinstance(key, str)}
    found.named |= {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)}
    for owner, key in pairs:
        if isinstance(owner, nodes.Name) and isinstance(key, str):
            known.add(id(owner))
            _note(owner.name, key, found)
    for name in tree.find_all(nodes.Name):
        if id(name) not in known and name.name in ("event", "user"):
            found.all_of.add(name.name)


def _note(owner: str, key: str, found: Reads) -> None:
    if owner == "event":
        found.event.add(key)
    elif owner == "user":
        found.user.add(key)
