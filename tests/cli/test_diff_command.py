"""``proactive diff`` as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from repository import commit_all
from typer.testing import CliRunner

from engine.cli.diff import Limit
from engine.cli.main import app_for
from engine.replay.diff import Diff, RuleDiff

RULE = "version: 1\nrules:\n  - {id: a, trigger: {event: e}, cooldown: %s, message: {type: question, text: %s}}\n"
NOWHERE = '"nowhere" is no folder of rules, and for a git revision rules does not lie in a git repository\n'


def run(*words: object) -> Any:
    called = ["diff", *map(str, words)]
    return CliRunner().invoke(app_for(called), called)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of events a minute apart, rules with a cooldown of 90 seconds, and newer ones with one of 150."""
    monkeypatch.chdir(tmp_path)
    for folder, cooldown in (("rules", "90s"), ("newer", "150s")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(RULE % (cooldown, "Hm"))
    lines = [json.dumps({"at": 1774605600 + 60 * n, "user": "ann", "type": "e"}) for n in range(7)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_two_folders_are_compared(place: Path) -> None:
    done = run("log.jsonl", "--before", "rules", "--after", "newer")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "before  rules, 1 rule",
        "after   newer, 1 rule",
        "",
        "rule       messages  users  gained  lost  moved  reworded",
        "a             4 → 3      1       0     1      1         0",
        "    edited; lost: now cooldown 1",
        "all rules     4 → 3      1       0     1      1         0",
        "",
        "events     7 of 1 user, 2026-03-27T10:00:00Z to 2026-03-27T10:06:00Z (6m)",
        "messages   4 → 3, 2 as before",
        "changes    1 lost by 1 user, 1 moved by 1 user",
        "people     1 of 1 user notice",
        "",
        "ann: 2 changes",
        '  → 2026-03-27T10:02:00Z a comes 1m later, at 2026-03-27T10:03:00Z "Hm"',
        "      then: cooldown of 2m30s until 2026-03-27T10:02:30Z",
        '  − 2026-03-27T10:04:00Z a "Hm"',
        "      now: cooldown of 2m30s until 2026-03-27T10:05:30Z",
    ]


def test_the_last_commit_is_compared_with_what_lies_there(place: Path) -> None:
    commit_all(place)
    assert "changes    none" in run("log.jsonl").stdout
    (place / "rules" / "a.yaml").write_text(RULE % ("90s", "Oh"))
    done = run("log.jsonl")
    assert done.stdout.startswith("before  HEAD:rules (")
    assert "changes    4 reworded by 1 user" in done.stdout
    assert run("log.jsonl", "--before", "HEAD", "--after", "HEAD").stdout.count("HEAD:rules (") == 2
    assert "4 → 3" in run("log.jsonl", "--before", "HEAD:rules", "--after", "newer").stdout


@pytest.mark.parametrize(
    ("most", "code", "said"),
    [
        ("1", 0, ""),
        ("0", 1, "--max-new: 1 message would be new (33.3%), at most 0 may be\n"),
        ("33.4%", 0, ""),
        ("33.3%", 1, "--max-new: 1 message would be new (33.3%), at most 33.3% may be\n"),
    ],
)
def test_more_new_messages_than_allowed_leave_with_1(place: Path, most: str, code: int, said: str) -> None:
    done = run("log.jsonl", "--before", "newer", "--after", "rules", "--max-new", most)
    assert (done.exit_code, done.stderr) == (code, said)
    assert "1 gained by 1 user" in done.stdout


@pytest.mark.parametrize(
    ("gained", "before", "most", "is_exceeded"),
    [
        (7, 100, "7%", False),
        (8, 100, "7%", True),
        (11, 20, "55%", False),
        (7, 1000, "0.7%", False),
        (1, 3, "33.3%", True),
        (0, 0, "0%", False),
        (1, 0, "1000%", True),
        (20, 1, "20", False),
        (21, 1, "20", True),
    ],
)
def test_what_is_just_allowed_is_so_to_the_last_digit(gained: int, before: int, most: str, is_exceeded: bool) -> None:
    found = Diff([], RuleDiff("all rules"))
    found.total.changes["gained"] = gained
    found.total.before.messages = before
    assert Limit.parse(most).is_exceeded(found) == is_exceeded


def test_where_there_were_no_messages_any_new_one_is_more_than_any_share(place: Path) -> None:
    (place / "newer" / "a.yaml").write_text((RULE % ("90s", "Hm")).replace("event: e", "event: never"))
    done = run("log.jsonl", "--before", "newer", "--after", "rules", "--max-new", "1000%")
    assert (done.exit_code, done.stderr) == (
        1,
        "--max-new: 4 messages would be new (and there was none before), at most 1000% may be\n",
    )


def test_the_exit_code_tells_of_differences_if_asked_to(place: Path) -> None:
    assert run("log.jsonl", "--before", "rules", "--after", "newer", "--exit-code").exit_code == 1
    assert run("log.jsonl", "--before", "rules", "--after", "rules", "--exit-code").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-new", "5.5"), '--max-new: expected a number of messages, or a share such as 5%, got "5.5"\n'),
        (("--max-new", "-1"), '--max-new: expected a number of messages, or a share such as 5%, got "-1"\n'),
        (("--user", "bob"), 'the log has no user "bob"\n'),
        (("--until", "soon"), '--until: expected an RFC 3339 time such as "2026-03-27T10:00:00Z", got "soon"\n'),
        (("--moved-within", "x"), '--moved-within: expected a duration such as "90s", "5m" or "1h30m", got "x"\n'),
        (("--before", "nowhere"), NOWHERE),
    ],
)
def test_what_cannot_be_meant_leaves_with_2(place: Path, words: tuple[str, ...], said: str) -> None:
    done = run("log.jsonl", "--before", "rules", "--after", "newer", *words)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)


def test_rules_that_are_not_accepted_are_named_with_their_revision(place: Path) -> None:
    (place / "rules" / "a.yaml").write_text("version: 2\n")
    commit_all(place)
    done = run("log.jsonl", "--after", "newer", "--before", "HEAD:rules")
    assert done.exit_code == 2
    assert done.stderr.startswith("HEAD:rules/a.yaml:1:10: expected 1, got 2")


def test_markdown_is_for_a_comment(place: Path) -> None:
    done = run("log.jsonl", "--before", "rules", "--after", "newer", "--markdown")
    assert done.stdout.startswith(
        "### What these rules would have said\n\n`rules` → `newer`, over 7 events of 1 user\n\n"
        "**1 of 1 user would notice**: 1 lost, 1 moved; 2 messages as before.\n"
    )
    assert "<details><summary>ann: 2 changes</summary>" in done.stdout
