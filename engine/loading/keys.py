"""What is wrong with the keys of a mapping, and the forms that it may have. It finds and words; it reports nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.core import shapes
from engine.core.refusal import Refused
from engine.loading import tree
from engine.loading.belonging import Entries, has_key
from engine.loading.tree import Node, Scalar
from engine.loading.wording import found, listed, nearest, shorten, with_hint

KEYS_LISTED_MAX = 40  # more than any mapping of the language has
SHOWN_MAX = 24  # characters of a value that a form repeats


class Complaint(NamedTuple):
    node: Node
    message: str
    code: str


class Unknown(NamedTuple):
    """An unknown key. ``meant`` is the key of the mapping that it is surely a slip of, or None."""

    complaint: Complaint
    meant: str | None


def unknown_key(name: str, key: Scalar, node: tree.Mapping, shape: shapes.Fields) -> Unknown:
    """What to say of a key that the mapping cannot have: where it belongs, what it may be a slip of, what there is."""
    told = f'unknown key "{shorten(name)}"'
    meant = None
    hint = hint_inside(name, node, shape)
    if not hint:
        meant = nearest(name, [other for other in shape.keys if other not in node.entries])
        hint = f'did you mean "{meant}"?' if meant else f"the keys are {listed_keys(shape)}"
    return Unknown(Complaint(key, with_hint(told, hint), "unknown-key"), meant)


def listed_keys(shape: shapes.Fields) -> str:
    needed = (*shape.required, *shape.exactly_one, *shape.at_least_one)
    return listed(tuple(dict.fromkeys((*needed, *shape.keys))), "and", KEYS_LISTED_MAX)


def hint_inside(name: str, node: tree.Mapping, shape: shapes.Fields) -> str:
    """A hint for a key that the value of another key has: of one that is written, or else of the only one there is."""
    owners = [owner for owner, inner in shape.keys.items() if name in keys_within(inner)]
    written = [owner for owner in owners if owner in node.entries]
    if written:
        owner = written[0]
        return f'did you mean it inside "{owner}", as {form_with(name, owner, node.entries[owner][1], shape)}?'
    if len(owners) == 1 and nearest(name, shape.keys) is None:
        return f'did you mean it inside "{owners[0]}", as {{{owners[0]}: {{{name}: …}}}}?'
    return ""


def form_with(name: str, owner: str, value: Node, shape: shapes.Fields) -> str:
    """``{inactivity: {for: 3m, after: …}}``: the value of a key, and in it another key."""
    inner = mapping_of(shape.keys[owner])
    if isinstance(value, Scalar) and inner is not None and inner.shorthand is not None:
        return f"{{{owner}: {{{inner.shorthand}: {shown(value)}, {name}: …}}}}"
    return f"{{{owner}: {{…, {name}: …}}}}"


def keys_within(shape: shapes.Shape) -> tuple[str, ...]:
    inner = mapping_of(shape)
    return () if inner is None else tuple(inner.keys)


def mapping_of(shape: shapes.Shape) -> shapes.Fields | None:
    """The shape of a mapping that a single value of this shape is, None where it is none."""
    if isinstance(shape, shapes.ListOf):
        return mapping_of(shape.item) if shape.one_will_do else None
    if isinstance(shape, shapes.OrNone):
        return mapping_of(shape.item)
    return shape if isinstance(shape, shapes.Fields) else None


def shown(value: Scalar) -> str:
    """A value as it may stand in a form, an ellipsis where it is too long for that."""
    text = f'"{value.written}"' if value.style in ('"', "'") else value.written
    return text if text and len(text) <= SHOWN_MAX and "\n" not in text else "…"


def form_of(shape: shapes.Fields, value: Node | None = None) -> str:
    """A mapping with the keys that it must have, and in it the ``value`` that was written instead, if it suits one.

    ``{max: 3, per: session}``; nothing where no key must stand.
    """
    names = list(dict.fromkeys((*shape.required, *(shape.exactly_one or shape.at_least_one)[:1])))
    suited = next((name for name in reversed(names) if suits(value, shape.keys[name])), None)
    parts = [
        f"{name}: {shown(value) if name == suited and isinstance(value, Scalar) else example_of(shape.keys[name])}"
        for name in names
    ]
    return f"{{{', '.join(parts)}}}" if parts else ""


def suits(value: Node | None, shape: shapes.Shape) -> bool:
    if not isinstance(value, Scalar):
        return False
    if isinstance(shape, shapes.Integer):
        return type(value.value) is int
    if isinstance(shape, shapes.Parsed) and isinstance(value.value, str):
        try:
            shape.parse(value.written)
        except Refused:
            return False
        return True
    return isinstance(shape, shapes.Template | shapes.Text) and isinstance(value.value, str)


def example_of(shape: shapes.Shape) -> str:
    """A value that may stand there, an ellipsis where none is known."""
    if isinstance(shape, shapes.Parsed) and shape.examples:
        return shape.examples[0]
    if isinstance(shape, shapes.Choice):
        return shape.words[0]
    if isinstance(shape, shapes.Integer):
        return str(max(1, shape.minimum))
    return "…"


def other_forms(shape: shapes.Fields) -> list[str]:
    """The forms that a mapping may have instead of its shorthand: ``{lasted: 90s}``, ``{at_most: 1, per: session}``."""
    names = [name for name in shape.exactly_one if name != shape.shorthand]
    forms = []
    for name in names:
        parts = dict.fromkeys((name, *shape.needs.get(name, ())[:1]))
        forms.append("{" + ", ".join([f"{part}: {example_of(shape.keys[part])}" for part in parts]) + "}")
    return forms


def wrong_shorthand(node: Node, shape: shapes.Fields) -> str:
    """What to say of a single word that is none of those for which there is a shorthand; "" where that is no matter."""
    words = shape.keys[str(shape.shorthand)]
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not isinstance(words, shapes.Choice):
        return ""
    forms = other_forms(shape)
    if not forms or node.value in words.words:
        return ""
    near = nearest(node.value, words.words)
    expected = [*[f'"{word}"' for word in words.words], *forms]
    message = f"expected {' or '.join([', '.join(expected[:-1]), expected[-1]])}, got {found(node)}"
    return with_hint(message, f'did you mean "{near}"?' if near else "")


def missing_keys(node: Node, entries: Entries, shape: shapes.Fields) -> Iterator[Complaint]:
    for name in shape.required:
        if name not in entries:
            only = shape.keys[name]
            fixed = isinstance(only, shapes.Integer) and only.minimum == only.maximum
            hint = f'write "{name}: {only.minimum}"' if fixed and isinstance(only, shapes.Integer) else ""
            yield Complaint(node, with_hint(f'missing key "{name}"', hint), "missing-key")


def missing_choice(node: Node, entries: Entries, shape: shapes.Fields) -> Iterator[Complaint]:
    for names, count in ((shape.exactly_one, "one"), (shape.at_least_one, "at least one")):
        if names and not any(name in entries for name in names):
            yield Complaint(node, f"missing key: expected {count} of {listed(names, 'and')}", "missing-key")


def missing_company(entries: Entries, shape: shapes.Fields) -> Iterator[Complaint]:
    missed: set[tuple[str, ...]] = set()  # so that it is said once
    for name, others in shape.needs.items():
        if name in entries and others not in missed and not any(other in entries for other in others):
            missed.add(others)
            key, _ = entries[name]
            yield Complaint(key, f'missing key {listed(others, "or")}, which "{name}" needs', "missing-key")


def together(entries: Entries, shape: shapes.Fields) -> Iterator[Complaint]:
    """Keys that exclude each other."""
    for names in (shape.exactly_one, shape.at_most_one):
        written = [name for name in entries if name in names]
        for name in written[1:]:
            key, _ = entries[name]
            message = f'"{written[0]}" and "{name}" cannot stand together; one of them is enough'
            if shape.one_of_list:
                message += f", or write a list: [{{{written[0]}: …}}, {{{name}: …}}]"
            yield Complaint(key, message, "conflict")
    for name, owner in shape.inside.items():
        if name in entries and owner in entries and has_key(entries[owner][1], name):
            key, _ = entries[name]
            yield Complaint(key, f'"{name}" stands in the {owner} as well; one of them is enough', "conflict")
