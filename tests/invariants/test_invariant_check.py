"""Invariants, held against what one user was sent: at the limit, one below and one above."""

from __future__ import annotations

import pytest

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import DAY, HOUR, MINUTE, SECOND, parse_at
from engine.invariants.check import Violation, may_break, run_watched, silent_rules, violation_of
from engine.loading.invariants import EveryRuleFires, Invariant
from engine.loading.load import Loaded, load_with_tests
from engine.triggers import KINDS

RULES = """version: 1
policy:
  simultaneous: 9
  quiet_hours: {nights: {from: "22:00", to: "08:00"}}
rules:
  - {id: one, trigger: {event: [a, both]}, urgent: true, message: {type: question, text: one}}
  - {id: two, trigger: {event: [b, both]}, urgent: true, message: {type: question, text: two}}
  - {id: idle, trigger: {inactivity: {for: 10m, after: c}}, urgent: true, message: {type: question, text: idle}}
  - {id: ghost, trigger: {event: g}, mode: shadow, urgent: true, message: {type: question, text: ghost}}
  - {id: resting, trigger: {event: r}, mode: "off", message: {type: question, text: off}}
invariants:
"""
START = parse_at("2026-01-05T09:00:00Z")


def loaded(invariant: str) -> Loaded:
    return load_with_tests({"a.yaml": f"{RULES}  - {invariant}\n"}, KINDS)


def violation(invariant: str, *events: tuple[int, str] | tuple[int, str, dict[str, str]]) -> Violation | None:
    """What breaks the invariant if these come, each so long after the start."""
    found = loaded(invariant)
    [stated] = found.invariants
    assert not isinstance(stated, EveryRuleFires)
    timeline = Timeline(found.rules)
    made = [Event(event[1], "ann", START + event[0], dict(event[2]) if len(event) > 2 else {}) for event in events]
    _, sendings = run_watched(timeline, "ann", made, START + 10 * DAY)
    return violation_of(stated, timeline, "ann", sendings)


@pytest.mark.parametrize(
    ("invariant", "events", "broken"),
    [
        # The window is (now - D, now].
        ("{at_most: 1, per: 1h}", [(0, "a")], False),
        ("{at_most: 1, per: 1h}", [(0, "a"), (HOUR - 1, "a")], True),
        ("{at_most: 1, per: 1h}", [(0, "a"), (HOUR, "a")], False),
        ("{at_most: 1, per: 1h}", [(0, "a"), (HOUR, "a"), (2 * HOUR - 1, "b")], True),
        ("{at_most: 0, per: 1h}", [(0, "a")], True),
        ("{at_most: 0, per: 1h}", [(0, "g")], False),
        ("{at_most: 1, per: 1h}", [(0, "both")], True),
        ("{at_most: 2, per: 1h}", [(0, "both")], False),
        ("{at_most: 1, per: 1h, rules: one}", [(0, "both"), (0, "b")], False),
        ("{at_most: 1, per: user}", [(0, "a"), (9 * DAY, "b")], True),
        ("{at_most: 2, per: user}", [(0, "a"), (9 * DAY, "b")], False),
        # A session that opens by itself ends 30 minutes after the last activity.
        ("{at_most: 1, per: session}", [(0, "a"), (30 * MINUTE - 1, "b")], True),
        ("{at_most: 1, per: session}", [(0, "a"), (30 * MINUTE, "b")], False),
        ("{at_most: 1, per: session}", [(0, "session.start"), (0, "a"), (5 * HOUR, "b")], True),
        # The day is that of the user's calendar: 15 hours after nine in the morning it is the next one.
        ("{at_most: 1, per: day}", [(0, "a"), (15 * HOUR - 1, "b")], True),
        ("{at_most: 1, per: day}", [(0, "a"), (15 * HOUR, "b")], False),
        (
            "{at_most: 1, per: day}",
            [(0, "user.identify", {"timezone": "Asia/Tokyo"}), (0, "a"), (6 * HOUR, "b")],
            False,
        ),
        (
            "{at_most: 1, per: day}",
            [(0, "user.identify", {"timezone": "Asia/Tokyo"}), (0, "a"), (6 * HOUR - 1, "b")],
            True,
        ),
        # From is inside, to is outside.
        ("{never_during: nights}", [(13 * HOUR - 1, "a")], False),
        ("{never_during: nights}", [(13 * HOUR, "a")], True),
        ("{never_during: nights}", [(23 * HOUR - 1, "a")], True),
        ("{never_during: nights}", [(23 * HOUR, "a")], False),
        # What time brought before the user's zone changed is of the former zone.
        (
            "{never_during: nights}",
            [(13 * HOUR - MINUTE, "c"), (14 * HOUR, "user.identify", {"timezone": "America/New_York"})],
            True,
        ),
        ("{never_during: nights, rules: two}", [(13 * HOUR, "a")], False),
        ("{never_during: nights}", [(0, "user.identify", {"timezone": "Asia/Tokyo"}), (4 * HOUR, "a")], True),
        ("{never_during: nights}", [(0, "user.identify", {"timezone": "Asia/Tokyo"}), (13 * HOUR, "a")], True),
        ("{never_during: nights}", [(0, "user.identify", {"timezone": "Asia/Tokyo"}), (14 * HOUR, "a")], False),
    ],
)  # fmt: skip
def test_an_invariant_is_broken_by_the_first_message_beyond_it(
    invariant: str, events: list[tuple[int, str]], broken: bool
) -> None:
    assert (violation(invariant, *events) is not None) is broken


