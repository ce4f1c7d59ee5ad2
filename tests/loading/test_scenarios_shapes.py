"""What a test and an invariant of a rule file are read as, and that they say nothing of the rules themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from samples_for_loading import errors_of, file_of, rule

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.units import HOUR, MINUTE, SECOND, parse_at
from engine.loading.invariants import AtMost, EveryRuleFires, NeverDuring
from engine.loading.load import Loaded, load, load_with_tests
from engine.loading.scenarios import (
    START_DEFAULT,
    Expected,
    Pattern,
    Scenario,
    parse_moment,
    parse_name,
    parse_offset,
    parse_type,
)
from engine.triggers import KINDS

START = parse_at(START_DEFAULT)
POLICY = 'policy: {quiet_hours: {nights: {from: "22:00", to: "08:00"}}}\n'


def loaded(*parts: str) -> Loaded:
    return load_with_tests({"a.yaml": file_of(rule("hello"), rule("bye")) + "".join(parts)}, KINDS)


def scenario(body: str) -> Scenario:
    """The one test with these keys, written on lines of their own."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    [found] = loaded("tests:\n  - name: it\n" + lines).scenarios
    return found


def accepted(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "right"),
    [("0s", True), ("1ms", True), ("1h30m", True), ("0m", False), ("", False), ("-5m", False), ("5", False)],
)
def test_an_event_may_come_at_the_very_start(text: str, right: bool) -> None:
    assert accepted(parse_offset, text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2026-03-27T10:00:00Z", True), ("2026-03-27t10:00:00z", True), ("2026-03-27T10:00:00.250+01:00", True),
        ("2026-03-27 10:00:00-0500", True), ("2026-03-27T10:00:00", False), ("2026-03-27", False), ("soon", False),
        ("10:00", False), ("1743069600", False),
    ],
)  # fmt: skip
def test_a_moment_has_an_offset(text: str, right: bool) -> None:
    assert accepted(parse_moment, text) is right


@pytest.mark.parametrize(("text", "right"), [("a.b", True), ("Hint taken", True), ("a.*", False), ("*", False)])
def test_what_happens_is_of_one_type(text: str, right: bool) -> None:
    assert accepted(parse_type, text) is right


@pytest.mark.parametrize(
    ("text", "right"), [("a" * 200, True), ("a" * 201, False), (" ", False), ("two\nlines", False)]
)
def test_a_name_is_one_line(text: str, right: bool) -> None:
    assert accepted(parse_name, text) is right


def test_a_test_begins_on_a_monday_morning_with_an_unknown_user() -> None:
    found = scenario("events: []\nexpect: []")
    assert (found.start, found.until, found.user) == (START, START, "user")
    assert (found.rules, found.events, found.expect) == (None, (), ())
    assert (found.path, found.line) == ("a.yaml", 10)


def test_what_stands_beside_the_keys_of_an_event_is_its_data_and_data_counts_where_both_have_it() -> None:
    found = scenario("""
events:
  - {after: 0s, type: a.b, session: s1, id: e1, test: t1, n: 1, deep: {list: [1, null]}, data: {n: 2, after: x}}
expect: []
""")
    data = {"test": "t1", "n": 2, "deep": {"list": [1, None]}, "after": "x"}
    assert found.events == (Event("a.b", "user", START, data, "e1", "s1"),)


def test_attributes_of_the_user_come_before_all_else() -> None:
    found = scenario("user: {id: ann, skill: expert}\nevents: [{after: 0s, type: a.b}]\nexpect: []")
    assert [(event.type, event.data) for event in found.events] == [("user.identify", {"skill": "expert"}), ("a.b", {})]
    assert {event.user for event in found.events} == {"ann"}


def test_a_user_may_be_a_name() -> None:
    found = scenario("user: ann\nevents: []\nexpect: []")
    assert (found.user, found.events) == ("ann", ())


