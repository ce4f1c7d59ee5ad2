"""Comments are found where YAML has them, and nowhere else."""

from __future__ import annotations

import pytest

from engine.loading.comments import comments_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1 # one", [(1, 6, " one", False)]),
        ("# one\na: 1", [(1, 1, " one", True)]),
        ("a:\n  # one # two\n  b: 1", [(2, 3, " one # two", True)]),
        ("a: b#c", []),
        ('a: "b # c" # d', [(1, 12, " d", False)]),
        ("a: 'b\n  # c\n  d' # e", [(3, 6, " e", False)]),
        ("a: | # one\n  b # c\n  # d\n# e\nf: 1", [(1, 6, " one", False), (4, 1, " e", True)]),
        ("a: >\n  b\n\n# c\n", [(4, 1, " c", True)]),
        ("a: b\r\n# c\r\nd: 1 # e\r\n", [(2, 1, " c", True), (3, 6, " e", False)]),
        ("a: [\U0001f600, 'é #'] # b", [(1, 15, " b", False)]),
        ("a: |\n  b\nc: 1 # d", [(3, 6, " d", False)]),
        ("\ufeff# a\nb: 1", [(1, 1, " a", True)]),
    ],
)
def test_comments_are_found(text: str, found: list[tuple[int, int, str, bool]]) -> None:
    assert [(one.line, one.column, one.text, one.alone) for one in comments_of(text)] == found
