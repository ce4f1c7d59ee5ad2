"""The command line as a whole: what it lists, what it refuses, and what it need not import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine import __version__
from engine.cli.main import COMMANDS, main


def left_with(words: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.parametrize("words", [["chekc"], ["check", "--bogus"], ["check", "a", "b"], ["schema", "x"], []])
def test_wrong_usage_leaves_with_2(words: list[str]) -> None:
    assert left_with(words) == 2


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["--version"]) == 0
    assert capsys.readouterr().out == f"proactive {__version__}\n"


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "proactive rules"


def test_check_imports_no_server() -> None:
    program = (
        "import sys; from engine.cli.main import app_for; app_for(['check']);"
        "print([name for name in ('aiohttp', 'websockets', 'sqlite3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
