"""How messages to authors show what was written and name what was expected. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from engine.core import shapes

if TYPE_CHECKING:
    from engine.loading.tree import Node

SHOWN_MAX = 60  # characters of what was written that a message repeats
LISTED_MAX = 12  # names that a message lists
NEAR = 0.7  # as difflib measures: "tirgger" is near "trigger" (0.86), "colour" is not near "holdout" (0.62)


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


def listed(words: Sequence[str], last: str) -> str:
    """``"a", "b" or "c"``, cut short where there are very many."""
    quoted = [f'"{word}"' for word in words[:LISTED_MAX]]
    if len(words) > LISTED_MAX:
        return ", ".join(quoted) + " …"
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def with_hint(message: str, hint: str) -> str:
    """A message and how to mend it."""
    if not hint:
        return message
    return message + (", " if hint.startswith("did you mean") else "; ") + hint


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that the author may have meant, or None. Ties go to the first by name."""
    names = sorted(known)
    plain = {name.replace("_", "").lower(): name for name in names}
    same = plain.get(word.replace("-", "").replace("_", "").replace(" ", "").lower())
    if same is not None:
        return same
    near = get_close_matches(word[:SHOWN_MAX].lower(), names, n=1, cutoff=NEAR)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near else ""


def expected_mapping(shape: shapes.Fields) -> str:
    choice = shape.exactly_one or shape.at_least_one
    if choice:
        needed = f"{listed(shape.required, 'and')}, and with " if shape.required else ""
        return f"a mapping with {needed}{listed(choice, 'or')}"
    return f"a mapping with {listed(shape.required or tuple(shape.keys), 'and')}"
