"""Where there is no room left, for what is written or for what waits on disk, commands say so in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULE = "version: 1\nrules:\n  - {id: a, trigger: {event: e}, message: {type: question, text: Hm}}\n"
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]
FULL = "(for temporary files; TMPDIR names another folder): file too large"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULE)
    # A log that is read twice: by standard input it waits on disk.
    records = [
        {"timestamp": f"2026-03-27T10:{n // 60 % 60:02}:{n % 60:02}Z", "userId": f"u{n % 9}", "messageId": f"m{n}"}
        | {"event": "e", "type": "track", "properties": {"text": "x" * 40}}
        for n in range(1000)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    return tmp_path


def with_little_disk(place: Path, words: str) -> subprocess.CompletedProcess[str]:
    """The command where no file can have more than 20 KiB. ``>`` stands before where standard output goes."""
    words, _, output = words.partition(" > ")
    with (place / "log.jsonl").open("rb") as log, open(output or os.devnull, "wb") as stream:
        return subprocess.run(
            ["sh", "-c", 'ulimit -f 40; exec "$@"', "sh", *COMMAND, *words.split()],
            stdin=log,
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(place)},
            check=False,
            timeout=60,
        )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("replay - --rules rules.yaml", f"{{place}} {FULL}"),
        ("replay - --rules rules.yaml --jobs 2", f"{{place}} {FULL}"),
        ("import -", f"{{place}} {FULL}"),
        ("replay log.jsonl --rules rules.yaml --decisions out", "--decisions: out: file too large"),
        ("replay log.jsonl --rules rules.yaml --decisions - > /dev/full",
         "--decisions: standard output: no space left on device"),
        ("replay log.jsonl --rules rules.yaml --decisions - --jobs 2 > /dev/full",
         "--decisions: standard output: no space left on device"),
        ("import log.jsonl --output out", "--output: out: file too large"),
        ("import log.jsonl --output /dev/full", "--output: /dev/full: no space left on device"),
        ("replay log.jsonl --rules rules.yaml > /dev/full", "standard output: no space left on device"),
        ("check rules.yaml > /dev/full", "standard output: no space left on device"),
        ("simulate --users 3 > /dev/full", "standard output: no space left on device"),
        ("import log.jsonl > /dev/full", "--output: standard output: no space left on device"),
    ],
)  # fmt: skip
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(place: Path, words: str, error: str) -> None:
    before = sorted(place.iterdir())
    done = with_little_disk(place, words)
    assert done.stderr.splitlines()[-1] == error.format(place=place)
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "part"),
    [("replay {part} --rules rules.yaml --decisions out", "out.partial"), ("import {part} --output out", "out.part")],
)
def test_a_log_is_not_written_over_by_what_is_not_whole_yet(place: Path, words: str, part: str) -> None:
    content = (place / "log.jsonl").read_bytes()
    (place / part).write_bytes(content)
    done = with_little_disk(place, words.format(part=part))
    assert done.returncode == 2
    assert f"{part} until it is whole, which is the log itself" in done.stderr
    assert (place / part).read_bytes() == content


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            "replay folder --rules rules.yaml --decisions folder/log.jsonl",
            "--decisions: folder/log.jsonl is the log itself",
        ),
        ("replay folder --rules rules.yaml --report folder/log.jsonl", "--report: folder/log.jsonl is the log itself"),
        ("import folder --output folder/log.jsonl", "--output: folder/log.jsonl is the log itself"),
        ("replay log.jsonl --rules rules.yaml --decisions x --report ./x", "--decisions and --report: both are ./x"),
    ],
)
def test_nothing_is_written_over_what_is_read_or_written(place: Path, words: str, error: str) -> None:
    (place / "folder").mkdir()
    kept = (place / "log.jsonl").read_bytes()
    (place / "folder" / "log.jsonl").write_bytes(kept)
    done = with_little_disk(place, words)
    assert (done.returncode, done.stderr) == (2, f"{error}\n")
    assert (place / "folder" / "log.jsonl").read_bytes() == kept
