"""An incident as a test: it passes, it has no more events than it takes, and it fails where the rule is broken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.capture import failures_of
from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.units import MINUTE, SECOND, parse_at
from engine.loading.load import load, load_with_tests
from engine.loading.scenarios import Scenario
from engine.replay.capture import Captured, capture, written_test
from engine.replay.redaction import redact
from engine.scenario import run_scenario
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
RULES = """
version: 1
policy: {budgets: {attention: {limits: {max: 2, per: 30m}}}}
rules:
  - id: stuck
    trigger: {count: {event: test.failed, at_least: 2, within: 10m, group_by: test}}
    cooldown: 5m
    message: {type: suggestion, text: "{{ user.name | default('You') }}: {{ event.test }}", options: ["Yes", "No"]}
  - {id: yes, trigger: {response: {to: stuck, is: "Yes"}}, message: {type: notification, text: Here}, budget: none}
  - id: words
    trigger: {keywords: {any: ["memoi*", knapsack]}}
    message: {type: suggestion, text: "You say {{ trigger.keyword }}"}
  - {id: idle, trigger: {inactivity: 5m}, condition: session.events >= 3, message: {type: question, text: Well}}
"""
BROKEN = RULES.replace("at_least: 2", "at_least: 3")


def happened(second: float, event_type: str, session: str | None = None, **data: Any) -> Event:
    return Event(event_type, "ann.smith", START + round(second * SECOND), data, f"secret-{second}", session)


EVENTS = [
    happened(0, "session.start", "laptop-of-ann"),
    happened(1, "user.identify", name="Ann Smith", email="ann@example.org"),
    *[happened(10 + number, "file.edited", file="thesis.py") for number in range(50)],
    happened(100, "test.failed", test="ann's test", file="thesis.py"),
    happened(130, "test.failed", test="ann's test", output="secret"),
    happened(140, "message.answered", rule="stuck", response="Yes"),
    happened(200, "chat_message", message="Dear all, is memoization what Ann needs?"),
    happened(800, "file.edited", file="thesis.py"),
]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load({"rules.yaml": RULES}, KINDS)


def around(second: float, rules: RuleSet, *only: str, span: int = MINUTE) -> Captured:
    at = START + round(second * SECOND)
    return capture(rules, EVENTS, at - span, at + span, only or None)


def scenario_of(captured: Captured, name: str = "it") -> Scenario:
    loaded = load_with_tests({"rules.yaml": RULES, "test.yaml": written_test(captured, name)}, KINDS)
    return loaded.scenarios[0]


def test_it_has_the_events_that_are_needed_and_passes(rules: RuleSet) -> None:
    captured = around(130, rules)
    text = written_test(captured, "ann was asked")
    assert failures_of(rules, text) == []
    types = [event.type for event in captured.events]
    assert types == ["user.identify", "test.failed", "test.failed", "message.answered"]
    scenario = scenario_of(captured)
    assert [(one.rule, one.text) for one in scenario.expect or ()] == [
        ("stuck", "Ann Smith: ann's test"),
        ("yes", "Here"),
    ]


def test_it_fails_where_the_rule_is_broken(rules: RuleSet) -> None:
    scenario = scenario_of(around(130, rules))
    assert run_scenario(rules, scenario).passed
    assert not run_scenario(load({"rules.yaml": BROKEN}, KINDS), scenario).passed


def test_what_did_not_become_a_message_is_expected_as_well(rules: RuleSet) -> None:
    scenario = scenario_of(around(470, rules, span=5 * MINUTE))
    assert [(pattern.rule, pattern.outcome) for pattern in scenario.expect_outcomes] == [("idle", "budget")]


def test_where_nothing_was_decided_the_events_of_the_span_are_kept(rules: RuleSet) -> None:
    captured = around(30, rules, span=10 * SECOND)
    assert [event.type for event in captured.events] == ["file.edited"] * 21
    assert scenario_of(captured).expect == ()
    captured = around(700, rules, "yes", span=10 * SECOND)
    assert captured.events[-1].type == "chat_message"
    assert failures_of(rules, written_test(captured, "quiet")) == []


def test_with_a_rule_the_others_are_off_where_that_makes_no_difference(rules: RuleSet) -> None:
    assert around(200, rules, "words").only == ("words",)
    assert [event.type for event in around(200, rules, "words").events] == ["chat_message"]
    # Without the rule that asks nobody can answer, so here the others stay on.
    captured = around(140, rules, "yes")
    assert captured.only is None
    assert failures_of(rules, written_test(captured, "yes")) == []


def test_redacted_it_says_nothing_of_who_it_was_and_passes(rules: RuleSet) -> None:
    captured = around(170, rules, span=2 * MINUTE)
    result = redact(captured)
    text = written_test(result.captured, "somebody")
    assert result.left == []
    assert failures_of(rules, text) == []
    for secret in ("nn", "thesis", "secret", "example", "laptop", "Dear", "needs"):
        assert secret not in text.replace("cannot", "")
    # What the rules look for is there.
    assert "memoization" not in text
    assert "You say memoixxxxxx" in text
    assert "user: someone\n" in text


def test_what_cannot_be_redacted_is_named() -> None:
    strict = RULES.replace("group_by: test", "group_by: test, where: 'startswith(event.test, \"ann\")'")
    rules = load({"rules.yaml": strict}, KINDS)
    at = START + 130 * SECOND
    result = redact(capture(rules, EVENTS, at - MINUTE, at + MINUTE))
    assert result.left == ["event.test"]
    assert failures_of(rules, written_test(result.captured, "somebody")) == []


@pytest.mark.parametrize(
    ("condition", "id_of_first", "left"),
    [
        ("event.n > 0 or true", "", []),
        ("defined(event.id)", "id-2", []),
        ('startswith(event.id, "secret")', "secret-100", ["the ids of events"]),
    ],
)
def test_ids_go_or_become_others_as_far_as_nothing_else_is_decided(
    condition: str, id_of_first: str, left: list[str]
) -> None:
    rules = load({"rules.yaml": RULES.replace("cooldown: 5m\n", f"condition: {condition}\n")}, KINDS)
    at = START + 130 * SECOND
    result = redact(capture(rules, EVENTS, at - MINUTE, at + MINUTE, ("stuck",)))
    assert result.left == left
    assert next(event.id for event in result.captured.events if event.type == "test.failed") == id_of_first


def test_a_number_that_no_rule_file_takes_becomes_the_nearest_that_it_does(rules: RuleSet) -> None:
    numbers = [2**63 - 1, -(2**63), 2**64, -(2**64)]
    events = [happened(place, "test.failed", test="t", n=number) for place, number in enumerate(numbers)]
    captured = capture(rules, events, START, START + MINUTE)
    text = written_test(captured, "large")
    assert failures_of(rules, text) == []
    read = [event.data["n"] for event in scenario_of(captured).events]
    assert read == [event.data["n"] for event in captured.events]
    assert {type(number) for number in read} == {int, float}


def test_of_the_fields_that_no_rule_names_at_the_top_none_stays_for_its_name_deeper() -> None:
    rules = load({"rules.yaml": NESTED.replace("WHERE", "event.about.n > 1 and defined(session.id)")}, KINDS)
    event = happened(0, "told", "s", about={"n": 2}, n="of ann", id="ann")
    result = redact(capture(rules, [event], START, START + MINUTE))
    assert result.captured.events[0].data == {"about": {"n": 2}}


NESTED = """
version: 1
rules:
  - id: r
    trigger: {event: told, where: "WHERE"}
    message: {type: note, text: "{{ event.about.file | default('') }}"}
