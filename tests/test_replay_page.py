"""`docs/replay.md`: its files and commands do what it says, and its tables are complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks_of

from engine.replay.source import SHAPE

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "replay.md"
BLOCKS = blocks_of(PAGE)
TEXT = PAGE.read_text("utf-8")
PROACTIVE = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from engine.cli.main import main
main()
"""
NOT_RUN = {"proactive replay proactive.db": "it needs what a server has recorded; the README's test runs one"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "proactive"
    command.write_text(PROACTIVE, encoding="utf-8")
    command.chmod(0o755)
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for block in BLOCKS:
        if block.word:
            path = tmp_path / block.word
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return tmp_path


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_commands_print_what_the_page_says(folder: Path) -> None:
    for block, following in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
        if block.language == "sh":
            commands = [line for line in block.text.splitlines() if line not in NOT_RUN]
            done = run(folder, "\n".join(commands))
            assert done.returncode == 0, done.stderr
            if following is not None and following.language == "text":
                assert done.stdout == following.text, str(block)


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
