"""``proactive lint`` as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

ROOT = Path(__file__).parents[2]
RULE = "  - {id: a, trigger: {event: e}, message: {type: question, text: Hm}}\n"
END = "  - {id: b, trigger: {session: end}, message: {type: question, text: Hm}}\n"


def run(*words: object, given: str | None = None) -> Any:
    called = ["lint", *map(str, words)]
    return CliRunner().invoke(app_for(called), called, input=given)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text("version: 1\nrules:\n" + RULE)
    return tmp_path


def write_log(place: Path, *events: dict[str, object]) -> None:
    lines = [json.dumps({"at": 1774605600 + number, "user": "ann", **event}) for number, event in enumerate(events)]
    (place / "log.jsonl").write_text("\n".join(lines))


def test_rules_that_can_all_be_meant_are_counted(place: Path) -> None:
    done = run()
    assert (done.exit_code, done.output) == (0, "rules: 1 rule, nothing found\n")


def test_each_finding_has_a_line_of_its_own_and_then_they_are_counted(place: Path) -> None:
    (place / "rules" / "b.yaml").write_text("version: 1\nrules:\n" + END)
    done = run("rules")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        'rules/b.yaml:3:23: at the end of a session the user is absent, so b sends nothing; write "offline: keep"'
        " [never-speaks]",
        "1 finding in 1 file",
    ]
    assert run("rules/b.yaml").stdout == done.stdout


def test_rules_that_cannot_be_loaded_are_another_matter(place: Path) -> None:
    (place / "rules" / "a.yaml").write_text("version: 2\n")
    done = run()
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "rules/a.yaml:1:10: expected 1, got 2 [bad-value]\n1 error in 1 file\n"


def test_a_log_shows_what_it_does_not_have(place: Path) -> None:
    write_log(place, {"type": "f"}, {"type": "g"}, {"type": "g"})
    done = run("--log", "log.jsonl")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        'rules/a.yaml:3:23: the log has no event of type "e" [unknown-type]',
        "the rules name none of these events of the log: g (2), f (1)",
        "1 finding in 1 file",
    ]


def test_several_logs_are_one(place: Path) -> None:
    write_log(place, {"type": "f"})
    (place / "other.jsonl").write_text('{"at": 1774605600, "user": "bob", "type": "e"}\n')
    done = run("--log", "log.jsonl", "--log", "other.jsonl")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "rules: 1 rule, nothing found")


def test_what_the_log_has_and_nobody_names_is_no_finding(place: Path) -> None:
    done = run(
        "--log", "-", given='{"at": 1774605600, "user": "bob", "type": "e"}\n{"at": 1, "user": "b", "type": "f"}\n'
    )
    assert done.exit_code == 0
    assert done.stdout == "the rules name none of these events of the log: f (1)\nrules: 1 rule, nothing found\n"


def test_what_a_budget_or_a_wait_names_is_named_too(place: Path) -> None:
    budget = "{limits: {max: 1, per: day}, charged_by: f, reset_on: [g, misspelt]}"
    wait = RULE.replace("Hm}", "Hm}, deliver: {at: h, within: 5m}")
    (place / "rules" / "a.yaml").write_text(f"version: 1\npolicy: {{budgets: {{b: {budget}}}}}\nrules:\n{wait}")
    write_log(place, *({"type": name} for name in "efgh"))
    assert run("--log", "log.jsonl").stdout.splitlines() == [
        'rules/a.yaml:2:81: the log has no event of type "misspelt" [unknown-type]',
        "1 finding in 1 file",
    ]


def test_a_log_of_another_form_needs_a_mapping(place: Path) -> None:
    (place / "log.csv").write_text("when,who,what\n2026-03-27T10:00:00Z,ann,e\n")
    assert run("--log", "log.csv").stderr == "log.csv: a CSV log needs --source, which says what its columns mean\n"
    (place / "source.yaml").write_text("format: csv\nat: when\nuser: who\ntype: what\n")
    assert run("--log", "log.csv", "--source", "source.yaml").exit_code == 0
    (place / "source.yaml").write_text("format: csv\nat: wen\nuser: who\ntype: what\n")
    done = run("--log", "log.csv", "--source", "source.yaml")
    assert done.exit_code == 2
    assert done.stderr.startswith("source.yaml:2:5: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--log", "gone.jsonl"], "gone.jsonl: no such file or directory\n"),
        (["--log", "-", "--log", "-"], "standard input can be read only once\n"),
        (["--log", "rules/a.yaml"], "3 bad records; no record could be read: does the log need --source?\n"),
    ],
)
def test_a_log_that_cannot_be_read_is_no_finding(place: Path, words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith(said)


def test_the_shipped_rules_can_all_be_meant_and_the_shipped_log_has_what_they_ask_for() -> None:
    assert run(ROOT / "rules").stdout.endswith("nothing found\n")
    assert run(ROOT / "rules", "--log", ROOT / "examples" / "logs" / "tutor.jsonl").exit_code == 0


def test_the_help_has_the_form_of_a_finding_whole() -> None:
    assert "file:line:column: message [code]." in " ".join(run("--help").output.split())