"""


@pytest.mark.parametrize(
    ("where", "about", "left"),
    [
        ("event.about.n > 1", {"file": "x", "n": 2}, []),
        ("len(event.about) > 3", {"key-1": "xxx@x.xx", "key-2": 4, "file": "x", "key-3": 2}, []),
        (
            "default(event.about[event.who], 0) > 3",
            {"phone": "xxx@x.xx", "ann@b.de": 4, "file": "x", "n": 2},
            ["the keys in event.about", "event.who"],
        ),
    ],
)
def test_what_stands_deeper_goes_where_no_rule_names_it_and_its_keys_become_others(
    where: str, about: dict[str, Any], left: list[str]
) -> None:
    rules = load({"rules.yaml": NESTED.replace("WHERE", where)}, KINDS)
    written = {"phone": "ann@b.de", "ann@b.de": 4, "file": "a", "n": 2}
    result = redact(capture(rules, [happened(0, "told", about=written, who="ann@b.de")], START, START + MINUTE))
    assert result.captured.events[0].data["about"] == about
    assert result.left == left


def test_of_an_event_that_is_taken_as_a_whole_the_fields_go_that_no_rule_names() -> None:
    rules = load({"rules.yaml": NESTED.replace("WHERE", "defined(event)").replace("event.about.file", "event")}, KINDS)
    result = redact(capture(rules, [happened(0, "told", about="a", **{"ann@b.de": 1})], START, START + MINUTE))
    assert (result.captured.events[0].data, result.left) == ({}, [])


def test_of_a_longer_word_that_holds_one_that_is_looked_for_nothing_stays() -> None:
    rules = load({"rules.yaml": RULES.replace('any: ["memoi*", knapsack]', 'any: ["memoi*", an]')}, KINDS)
    events = [happened(0, "chat_message", message="Joanna has an idea: memoize, or rememoize, Anna")]
    [event] = redact(capture(rules, events, START, START + MINUTE)).captured.events
    assert event.data["message"] == "Xxxxxx xxx an xxxx: memoixx, xx xxxxxxxxx, Xxxx"


def test_a_field_that_is_called_as_one_of_the_engine_is_redacted_as_any_other(rules: RuleSet) -> None:
    events = [
        happened(0, "test.failed", test="t", output="o"),
        happened(1, "test.failed", test="t", rule="of ann"),
        happened(2, "message.answered", rule="stuck", response="Yes"),
    ]
    result = redact(capture(rules, events, START, START + MINUTE))
    assert result.left == []
    assert [event.data.get("rule") for event in result.captured.events] == [None, "xx xxx", "stuck"]


def test_where_draws_depend_on_the_user_another_name_is_found_that_draws_the_same() -> None:
    drawn = RULES.replace("cooldown: 5m\n", "cooldown: 5m\n    holdout: 50%\n")
    rules = load({"rules.yaml": drawn}, KINDS)
    at = START + 130 * SECOND
    captured = capture(rules, EVENTS, at - MINUTE, at + MINUTE)
    before = [decision.outcome for decision in captured.decisions]
    result = redact(captured)
    assert result.captured.user.startswith("someone")
    assert [decision.outcome for decision in result.captured.decisions] == before


TYPES = ("test.failed", "file.edited", "chat_message", "session.start", "session.end", "user.identify")


@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(TYPES),
            st.sampled_from([0, 1, 30, 61, 299, 300, 301, 900]),
            st.sampled_from(["t1", "memoize", "yes: no # {}"]),
        ),
        min_size=1,
        max_size=15,
    ),
    second=st.integers(0, 2000),
    redacted=st.booleans(),
)  # fmt: skip
def test_whatever_happened_the_test_of_it_passes(
    rules: RuleSet, drawn: list[tuple[str, int, str]], second: int, redacted: bool
) -> None:
    events, at = [], START
    for event_type, gap, word in drawn:
        at += gap * SECOND
        data = {"test": word, "message": word, "name": word, "at": 1, "user": {"a": [word, None, 1.5]}}
        session = "s: 1" if event_type.startswith("session.") else None
        events.append(Event(event_type, "ann", at, data, word, session))
    moment = START + second * SECOND
    captured = capture(rules, events, moment - 5 * MINUTE, max(moment + 5 * MINUTE, events[0].at))
    if redacted:
        captured = redact(captured).captured
    assert failures_of(rules, written_test(captured, "x: y")) == []
