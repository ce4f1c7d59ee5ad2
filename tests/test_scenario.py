"""The rules' own tests: what passes, and what one that fails says."""

from __future__ import annotations

import pytest

from engine.loading.load import load_with_tests
from engine.scenario import Result, run_scenario
from engine.triggers import KINDS

RULES = """version: 1
rules:
  - id: stuck
    trigger: {event: test.failed, where: event.test == "t1"}
    message: {type: suggestion, text: "Stuck on {{ event.test }}?", options: ["Yes", "No"]}
    cooldown: 5m
  - id: idle
    trigger: {inactivity: 10m}
    message: {type: question, text: Still there?}
  - id: lost
    trigger: {keywords: {any: [help], none: [thanks]}}
    message: {type: suggestion, text: "What of {{ event.message }}?"}
  - id: thrice
    trigger: {count: {event: build.failed, at_least: 3, within: 10m}}
    message: {type: suggestion, text: Again?}
  - id: steps
    trigger: {sequence: {steps: [a.b, c.d, e.f], within: 10m}}
    message: {type: suggestion, text: Done?}
  - id: unanswered
    trigger: {absence: {after: asked, no: answered, within: 5m}}
    message: {type: suggestion, text: Nobody?}
  - id: hourly
    trigger: {schedule: {every: 1h}}
    message: {type: suggestion, text: An hour}
  - id: fine
    trigger: {response: {to: stuck, is: ["No"]}}
    message: {type: suggestion, text: All right}
  - id: back
    trigger: {session: {returned_after: 1d}}
    message: {type: suggestion, text: Welcome back}
  - id: stayed
    trigger: {session: {lasted: 8m}}
    message: {type: suggestion, text: Eight minutes}
  - id: greeting
    trigger: {session: start}
    mode: shadow
    message: {type: suggestion, text: Hello}
  - id: resting
    trigger: {event: test.failed}
    message: {type: suggestion, text: Never}
    mode: "off"
"""


def run(body: str) -> Result:
    """The one test with these keys, run over the rules above."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    loaded = load_with_tests({"a.yaml": f"{RULES}tests:\n  - name: it\n{lines}"}, KINDS)
    [scenario] = loaded.scenarios
    return run_scenario(loaded.rules, scenario)


def told(body: str) -> list[str]:
    result = run(body)
    assert not result.passed
    return [line.strip() for line in result.lines()]


FAILED = "{after: 0s, type: test.failed, test: t1}"


@pytest.mark.parametrize(
    "body",
    [
        f"events: [{FAILED}]\nexpect: [{{after: 0s, rule: stuck}}]",
        f"events: [{FAILED}]\nexpect: [{{after: 0s, rule: stuck, type: suggestion, contains: [Stuck, t1]}}]",
        f'events: [{FAILED}]\nexpect: [{{after: 0s, rule: stuck, text: "Stuck on t1?", options: ["Yes", "No"]}}]',
        f"events: [{FAILED}]\nuntil: 10m\nrules: [stuck, idle]\n"
        "expect: [{after: 10m, rule: idle}, {after: 0s, rule: stuck}]",
        f"events: [{FAILED}]\nuntil: 10m\nrules: [stuck]\nexpect: [{{after: 0s, rule: stuck}}]",
        f"events: [{FAILED}]\nrules: [idle]\nexpect: []",
        f"events: [{FAILED}, {FAILED}]\nexpect_outcomes: [{{rule: stuck, outcome: cooldown}}]",
        f"events: [{FAILED}, {FAILED}]\nexpect_outcomes: [{{after: 0s, rule: stuck, outcome: cooldown, "
        "reason_contains: of 5m}]",
        f"events: [{FAILED}]\nexpect_not: [{{rule: stuck, outcome: cooldown}}, {{rule: idle}}]",
        f"events: [{FAILED}]\nexpect_not: [{{rule: stuck, outcome: sent, after: 1s}}]",
        "events: []\nexpect: []",
    ],
)
def test_what_is_so_passes(body: str) -> None:
    result = run(body)
    assert result.passed
    assert result.lines() == []


def test_what_is_expected_and_what_was_sent_stand_side_by_side() -> None:
    body = f"""
