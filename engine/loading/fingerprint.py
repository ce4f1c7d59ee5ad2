"""What was written, less how it was written: two texts that mean the same have one fingerprint.

Only for nodes that `Reader.read` has found to be right. The value of a fingerprint is kept in users' states, so
a change of this file makes every rule forget.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any

from engine.core import shapes
from engine.core.model import Json
from engine.loading import tree
from engine.loading.belonging import gathered, put_inside
from engine.loading.read import Reader, is_none
from engine.loading.tree import Node, Scalar

# A quoted text, which stays as it is, or white space, which is one space.
_SPACES = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\s+""", re.DOTALL)


def fingerprint(node: Node, shape: shapes.Shape, reader: Reader) -> str:
    """8 hex digits: they tell the few versions of one trigger of one rule apart, no more is asked of them."""
    return digest(canonical(node, shape, reader), size=4)


def digest(written: Json, *, size: int) -> str:
    """``size`` bytes of BLAKE2b over canonical JSON, as hex."""
    text = json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return blake2b(text.encode("ascii"), digest_size=size).hexdigest()


def canonical(node: Node, shape: shapes.Shape, reader: Reader) -> Json:
    """Durations in microseconds, lists of words inserted, shorthands written out, the keys in order.

    A key that takes a default back is as if it had not been written.
    """
    if isinstance(shape, shapes.Fields):
        if isinstance(node, tree.Mapping):
            entries = {name: value for name, (_, value) in put_inside(gathered(node, shape).entries, shape).items()}
        else:
            entries = {str(shape.shorthand): node}
        return {
            name: canonical(entries[name], shape.keys[name], reader)
            for name in sorted(entries)
            if not (isinstance(shape.keys[name], shapes.OrNone) and is_none(entries[name]))
        }
    if isinstance(shape, shapes.OrNone):
        return canonical(node, shape.item, reader)
    if isinstance(shape, shapes.ListOf):
        items = node.items if isinstance(node, tree.Sequence) else (node,)
        return [canonical(item, shape.item, reader) for item in items]
    if isinstance(shape, shapes.MapOf) and isinstance(node, tree.Mapping):
        return {name: canonical(node.entries[name][1], shape.item, reader) for name in sorted(node.entries)}
    if isinstance(shape, shapes.Words):
        return list(reader.read(node, shape))
    if isinstance(node, Scalar):
        return _single(node, shape)
    return reader.read(node, shapes.AnyValue())


def _single(node: Scalar, shape: shapes.Shape) -> Json:
    if isinstance(shape, shapes.Parsed):
        value: Any = shape.parse(node.written)
        return value if isinstance(value, str | int | float) else node.written.strip()
    if isinstance(shape, shapes.Expression):
        return _SPACES.sub(lambda match: match.group(1) or " ", node.written.strip())
    return node.value
