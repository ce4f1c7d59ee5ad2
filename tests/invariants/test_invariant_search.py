"""A broken invariant is found, made as small as it can be, and printed so that it shows the same as a test."""

from __future__ import annotations

from textwrap import indent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import HOUR, MINUTE, SECOND
from engine.invariants.check import run_watched, violation_of
from engine.invariants.counterexample import Counterexample, entry, shortened
from engine.invariants.search import Finding, try_to_break
from engine.invariants.streams import START
from engine.invariants.vocabulary import whole_vocabulary
from engine.loading.invariants import AtMost
from engine.loading.load import Loaded, load_with_tests
from engine.scenario import run_scenario
from engine.triggers import KINDS

HELLO = '{id: hello, trigger: {event: a.b}, message: {type: question, text: "Well?"}}'
SAYS = "message: {type: question, text: T}"
NIGHTS = 'policy: {quiet_hours: {nights: {from: "22:00", to: "08:00"}}}\n'


def loaded(rules: list[str], invariants: list[str], *, head: str = "", tests: str = "") -> Loaded:
    text = "version: 1\n" + head + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)
    text += "invariants:\n" + "".join(f"  - {invariant}\n" for invariant in invariants)
    return load_with_tests({"a.yaml": text + tests}, KINDS)


def tried(found: Loaded, *, seed: int = 0, examples: int = 200) -> list[Finding]:
    return try_to_break(found.rules, found.invariants, found.scenarios, seed=seed, examples=examples)


def printed_test(finding: Finding) -> str:
    """The test that a finding prints."""
    start = finding.lines.index("as a test:")
    return "\n".join(finding.lines[start + 1 :]) + "\n"


CASES = [
    # What is looked for, the rule, and how many events it takes.
    ("{at_most: 3, per: 1h}", HELLO, 4),
    (
        "{at_most: 0, per: user}",
        f'{{id: r, trigger: {{event: {{event: a.b, where: event.n > 41 and event.kind == "x"}}}}, {SAYS}}}',
        1,
    ),
    (
        "{at_most: 0, per: user}",
        f"{{id: r, trigger: {{keywords: {{all: [red, fish], none: [blue]}}}}, "
        f"condition: len(event.message) >= 30, {SAYS}}}",
        1,
    ),
    (
        "{at_most: 1, per: 1h}",
        f"{{id: r, trigger: {{count: {{event: t.f, at_least: 3, within: 1m, group_by: test}}}}, {SAYS}}}",
        6,
    ),
    (
        "{at_most: 0, per: user}",
        f"{{id: r, trigger: {{sequence: {{steps: [x.a, x.b, x.c], within: 1m}}}}, {SAYS}}}",
        3,
    ),
    ("{at_most: 0, per: user}", f"{{id: r, trigger: {{inactivity: {{for: 7m, after: t.f}}}}, {SAYS}}}", 1),
    ("{at_most: 0, per: user}", f"{{id: r, trigger: {{absence: {{after: q, no: p, within: 9m}}}}, {SAYS}}}", 1),
    ("{at_most: 0, per: user}", f'{{id: r, trigger: {{event: a.b}}, condition: user.skill == "expert", {SAYS}}}', 2),
    ("{never_during: nights}", f"{{id: r, trigger: {{event: a.b}}, urgent: true, {SAYS}}}", 1),
]


@pytest.mark.parametrize(("invariant", "rule", "count"), CASES, ids=[rule[5:60] for _, rule, _ in CASES])
def test_what_breaks_an_invariant_is_found_is_minimal_and_shows_the_same_when_it_is_pasted(
    invariant: str, rule: str, count: int
) -> None:
    [finding] = tried(loaded([rule], [invariant], head=NIGHTS))
    assert finding.lines, "not found"
    pasted = loaded([rule], [invariant], head=NIGHTS, tests="tests:\n" + indent(printed_test(finding), "  "))
    [scenario] = pasted.scenarios
    assert len(scenario.events) == count
    # It fails, for the message that is too many, and breaks the invariant by itself.
    result = run_scenario(pasted.rules, scenario)
    assert result.broken
    assert all(" not to be sent at " in line for line in result.broken)
    [again] = tried(pasted, examples=1)
    assert again.lines[0].startswith(f'broken by the test "{scenario.name}", a.yaml:')


def test_what_holds_is_not_found_broken() -> None:
    rule = '{id: hello, trigger: {event: a.b}, cooldown: 30m, message: {type: question, text: "Well?"}}'
    findings = tried(
        loaded([rule], ["{at_most: 2, per: 1h}", "{never_during: nights}", "every_rule_fires"], head=NIGHTS)
    )
    assert [finding.lines for finding in findings] == [[], [], []]


def test_each_invariant_is_tried_for_itself() -> None:
    findings = tried(loaded([HELLO], ["{at_most: 1, per: 1h}", "{at_most: 9, per: 1s}", "{at_most: 3, per: day}"]))
    assert [finding.lines[0] for finding in findings] == [
        "2 messages within 1h, at most 1:",
        "10 messages within 1s, at most 9:",
        "4 messages in one day, at most 3:",
    ]


def test_the_same_seed_finds_the_same() -> None:
    found = loaded([HELLO, CASES[2][1]], ["{at_most: 3, per: 1h}", "{at_most: 0, per: user, rules: r}"])
    first, again = (tried(found, seed=7, examples=60) for _ in range(2))
    assert [it.lines for it in first] == [it.lines for it in again]


