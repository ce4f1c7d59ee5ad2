"""``proactive replay --jobs``: the same bytes as of one process, and a clear end where a process dies."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RULES = """
version: 1
rules:
  - id: idle
    trigger: {inactivity: 5m}
    holdout: 20%
    message: {type: question, variants: [{id: a, text: "Still there?"}, {id: b, text: "{{ user.id }}?"}]}
  - {id: stuck, trigger: {count: {event: failed, at_least: 2, within: 5m, group_by: test}}, cooldown: 3m,
     message: {type: suggestion, text: "{{ trigger.count }} of {{ event.test }}"}}
  - {id: fussy, trigger: {event: passed}, condition: event.level > 8, message: {type: question, text: x}}
  - {id: never, trigger: {event: flaied}, message: {type: question, text: x}}
  - {id: picky, trigger: {event: {event: failed, where: event.level > 99}}, message: {type: question, text: x}}
  - {id: many, trigger: {count: {event: failed, at_least: 50, within: 5m}}, message: {type: question, text: x}}
invariants:
  - {at_most: 2, per: 10m}
  - every_rule_fires
"""


def proactive(*words: object, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from engine.cli.main import main; main()", "replay", *map(str, words)],
        input=given,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("jobs")
    (place / "rules.yaml").write_text(RULES)
    chance = random.Random(4)
    lines = []
    for number in range(6000):
        record = {
            "id": f"e{number}",
            "at": 1_774_605_600 + chance.randrange(9000),
            "user": chance.choice([7, *(f"user{name}" for name in range(60))]),
            "type": chance.choice(["failed", "passed", "message.answered"]),
            "data": {"test": f"t{chance.randrange(5)}", "level": chance.randrange(10), "rule": "idle"},
        }
        lines.append(json.dumps(record) if chance.random() > 0.01 else chance.choice(["{", '{"user": "user3"}', "[]"]))
    whole = "\n".join(lines).encode()
    (place / "log.jsonl").write_bytes(whole)
    (place / "log.gz").write_bytes(gzip.compress(whole))
    (place / "cut.gz").write_bytes(gzip.compress(whole)[:-50])
    (place / "one.jsonl").write_text("\n".join(lines[:2000]))
    (place / "two.jsonl").write_text("\n".join(lines[2000:]))
    (place / "log.csv").write_text("at,who,test\n" + "".join(f"{9**9 + n},u{n % 7},t\n" for n in range(500)) + "x,u1\n")
    (place / "source.yaml").write_text("format: csv\nat: at\nuser: who\ntype: {value: failed}\ndata: {test: test}\n")
    return place


@pytest.mark.parametrize(
    "words",
    [
        ["log.jsonl"],
        ["log.jsonl", "--until", "2026-03-27T10:30:00Z", "--decisions", "-"],
        ["cut.gz", "--decisions", "-"],
        ["two.jsonl", "one.jsonl"],
        ["log.csv", "--source", "source.yaml"],
    ],
    ids=" ".join,
)
def test_any_number_of_processes_gives_the_same_bytes(place: Path, words: list[str]) -> None:
    words = [str(place / word) if "." in word and word[0] != "2" else word for word in words]
    one, *others = [proactive(*words, "--rules", place / "rules.yaml", "--jobs", jobs) for jobs in (1, 2, 3)]
    assert one.returncode == 1  # invariants are broken
    assert b"candidates" in one.stdout + one.stderr
    for other in others:
        assert (other.returncode, other.stdout, other.stderr) == (one.returncode, one.stdout, one.stderr)


def test_decisions_in_a_file_and_standard_input_are_the_same_too(place: Path) -> None:
    found = []
    for number, (words, given) in enumerate(
        [
            (["log.jsonl"], None),
            (["log.jsonl", "--jobs", "2"], None),
            (["log.gz", "--jobs", "2", "--memory", "16MB"], None),
            (["-", "--jobs", "2"], (place / "log.gz").read_bytes()),
        ]
    ):
        output = place / f"decisions{number}"
        words = [str(place / word) if word.startswith("log") else word for word in words]
        done = proactive(*words, "--rules", place / "rules.yaml", "--decisions", output, given=given)
        assert done.returncode == 1
        found.append((done.stdout, output.read_bytes()))
    assert len(set(found)) == 1
    assert len(found[0][1].splitlines()) > 1000


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["gone.jsonl"], "gone.jsonl: no such file or directory"),
        (["/dev/null"], "/dev/null: --jobs needs a log that several can read; give this one by standard input, as -"),
        (["store.db"], "--jobs is for logs; a store is replayed by one process"),
        (["log.csv", "--source", "bad.yaml"],
         'bad.yaml:2:5: the log has no column "tme"; did you mean "time" [unknown-column]'),
        (["log.jsonl", "--memory", "1MB"], '--memory: expected at least 16MB, got "1MB"'),
        (["log.jsonl", "--format", "nope"], "--format: expected a format"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_as_by_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "store.db").write_bytes(b"SQLite format 3\x00")
    (tmp_path / "log.csv").write_text("time,who\n1,ann\n")
    (tmp_path / "log.jsonl").write_text("")
    (tmp_path / "bad.yaml").write_text("format: csv\nat: tme\nuser: who\ntype: {value: t}\n")
    done = proactive(*words, "--rules", "rules.yaml", "--jobs", "2")
    assert done.returncode == 2
    assert done.stdout == b""
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(error)


def test_nothing_but_bad_records_and_strictness_end_it_as_they_do_one_process(place: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"time": 1}\n' * 3)
    for words in ([tmp_path / "other.jsonl"], [place / "log.jsonl", "--strict"]):
        one, two = [proactive(*words, "--rules", place / "rules.yaml", "--jobs", jobs) for jobs in (1, 2)]
        assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)
        assert one.returncode == 1


# A profile hook in the process that shall die: it is inherited by those that are forked.
DYING = """
import os, signal, sys
first = os.getpid()
def hook(frame, what, _):
    if os.getpid() != first and what == "call" and frame.f_code.co_name == "{name}":
        os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(hook)
