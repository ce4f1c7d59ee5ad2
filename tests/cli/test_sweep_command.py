"""``proactive sweep`` as it is used: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

RULES = """\
version: 1
rules:
  - id: stuck
    trigger: {count: {event: test.failed, at_least: 3, within: 10m}}
    message: {type: question, text: Help?}
"""
LINES = [
    {"at": f"2026-03-27T10:00:{second:02}Z", "user": user, "type": "test.failed"}
    for second in range(0, 60, 10)
    for user in ("ann", "bob")
]
COUNT = "stuck.trigger.count.at_least"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def run(*words, given=None):
    return CliRunner().invoke(app_for(["sweep"]), ["sweep", *words], input=given)


OUTPUT = """\
at_least  stuck.trigger.count.at_least, now 3

     at_least  messages  users  typing  at break  per hour  budget
            2         6      2       –      100%    216.00       0
now         3         4      2       –      100%    144.00       0
            4         2      2       –      100%     72.00       0

     messages
            2  ████████████████████████████████████████████ 6
now         3  █████████████████████████████▍ 4
            4  ██████████████▋ 2

events    12 of 2 users
from      2026-03-27T10:00:00Z to 2026-03-27T10:00:50Z
typing    share of messages less than 5s after one of these and before the next:
          edit
          no event of the log is of these types; --typing names others
at break  share of messages at one of these, or less than 5s after:
          test.*
per hour  messages per hour that a user was present (0.0 hours in all)
budget    what messages charged to budgets, sent or held
"""
TYPES = ("--typing", "edit", "--breakpoints", "test.*")


def test_it_prints_a_table_a_chart_and_what_they_mean(place):
    result = run("log.jsonl", "--set", f"{COUNT}=2..4", *TYPES)
    assert (result.exit_code, result.stdout, result.stderr) == (0, OUTPUT, "")


def test_json_goes_to_a_file_beside_the_table_or_in_its_place(place):
    result = run("log.jsonl", "--set", f"{COUNT}=2..4", *TYPES, "--json", "out.json")
    assert (result.exit_code, result.stdout) == (0, OUTPUT)
    written = (place / "out.json").read_text()
    assert [point["messages"] for point in json.loads(written)["points"]] == [6, 4, 2]
    result = run("log.jsonl", "--set", f"{COUNT}=2..4", *TYPES, "--json", "-")
    assert (result.exit_code, result.stdout, result.stderr) == (0, written, OUTPUT)


def test_points_are_sorted_and_the_log_ends_early(place):
    result = run("log.jsonl", "--set", f"{COUNT}=2..3", "--sort", "users", "--until", "2026-03-27T10:00:15Z")
    assert result.exit_code == 0
    assert "\nnow         3         0      0       –         –      0.00       0\n            2  " in result.stdout
    assert "from      2026-03-27T10:00:00Z to 2026-03-27T10:00:10Z, time ran to 2026-03-27T10:00:15Z\n" in result.stdout
    result = run("log.jsonl", "--set", f"{COUNT}=2..3", "--sort", "-users", "--until", "2026-03-27T10:00:15Z")
    assert result.stdout.index("now         3") > result.stdout.index("            2  ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--set", "stuk.cooldown=1m"], 2, '"stuk.cooldown": no rule has the id "stuk", did you mean "stuck"?'),
        (["--set", f"{COUNT}=0"], 2, f"{COUNT}=0: expected a whole number from 1 to 1000, got 0"),
        (["--set", COUNT], 2, "expected a place and values such as"),
        (["--set", f"{COUNT}=1..99", "--set", "stuck.priority=1..3"], 2, "got 99 × 3 = 297; widen the steps"),
        (["--set", f"{COUNT}=2", "--sort", "user"], 2, '--sort: expected "break", "budget", "hour"'),
        (["--set", f"{COUNT}=2", "--typing", "a,"], 2, '--typing: expected an event type such as "test.failed"'),
        (
            ["--set", f"{COUNT}=2", "--breakpoints", ""],
            2,
            '--breakpoints: expected an event type such as "test.failed"',
        ),
        (["--set", f"{COUNT}=2", "--near", "5"], 2, '--near: expected a duration such as "90s"'),
        (["--set", f"{COUNT}=2", "--until", "soon"], 2, "--until: expected an RFC 3339 time"),
        (["--set", f"{COUNT}=2", "--rules", "nowhere"], 1, "there is nothing"),
        (["--set", f"{COUNT}=2", "--json", "no/where.json"], 2, "--json: there is no folder no"),
        (["--set", f"{COUNT}=2", "--json", "rules"], 2, "--json: rules: is a directory"),
        ([], 2, "--set"),
    ],
)
def test_what_cannot_be_done_is_said(place, words, code, message):
    result = run("log.jsonl", *words)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_log_that_is_not_there_is_said(place):
    result = run("none.jsonl", "--set", f"{COUNT}=2")
    assert (result.exit_code, result.stderr) == (2, "none.jsonl: no such file or directory\n")


def test_that_there_is_nothing_in_a_log_is_said(place):
    (place / "empty").mkdir()
    result = run("empty", "--set", f"{COUNT}=2")
    assert (result.exit_code, result.stderr) == (1, "empty: there is nothing in it\n")
