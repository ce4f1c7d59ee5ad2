"""A path such as ``stuck.trigger.count.at_least`` to the place in the files that it means. It changes nothing.

What a path may say is told by `engine.loading.patch.patch`, for which this looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from engine.core import shapes
from engine.core.refusal import Refused
from engine.loading import tree
from engine.loading.diagnostic import counted
from engine.loading.keys import listed_keys
from engine.loading.spans import Span, spans_of
from engine.loading.tree import Node, Scalar, parse_tree
from engine.loading.wording import did_you_mean, found, listed, shorten

POLICY = "policy"

Position = tuple[str | int, ...]  # keys and numbers of items, from the root of a file


@dataclass(frozen=True, slots=True)
class Edit:
    """``node`` takes the place of what stands at ``span``; with a ``key`` it is added to the mapping there.

    ``is_within``: what was asked for is a part of ``node`` that had not been written, in a form that is longer.
    """

    span: Span
    position: Position
    node: Node
    key: str | None = None
    is_within: bool = False


def find(sources: Mapping[str, str], path: str, wanted: Node, shape: shapes.Fields) -> tuple[str, Edit]:
    """The file, and what to do there so that ``wanted`` is at the path; ``shape`` is that of a file.

    Raises `Refused`.
    """
    name, spot, rest = _begin(sources, path, shape)
    return name, _Walk(path, wanted).edit(spot, rest)


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place that a path has come to. ``beside`` are values that belong into this one and stand beside it."""

    shown: str
    span: Span
    shape: shapes.Shape | None
    position: Position
    beside: Mapping[str, _Spot] = field(default_factory=dict)

    @property
    def node(self) -> Node:
        return self.span.node

    @property
    def meant(self) -> shapes.Shape | None:
        return _meant(self.shape, self.node)

    def under(self, name: str) -> _Spot:
        """What stands under a key that is written."""
        shape = self.meant
        beside = {}
        if isinstance(shape, shapes.Fields):
            owners = [*shape.beside.items(), *shape.inside.items()]
            beside = {
                key: self.under(key) for key, owner in owners if owner == name and key in self.span.entries
            }  # fmt: skip
        return _Spot(
            f"{self.shown}.{name}" if self.shown else name,
            self.span.entries[name][1],
            _shape_under(shape, name),
            (*self.position, name),
            beside,
        )

    def item(self, number: int) -> _Spot:
        shape = self.shape.item if isinstance(self.shape, shapes.OrNone) else self.shape
        inner = shape.item if isinstance(shape, shapes.ListOf) else None
        return _Spot(f"{self.shown}[{number}]", self.span.items[number], inner, (*self.position, number))


def _meant(shape: shapes.Shape | None, node: Node | None) -> shapes.Shape | None:
    """The shape that a value has to have where it may stand without the brackets of a list, or be ``none``."""
    if isinstance(shape, shapes.OrNone):
        shape = shape.item
    if isinstance(shape, shapes.ListOf) and shape.one_will_do and not isinstance(node, tree.Sequence):
        shape = shape.item
    return shape


def _shape_under(shape: shapes.Shape | None, name: str) -> shapes.Shape | None:
    if isinstance(shape, shapes.Fields):
        owner = shape.keys.get(shape.beside.get(name, ""))
        return shape.shape_of(name) or _shape_under(owner, name)
    return shape.item if isinstance(shape, shapes.MapOf) else None


def _begin(sources: Mapping[str, str], path: str, shape: shapes.Fields) -> tuple[str, _Spot, str]:
    """The file, the rule or the policy in it, and what is left of the path."""
    roots = dict(_roots(sources, shape))
    rules: dict[str, tuple[str, _Spot]] = {}
    for name, root in roots.items():
        if "rules" in root.span.entries:
            listing = root.under("rules")
            for number in range(len(listing.span.items)):
                rule = listing.item(number)
                entry = rule.node.entries.get("id") if isinstance(rule.node, tree.Mapping) else None
                if entry is not None and isinstance(entry[1], Scalar):
                    rules.setdefault(entry[1].written, (name, rule))
    for rule_id in sorted(rules, key=len, reverse=True):
        if path.startswith(f"{rule_id}."):
            name, rule = rules[rule_id]
            return name, _Spot(rule_id, rule.span, rule.shape, rule.position), path[len(rule_id) + 1 :]
    if path.startswith(f"{POLICY}.") and roots:
        name = next((name for name, root in roots.items() if POLICY in root.span.entries), next(iter(roots)))
        return name, roots[name], path
    if path in rules or path == POLICY:
        raise Refused(f'"{path}" names no value; write a key behind it, such as "{path}.{_example(path)}"')
    first = path.split(".", 1)[0]
    hint = did_you_mean(first, [*rules, POLICY]) or f"the rules are {listed(sorted(rules), 'and')}"
    raise Refused(f'"{path}": no rule has the id "{shorten(first)}"', code="unknown-rule", hint=hint)