from engine.cli.main import main
main()
"""


@pytest.mark.parametrize("name", ["read", "run", "chunks", "look_again"])
def test_nobody_is_left_where_the_one_who_commands_is_killed(place: Path, tmp_path: Path, name: str) -> None:
    words = [
        "replay",
        place / "log.jsonl",
        "--rules",
        place / "rules.yaml",
        "--jobs",
        "3",
        "--decisions",
        tmp_path / "o",
    ]
    killed = DYING.format(name=name).replace("os.getpid() != first", "os.getpid() == first")
    # It ends only when all have ended who could write to its output.
    done = subprocess.run(
        [sys.executable, "-c", killed, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["event_batches", "run_users", "chunks", "look_at"])
def test_a_process_that_is_killed_ends_all_with_a_clear_error(place: Path, tmp_path: Path, name: str) -> None:
    words = ["replay", place / "one.jsonl", "--rules", place / "rules.yaml", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "-c", DYING.format(name=name), *map(str, words), "--decisions", str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert b"of the dry run ended by signal 9 before its work was done" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or name == "look_at"
    assert not (tmp_path / "out.partial").exists()


# Ctrl-C reaches the process that commands when the first of the others tells what it has read.
PARTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
first = os.getpid()
def hook(frame, what, _):
    if os.getpid() == first and what == "{what}" and frame.f_code.co_name == "{name}":
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
sys.setprofile(hook)
from engine.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("what", "name", "jobs", "shown"),
    [
        ("call", "_run_user", 1, b"interrupted: 1 of 61 users, "),
        ("call", "run", 2, b"interrupted: "),
        ("call", "read", 2, b"interrupted\n"),
        ("call", "write_lines", 1, b"interrupted\n"),
        ("call", "receive_bytes", 2, b"interrupted\n"),
    ],
)
def test_ctrl_c_leaves_what_there_is_and_says_so(
    place: Path, tmp_path: Path, what: str, name: str, jobs: int, shown: bytes
) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("of another day\n")
    words = [place / "one.jsonl", "--rules", place / "rules.yaml", "--jobs", jobs, "--decisions", output]
    done = subprocess.run(
        [sys.executable, "-c", PARTED.format(what=what, name=name), "replay", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGINT or done.returncode == 130, done.stderr
    assert (done.stdout or done.stderr).startswith(shown)
    assert output.read_text() == "of another day\n"
    assert Path(f"{output}.partial").exists() == (shown != b"interrupted\n")
    if name == "_run_user":
        part = Path(f"{output}.partial")
        assert f"their decisions are in {part}".encode() in done.stdout
        assert len({json.loads(line)["user"] for line in part.read_text().splitlines()}) == 1
        assert b"candidates" in done.stdout
        assert b"never" in done.stdout
        assert b"invariants" not in done.stdout
