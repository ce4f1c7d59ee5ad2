"""What the project already says: blocks of its pages, and its vectors, as inputs to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from engine.loading.tree import PARSER

ROOT = Path(__file__).parent.parent
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, *pages: str) -> list[str]:
    """Blocks of that language on these pages of docs/, all pages where none is named."""
    paths = [ROOT / "docs" / page for page in pages] or sorted((ROOT / "docs").glob("*.md"))
    texts = [path.read_text(encoding="utf-8") for path in paths if path.exists()]
    return [match[2] for text in texts for match in _BLOCK.finditer(text) if match[1] == language]


def json_blocks(*pages: str) -> list[str]:
    """Lines of JSON, each by itself."""
    return [line for block in blocks("json", *pages) for line in block.splitlines() if line.startswith(("{", "["))]


def rule_files() -> list[str]:
    """Every rule file there is, those with mistakes included, and those of the pages."""
    folders = ("rules", "tests/loading/good", "tests/loading/bad", "examples")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.yaml"))]
    texts = [path.read_bytes().decode("utf-8", "replace") for path in paths]
    return [*texts, *(block for block in blocks("yaml") if "rules:" in block)]


def vector_rules() -> list[str]:
    """The rules of every vector, a file each."""
    files = []
    for path in sorted((ROOT / "tests" / "vectors").glob("*.yaml")):
        page = yaml.load(path.read_text(encoding="utf-8"), PARSER)
        for vector in [page, *page["vectors"]]:
            if "rules" in vector:
                written = {"version": 1, "rules": vector["rules"], "policy": vector.get("policy", {})}
                files.append(yaml.dump(written, Dumper=DUMPER, sort_keys=False))
    return files


def expressions() -> list[str]:
    found = set(_values_of(("condition", "where"), _documents()))
    return sorted(found | set(_table("expressions.yaml")))


def templates() -> list[str]:
    found = set(_values_of(("text", "fallback"), _documents()))
    return sorted(found | set(_table("templates.yaml")))


@cache
def _documents() -> list[Any]:
    found = []
    for text in [*rule_files(), *vector_rules()]:
        with suppress(yaml.YAMLError):
            found.append(yaml.load(text, PARSER))
    return found


def _values_of(keys: tuple[str, ...], value: Any) -> Iterator[str]:
    unread = [value]
    looked_at = set()
    while unread:
        inner = unread.pop()
        # Some of the files are wrong on purpose, and hold themselves, or one thing a billion times.
        if not isinstance(inner, dict | list) or id(inner) in looked_at:
            continue
        looked_at.add(id(inner))
        if isinstance(inner, dict):
            yield from (inner[key] for key in keys if isinstance(inner.get(key), str))
            inner = list(inner.values())
        unread.extend(inner)


def _table(name: str) -> Iterator[str]:
    """All texts of a table of tests/core, whatever their part in it."""
    unread = [yaml.load((ROOT / "tests" / "core" / name).read_text(encoding="utf-8"), PARSER)]
    while unread:
        value = unread.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            unread.extend(value.values())
        elif isinstance(value, list):
            unread.extend(value)
