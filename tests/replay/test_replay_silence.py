"""Why a rule had no candidates, or why most were not sent: said where it is certain, and not otherwise."""

from __future__ import annotations

import pytest

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.replay.driver import replay
from engine.replay.report import count_rules
from engine.replay.silence import SAMPLE_MAX, explain_silence
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


def said(timeline: Timeline, events: list[Event] = LOG) -> str:
    made = replay(events, timeline).decisions()
    lines = explain_silence(timeline, events, count_rules(made), made)
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
        ("{event: 'test.*', where: event.failed > 5}", "none of the 3 events satisfied the where"),
        ("{inactivity: 5m}", "nobody was idle for 5m while present"),
        ("{inactivity: {for: 5m, after: test.failed}}", 'nobody was idle for 5m after "test.failed" while present'),
        ("{schedule: {cron: '0 0 1 1 *'}}", "no time of it came while somebody was present"),
        ("[{event: nothing}, {inactivity: 5m}]",
         'the log has no event of type "nothing"; nobody was idle for 5m while present'),
    ],
)  # fmt: skip
def test_a_rule_without_candidates_says_why(trigger: str, text: str) -> None:
    assert said(rules(trigger)) == text


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
    made = replay([], timeline).decisions()
    assert explain_silence(timeline, LOG, count_rules(made), made) == []
    timeline.add(2, rules("{event: nothing}").latest)
    assert explain_silence(timeline, LOG, {}, []) == ['r: the log has no event of type "nothing"']


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
