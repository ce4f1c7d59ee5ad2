"""Where each value of a file begins and ends in its text, for those who change one of them. It changes nothing.

`engine.loading.tree` says what a text means and where a value begins, which is what errors need; this adds the ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from engine.loading import tree
from engine.loading.tree import PARSER, Node


@dataclass(slots=True)
class Span:
    """A value in its text: ``text[start:end]``, without the comments and the empty lines behind it.

    ``node`` is what it means; of an alias what it stands for, and then it has neither ``entries`` nor ``items``.
    ``entries`` are the keys with their values. ``is_flow``: it is written in brackets. ``block_end`` is where the next
    line after a text in block style begins, None for every other value. ``column`` counts from 0.
    """

    node: Node
    start: int
    end: int
    column: int
    is_flow: bool = False
    is_alias: bool = False
    block_end: int | None = None
    entries: dict[str, tuple[Span, Span]] = field(default_factory=dict)
    items: list[Span] = field(default_factory=list)

    @property
    def last(self) -> Span:
        """What ends it: its last value, and of that the last; itself where it holds none."""
        if self.is_flow or not (self.entries or self.items):
            return self
        return (self.items or [list(self.entries.values())[-1][1]])[-1].last


def spans_of(text: str, root: Node) -> Span:
    """The spans of a file whose tree has no errors; ``text`` without its byte order mark."""
    events = yaml.parse(text, Loader=PARSER)
    for event in events:
        if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent | yaml.CollectionStartEvent):
            return _span(text, event, events, root)
    raise AssertionError("a tree with a root has an event that begins it")


def _span(text: str, event: Any, events: Iterator[yaml.Event], node: Node) -> Span:
    start, end = event.start_mark.index, event.end_mark.index
    span = Span(node, start, end, event.start_mark.column)
    if isinstance(event, yaml.AliasEvent):
        span.is_alias = True
    elif isinstance(event, yaml.ScalarEvent):
        if event.style in ("|", ">"):
            span.block_end = end
            span.end = start + len(text[start:end].rstrip())
    else:
        span.is_flow = event.flow_style
        if isinstance(node, tree.Sequence):
            span.items = [_span(text, next(events), events, item) for item in node.items]
        elif isinstance(node, tree.Mapping):
            for name, (key, value) in node.entries.items():
                written = _span(text, next(events), events, key)
                span.entries[name] = (written, _span(text, next(events), events, value))
        closing: Any = next(events)
        # A block ends where something else begins, which is far behind its last value.
        span.end = closing.end_mark.index if span.is_flow else max(span.last.end, start)
    return span
