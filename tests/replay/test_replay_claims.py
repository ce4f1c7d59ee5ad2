"""Every dry run is held to the invariants of its rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli.main import main
from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import HOUR, MINUTE, parse_at
from engine.loading.load import load_with_tests
from engine.replay.activity import in_memory
from engine.replay.claims import Claims
from engine.replay.driver import run_users
from engine.triggers import KINDS

RULES = """version: 1
policy: {quiet_hours: {nights: {from: "22:00", to: "08:00"}}}
rules:
  - {id: hello, trigger: {event: a.b}, urgent: true, message: {type: question, text: "Well?"}}
  - {id: idle, trigger: {inactivity: 5m}, urgent: true, message: {type: question, text: "There?"}}
invariants:
"""
START = parse_at("2026-01-05T09:00:00Z")


def told(
    invariant: str,
    *events: tuple[str, int],
    until: int | None = None,
    came_to: Callable[[str], int] | None = None,
) -> list[str]:
    """What is said of the invariant where ``(user, moment)`` is an event ``a.b``, so long after the start."""
    loaded = load_with_tests({"a.yaml": f"{RULES}  - {invariant}\n"}, KINDS)
    timeline = Timeline(loaded.rules)
    log = [Event("a.b", user, START + at, {}) for user, at in events]
    claims = Claims(loaded.invariants, timeline)
    for ran in run_users(in_memory(log), [timeline], None if until is None else START + until, came_to=came_to):
        claims.see(ran)
    return [line for one in claims.broken() for line in one]


def test_what_holds_is_not_told_in_full() -> None:
    assert told("{at_most: 1, per: 1h, rules: hello}", ("ann", 0), ("bob", 0), ("ann", HOUR)) == []
    assert told("{never_during: nights}", ("ann", 0)) == []
    assert told("every_rule_fires", ("ann", 0), ("ann", HOUR)) == []


def test_what_is_broken_is_told_with_the_users_and_the_moments() -> None:
    assert told("{at_most: 1, per: 1h, rules: hello}", ("ann", 0), ("bob", 0), ("ann", HOUR - 1), ("cem", 0)) == [
        'a.yaml:7: at most 1 message of "hello" per 1h: broken for 1 user',
        "  ann: 2 messages within 1h, at most 1",
        "    2026-01-05T09:00:00Z hello",
        "    2026-01-05T09:59:59.999999Z hello",
    ]


def test_rules_that_no_event_makes_fire_are_named() -> None:
    assert told("every_rule_fires", ("ann", 0)) == ["a.yaml:7: every rule fires: broken", '  "idle" never fired']


def test_of_many_users_the_first_are_shown() -> None:
    lines = told("{at_most: 0, per: user}", *((f"u{number}", 0) for number in range(7)))
    assert lines[0].endswith("broken for 7 users")
    assert lines[-1] == "  … and 2 further users"
    assert len([line for line in lines if line.startswith("  u")]) == 5


def test_of_many_messages_the_last_are_shown() -> None:
    lines = told("{at_most: 12, per: 1h}", *(("ann", number) for number in range(13)))
    assert lines[2] == "    … 3 messages before"
    assert len(lines) == 3 + 10


def test_time_runs_as_far_as_in_the_dry_run() -> None:
    idle = "{at_most: 0, per: user, rules: idle}"
    assert told(idle, ("ann", 0)) == []
    assert told(idle, ("ann", 0), until=5 * MINUTE) != []
    assert told(idle, ("ann", 0), ("bob", 5 * MINUTE)) != []
    assert told(idle, ("ann", 0), ("ann", HOUR), until=5 * MINUTE - 1) == []
    assert told(idle, ("ann", 0), came_to=lambda _: START + 5 * MINUTE) != []
    one = "{at_most: 1, per: 1h, rules: hello}"
    assert told(one, ("ann", 0), ("ann", HOUR), ("ann", HOUR + 1), until=HOUR) == []
    assert told(one, ("ann", 0), ("ann", HOUR), ("ann", HOUR + 1), until=HOUR + 1) != []
    assert told(idle, ("ann", 0), came_to=lambda _: START + 5 * MINUTE - 1) == []


def test_the_command_says_what_is_broken_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(RULES + "  - {never_during: nights}\n")
    log = tmp_path / "log.jsonl"
    log.write_text('{"at": "2026-01-05T22:00:00Z", "user": "ann", "type": "a.b"}\n')
    words = ["replay", str(log), "--rules", str(tmp_path / "a.yaml")]
    with pytest.raises(SystemExit) as left:
        main(words)
    printed = capsys.readouterr().out
    assert left.value.code == 1
    assert "invariants   0 of 1 hold\n" in printed
    assert f"{tmp_path}/a.yaml:7: no message during nights: broken for 1 user\n" in printed
    log.write_text('{"at": "2026-01-05T21:59:59Z", "user": "ann", "type": "a.b"}\n')
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    assert capsys.readouterr().out.split("\n\n")[1].endswith("bad records  0\ninvariants   1 holds")
