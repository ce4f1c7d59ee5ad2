"""The page on watching a server lists all its figures, in their own words, and all trouble that the log can tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from engine.metrics.metrics import Metrics

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
# Below these nobody is to be woken.
LEVELS = {"warning": "warning", "error": "error", "exception": "error"}


def rows(head: str) -> list[list[str]]:
    """The rows of the table that begins with ``head``, each as its cells."""
    table = PAGE.partition(f"| {head} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_every_figure_stands_in_the_table_as_it_is_shown() -> None:
    figures = [(figure.name, figure.family()) for figure in Metrics(lambda: 0).figures.all()]
    assert rows("figure") == [
        [
            f"`{name}`",
            family.type,
            ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ())),
            family.documentation,
        ]
        for name, family in figures
    ]


def told() -> Iterator[tuple[str, str, set[str]]]:
    """Of every line of trouble in the code: what it says, at which level, and its fields."""
    for path in (ROOT / "engine").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            first = node.args[0]
            if node.func.attr in LEVELS and isinstance(first, ast.Constant) and str(first.value).startswith("! "):
                fields = {word.arg for word in node.keywords if word.arg is not None}
                fields = {"exception" if field == "exc_info" else field for field in fields}  # as it is rendered
                yield first.value, LEVELS[node.func.attr], fields


def test_all_trouble_stands_in_the_table_with_its_fields() -> None:
    listed = {
        event.strip("`"): (set(level.split(", ")), set(re.findall(r"`(\w+)`", fields)))
        for event, level, fields, _ in rows("`event`")
    }
    found = list(told())
    assert {event for event, _, _ in found} | {"! library"} == set(listed)
    for event, level, fields in found:
        assert level in listed[event][0], event
        assert fields <= listed[event][1], event