def test_events_are_sorted_and_those_of_one_moment_stay_as_they_stand() -> None:
    found = scenario("""
start: "2026-03-27T10:00:00Z"
events:
  - {after: 1m, type: c}
  - {at: "2026-03-27T11:01:00+01:00", type: b}
  - {after: 0s, type: a}
expect: []
""")
    assert [event.type for event in found.events] == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ("events: [{after: 3m, type: a.b}]\nexpect: []", 3 * MINUTE),
        ("events: [{after: 3m, type: a.b}]\nexpect: [{after: 4m, rule: hello}]", 4 * MINUTE),
        ("events: []\nexpect_outcomes: [{after: 5m, rule: hello, outcome: cap}]", 5 * MINUTE),
        ("events: [{after: 3m, type: a.b}]\nuntil: 1h\nexpect: []", HOUR),
        ("events: [{after: 3m, type: a.b}]\nuntil: 3m\nexpect: [{after: 3m, rule: hello}]", 3 * MINUTE),
    ],
)
def test_time_runs_to_the_last_thing_the_test_speaks_of_or_to_until(body: str, until: int) -> None:
    assert scenario(body).until == START + until


def test_expectations_are_read_with_their_lines() -> None:
    found = scenario("""
rules: hello
events: []
expect:
  - {after: 1s, rule: hello, type: question, text: T, contains: [a, b], options: [x], variant: v}
expect_not: [{rule: bye}]
expect_outcomes: [{rule: hello, outcome: cap, at: "2026-01-05T09:00:02Z", reason_contains: per}]
""")
    assert found.rules == ("hello",)
    assert found.expect == (Expected(START + SECOND, "hello", 14, "question", "T", ("a", "b"), ("x",), "v"),)
    assert found.expect_not == (Pattern("bye", 15),)
    assert found.expect_outcomes == (Pattern("hello", 16, "cap", START + 2 * SECOND, "per"),)


def test_invariants_are_read_and_named_after_what_they_say() -> None:
    found = loaded(
        POLICY,
        """
invariants:
  - every_rule_fires
  - {check: every_rule_fires, rules: hello, name: it is heard}
  - {at_most: 6, per: 1h}
  - {at_most: 0, per: session, rules: [hello, bye]}
  - {never_during: nights}
""",
    ).invariants
    assert found == (
        EveryRuleFires("every rule fires", "a.yaml", 12, None),
        EveryRuleFires("it is heard", "a.yaml", 13, ("hello",)),
        AtMost("at most 6 messages per 1h", "a.yaml", 14, None, 6, HOUR),
        AtMost('at most 0 messages of "hello" and "bye" per session', "a.yaml", 15, ("hello", "bye"), 0, "session"),
        NeverDuring("no message during nights", "a.yaml", 16, None, "nights"),
    )


def test_names_are_looked_up_in_all_files() -> None:
    test = "version: 1\ntests:\n  - {name: it, events: [], expect_not: [{rule: hello}]}\n"
    invariant = "invariants:\n  - {never_during: nights, rules: hello}\n"
    found = load_with_tests({"1.yaml": test + invariant, "2.yaml": file_of(rule("hello")) + POLICY}, KINDS)
    assert (len(found.scenarios), len(found.invariants)) == (1, 1)


def test_where_a_file_cannot_be_read_no_rule_is_called_unknown() -> None:
    test = "version: 1\ntests:\n  - {name: it, events: [], expect_not: [{rule: hello}]}\n"
    assert {error.path for error in errors_of(test, "version: 1\nrules: [\n")} == {"2.yaml"}


def test_all_that_is_wrong_with_one_test_is_told_at_once() -> None:
    body = """
tests:
  - name: it
    start: soon
    user: {timezone: Paris}
    events: [{after: 5, type: a.b, user: bob}]
    expect: [{after: 0s, rule: helo}]
"""
    codes = [error.code for error in errors_of(file_of(rule("hello")) + body)]
    assert codes == ["bad-value", "bad-timezone", "bad-value", "conflict", "unknown-rule"]


def test_tests_and_invariants_change_no_rule() -> None:
    plain = load({"a.yaml": file_of(rule("hello"))}, KINDS)
    claims = "tests:\n  - {name: it, events: [], expect: []}\ninvariants:\n  - every_rule_fires\n"
    tested = load({"a.yaml": file_of(rule("hello")) + claims}, KINDS)
    assert [rule.written for rule in plain] == [rule.written for rule in tested]
    assert plain.keys == tested.keys
