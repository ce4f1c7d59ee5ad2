"""The comments of a YAML text, which its tree does not have. It knows nothing of what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from engine.loading.tree import LINE_BREAK, PARSER

_HASH = re.compile(r"(?<![^\s])#")


@dataclass(frozen=True, slots=True)
class Comment:
    """``text`` is what follows the ``#``. ``line`` and ``column`` are those of the ``#``, from 1.

    ``alone``: nothing but white space stands before it on its line.
    """

    line: int
    column: int
    text: str
    alone: bool


def comments_of(text: str) -> list[Comment]:
    """All comments of a text that is sound YAML, in order."""
    text = text.removeprefix("\ufeff")
    taken = _scalars(text)
    comments: list[Comment] = []
    start = 0
    for number, line in enumerate(LINE_BREAK.split(text), start=1):
        for match in _HASH.finditer(line):
            at = start + match.start()
            while taken and taken[0][1] <= at:
                taken.pop(0)
            if taken and taken[0][0] <= at:
                continue
            column = match.start() + 1
            comments.append(Comment(number, column, line[column:], not line[: column - 1].strip()))
            break  # all that follows belongs to it
        start += len(line) + 1 + text.startswith("\r\n", start + len(line))
    return comments


def _scalars(text: str) -> list[tuple[int, int]]:
    """From where to where values stand, in characters, in order: a ``#`` within one of them begins no comment."""
    taken = []
    for token in yaml.scan(text, Loader=PARSER):
        if isinstance(token, yaml.ScalarToken):
            first: Any = token.start_mark
            last: Any = token.end_mark
            end = last.index
            if token.style in ("|", ">"):  # behind the bar there may be a comment, and none before the text ends
                bar = text.find("\n", first.index)
                end = first.index + len(text[first.index : end].rstrip())
                taken.append((bar, max(end, bar)))
            else:
                taken.append((first.index, end))
    return taken
