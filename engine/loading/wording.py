"""How messages to authors show what was written and name what was expected. It decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.core import shapes
from engine.core.near_words import did_you_mean, nearest

if TYPE_CHECKING:
    from engine.loading.tree import Node

# Near words belong to what is said to authors, wherever they are looked for.
__all__ = ["did_you_mean", "expected_mapping", "found", "listed", "nearest", "shorten", "with_hint"]

SHOWN_MAX = 60  # characters of what was written that a message repeats
LISTED_MAX = 12  # names that a message lists


def shorten(text: str) -> str:
    """A text on one line, and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_MAX else line[: SHOWN_MAX - 1] + "…"


def found(node: Node) -> str:
    """What stands there, as the author wrote it: text in quotes, anything else without."""
    # Imported late because the tree words its own messages with this module.
    from engine.loading import tree

    if isinstance(node, tree.Sequence):
        return "a list"
    if isinstance(node, tree.Mapping):
        return "a mapping"
    if isinstance(node, tree.Broken):
        return "something else"
    if isinstance(node.value, str):
        return f'"{shorten(node.value)}"'
    return shorten(node.written) or "nothing"


def listed(words: Sequence[str], last: str, most: int = LISTED_MAX) -> str:
    """``"a", "b" or "c"``, cut short where there are very many."""
    quoted = [f'"{word}"' for word in words[:most]]
    if len(words) > most:
        return ", ".join(quoted) + " …"
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def with_hint(message: str, hint: str) -> str:
    """A message and how to mend it."""
    if not hint:
        return message
    return message + (", " if hint.startswith("did you mean") else "; ") + hint


def expected_mapping(shape: shapes.Fields) -> str:
    choice = shape.exactly_one or shape.at_least_one
    if choice:
        needed = f"{listed(shape.required, 'and')}, and with " if shape.required else ""
        return f"a mapping with {needed}{listed(choice, 'or')}"
    return f"a mapping with {listed(shape.required or tuple(shape.keys), 'and')}"
