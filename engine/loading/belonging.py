"""Keys that may be written beside the mapping to which they belong, put where they belong. It reports nothing."""

from __future__ import annotations

from engine.core import shapes
from engine.loading import tree
from engine.loading.tree import Node, Scalar

# The keys of a mapping as nodes, with their values.
Entries = dict[str, tuple[Scalar, Node]]


def gathered(node: tree.Mapping, shape: shapes.Fields) -> tree.Mapping:
    """The mapping with the keys of `Fields.beside` where they belong, and otherwise as it is.

    One that stands beside a value which is a mapping itself stays: what it would add to might have it already.
    """
    for name, owner in shape.beside.items():
        if name not in node.entries or owner not in node.entries:
            continue
        key, value = node.entries[owner]
        inner = shape.keys[owner]
        if isinstance(value, tree.Mapping) or not isinstance(inner, shapes.Fields) or inner.shorthand is None:
            continue
        whole = tree.Mapping({inner.shorthand: (key, value), name: node.entries[name]}, value.line, value.column)
        rest = {other: entry for other, entry in node.entries.items() if other != name}
        node = tree.Mapping(rest | {owner: (key, whole)}, node.line, node.column)
    return node


def put_inside(entries: Entries, shape: shapes.Fields) -> Entries:
    """The entries with the keys of `Fields.inside` where they belong, unless they stand there already."""
    for name, owner in shape.inside.items():
        if name not in entries or owner not in entries:
            continue
        key, value = entries[owner]
        if isinstance(value, tree.Mapping) and not has_key(value, name):
            whole = tree.Mapping({**value.entries, name: entries[name]}, value.line, value.column)
            entries = {other: entry for other, entry in entries.items() if other != name} | {owner: (key, whole)}
    return entries


def has_key(node: Node, name: str) -> bool:
    return isinstance(node, tree.Mapping) and name in node.entries
