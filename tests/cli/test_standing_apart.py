"""What the commands make of a folder in which a file is a whole of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

RULE = "  - {{id: {0}, trigger: {{event: e}}, message: {{type: question, text: Hm}}}}\n"
DAILY = "  - {id: daily, trigger: {schedule: {at: ['12:00']}}, message: {type: question, text: Hm}}\n"
END = "  - {id: end, trigger: {session: end}, message: {type: question, text: Hm}}\n"
TEST = "tests:\n  - {name: says hm, events: [{after: 0s, type: e}], expect: [{after: 0s, rule: apart}]}\n"


def run(*words: object) -> Any:
    called = [str(word) for word in words]
    return CliRunner().invoke(app_for(called), called)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules" / "examples").mkdir(parents=True)
    (tmp_path / "rules" / "a.yaml").write_text("version: 1\nrules:\n" + RULE.format("a"))
    apart("", TEST)
    return tmp_path


def apart(rules: str, more: str = "") -> None:
    text = "version: 1\nstandalone: true\nrules:\n" + RULE.format("apart") + rules + more
    Path("rules/examples/b.yaml").write_text(text)


def test_check_names_what_stands_apart() -> None:
    assert run("check").output == "rules: 1 rule in 1 file, no errors; standing apart: examples/b.yaml (1 rule)\n"
    assert run("check", "rules/examples/b.yaml").output == "rules/examples/b.yaml: 1 rule in 1 file, no errors\n"


def test_check_reports_its_errors() -> None:
    apart("  - {id: 1}\n")
    done = run("check")
    assert done.exit_code == 1
    assert done.output.startswith("rules/examples/b.yaml:5:")


def test_test_runs_its_tests_too() -> None:
    done = run("test")
    assert (done.exit_code, done.output.partition(",")[0]) == (0, "1 test passed")
    apart("", TEST.replace("[{after: 0s, rule: apart}]", "[]"))
    done = run("test")
    assert done.exit_code == 1
    assert done.output.startswith("rules/examples/b.yaml:6: says hm\n")


def test_lint_looks_at_it_too_by_itself() -> None:
    assert run("lint").output == "rules: 2 rules, nothing found\n"
    apart(END)
    done = run("lint")
    assert done.exit_code == 1
    assert done.output.startswith("rules/examples/b.yaml:5:")


def test_schedule_shows_it_where_it_is_named() -> None:
    assert run("schedule").output == "rules: no rule has a schedule\n"
    apart(DAILY)
    assert run("schedule").output == (
        "rules: no rule has a schedule\n\nnot shown, for they stand apart: rules/examples/b.yaml\n"
    )
    assert "12:00" in run("schedule", "rules/examples/b.yaml").output
    done = run("schedule", "--rule", "daily")
    assert (done.exit_code, done.output) == (
        2,
        '--rule: "daily" stands apart; name its file, rules/examples/b.yaml\n',
    )


def test_replay_runs_it_where_it_is_named() -> None:
    Path("log.jsonl").write_text('{"at": 1774605600, "user": "ann", "type": "e"}\n')
    assert run("replay", "log.jsonl", "--rules", "rules").stdout.splitlines()[1].split()[0] == "a"
    done = run("replay", "log.jsonl", "--rules", "rules/examples/b.yaml")
    assert done.stdout.splitlines()[1].split()[0] == "apart"
