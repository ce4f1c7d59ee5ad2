"""The rules that other engines are raced with mean to proactive what the slow reading says. No peer is needed here."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from benchmarks.peers import log, proactive, reference, rules, run
from benchmarks.peers.rules import MINUTE

EVENTS = 6_000
USERS = 30
START = 1_774_605_600_000


@pytest.fixture(scope="module")
def events() -> list[rules.Event]:
    return log.events(EVENTS, USERS)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.id)
def test_proactive_and_the_slow_reading_agree_on_every_rule_of_the_race(
    events: list[rules.Event], rule: rules.Rule
) -> None:
    slow = reference.firings(events, [rule])
    assert set(proactive.prepare(events, [rule])()) == slow
    assert slow


def test_all_rules_at_once_fire_as_each_of_them_alone(events: list[rules.Event]) -> None:
    fired = list(proactive.prepare(events, rules.RULES)())
    assert set(fired) == reference.firings(events, rules.RULES)
    assert len(fired) == len(set(fired))


FAILED, BUILD, DEBUG, SAVE = "test.failed", "build.failed", "debug.start", "save"


@pytest.mark.parametrize(
    ("rule", "history", "fires"),
    [
        ("three-failures", [(0, FAILED), (1, FAILED), (10 * MINUTE - 1, FAILED)], [10 * MINUTE - 1]),
        ("three-failures", [(0, FAILED), (1, FAILED), (10 * MINUTE, FAILED)], []),
        ("three-failures", [(0, FAILED), (1, FAILED), (2, FAILED), (3, FAILED), (4, FAILED)], [2]),
        ("three-failures", [(number, FAILED) for number in range(6)], [2, 5]),
        ("two-builds", [(0, BUILD), (1, FAILED), (2, BUILD)], [2]),
        ("failure-debug", [(0, FAILED), (10 * MINUTE, DEBUG)], [10 * MINUTE]),
        ("failure-debug", [(0, FAILED), (10 * MINUTE + 1, DEBUG)], []),
        ("failure-debug", [(0, FAILED), (1, FAILED), (2, DEBUG), (3, DEBUG)], [2]),
        ("failure-debug", [(0, DEBUG), (1, FAILED), (2, SAVE), (3, DEBUG)], [3]),
        ("idle", [(0, SAVE), (5 * MINUTE - 1, SAVE)], []),
        ("idle", [(0, SAVE), (5 * MINUTE, SAVE)], [5 * MINUTE]),
        ("idle", [(0, SAVE), (20 * MINUTE, SAVE)], [5 * MINUTE]),
    ],
)
def test_proactive_and_the_slow_reading_agree_at_the_edges(
    rule: str, history: list[tuple[int, str]], fires: list[int]
) -> None:
    told = rules.chosen([rule])
    made: list[dict[str, Any]] = [
        {"user": "ann", "at": START + after, "type": kind, "item": "i1", "level": 60} for after, kind in history
    ]
    expected = {("ann", rule, START + moment) for moment in fires}
    assert reference.firings(made, told) == expected
    assert set(proactive.prepare(made, told)()) == expected


def test_a_user_has_one_event_at_most_in_a_millisecond(events: list[rules.Event]) -> None:
    assert len({(event["user"], event["at"]) for event in events}) == len(events)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({("ann", "idle", 1), ("bob", "idle", 2)}, "yes"),
        ({("ann", "idle", 1)}, "no: 1 missing, 0 more"),
        ({("ann", "idle", 1), ("bob", "idle", 3), ("bob", "idle", 4)}, "no: 1 missing, 2 more"),
    ],
)
def test_the_table_tells_how_many_firings_differ(found: set[rules.Firing], told: str) -> None:
    own = frozenset({("ann", "idle", 1), ("bob", "idle", 2)})
    assert run.difference(frozenset(found), own) == told


@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        (["no-such-program"], "there is no `no-such-program` here"),
        ([sys.executable, "-c", "raise SystemExit('no | compiler')"], "no / compiler (exit code 1)"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "it said nothing (exit code 3)"),
        ([sys.executable, "-c", "pass"], ""),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(command: list[str], trouble: str) -> None:
    assert run.call(command, timeout=60) == trouble


def test_a_peer_that_cannot_be_installed_is_a_row_with_the_reason() -> None:
    peer = run.Peer("Other", "other", None, rules.PLAIN, "")
    own = run.Result(seconds=1.0)
    told = run.row(peer, run.Result(trouble="not installed: no compiler"), own, 100)
    assert told == "| Other | 6 | | | | | | did not run: not installed: no compiler |"
