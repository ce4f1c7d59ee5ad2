"""Another value at one place of a rule set, in the text of its files. It reads no file and loads nothing.

All else of the text stays as it is, to the byte: what was written is changed, not written anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.core import shapes
from engine.core.refusal import Refused
from engine.loading import tree
from engine.loading.language import file_shape
from engine.loading.places import Edit, Position, find
from engine.loading.tree import Node, Scalar, parse_tree
from engine.loading.wording import shorten

BYTE_ORDER_MARK = "\ufeff"
# Text that means itself wherever a value may stand, also in brackets.
PLAIN = re.compile(r"[^\W_][\w.%/+-]*(?: [\w.%/+-]+)*")


def patch(sources: Mapping[str, str], path: str, value: str, kinds: Mapping[str, shapes.Kind]) -> dict[str, str]:
    """The files with ``value``, a YAML text, at ``path``: ``"stuck.trigger.count.at_least"``, ``"policy.seed"``.

    A path begins with the id of a rule (the longest that fits; "policy" is the policy unless a rule is called so) and
    goes on with keys and numbers of items: ``max[0].per``. Where a single item stands for a list, or a list has one
    item with that key, the number may be left out. ``inactivity.for`` finds ``inactivity: 5m`` as well, which is
    expanded where another key is added to it; and a single value for ``inactivity`` changes no more of
    ``{for: 5m, after: …}`` than its ``for``. Keys that are missing are added if the language knows them.

    Raises `Refused` for a path that leads nowhere and for a value that is no YAML. Whether the rules may have that
    value only `load` knows.
    """
    wanted = _value(path, value)
    name, edit = find(sources, path, wanted, file_shape(kinds))
    return {**sources, name: _edited(path, sources[name], edit)}


def value_at(sources: Mapping[str, str], path: str, kinds: Mapping[str, shapes.Kind]) -> str | None:
    """What is written at ``path``, in one line, or else among the defaults of its file; None where nothing is, and a
    value could be added.

    Raises `Refused` as `patch` does.
    """
    name, edit = find(sources, path, Scalar("", "", "'", 0, 0, None), file_shape(kinds))
    if edit.key is None and not edit.is_within:
        return written(edit.span.node)
    is_of_rule = len(edit.position) == 2 and path.endswith(f".{edit.key}")
    return _default(sources[name], edit.key) if edit.key is not None and is_of_rule else None


def _default(source: str, key: str) -> str | None:
    root = parse_tree("", source).root
    defaults = root.entries.get("defaults") if isinstance(root, tree.Mapping) else None
    found = defaults[1].entries.get(key) if defaults is not None and isinstance(defaults[1], tree.Mapping) else None
    return None if found is None else written(found[1])


def _value(path: str, value: str) -> Node:
    parsed = parse_tree("", value)
    if parsed.errors:
        raise Refused(f'"{path}": "{shorten(value)}" cannot be its value: {parsed.errors[0].message}')
    if parsed.root is None:
        raise Refused(f'"{path}": expected a value, got nothing')
    return parsed.root


def written(node: Node) -> str:
    """A value as YAML in one line that means the same wherever it stands."""
    if isinstance(node, tree.Sequence):
        return f"[{', '.join(map(written, node.items))}]"
    if isinstance(node, tree.Mapping):
        return f"{{{', '.join(f'{written(key)}: {written(value)}' for key, value in node.entries.values())}}}"
    assert isinstance(node, Scalar)  # of what is broken an error has been told
    if not isinstance(node.value, str):
        return node.written or "null"
    if not node.style and PLAIN.fullmatch(node.value):
        return node.value
    return json.dumps(node.value, ensure_ascii=False)


def _edited(path: str, source: str, edit: Edit) -> str:
    """The text of the file with the edit: the first way of writing it that means what it should."""
    mark = BYTE_ORDER_MARK if source.startswith(BYTE_ORDER_MARK) else ""
    text = source.removeprefix(mark)
    before = parse_tree("", text).root
    assert before is not None  # the path led through it
    position = edit.position if edit.key is None else (*edit.position, edit.key)
    expected = _put(_plain(before), position, _plain(edit.node))
    if expected == _plain(before):
        return source
    for way in _replacing(text, edit) if edit.key is None else _adding(text, edit, edit.key):
        after = parse_tree("", way)
        if not after.errors and after.root is not None and _plain(after.root) == expected:
            return mark + way
    raise Refused(
        f'"{path}": what stands there cannot be changed by itself',
        hint="an alias stands for it elsewhere, or for part of it; write that out",
    )


def _replacing(text: str, edit: Edit) -> Iterator[str]:
    """With the value in place of the old; further right where its brackets have to stand deeper than a key."""
    for pad in ("", " ", ": "):
        yield text[: edit.span.start] + pad + written(edit.node) + text[edit.span.end :]


def _adding(text: str, edit: Edit, key: str) -> Iterator[str]:
    span = edit.span
    entry = f"{written(Scalar(key, key, '', 0, 0, None))}: {written(edit.node)}"
    if not span.entries:
        yield f"{text[: span.end - 1]}{entry}{text[span.end - 1 :]}"
        return
    if span.is_flow:
        last = list(span.entries.values())[-1][1].end
        yield f"{text[:last]}, {entry}{text[last:]}"
        return
    line = tree.LINE_BREAK.search(text)
    newline = "\n" if line is None else line.group()
    indent = " " * next(iter(span.entries.values()))[0].column
    block_end = span.last.block_end
    if block_end is None:
        behind = tree.LINE_BREAK.search(text, span.end)
        end = len(text) if behind is None else behind.start()
        yield f"{text[:end]}{newline}{indent}{entry}{text[end:]}"
    else:
        yield f"{text[:block_end]}{indent}{entry}{newline}{text[block_end:]}"
    # A text at the very end of a file would gain a line break by what is written behind it.
    first = list(span.entries.values())[-1][0].start
    yield f"{text[:first]}{entry}{newline}{indent}{text[first:]}"


def _plain(node: Node) -> Any:
    """What a value means, to be compared: numbers as they are written, for some are not equal to themselves."""
    if isinstance(node, tree.Sequence):
        return [_plain(item) for item in node.items]
    if isinstance(node, tree.Mapping):
        return {name: _plain(value) for name, (_, value) in node.entries.items()}
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return ("text", node.value)
    return ("plain", node.written or "null") if isinstance(node, Scalar) else None


def _put(whole: Any, position: Position, value: Any) -> Any:
    if not position:
        return value
    step, rest = position[0], position[1:]
    copy = whole.copy()
    copy[step] = _put(whole[step], rest, value) if rest else value
    return copy