def _example(path: str) -> str:
    return "simultaneous" if path == POLICY else "cooldown"


def _roots(sources: Mapping[str, str], shape: shapes.Fields) -> Iterator[tuple[str, _Spot]]:
    """The files that make up the rule set: all but those that stand for themselves."""
    for name in sorted(sources):
        parsed = parse_tree(name, sources[name])
        if parsed.errors or not isinstance(parsed.root, tree.Mapping):
            reason = str(parsed.errors[0]) if parsed.errors else f"{name}: expected a mapping"
            raise Refused(f"rules that cannot be read cannot be changed: {reason}")
        alone = parsed.root.entries.get("standalone")
        if len(sources) > 1 and alone is not None and isinstance(alone[1], Scalar) and alone[1].value is True:
            continue
        yield name, _Spot("", spans_of(parsed.text, parsed.root), shape, ())


class _Walk:
    """The way along a path, to the edit at its end."""

    def __init__(self, path: str, wanted: Node) -> None:
        self.path = path
        self.wanted = wanted

    def refuse(self, message: str, hint: str = "", code: str = "bad-value") -> NoReturn:
        raise Refused(f'"{self.path}": {message}', code=code, hint=hint)

    def edit(self, spot: _Spot, rest: str) -> Edit:
        """What to do, from a place on and along the rest of the path."""
        while rest:
            if spot.span.is_alias:
                self.refuse(f'"{spot.shown}" is an alias; write out there what it stands for')
            if rest.startswith("["):
                spot, rest = self.item(spot, rest)
                continue
            if isinstance(spot.node, tree.Sequence):
                spot = self.only_item(spot, rest)
                continue
            shape = spot.meant
            name = _written_key(rest, (*spot.span.entries, *spot.beside))
            has_shorthand = isinstance(shape, shapes.Fields) and shape.shorthand is not None
            if name in spot.span.entries:
                spot = spot.under(name)
            elif name in spot.beside:
                spot = spot.beside[name]
            elif has_shorthand and isinstance(shape, shapes.Fields) and not isinstance(spot.node, tree.Mapping):
                if name != shape.shorthand:
                    return self.expanded(spot, shape, name, rest)
                spot = _Spot(f"{spot.shown}.{name}", spot.span, shape.keys[name], spot.position)
            elif isinstance(spot.node, tree.Mapping):
                return Edit(spot.span, spot.position, self.missing(spot, name, rest), name)
            else:
                self.refuse(f'"{spot.shown}" is {found(spot.node)} there, which has no "{name}"')
            rest = rest[len(name) :].removeprefix(".")
        return self.replaced(spot)

    def replaced(self, spot: _Spot) -> Edit:
        shape = spot.meant
        if isinstance(shape, shapes.Fields) and not isinstance(self.wanted, tree.Mapping):
            # `inactivity: 5m` speaks of the `for` alone, so no other key that stands there is lost.
            short = spot.span.entries.get(shape.shorthand or "")
            if short is not None:
                spot = spot.under(shape.shorthand or "")
        return Edit(spot.span, spot.position, self.wanted)

    def item(self, spot: _Spot, rest: str) -> tuple[_Spot, str]:
        match = re.match(r"\[(\d{1,4})\](?:\.(?=.)|(?=\[)|$)", rest, re.ASCII)
        if match is None:
            self.refuse(f'expected the number of an item, such as "{spot.shown}[0]", got "{shorten(rest)}"')
        number, rest = int(match.group(1)), rest[match.end() :]
        if isinstance(spot.node, tree.Sequence):
            count = len(spot.node.items)
            if number >= count:
                self.refuse(f'"{spot.shown}" has {counted(count, "item")} there, the first is "{spot.shown}[0]"')
            return spot.item(number), rest
        shape = spot.shape.item if isinstance(spot.shape, shapes.OrNone) else spot.shape
        if number or not isinstance(shape, shapes.ListOf) or not shape.one_will_do:
            self.refuse(f'"{spot.shown}" is {found(spot.node)} there, which has no item {number}')
        return _Spot(f"{spot.shown}[0]", spot.span, shape.item, spot.position, spot.beside), rest

    def only_item(self, spot: _Spot, rest: str) -> _Spot:
        """The item that is meant where a key is asked of a list: the only one that has it, or the only one."""
        items = [spot.item(number) for number in range(len(spot.span.items))]
        having = [item for item in items if _written_key(rest, tuple(item.span.entries)) in item.span.entries]
        chosen = having if having else items
        if len(chosen) != 1:
            ways = [f"{item.shown}.{rest}" for item in chosen]
            self.refuse(f'"{spot.shown}" is a list there', hint=f"write {listed(ways, 'or')}" if ways else "")
        return chosen[0]

    def missing(self, spot: _Spot, name: str, rest: str) -> Node:
        """What to add under a key that a mapping has not got: the value, within what else of the path is missing."""
        shape = spot.meant
        if isinstance(shape, shapes.Fields):
            self.check_key(spot, shape, name)
        elif not isinstance(shape, shapes.MapOf | shapes.TemplateTree):
            self.refuse(f'"{spot.shown}" has no "{name}"')
        return self.within(f"{spot.shown}.{name}", _shape_under(shape, name), rest[len(name) :])

    def check_key(self, spot: _Spot, shape: shapes.Fields, name: str) -> None:
        """Whether the mapping may have that key, and may have it now."""
        if _shape_under(shape, name) is None:
            where = f'"{spot.shown}"' if spot.shown else "a file"
            hint = did_you_mean(name, shape.keys) or f"the keys are {listed_keys(shape)}"
            self.refuse(f'{where} cannot have "{shorten(name)}"', hint, "unknown-key")
        is_short = shape.shorthand is not None and not isinstance(spot.node, tree.Mapping)
        there = [shape.shorthand or ""] if is_short else list(spot.span.entries)
        for names in (shape.exactly_one, shape.at_most_one):
            others = [other for other in there if other in names and name in names]
            if others:
                self.refuse(
                    f'"{spot.shown}" has "{others[0]}" there, which "{name}" cannot stand beside', "", "conflict"
                )

    def within(self, shown: str, shape: shapes.Shape | None, rest: str) -> Node:
        if not rest:
            return self.wanted
        shape = _meant(shape, None)
        is_free = isinstance(shape, shapes.MapOf | shapes.TemplateTree)
        name = _written_key(rest.removeprefix("."), ())
        if rest.startswith("[") or not (is_free or isinstance(shape, shapes.Fields)):
            self.refuse(f'there is no "{shown}"; give it a value first')
        if isinstance(shape, shapes.Fields) and _shape_under(shape, name) is None:
            hint = did_you_mean(name, shape.keys) or f"the keys are {listed_keys(shape)}"
            self.refuse(f'"{shown}" cannot have "{shorten(name)}"', hint, "unknown-key")
        behind = rest.removeprefix(".")[len(name) :]
        return _mapping({name: self.within(f"{shown}.{name}", _shape_under(shape, name), behind)})

    def expanded(self, spot: _Spot, shape: shapes.Fields, name: str, rest: str) -> Edit:
        """``inactivity: 5m`` with another key: ``{for: 5m, after: …}``."""
        assert shape.shorthand is not None  # the caller has looked
        self.check_key(spot, shape, name)
        added = self.within(f"{spot.shown}.{name}", shape.keys[name], rest[len(name) :])
        return Edit(spot.span, spot.position, _mapping({shape.shorthand: spot.node, name: added}), is_within=True)


def _written_key(rest: str, there: Sequence[str]) -> str:
    """The key that a path goes on with: the longest of those that are there, else all to the next point."""
    fitting = [name for name in there if rest == name or rest.startswith((f"{name}.", f"{name}["))]
    return max(fitting, key=len) if fitting else re.split(r"[.\[]", rest, maxsplit=1)[0]


def _mapping(values: Mapping[str, Node]) -> Node:
    return tree.Mapping({name: (Scalar(name, name, "", 0, 0, None), node) for name, node in values.items()}, 0, 0)
