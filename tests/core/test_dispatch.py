"""From an event or a moment to the rules that can care: the same answer as asking every one of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import compiled, event_lists, rule_texts

from engine.core.dispatch import INTERESTS_MAX, Watch
from engine.core.evaluate import run
from engine.core.model import Event
from engine.core.rules import RuleSet, Timeline
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND
from engine.loading.load import load
from engine.triggers import KINDS


def rule_set(*triggers: str, mode: str = "live") -> RuleSet:
    lines = [
        f"  - {{id: r{number}, mode: {mode}, trigger: {trigger}, message: {{type: question, text: x}}}}"
        for number, trigger in enumerate(triggers)
    ]
    return load({"rules.yaml": "\n".join(["version: 1", "rules:", *lines])}, KINDS)


def hits(rules: RuleSet, event_type: str, **data: Any) -> list[str]:
    state = UserState("ann")
    event = Event(event_type, "ann", 0, data)
    found = rules.dispatch.interests[event_type].observe(state, event, rules.policy)
    return [watch.rule.id for watch, _ in found]


# Small and by hand.


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [
        ("test.failed", ["r0", "r1", "r2", "r4"]),
        ("test.run", ["r1", "r2", "r4"]),
        ("test.", ["r1", "r2", "r4"]),
        ("test", ["r2"]),
        ("other", ["r2", "r3"]),
        ("", ["r2"]),
    ],
)
def test_types_are_found_by_themselves_and_by_their_beginnings(event_type: str, expected: list[str]) -> None:
    rules = rule_set(
        "{event: test.failed}", "{event: test.*}", '{event: "*"}', "{event: other}", "{event: [test.failed, test.*]}"
    )
    assert hits(rules, event_type) == expected


def test_a_trigger_that_names_a_type_twice_sees_the_event_once() -> None:
    assert hits(rule_set("{event: [test.failed, test.*, '*']}"), "test.failed") == ["r0"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, []),  # missing is unknown, also where it is compared with null
        ({"test": None}, ["null"]),
        ({"test": "t1"}, ["t1", "t1-too"]),
        ({"test": "t2"}, ["t2"]),
        ({"test": "t3"}, []),
        ({"test": 1}, ["one"]),
        ({"test": True}, []),
        ({"test": ["t1"]}, []),
        ({"test": {"t1": 1}}, []),
    ],
)
def test_a_literal_that_a_field_must_equal_finds_its_rules(data: dict[str, Any], expected: list[str]) -> None:
    rules = rule_set(
        '{event: {event: e, where: event.test == "t1"}}',
        '{event: {event: e, where: event.test == "t2"}}',
        '{event: {event: e, where: \'"t1" == event["test"] and true\'}}',
        "{event: {event: e, where: event.test == 1}}",
        "{event: {event: e, where: event.test == null}}",
    )
    names = dict(zip(("r0", "r1", "r2", "r3", "r4"), ("t1", "t2", "t1-too", "one", "null"), strict=True))
    found = [names[rule] for rule in hits(rules, "e", **data)]
    assert sorted(found) == sorted(expected)


def test_nobody_cares_for_what_nobody_named() -> None:
    rules = rule_set("{event: e}", "{inactivity: 5m}")
    assert rules.dispatch.interests["other"].empty
    assert rules.dispatch.interests["other"].activity
    assert not rules.dispatch.interests["ping"].activity


def test_a_rule_that_is_off_is_not_asked() -> None:
    rules = rule_set("{event: e}", "{inactivity: 5m}", mode="off")
    assert rules.dispatch.interests["e"].empty
    assert rules.dispatch.idle_min is None


def test_the_shortest_inactivity_is_known() -> None:
    assert rule_set("{inactivity: 5m}", "{inactivity: 90s}").dispatch.idle_min == 90 * SECOND
    assert rule_set("{event: e}").dispatch.idle_min is None


def test_more_types_than_are_remembered_are_answered_all_the_same() -> None:
    rules = rule_set("{event: x*}")
    for number in range(INTERESTS_MAX + 10):
        assert not rules.dispatch.interests[f"x{number}"].empty
    assert hits(rules, f"x{INTERESTS_MAX + 9}") == ["r0"]
    assert len(rules.dispatch.interests) == INTERESTS_MAX


def test_types_that_nobody_cares_for_have_a_bound_of_their_own() -> None:
    rules = rule_set("{event: x*}")
    for number in range(INTERESTS_MAX + 10):
        assert rules.dispatch.interests[f"other{number}"].empty
    assert len(rules.dispatch.interests) == INTERESTS_MAX
    assert hits(rules, "x1") == ["r0"]
    assert "x1" in rules.dispatch.interests


def test_timers_of_one_moment_are_all_named() -> None:
    rules = rule_set("{inactivity: 5m}", "{inactivity: 5m}", "{schedule: {every: 5m}}", "{inactivity: 6m}")
    state = UserState("ann")
    state.now = state.present_since = state.idle_since = 0
    moment, watches = rules.dispatch.soonest(state, rules.policy)
    assert moment == 5 * MINUTE
    assert sorted(watch.rule.id for watch in watches) == ["r0", "r1", "r2"]


# As hypothesis draws it.


def all_watches(rules: RuleSet) -> list[Watch]:
    return [
        Watch(rule.order, position, rule, trigger)
        for rule in rules
        if rule.mode != "off"
        for position, trigger in enumerate(rule.triggers)
    ]


def covers(pattern: str, event_type: str) -> bool:
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern


def ask_everyone(rules: RuleSet, state: UserState, scope: Scope) -> dict[tuple[int, int], Any]:
    answers = {}
    for watch in all_watches(rules):
        assert scope.event is not None
        event_type = scope.event.type
        if not any(covers(pattern, event_type) for pattern in watch.trigger.event_types):
            continue
        if watch.trigger.indexes_events:
            index = type(watch.trigger).index_events([watch])
            fired = [fired for _, fired in index.observe(state, scope.event, scope.policy)]
        else:
            fired = [watch.trigger.observe(state, scope)]
        for one in fired:
            if one is not None:
                answers[watch[:2]] = one
    return answers


@settings(max_examples=100, deadline=None)
@given(rule_texts(), event_lists(sessions=False))
def test_the_answer_is_the_same_as_asking_every_trigger(text: str, events: list[Event]) -> None:
    rules = compiled(text)
    state, asked = UserState("ann"), UserState("ann")
    for event in events:
        for each in (state, asked):
            each.now = event.at
            each.last_activity = event
            each.present_since = events[0].at
        found = rules.dispatch.interests[event.type].observe(state, event, rules.policy)
        assert len({watch[:2] for watch, _ in found}) == len(found)
        scope = Scope(asked, event, event.at, rules.policy)
        assert {watch[:2]: fired for watch, fired in found} == ask_everyone(rules, asked, scope)
        assert state.memory == asked.memory


@settings(max_examples=100, deadline=None)
@given(rule_texts(), event_lists(), st.sampled_from((0, 1, 30 * SECOND, 3 * MINUTE)))
def test_the_soonest_timer_is_the_soonest_of_all(text: str, events: list[Event], later: int) -> None:
    rules = compiled(text)
    state = UserState("ann")
    for count in range(len(events) + 1):
        state = UserState("ann")
        run(Timeline(rules), state, events[:count], events[count - 1].at + later if count else 0, [])
        moments = {watch[:2]: watch.trigger.due(state, rules.policy) for watch in all_watches(rules)}
        soonest = min((moment for moment in moments.values() if moment is not None), default=None)
        found, watches = rules.dispatch.soonest(state, rules.policy)
        assert found == soonest
        due = [place for place, moment in moments.items() if moment is not None and moment == soonest]
        assert sorted(watch[:2] for watch in watches) == due


def test_data_of_an_event_are_not_changed_by_asking() -> None:
    event = Event("e", "ann", 0, {"test": "t1", "message": "help"})
    before = msgspec.json.encode(event)
    hits(rule_set("{event: e}", "{keywords: {any: [help], event: e}}"), "e", **event.data)
    assert msgspec.json.encode(event) == before
