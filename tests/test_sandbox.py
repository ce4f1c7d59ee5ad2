"""What authors write reaches nothing of Python and no file: the ways out that are tried stand in sandbox_escapes.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sandbox_escapes import EXPRESSIONS, FILES, TEMPLATES, of_template

HERE = Path(__file__).parent
# How values of Python look that no template may show.
SIGNS = ("<class", "<function", "<built-in", "<module", "<bound", " at 0x", "root:", "uid=", "tzinfo", "jinja2")


@pytest.fixture(scope="module")
def tried() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "sandbox_escapes.py")],
        cwd=HERE.parent,
        env={"PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_no_template_shows_anything_of_python(tried: dict[str, Any]) -> None:
    assert len(tried["templates"]) > len(TEMPLATES)
    for source, became in tried["templates"]:
        assert became.startswith(("refused", "failed")) or not any(sign in became for sign in SIGNS), (source, became)


def test_no_expression_reaches_python(tried: dict[str, Any]) -> None:
    assert len(tried["expressions"]) == len(EXPRESSIONS)
    for source, became in tried["expressions"]:
        assert became.startswith(("refused", "is Unknown")), (source, became)


def test_no_rule_file_names_another_file_or_a_value_of_python(tried: dict[str, Any]) -> None:
    assert len(tried["files"]) == len(FILES)
    for text, became in tried["files"]:
        assert became.startswith("refused"), text


def test_nothing_that_was_tried_opened_a_file_or_a_socket_or_ran_a_program(tried: dict[str, Any]) -> None:
    assert tried["reached"] == []


def test_what_users_write_is_shown_and_never_run() -> None:
    assert of_template("You said: {{ event.said }}") == "shows You said: {{ 7 * 7 }}"
