"""`docs/lint.md`: its commands print what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import blocks_of
from typer.testing import CliRunner

from engine.cli.main import app_for

PAGE = Path(__file__).parent.parent / "docs" / "lint.md"
BLOCKS = blocks_of(PAGE)
COMMANDS = [block.text for block in BLOCKS if block.language == "text"]


@pytest.mark.parametrize("text", COMMANDS, ids=lambda text: text.partition("\n")[0])
def test_a_command_prints_what_stands_below_it(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in BLOCKS:
        if block.word:
            path = tmp_path / block.word
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    first, _, expected = text.partition("\n")
    prompt, program, *words = first.split()
    assert (prompt, program) == ("$", "proactive")
    assert CliRunner().invoke(app_for(words), words).stdout == expected


def test_every_option_of_the_two_commands_is_told() -> None:
    text = PAGE.read_text("utf-8")
    for option in ("--log", "--source", "--rule", "--zone", "--from", "--days"):
        assert f"`{option}" in text