rules: [stuck, idle, lost]
events: [{FAILED}]
until: 10m
expect: [{{after: 0s, rule: stuck, contains: t2}}, {{after: 0s, rule: lost}}]
"""
    lines = run(body).lines()
    assert lines[:3] == [
        '  expected          got',
        '~ +0s stuck "…t2…"  +0s stuck suggestion "Stuck on t1?"',
        '    text: expected a text that contains "t2", got "Stuck on t1?"',
    ]  # fmt: skip
    assert lines[3] == "− +0s lost"
    assert lines[-1] == '+                   +10m idle question "Still there?"'


@pytest.mark.parametrize(
    ("wish", "difference"),
    [
        ("type: question", 'type: expected "question", got "suggestion"'),
        ("text: Well?", 'text: expected "Well?", got "Stuck on t1?"'),
        ("options: []", "options: expected [], got [Yes, No]"),
        ("variant: a", 'variant: expected "a", got none'),
    ],
)
def test_every_difference_is_named(wish: str, difference: str) -> None:
    assert difference in told(f"events: [{FAILED}]\nexpect: [{{after: 0s, rule: stuck, {wish}}}]")


def test_of_two_messages_of_one_rule_at_one_moment_the_first_is_meant_first() -> None:
    events = "{after: 0s, type: chat_message, message: help}, {after: 0s, type: chat_message, message: help me}"
    both = ["{after: 0s, rule: lost, contains: help?}", "{after: 0s, rule: lost, contains: help me?}"]
    assert run(f"events: [{events}]\nexpect: [{', '.join(both)}]").passed
    assert not run(f"events: [{events}]\nexpect: [{', '.join(reversed(both))}]").passed
    lines = told(f"events: [{events}]\nexpect: [{{after: 0s, rule: lost}}]")
    assert lines[-1].startswith("+")


@pytest.mark.parametrize(
    ("events", "expected", "why"),
    [
        # A candidate at the very moment: the gate that closed.
        (
            f"{FAILED}, {{after: 1m, type: test.failed, test: t1}}",
            "{after: 1m, rule: stuck}",
            "the nearest candidate at that moment: cooldown of 5m until +5m",
        ),
        # A candidate at another moment, and how far the trigger had come at the one that was meant.
        (FAILED, "{after: 11m, rule: idle}", "the nearest candidate 1m earlier: sent"),
        (FAILED, "{after: 9m, rule: idle}", "inactivity: idle 9m of 10m"),
        # No candidate at all.
        (FAILED, "{after: 9m59s, rule: idle}", "inactivity: idle 9m59s of 10m"),
        ("{after: 0s, type: session.start}", "{after: 9m, rule: idle}", "inactivity: no activity in this session"),
        (FAILED, "{after: 0s, rule: resting}", 'it is off, "mode: off"'),
        ("{after: 1m, type: x}", "{after: 0s, rule: stuck}", "nothing had happened yet"),
        ("{after: 0s, type: x}", "{after: 0s, rule: stuck}", "event: no test.failed came"),
        (
            "{after: 0s, type: test.failed, test: t2}",
            "{after: 0s, rule: stuck}",
            'event: 1 test.failed came, and the where does not hold: event.test == "t1" (event.test is "t2")',
        ),
        (
            "{after: 0s, type: test.failed}, {after: 1s, type: test.failed}",
            "{after: 1s, rule: stuck}",
            'event: 2 test.failed came, the last: the where is unknown, event.test is missing: event.test == "t1"',
        ),
        (
            "{after: 0s, type: chat_message, message: hallo}",
            "{after: 0s, rule: lost}",
            "keywords: 1 chat_message came, and the text has none of the words",
        ),
        (
            "{after: 0s, type: chat_message, message: thanks for the help}",
            "{after: 0s, rule: lost}",
            'keywords: 1 chat_message came, and the text has "thanks"',
        ),
        (
            "{after: 0s, type: chat_message}",
            "{after: 0s, rule: lost}",
            'keywords: 1 chat_message came, and the field "message" holds no text',
        ),
        (
            "{after: 0s, type: build.failed}, {after: 1m, type: build.failed}",
            "{after: 1m, rule: thrice}",
            "count: 2 of 3 in 10m",
        ),
        (
            "{after: 0s, type: build.failed}, {after: 1m, type: build.failed}",
            "{after: 10m, rule: thrice}",
            "count: 1 of 3 in 10m",
        ),
        ("{after: 0s, type: a.b}, {after: 1m, type: c.d}", "{after: 2m, rule: steps}", "sequence: 2 of 3 steps in 10m"),
        ("{after: 0s, type: asked}", "{after: 3m, rule: unanswered}", "absence: armed, 3m of 5m"),
        (
            "{after: 0s, type: asked}, {after: 1m, type: answered}",
            "{after: 5m, rule: unanswered}",
            "absence: not armed",
        ),
        (FAILED, "{after: 20m, rule: hourly}", "schedule: 20m of 1h"),
        (FAILED, "{after: 5m, rule: stayed}", "session: 5m of 8m"),
        (FAILED, "{after: 5m, rule: back}", "session: the user had not been here before"),
        (FAILED, "{after: 5m, rule: greeting}", "the nearest candidate 5m earlier: outranked by stuck"),
        (FAILED, "{after: 5m, rule: greeting}", "session: the session began 5m before"),
        (f"{FAILED}, {{after: 2h, type: x}}", "{after: 2h, rule: back}", "session: away for 1h30m of 1d"),
        (
            f"{FAILED}, {{after: 1m, type: message.answered, rule: stuck, response: 'Yes'}}",
            "{after: 1m, rule: fine}",
            'response: 1 message.answered came, and the answer was "Yes", not No',
        ),
        (FAILED, "{after: 2h, rule: hourly}", "the user was absent"),
    ],
)
def test_a_missing_message_has_the_trace_of_what_came_nearest(events: str, expected: str, why: str) -> None:
    assert why in told(f"events: [{events}]\nexpect: [{expected}]")


def test_what_must_not_happen_is_told_with_the_moment_and_the_reason() -> None:
    events = f"{FAILED}, {{after: 1m, type: test.failed, test: t1}}"
    [line] = told(f"events: [{events}]\nexpect_not: [{{rule: stuck, outcome: cooldown}}]")
    assert line == "line 45: expected no candidate of stuck to end as cooldown, got at +1m: cooldown of 5m until +5m"


def test_an_outcome_that_did_not_come_is_told_with_what_came_nearest() -> None:
    lines = told(f"events: [{FAILED}]\nexpect_outcomes: [{{after: 0s, rule: stuck, outcome: cap}}]")
    assert lines == [
        "line 45: expected a candidate of stuck to end as cap at +0s, got none",
        "the nearest candidate at that moment: sent",
    ]


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ("expect_not: [{rule: stuck, outcome: sent}]", "line 45: expected stuck not to be sent, got at +0s: sent"),
        ("expect_not: [{rule: stuck}]", "line 45: expected no candidate of stuck, got at +0s: sent"),
        ("expect_outcomes: [{rule: idle, outcome: sent}]", "line 45: expected idle to be sent, got none"),
    ],
)
def test_what_is_wished_for_is_told_as_a_sentence(wish: str, line: str) -> None:
    assert line in told(f"events: [{FAILED}]\n{wish}")


def test_a_rule_that_the_test_leaves_out_is_said_to_be_left_out() -> None:
    lines = told(f"rules: [idle]\nevents: [{FAILED}]\nexpect: [{{after: 0s, rule: stuck}}]")
    assert lines[-1] == 'it is not among the "rules" of this test'
    lines = told(f"rules: [resting]\nevents: [{FAILED}]\nexpect: [{{after: 0s, rule: resting}}]")
    assert lines[-1] == 'it is off, "mode: off"'


def test_options_and_variants_that_are_expected_are_shown() -> None:
    wish = "{after: 0s, rule: stuck, options: [Aye], variant: a}"
    assert told(f"events: [{FAILED}]\nexpect: [{wish}]")[1] == (
        '~ +0s stuck [Aye] variant a  +0s stuck suggestion "Stuck on t1?" [Yes, No]'
    )


@pytest.mark.parametrize(
    "part", ["until +5m", "until 2026-01-05T09:05:00.000000Z", "cooldown: cooldown of 5m", "cooldown of 5m"]
)
def test_a_part_of_a_reason_counts_as_it_is_told_and_as_it_is_recorded(part: str) -> None:
    outcome = f'{{rule: stuck, outcome: cooldown, reason_contains: "{part}"}}'
    assert run(f"events: [{FAILED}, {FAILED}]\nexpect_outcomes: [{outcome}]").passed


GROUPED = """version: 1
rules:
  - id: twice
    trigger: {count: {event: failed, at_least: 3, within: 10m, group_by: test}}
    message: {type: suggestion, text: x}
  - id: values
    trigger: {count: {event: failed, at_least: 3, within: 10m, distinct: file}}
    message: {type: suggestion, text: x}
  - id: steps
    trigger: {sequence: {steps: [failed, {event: saved, where: event.n > 1}], within: 10m, group_by: [test, file]}}
    message: {type: suggestion, text: x}
  - id: quiet
    trigger: {absence: {after: failed, no: passed, within: 5m, group_by: test}}
    message: {type: suggestion, text: x}
  - id: waits
    trigger: {event: asked}
    message: {type: suggestion, text: x}
    condition: default(user.skill, "a") != "a"
  - id: holds
    trigger: {event: held}
    message: {type: suggestion, text: x}
    deliver: {at: nothing, within: 90s}
