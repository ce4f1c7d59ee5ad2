"""Every line of the threat model names tests that there are, and the one claim about code that no test can time."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# The files in which a secret, or the hash of one, is at hand.
GUARDED = ("keys", "tokens", "auth", "callers")
# Names of values that nobody may learn by how long it takes to compare them.
GUARDED_VALUES = {"digest", "sha256", "secret", "_secret", "key", "token", "signature", "credentials"}


def threats() -> list[str]:
    table = PAGE.partition("## Threats\n")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][2:]


def test_the_table_is_read_whole() -> None:
    assert len(threats()) > 30
    assert threats()[0].startswith("| speaking in the name of another user |")


@pytest.mark.parametrize("line", threats(), ids=lambda line: line.split("|")[1].strip())
def test_every_threat_names_tests_that_there_are(line: str) -> None:
    _, threat, answer, shown, _ = line.split("|")
    assert threat.strip()
    assert answer.strip()
    named = NAMED.findall(shown)
    assert named
    assert NAMED.sub("", shown).strip() == ""
    for path, name in named:
        assert name in functions_of(ROOT / path), f"{path} has no {name}"


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def compared(source: str) -> set[str]:
    """The names of what is compared by ``==`` or looked for by ``in``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            for side in (node.left, *node.comparators):
                if isinstance(side, ast.Name):
                    found.add(side.id)
                elif isinstance(side, ast.Attribute):
                    found.add(side.attr)
    return found


def test_secrets_are_compared_in_constant_time_alone() -> None:
    for name in GUARDED:
        source = (ROOT / "engine" / "transport" / f"{name}.py").read_text("utf-8")
        assert not compared(source) & GUARDED_VALUES, name
    assert "hmac.compare_digest(digest, kept.sha256)" in (ROOT / "engine" / "transport" / "keys.py").read_text("utf-8")


def test_a_comparison_that_takes_its_time_is_noticed() -> None:
    assert compared("if kept.sha256 == digest: pass") >= {"sha256", "digest"}
    assert compared("if token in known: pass") >= {"token"}
