"""What the project already says: blocks of its pages, and its vectors, as inputs to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
DEPTH_MAX = 20
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
        page = yaml.safe_load(path.read_text(encoding="utf-8"))
        for vector in [page, *page["vectors"]]:
            if "rules" in vector:
                written = {"version": 1, "rules": vector["rules"], "policy": vector.get("policy", {})}
                files.append(yaml.safe_dump(written, sort_keys=False))
    return files


def expressions() -> list[str]:
    found = set(_values_of(("condition", "where"), _documents()))
    return sorted(found | set(_table("expressions.yaml")))


def templates() -> list[str]:
    found = set(_values_of(("text", "fallback"), _documents()))
    return sorted(found | set(_table("templates.yaml")))


def _documents() -> Iterator[Any]:
    for text in [*rule_files(), *vector_rules()]:
        try:
            yield yaml.safe_load(text)
        except yaml.YAMLError:
            continue


def _values_of(keys: tuple[str, ...], value: Any) -> Iterator[str]:
    unread = [(value, 0)]
    while unread:
        inner, depth = unread.pop()
        if isinstance(inner, dict):
            yield from (inner[key] for key in keys if isinstance(inner.get(key), str))
            inner = list(inner.values())
        # Some of the files are wrong on purpose, and hold themselves.
        if isinstance(inner, Iterator | list) and depth < DEPTH_MAX:
            unread.extend((item, depth + 1) for item in inner)


def _table(name: str) -> Iterator[str]:
    """All texts of a table of tests/core, whatever their part in it."""
    unread = [yaml.safe_load((ROOT / "tests" / "core" / name).read_text(encoding="utf-8"))]
    while unread:
        value = unread.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            unread.extend(value.values())
        elif isinstance(value, list):
            unread.extend(value)
