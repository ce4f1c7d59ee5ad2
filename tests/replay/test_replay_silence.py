"""Why a rule had no candidates, or why most were not sent: said where it is certain, and not otherwise."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.replay.activity import in_memory
from engine.replay.dryrun import DryRun
from engine.replay.silence import Reasons, explain_silence, survey_of
from engine.replay.survey import EVENTS_MIN, SAMPLE_MAX
from engine.replay.tally import Tally
from engine.triggers import KINDS

LOG = [
    Event("test.failed", "ann", 0, {"test": "a", "failed": 1}),
    Event("chat_message", "ann", MINUTE, {"message": "hello"}),
    Event("test.failed", "bob", 2 * MINUTE, {"test": "b", "failed": 2}),
    Event("test.passed", "bob", 3 * MINUTE, {"test": "b"}),
]


def rules(trigger: str, more: str = "", text: str = "x") -> Timeline:
    rule = f"  - {{id: r, trigger: {trigger}, message: {{type: question, text: '{text}'}}, {more}}}\n"
    return Timeline(load({"a.yaml": "version: 1\nrules:\n" + rule}, KINDS))


def explained(timeline: Timeline, events: list[Event], until: int | None = None) -> list[str]:
    dry = DryRun(timeline, until=until)
    activity = in_memory(events)
    dry.run(activity)
    survey = survey_of(timeline, dry.tally)
    survey.look_at(activity, until)
    return explain_silence(timeline, dry.tally, dry.reasons, survey, dry.end)


def said(timeline: Timeline, events: list[Event] = LOG) -> str:
    lines = explained(timeline, events)
    assert len(lines) <= 1  # one rule, one line
    return "".join(lines).removeprefix("r: ")


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        ("{event: test.failed}", ""),
        ("{event: test.fialed}", 'the log has no event of type "test.fialed"; did you mean "test.failed"?'),
        ("{event: [nothing, else]}", 'the log has no event of type "nothing" or "else"'),
        ("{event: 'file.*'}", 'the log has no event of type "file.*"'),
        ("{keywords: {any: [x], event: said}}", 'the log has no event of type "said"'),
        ("{keywords: {any: [x], field: text}}", 'none of 1 chat_message events has a text in the field "text"'),
        ("{keywords: {any: [x], event: test.failed, field: failed}}",
         'none of the 2 test.failed events has a text in the field "failed"'),
        ("{keywords: {any: [x]}}", "none of 1 chat_message events has the words"),
        ("{keywords: {any: [hello], where: 'false'}}",
         "none of 1 chat_message events has the words and satisfied the where"),
        ("{event: test.failed, where: event.falied > 1}",
         "none of the 2 test.failed events satisfied the where; event.falied is missing in all of them;"
         ' did you mean "event.failed"?'),
        ("{event: test.passed, where: event.zzz > 1}",
         "none of 1 test.passed events satisfied the where; event.zzz is missing in it"),
        ("{event: test.failed, where: user.skill == 'x'}", "none of the 2 test.failed events satisfied the where"),
        ("{event: 'test.*', where: event.failed > 5}",
         "none of the 3 events satisfied the where; event.failed was 1 or 2"),
        ("{event: test.failed, where: event.test == \"z\"}",
         'none of the 2 test.failed events satisfied the where; event.test was "a" or "b"'),
        ("{inactivity: 5m}", "nobody was idle for 5m while present"),
        ("{inactivity: {for: 5m, after: test.failed}}", 'nobody was idle for 5m after "test.failed" while present'),
        ("{schedule: {cron: '0 0 1 1 *'}}", "no time of it came while somebody was present"),
        ("[{event: nothing}, {inactivity: 5m}]",
         'the log has no event of type "nothing"; nobody was idle for 5m while present'),
    ],
)  # fmt: skip
def test_a_rule_without_candidates_says_why(trigger: str, text: str) -> None:
    assert said(rules(trigger)) == text


def failing(*minutes: int, user: str = "ann", **data: object) -> list[Event]:
    return [Event("test.failed", user, minute * MINUTE, {"test": "a", "n": minute, **data}) for minute in minutes]


COUNT = "{{count: {{event: test.failed, at_least: 3, within: 10m, {}}}}}"
STEPS = "{sequence: {steps: [a, b, c], within: 5m}}"
ABSENCE = "{absence: {after: a, no: b, within: 5m}}"


LEFT = [Event("session.start", "ann", 0, {}, "", "s"), Event("session.end", "ann", MINUTE, {}, "", "s")]


def some(types: str, user: str = "ann") -> list[Event]:
    """An event of each type, one a minute; a point is a minute without."""
    return [Event(name, user, at * MINUTE, {}) for at, name in enumerate(types) if name != "."]


@pytest.mark.parametrize(
    ("trigger", "events", "text"),
    [
        (COUNT.format(""), failing(0, 9), "at most 2 of 3 in 10m"),
        (COUNT.format(""), [*failing(0, 9), *failing(1, user="bob")], "at most 2 of 3 in 10m"),
        (COUNT.format(""), failing(0, 10, 20, 30), "at most 1 of 3 in 10m"),
        (COUNT.format("group_by: test"), [*failing(0), *failing(1, 2, test="b")], 'at most 2 of 3 in 10m of "b"'),
        (COUNT.format("group_by: tset"), failing(0, 1, 2, 3),
         'none of the 4 test.failed events has the field "tset" that it is grouped by; did you mean "test"?'),
        (COUNT.format("group_by: lvl"), failing(0),
         'none of 1 test.failed events has the field "lvl" that it is grouped by'),
        (COUNT.format("group_by: lvl"), [*failing(0, 1, lvl=1), *failing(2, 3)],
         'at most 2 of 3 in 10m of 1; 2 of 4 test.failed events have no "lvl" and do not count'),
        (COUNT.format("distinct: lvl"), failing(0),
         'none of 1 test.failed events has the field "lvl" whose values it counts'),
        (COUNT.format("distinct: test"), failing(0, 1, 2), "at most 1 of 3 in 10m"),
        (COUNT.format("where: event.test == \"3\""), failing(0, 1, 2, test=3),
         "none of the 3 test.failed events satisfied the where; event.test was 3"),
        (COUNT.format("where: event.n > 7, group_by: lvl"), [*failing(0, lvl=1), *failing(1)],
         'none of the 2 test.failed events satisfied the where; event.n was 0 or 1 and has "lvl"'),
        (COUNT.format("where: session.age > 1m"), failing(0, 1, 2, 3), "at most 2 of 3 in 10m"),
        (STEPS, some("ab"), 'the log has no event of type "c"'),
        (STEPS, some("cba"), "at most 1 of 3 steps in 5m"),
        (STEPS, some("cab"), "at most 2 of 3 steps in 5m"),
        (STEPS, some("ab....c"), "at most 2 of 3 steps in 5m"),
        (ABSENCE, some("a...b"), '"b" always came within 5m'),
        (ABSENCE, some("a...b.a...ba...b"), '"b" always came within 5m'),
        (ABSENCE, some("a...b.a"), 'each time "b" came or the log ended within 5m'),
        (ABSENCE, [*LEFT[:1], *some("a"), *LEFT[1:]],
         "each time the user left within 5m"),
        (ABSENCE, some("b"), 'the log has no event of type "a"'),
        ("{absence: {after: {event: a, where: event.x == 1}, no: b, within: 5m}}", some("a.b"),
         "none of 1 a events satisfied the where; event.x is missing in it"),
        ("{session: {lasted: 1h}}", some("a.........a"), "no session lasted 1h; the longest 10m"),
        ("{session: {lasted: 1h}}", [*some("a"), *some("." * 100 + "a", "bob")],
         "no session lasted 1h; the longest 30m"),
        ("{session: {returned_after: 2d}}", some("a" + "." * 89 + "a"),
         "nobody came back after 2d away; the longest was 1h"),
        ("{session: {returned_after: 2d}}", some("aaa"), "nobody who had left came back"),
        ("{session: end}", some("aaa"), "no session ended"),
    ],
)  # fmt: skip
def test_a_rule_that_came_near_says_how_near(trigger: str, events: list[Event], text: str) -> None:
    assert said(rules(trigger), events) == text


def test_of_many_values_the_most_frequent_are_shown() -> None:
    events = [*failing(*range(8)), *failing(7)]
    found = said(rules("{event: test.failed, where: event.n > 10}"), events)
    assert found.endswith("; event.n was 7, 0, 1, 2, 3 …")


@pytest.mark.parametrize(
    ("answers", "log", "text"),
    [
        ("", ["nothing"], '"asks" sent nothing that could be answered'),
        ("", ["ask"], 'the only message of "asks" was not answered; the log has no event of type "message.answered"'),
        ("", ["ask", "ask", "message.delivered"],
         'none of the 2 messages of "asks" was answered; the log has no event of type "message.answered"'),
        ("is: ignored", ["ask"], 'the only message of "asks" was not ignored, for they never expire'),
        ("is: ['Yes', dismissed]", ["ask", "message.answered", "message.dismissed"],
         'the only message of "asks" was not answered "Yes" or dismissed'),
    ],
)  # fmt: skip
def test_a_rule_that_waits_for_an_answer_says_what_there_was_to_answer(answers: str, log: list[str], text: str) -> None:
    asks = "{id: asks, trigger: {event: ask}, message: {type: question, text: x, options: ['Yes', 'No']}}"
    then = f"{{id: r, trigger: {{response: {{to: asks, {answers}}}}}, message: {{type: question, text: x}}}}"
    timeline = Timeline(load({"a.yaml": f"version: 1\nrules:\n  - {asks}\n  - {then}\n"}, KINDS))
    events = [Event(name, "ann", at * MINUTE, {}) for at, name in enumerate(log)]
    lines = explained(timeline, events)
    assert lines[-1] == f"r: {text}"


def test_messages_expire_by_themselves_and_not_by_the_log() -> None:
    events = [Event("message.delivered", "ann", 0, {})]
    assert said(rules("{event: message.expired}"), events) == "no message expired"
    assert said(rules("{count: {event: message.expired, at_least: 2, within: 5m}}"), events) == ""
    assert said(rules("{event: message.dismissed}"), events) == 'the log has no event of type "message.dismissed"'


def test_of_a_large_log_a_share_is_looked_at_and_that_is_said() -> None:
    events = [Event("e", f"u{at // 2}", at, {}) for at in range(EVENTS_MIN)]
    count = "{count: {event: e, at_least: 3, within: 5m}}"
    assert said(rules(count), events) == "at most 2 of 3 in 5m"
    events.append(Event("e", "ann", EVENTS_MIN, {}))
    assert said(rules(count), events) == f"at most 2 of 3 in 5m (as far as {EVENTS_MIN:,} of the events show)"
    assert said(rules("{session: {lasted: 1h}}"), events).endswith(f"(as far as {EVENTS_MIN:,} of the events show)")


def test_time_runs_on_for_the_near_misses_too() -> None:
    timeline = rules("{session: {lasted: 25m}}")
    assert explained(timeline, LOG, 20 * MINUTE) == ["r: no session lasted 25m; the longest 20m"]


def test_a_rule_that_is_off_says_only_that() -> None:
    assert said(rules("{event: nothing}", 'mode: "off"')) == "off"


def test_a_log_without_events_explains_itself() -> None:
    assert said(rules("{event: nothing}"), []) == ""


@pytest.mark.parametrize(("count", "where"), [(SAMPLE_MAX, "all of them"), (SAMPLE_MAX + 1, "the first 1,000")])
def test_of_many_events_the_first_are_looked_at(count: int, where: str) -> None:
    events = [Event("e", "ann", at, {}) for at in range(count)]
    assert said(rules("{event: e, where: event.zzz}"), events).endswith(f"event.zzz is missing in {where}")


def test_where_rules_changed_on_the_way_only_what_holds_of_any_rules_is_said() -> None:
    timeline = rules("{event: test.failed}")
    timeline.add(1, rules("{inactivity: 5m}").latest)
    tally = Tally(users=2, events=4, types=Counter(event.type for event in LOG))
    assert explain_silence(timeline, tally, Reasons(), survey_of(timeline, tally), 0) == []
    timeline.add(2, rules("{event: nothing}").latest)
    assert explain_silence(timeline, tally, Reasons(), survey_of(timeline, tally), 0) == [
        'r: the log has no event of type "nothing"'
    ]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("condition: user.skill == 'beginner'",
         "condition 3, all: condition is unknown, user.skill is missing: user.skill == 'beginner'"),
        ("condition: event.test == 'c'", "condition 3, all: condition does not hold: event.test == 'c'"),
        ("condition: event.failed > 5", "condition 3, mostly: condition does not hold: event.failed > 5"),
        ("cooldown: 1h", ""),
    ],
)  # fmt: skip
def test_most_candidates_that_were_not_sent_say_why(more: str, text: str) -> None:
    more = more.replace(": ", ': "', 1) + '"'
    assert said(rules("{event: 'test.*'}", more)) == text


def test_a_template_that_fails_most_of_the_time_is_told() -> None:
    found = said(rules("{event: 'test.*'}", text="{{ event.nope }}"))
    assert found.startswith("render_error 3, all: the template failed: ")
