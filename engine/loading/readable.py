"""What can be told of something in which something else is wrong, so that names are looked at all the same.

It reports nothing: what is wrong has been said. What cannot be told is None, or nothing, and never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.core import shapes
from engine.core.refusal import Refused
from engine.core.rules import Trigger
from engine.loading import tree
from engine.loading.language import MESSAGE, POLICY
from engine.loading.policy import parse_policy_name
from engine.loading.read import INVALID, Invalid, Reader
from engine.loading.tree import Node, Scalar

# Those of its keys under which a policy gives names, with the names; None where not all of them can be told.
Names = Mapping[str, tuple[str, ...] | None]
NO_NAMES: Names = {"budgets": (), "quiet_hours": ()}
NAMES_UNKNOWN: Names = dict.fromkeys(NO_NAMES)


def names_of_policy(reader: Reader, node: Node) -> Names:
    entries = Reader(reader.source).entries(node, POLICY)
    if isinstance(entries, Invalid) or not isinstance(node, tree.Mapping):
        return NAMES_UNKNOWN
    has_strange_keys = len(entries) < len(node.entries)
    return {key: names_under(entries.get(key), has_strange_keys=has_strange_keys) for key in NO_NAMES}


def names_under(node: Node | None, *, has_strange_keys: bool) -> tuple[str, ...] | None:
    if node is None:
        # A key that nobody knows may have been meant.
        return None if has_strange_keys else ()
    if not isinstance(node, tree.Mapping):
        return None
    try:
        return tuple([parse_policy_name(name) for name in node.entries])
    except Refused:
        return None  # what it will be called when that is mended nobody knows


def joined(one: Names, other: Names) -> Names:
    """The names of two policies, of which one is too many: either may have what is looked for."""
    return {
        key: None if (names := one[key]) is None or (others := other[key]) is None else (*names, *others)
        for key in NO_NAMES
    }


def offered(entries: Mapping[str, Node]) -> tuple[str, ...]:
    """The options of a rule's message and of its variants; none where not all of them can be told."""
    message = entries.get("message")
    if not isinstance(message, tree.Mapping) or any(name not in MESSAGE.keys for name in message.entries):
        return ()
    places: list[Node] = [message]
    for variants in (entries.get("variants"), value_of(message, "variants")):
        if variants is not None and not isinstance(variants, tree.Sequence):
            return ()
        places += () if variants is None else variants.items
    options = [option for place in places for option in options_of(place)]
    texts = [option.value for option in options if isinstance(option, Scalar) and isinstance(option.value, str)]
    return tuple(texts) if len(texts) == len(options) else ()


def options_of(node: Node) -> Iterable[Node]:
    options = value_of(node, "options") if isinstance(node, tree.Mapping) else None
    if options is None:
        return ()
    return options.items if isinstance(options, tree.Sequence) else (options,)


def value_of(node: tree.Mapping, name: str) -> Node | None:
    entry = node.entries.get(name)
    return None if entry is None else entry[1]


def name_of(node: Node) -> str | None:
    """The ``name`` that is written in a mapping."""
    name = value_of(node, "name") if isinstance(node, tree.Mapping) else None
    return name.value if isinstance(name, Scalar) and isinstance(name.value, str) else None


def trigger_naming_rules(
    reader: Reader, node: Node, shape: shapes.Fields, kinds: Mapping[str, shapes.Kind]
) -> tuple[Node, Trigger] | None:
    """A trigger, of what of it is right, if that says something of other rules; and the node of its kind."""
    silent = Reader(reader.source, reader.lists)
    entries = silent.entries(node, shape)
    if isinstance(entries, Invalid) or len(entries) != 1:
        return None
    ((name, child),) = entries.items()
    kind = kinds[name]
    parts = silent.entries(child, kind.shape) if kind.names_rules else INVALID
    if isinstance(parts, Invalid):
        return None
    read = {key: silent.read(part, kind.shape.keys[key]) for key, part in parts.items()}
    values = {key: value for key, value in read.items() if value is not INVALID}
    if any(key not in values for key in kind.shape.required):
        return None
    try:
        return child, kind.build(values, "")
    except Refused:
        return None
