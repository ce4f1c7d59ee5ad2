"""The rules that other engines are raced with mean to proactive what the slow reading says. No peer is needed here."""

from __future__ import annotations

import pytest

from benchmarks.peers import log, proactive, reference, rules

EVENTS = 6_000
USERS = 30


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
