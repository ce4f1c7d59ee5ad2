"""``proactive simulate`` as it is used: what it writes, how that is read back, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.core.rules import Timeline
from engine.folder import load_folder
from engine.replay.bad_records import BadRecords
from engine.replay.driver import replay
from engine.replay.reading import read_logs
from engine.replay.report import count_rules
from engine.simulate.crowd import Plan, simulate

RULES = Path(__file__).parents[2] / "rules"


def run(*words):
    return CliRunner().invoke(app_for(["simulate"]), ["simulate", *words])


@pytest.mark.parametrize("kind", ["tutor", "chat"])
def test_every_line_is_read_back(tmp_path, kind):
    result = run("--users", "8", "--days", "3", "--kind", kind)
    assert (result.exit_code, result.stderr) == (0, "")
    (tmp_path / "log.jsonl").write_bytes(result.stdout_bytes)
    bad = BadRecords()
    events = read_logs([str(tmp_path / "log.jsonl")], None, bad)
    assert (bad.total, len(bad.declared)) == (0, 1)
    assert events == list(simulate(Plan(kind, users=8, days=3)))


def test_the_first_line_says_that_nobody_did_it_and_how_it_was_made():
    first, second = run("--users", "8", "--days", "3", "--seed", "5").stdout.splitlines()[:2]
    by = "proactive simulate --kind tutor --users 8 --days 3 --seed 5 --start 2026-03-02"
    assert json.loads(first) == {"log": {"synthetic": True, "by": by}}
    assert list(json.loads(second)) == ["at", "user", "session", "type", "data"]


def test_the_same_words_write_the_same_bytes():
    words = ["--users", "8", "--days", "2", "--seed", "3"]
    assert run(*words).stdout_bytes == run(*words).stdout_bytes


def test_the_shipped_rules_have_something_to_say_to_these_people():
    replayed = replay(simulate(Plan(users=30)), Timeline(load_folder(RULES)))
    counts = count_rules(replayed.decisions())
    assert not replayed.faults
    for rule in ("welcome", "failing-again", "stuck-on-test", "first-success", "idle-check-in", "stuck-keywords"):
        assert counts[rule].outcomes["sent"] > 3, rule
    # Nobody is talked to all the time: of what is done, a few in a hundred are followed by a message.
    sent = sum(count.outcomes["sent"] for count in counts.values())
    assert sent < replayed.events / 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "chta"], '--kind: expected "tutor" or "chat", got "chta", did you mean "chat"?'),
        (["--start", "monday"], '--start: expected a date such as "2026-03-02", got "monday"'),
        (["--start", "9000-01-01"], "--start: expected a day between the years 1971 and 8000"),
        (["--users", "0"], "--users"),
        (["--users", "100001"], "--users"),
        (["--days", "367"], "--days"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_what_cannot_be_simulated_is_said(words, message):
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