@pytest.mark.parametrize(
    ("rules", "silent"),
    [
        ([HELLO], []),
        # It can never fire; and one that is off need not.
        ([HELLO, "{id: no, trigger: {event: {event: a.b, where: 1 > 2}}, message: {type: question, text: T}}"], ["no"]),
        (['{id: no, trigger: {event: a.b}, mode: "off", message: {type: question, text: T}}'], []),
        # The answer to a message of a rule that fires only on an answer.
        (
            [
                HELLO,
                "{id: second, trigger: {response: {to: hello}}, message: {type: question, text: T}}",
                "{id: third, trigger: {response: {to: second}}, message: {type: question, text: T}}",
            ],
            [],
        ),
    ],
)
def test_every_rule_is_looked_for_by_itself(rules: list[str], silent: list[str]) -> None:
    [finding] = tried(loaded(rules, ["every_rule_fires"]))
    wanted = [f'nothing made "{name}" fire; write a test in which it does, or mend its trigger' for name in silent]
    assert finding.lines == wanted


def test_a_rule_that_fires_in_a_test_needs_no_made_up_events() -> None:
    test = (
        "tests:\n  - {name: it, rules: r, events: [{after: 0s, type: a, code: abc-1}], "
        "expect: [{after: 0s, rule: r}]}\n"
    )
    block = (
        "{id: r, trigger: {event: {event: a, where: 'matches(event.code, r\"^[a-f]{3}-[0-9]+$\")'}}, "
        "message: {type: question, text: T}}"
    )
    assert tried(loaded([block], ["every_rule_fires"]))[0].lines != []
    assert tried(loaded([block], ["every_rule_fires"], tests=test))[0].lines == []


def test_no_event_of_what_is_shortened_could_be_left_out() -> None:
    """Against all ways of leaving one out, on streams in which much is of no account."""
    found = loaded([HELLO], ["{at_most: 2, per: 1h}"])
    [invariant] = found.invariants
    assert isinstance(invariant, AtMost)
    timeline = Timeline(found.rules)

    def breaks(events: Any) -> bool:
        _, sendings = run_watched(timeline, "user", events, events[-1].at)
        return violation_of(invariant, timeline, "user", sendings) is not None

    gaps = st.sampled_from([0, SECOND, 7 * MINUTE, 40 * MINUTE, 3 * HOUR])
    kinds = st.sampled_from(["a.b", "other", "session.start", "session.end", "ping"])

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(gaps, kinds), min_size=1, max_size=40))
    def check(steps: list[tuple[int, str]]) -> None:
        at, events = START, []
        for gap, kind in steps:
            at += gap
            events.append(Event(kind, "user", at, {"n": 1}))
        if not breaks(events):
            return
        short = shortened(events, breaks)
        assert breaks(short)
        assert [(event.type, event.data) for event in short] == [("a.b", {})] * 3
        assert {event.at for event in short} == {short[0].at}

    check()


@pytest.mark.parametrize(
    "data",
    [
        {"text": 'a "quoted": text, with {braces} # and more'},
        {"yes": "no", "on": "true", "null": None, "n": "5", "empty": "", "tab": "\t"},
        {"after": "x", "type": "y", "at": 1, "user": "bob", "data": {"deep": [1, 2.5, True, {"a b": "ü€😀"}]}},
        {"line": "\u2028\x7f\x85", "minus": "-", "star": "*x", "date": "2026-01-05"},
    ],
)
def test_whatever_an_event_holds_can_be_pasted(data: dict[str, Any]) -> None:
    found = loaded([HELLO], ["{at_most: 0, per: 1h}"])
    timeline = Timeline(found.rules)
    events = (Event("user.identify", "user", START, {"skill": "no: way"}), Event("a.b", "user", START, data))
    _, sendings = run_watched(timeline, "user", events, START)
    [invariant] = found.invariants
    assert isinstance(invariant, AtMost)
    violation = violation_of(invariant, timeline, "user", sendings)
    assert violation is not None
    written = entry(Counterexample(START, events, violation))
    pasted = loaded([HELLO], ["every_rule_fires"], tests="tests:\n" + indent(written, "  ") + "\n")
    assert pasted.scenarios[0].events == events


def test_what_rules_look_at_is_found_wherever_it_stands() -> None:
    rules = [
        "{id: one, trigger: [{event: {event: 'x.*', where: 'event.n in [4, 5] and user.level == 3'}}, "
        "{inactivity: 7m}], "
        "condition: session.age > 13m, cooldown: 17m, message: {type: question, text: T, options: [Aye]}, "
        "deliver: {at: file.saved, within: 19s}}",
        "{id: two, trigger: {keywords: {any: [red], field: say, event: said}}, message: {type: question, text: T}}",
        "{id: resting, trigger: {event: unseen}, mode: 'off', message: {type: question, text: T}}",
    ]
    found = loaded(rules, ["{at_most: 11, per: 23h}"]).rules
    vocabulary = whole_vocabulary(found, [])
    templates = {template.type: template for template in vocabulary.templates}
    assert set(templates) == {"x.any", "activity", "file.saved", "said"}
    assert {4, 5} <= set(templates["x.any"].fields["n"])
    assert templates["said"].fields["say"][0] == "red"
    assert 3 in vocabulary.attributes["level"]
    assert {7 * MINUTE, 13 * MINUTE, 17 * MINUTE, 19 * SECOND} <= set(vocabulary.spans)
    rule_one = found.by_id["one"]
    assert rule_one.deliver is not None
    [(saved,)] = [vocabulary.by_matcher[matcher] for matcher in rule_one.deliver.breakpoints]
    assert saved.type == "file.saved"
