"""``proactive capture`` as its user sees it: what it prints is a test that `proactive test` passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

RULES = """
version: 1
rules:
  - id: stuck
    trigger: {count: {event: test.failed, at_least: 2, within: 10m, group_by: test}}
    message: {type: suggestion, text: "{{ event.test }} has failed again."}
"""
LINES = [
    ("10:00:00", "file.opened", {"file": "a.py"}),
    ("10:01:00", "test.failed", {"test": "t1", "file": "a.py"}),
    ("10:01:30", "test.failed", {"test": "t2", "file": "a.py"}),
    ("10:02:00", "test.failed", {"test": "t1", "file": "a.py"}),
    ("11:30:00", "file.opened", {"file": "b.py"}),
]
CAPTURED = """\
version: 1

tests:
  - name: "stuck for ann at 2026-03-27T10:02:00Z"
    start: "2026-03-27T10:01:00Z"
    user: ann
    events:
      - {after: 0s, type: test.failed, test: t1, file: a.py}
      - {after: 1m, type: test.failed, test: t1, file: a.py}
    until: 11m
    expect:
      - {after: 1m, rule: stuck, type: suggestion, text: "t1 has failed again."}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES)
    records = [{"at": f"2026-03-27T{at}Z", "user": "ann", "type": kind, "data": data} for at, kind, data in LINES]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


def run(command: str, *words: object) -> Any:
    called = [command, *map(str, words)]
    return CliRunner().invoke(app_for(called), called)


def test_it_prints_a_file_with_the_test_and_says_that_it_passes(place: Path) -> None:
    done = run("capture", "log.jsonl", "--user", "ann", "--around", "10:02")
    assert (done.exit_code, done.stdout) == (0, CAPTURED)
    assert done.stderr == "captured 2 of 5 events; the test passes\n"


def test_what_is_written_beside_the_rules_is_passed_and_fails_where_the_rule_is_broken(place: Path) -> None:
    words = ("log.jsonl", "--user", "ann", "--around", "10:02", "--redact", "--name", "twice")
    done = run("capture", *words, "--output", "rules/twice.yaml")
    assert (done.exit_code, done.stdout) == (0, "")
    text = (place / "rules" / "twice.yaml").read_text()
    assert "user: someone" in text
    assert "file" not in text
    assert run("test", "rules").exit_code == 0
    (place / "rules" / "a.yaml").write_text(RULES.replace("at_least: 2", "at_least: 3"))
    failed = run("test", "rules")
    assert failed.exit_code == 1
    assert "rules/twice.yaml:4: twice" in failed.stdout
    again = run("capture", *words, "--output", "rules/twice.yaml")
    assert (again.exit_code, again.stderr) == (2, "--output: rules/twice.yaml is there already; name a new file\n")


def test_a_name_that_is_taken_is_told(place: Path) -> None:
    run("capture", "log.jsonl", "--user", "ann", "--around", "10:02", "--output", "rules/one.yaml")
    done = run("capture", "log.jsonl", "--user", "ann", "--around", "10:02")
    assert done.exit_code == 1
    assert "repeated test" in done.stderr


@pytest.mark.parametrize("apart", ["standalone: true", "standalone :  true # so", '"standalone": true'])
def test_rules_that_stand_apart_are_tested_all_the_same(place: Path, apart: str) -> None:
    (place / "alone.yaml").write_text(RULES.replace("version: 1", f"version: 1\n{apart}"))
    done = run("capture", "log.jsonl", "--user", "ann", "--around", "10:02", "--rules", "alone.yaml")
    assert (done.exit_code, done.stdout) == (0, CAPTURED)
    assert "alone.yaml stands apart: put the test into it, under tests" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--user", "eve", "--around", "10:02"], 2, 'the log has no user "eve"\n'),
        (
            ["--user", "ann", "--around", "13:00"],
            2,
            '2026-03-27T13:00:00Z lies outside: time of user "ann" runs from 2026-03-27T10:00:00Z to 2026',
        ),
        (["--user", "ann", "--around", "10:02", "--rule", "stuk"], 2, 'there is no rule "stuk", did you mean "stuck"?'),
        (["--user", "ann", "--around", "10:02", "--before", "x"], 2, "--before: expected a duration"),
        (
            ["--user", "ann", "--around", "x"],
            2,
            '--around: expected a time such as "2026-03-27T10:00:00Z", or "14:09" of the only day, got "x"',
        ),
    ],
)
def test_what_cannot_be_captured_is_refused(place: Path, words: list[str], code: int, error: str) -> None:
    done = run("capture", "log.jsonl", *words)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(error)
