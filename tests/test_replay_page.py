"""`docs/replay.md`: its files and commands do what it says, and its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_pages import ROOT, check_commands, furnish, run
from pages import blocks_of

from engine.replay.source import SHAPE

PAGE = ROOT / "docs" / "replay.md"
BLOCKS = blocks_of(PAGE)
TEXT = PAGE.read_text("utf-8")
NOT_RUN = {"proactive replay proactive.db": "it needs what a server has recorded; the README's test runs one"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    furnish(tmp_path, BLOCKS)
    return tmp_path


def test_the_commands_print_what_the_page_says(folder: Path) -> None:
    check_commands(folder, BLOCKS, NOT_RUN)


def test_the_log_of_the_own_form_is_read_whole(folder: Path) -> None:
    done = run(folder, "proactive replay own.jsonl --rules rules --strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert "events       3 of 2 users\n" in done.stdout


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("proactive replay game.csv --source source-csv.yaml --rules hints --strict", 1),
        ("proactive replay game.jsonl --rules hints", 1),
        ("proactive replay game.csv --source source-json.yaml --rules hints", 1),
        ("proactive replay own.jsonl --rules nowhere", 1),
        ("proactive replay game.csv --rules hints", 2),
        ("proactive replay nowhere.jsonl --rules hints", 2),
        ("sed -i.old s/player/palyer/ source-csv.yaml; proactive replay game.csv --source source-csv.yaml", 2),
        ("proactive replay own.jsonl --rules hints --verify", 2),
    ],
)
def test_the_exit_code_is_the_one_of_the_table(folder: Path, command: str, code: int) -> None:
    done = run(folder, command)
    assert (done.returncode, done.stdout) == (code, "")


def listed(heading: str) -> list[str]:
    part = re.split(r"^#+ ", TEXT.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    cells = [line.split(" | ")[0] for line in re.findall(r"^\| (.*)\|$", part, re.MULTILINE)[2:]]
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def test_every_key_of_a_mapping_is_listed_and_no_other() -> None:
    assert set(listed("Another form: `--source`")) == set(SHAPE.keys)


def test_every_reason_of_a_bad_record_is_listed_and_no_other() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "engine" / "replay").glob("*.py"))
    reasons = set(re.findall(r'BadLine\("([^"]*)"', sources))
    reasons |= {f"bad {part}" for part in re.findall(r'_name\("(\w+)"', sources)}  # written as f"bad {part}"
    assert set(listed("Records that cannot be read")) == reasons