def test_a_violation_names_the_messages_that_make_it() -> None:
    found = violation("{at_most: 1, per: 1h}", (0, "a"), (2 * HOUR, "a"), (2 * HOUR + SECOND, "b"), (3 * HOUR, "a"))
    assert found is not None
    assert [(it.decision.at - START, it.decision.rule) for it in found.sendings] == [
        (2 * HOUR, "one"),
        (2 * HOUR + SECOND, "two"),
    ]
    assert found.text() == "2 messages within 1h, at most 1"


@pytest.mark.parametrize(
    ("invariant", "text"),
    [
        ("{at_most: 0, per: session}", "1 message in one session, at most 0"),
        ("{at_most: 0, per: day}", "1 message in one day, at most 0"),
        ("{at_most: 0, per: user}", "1 message in all, at most 0"),
        ("{never_during: nights}", "one sent during nights"),
    ],
)
def test_a_violation_says_what_was_too_much(invariant: str, text: str) -> None:
    found = violation(invariant, (13 * HOUR, "a"))
    assert found is not None
    assert found.text() == text


def test_watching_changes_nothing() -> None:
    found = loaded("every_rule_fires")
    events = [Event(name, "ann", START + at, {}) for at, name in [(0, "a"), (0, "session.start"), (HOUR, "both")]]
    events.append(Event("a", "ann", START, {}))  # stamped earlier than the clock, so it happens at the clock
    decisions: list[Decision] = []
    run(Timeline(found.rules), UserState("ann"), events, START + DAY, decisions)
    assert run_watched(Timeline(found.rules), "ann", events, START + DAY)[0] == decisions


@pytest.mark.parametrize(
    ("invariant", "fired", "silent"),
    [
        ("every_rule_fires", [], ["one", "two", "idle", "ghost"]),
        ("every_rule_fires", ["one", "idle", "ghost"], ["two"]),
        ("every_rule_fires", ["one", "two", "idle", "ghost"], []),
        ("{check: every_rule_fires, rules: [two, resting]}", [], ["two"]),
    ],
)
def test_rules_that_are_off_need_not_fire(invariant: str, fired: list[str], silent: list[str]) -> None:
    found = loaded(invariant)
    [stated] = found.invariants
    assert isinstance(stated, EveryRuleFires)
    assert silent_rules(stated, found.rules, fired) == silent


@pytest.mark.parametrize(
    ("invariant", "sent", "may"),
    [
        ("{at_most: 2, per: 1h}", 2, False),
        ("{at_most: 2, per: 1h}", 3, True),
        ("{never_during: nights}", 0, False),
        ("{never_during: nights}", 1, True),
        ("every_rule_fires", 99, False),
    ],
)
def test_few_messages_are_not_worth_a_look(invariant: str, sent: int, may: bool) -> None:
    stated: Invariant = loaded(invariant).invariants[0]
    assert may_break(stated, sent) is may
