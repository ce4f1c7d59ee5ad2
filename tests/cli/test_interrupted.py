"""Ctrl-C in the midst of comparing and sweeping leaves what there is, and says that it is only a part; of moving a
store nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from storage.recorded_store import record

ROOT = Path(__file__).parents[2]
RULE = "version: 1\nrules:\n  - {id: a, trigger: {event: e}, message: {type: question, text: Hm}}\n"
USERS = 20
# The signal is raised by the process itself, as it runs its first user.
PARTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
def hook(frame, what, _):
    if what == "call" and frame.f_code.co_name == "_run_user":
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
sys.setprofile(hook)
from engine.cli.main import main
main()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for folder, text in (("rules", RULE), ("newer", RULE.replace("Hm", "Oh"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(text)
    lines = [json.dumps({"at": 1774605600 + n, "user": f"user{n % USERS}", "type": "e"}) for n in range(3 * USERS)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    return tmp_path


def interrupted(place: Path, *words: str, program: str = PARTED) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_comparison_tells_of_the_users_that_were_run(place: Path) -> None:
    words = ("diff", "log.jsonl", "--before", "rules", "--after", "newer", "--max-new", "0")
    done = interrupted(place, *words)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    assert done.stdout.startswith(f"interrupted: the first 1 of {USERS} users\nbefore  rules, 1 rule\n")
    assert "changes    3 reworded by 1 user\n" in done.stdout
    assert f"**interrupted: the first 1 of {USERS} users**" in interrupted(place, *words, "--markdown").stdout


def test_a_sweep_tells_of_the_users_that_were_run(place: Path) -> None:
    done = interrupted(place, "sweep", "log.jsonl", "--set", "a.cooldown=1s,1m")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    assert done.stdout.startswith(f"only part of the log: 1 of {USERS} users\n")


@pytest.mark.parametrize(
    "command", [("diff", "--before", "rules", "--after", "newer"), ("sweep", "--set", "a.cooldown=1s")]
)
def test_the_page_says_that_it_is_a_part(place: Path, command: tuple[str, ...]) -> None:
    done = interrupted(place, *command, "log.jsonl", "--report", "out.html")
    assert done.returncode == 130
    assert f"1 of {USERS} users" in (place / "out.html").read_text("utf-8")


def test_of_a_store_that_was_to_be_moved_nothing_is_left_where_it_was_to_go(place: Path) -> None:
    asyncio.run(record(place / "a.db"))
    before = (place / "a.db").read_bytes()
    at_compare = PARTED.replace("_run_user", "_compare_states")
    done = interrupted(place, "store", "migrate", "a.db", "b.db", program=at_compare)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted\na.db is as it was; nothing of it is left\n"
    assert {path.name for path in place.glob("b.db*")} <= {"b.db.lock"}
    assert (place / "a.db").read_bytes() == before