"""


@pytest.mark.parametrize(
    ("events", "rule", "why"),
    [
        # What cannot be told apart belongs to no group, and that is said.
        ("{type: failed, after: 1m}", "twice", 'it has no field "test", by which group_by tells events apart'),
        ("{type: failed, after: 1m}", "values", 'it has no field "file", by which distinct tells events apart'),
        ("{type: failed, after: 1m, test: t}", "steps", 'it has no field "file", by which group_by'),
        ("{type: failed, after: 1m}", "quiet", 'absence: not armed; 1 failed came, and it has no field "test", by'),
        (f"{{type: failed, after: 1m, test: {'t' * 300}}}", "quiet", "what it has as test is too long"),
        # The group that is told of is that of the event at the moment.
        (
            "&a {type: failed, after: 0s, test: a}, *a, {type: failed, after: 1m, test: b}",
            "twice",
            'count: 1 of 3 in 10m of "b"',
        ),
        (
            "{type: failed, after: 0s, test: a}, {type: failed, after: 1m, test: b}",
            "quiet",
            'absence: armed, 0s of 5m, for "b"',
        ),
        (
            "{type: failed, after: 0s, test: a, file: f}, {type: failed, after: 1m, test: b, file: f}",
            "steps",
            'sequence: 1 of 2 steps in 10m of ["b", "f"]',
        ),
        (
            "{type: failed, after: 0s, test: a, file: f}, {type: saved, after: 1m, test: a, file: f, n: 1}",
            "steps",
            "2 failed or saved came, the last: the where does not hold: event.n > 1 (event.n is 1)",
        ),
        # No word twice, and moments from the start on.
        ("{type: asked, after: 1m}", "waits", 'at that moment: condition does not hold: default(user.skill, "a")'),
        ("{type: held, after: 1m}", "holds", "at that moment: held for a good moment, until +2m30s at the latest"),
    ],
)  # fmt: skip
def test_what_came_nearest_is_what_the_event_at_the_moment_has_to_do_with(events: str, rule: str, why: str) -> None:
    test = f"tests:\n  - {{name: it, events: [{events}], until: 1m, expect: [{{after: 1m, rule: {rule}}}]}}\n"
    loaded = load_with_tests({"a.yaml": GROUPED + test}, KINDS)
    lines = run_scenario(loaded.rules, loaded.scenarios[0]).lines()
    assert any(why in line for line in lines), lines


def test_a_message_that_was_sent_as_expected_is_no_miss_of_another() -> None:
    lines = told(f"events: [{FAILED}]\nexpect: [{{after: 0s, rule: stuck}}, {{after: 1m, rule: stuck}}]")
    assert "stuck had no candidate" in lines


def test_years_pass_in_no_time() -> None:
    assert run(f"events: [{FAILED}]\nuntil: 3650d\nrules: [stuck]\nexpect: [{{after: 0s, rule: stuck}}]").passed
