"""With a look at logs: what rules ask for and no event of them has."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import HOUR, SECOND
from engine.lint.lint import lint
from engine.lint.logs import log_check, unseen_types
from engine.loading.load import load
from engine.replay.activity import in_memory
from engine.replay.census import Census
from engine.replay.driver import run_users
from engine.triggers import KINDS

LOG: list[tuple[str, dict[str, Any]]] = [
    ("user.identify", {"skill": "expert"}),
    ("test.failed", {"test": "t1", "context": {"file": "a.py"}}),
    ("test.passed", {"test": "t1", "took": None}),
    ("chat_message", {"message": "hi"}),
    ("file.saved", {}),
]


def census() -> Census:
    return Census([Event(name, "ann", number * SECOND, data) for number, (name, data) in enumerate(LOG)])


def rules(*lines: str) -> Any:
    text = "version: 1\nrules:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    return load({"r.yaml": text.replace("message: hm", "message: {type: question, text: Hm}")}, KINDS)


def shown(*lines: str) -> list[str]:
    return [str(found).partition(": ")[2] for found in lint(rules(*lines), [log_check(census())])]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("trigger: {event: test.run}", 'the log has no event of type "test.run" [unknown-type]'),
        (
            "trigger: {event: test.faild}",
            'the log has no event of type "test.faild"; did you mean "test.failed"? [unknown-type]',
        ),
        (
            "trigger: {sequence: {steps: [test.failed, hint], within: 5m}}",
            'the log has no event of type "hint" [unknown-type]',
        ),
        (
            "trigger: {count: {event: test.failed, at_least: 2, within: 5m, reset_on: test.ok}}",
            'the log has no event of type "test.ok" [unknown-type]',
        ),
        (
            "trigger: {event: {event: test.failed, where: event.tset == 1}}",
            'the only event of type "test.failed" does not have the field "tset", did you mean "test"? [unknown-field]',
        ),
        (
            "trigger: {event: test.*}, condition: event.context.line > 3",
            'none of the 2 events of type "test.failed" or "test.passed" has the field "context.line" [unknown-field]',
        ),
        (
            "trigger: {count: {event: test.failed, at_least: 2, within: 5m, group_by: file}}",
            'the only event of type "test.failed" does not have the field "file" [unknown-field]',
        ),
        (
            "trigger: {keywords: {any: [hi], field: text}}",
            'the only event of type "chat_message" does not have the field "text" [unknown-field]',
        ),
        (
            "trigger: {event: file.saved}, cooldown: 5m, cooldown_by: path",
            'the only event of type "file.saved" does not have the field "path" [unknown-field]',
        ),
        (
            "trigger: {event: test.failed}, condition: user.skil == 1",
            'no user.identify of the log brings the attribute "skil", did you mean "user.skill"? [unknown-field]',
        ),
    ],
)
def test_what_the_log_does_not_have_is_found(line: str, found: str) -> None:
    assert shown(f"id: a, message: hm, {line}") == [found]


@pytest.mark.parametrize(
    "line",
    [
        "trigger: {event: [test.run, test.failed]}",
        "trigger: {event: message.answered}, cooldown: 1m",
        'trigger: {event: test.*}, condition: event.context.file == "a.py" and event.took == null',
        "trigger: {event: test.failed}, condition: event.type == 'test.failed' or event.id == event.session",
        "trigger: {event: test.failed}, condition: defined(event.n) and event.n > 3",
        "trigger: {event: test.failed}, condition: 'default(user.level, 3) > 2 and user.id != \"x\"'",
        "trigger: [{event: test.failed}, {response: {to: b}}], condition: event.response == 1",
        "trigger: {inactivity: 5m}, condition: event.test == 't'",
        "trigger: {event: nothing}, mode: off",
        "trigger: {count: {event: test.failed, at_least: 2, within: 5m, group_by: [test, context.file]}}",
    ],
)
def test_what_it_has_or_need_not_have_is_not_found(line: str) -> None:
    assert shown(f"id: a, message: hm, {line}", "id: b, message: hm, trigger: {event: file.saved}") == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{{ event.tests }}", "tests"),
        ("{{ event.tests.upper() }}", "tests"),
        ("{{ event['tests'] }}", "tests"),
        ("{% for one in event.all %}{{ one }}{% endfor %}", "all"),
        ("{{ event.test.upper() }}", ""),
        ("{{ event.tests | default('') }}", ""),
        ("{% if event.tests is defined %}{{ event.tests }}{% endif %}", ""),
        ("{{ event.at.hour }} {{ trigger.kind }}", ""),
    ],
)
def test_templates_are_looked_at_too(text: str, field: str) -> None:
    found = shown(f'id: a, trigger: {{event: test.failed}}, message: {{type: question, text: "{text}"}}')
    assert [f'"{field}"' in one for one in found] == ([True] if field else [])


def test_data_and_variants_are_looked_at_where_they_stand() -> None:
    variants = "variants: [{id: x, text: Hm}, {id: y, text: Hm, data: {link: '{{ event.link }}'}}]"
    [found] = lint(
        rules(f"id: a, trigger: {{event: test.failed}}, message: {{type: question}}, {variants}"),
        [log_check(census())],
    )
    line = f"  - {{id: a, trigger: {{event: test.failed}}, message: {{type: question}}, {variants}}}"
    assert line[found.column - 1 :].startswith("data: {link")


def test_what_nobody_names_is_counted_the_most_frequent_first() -> None:
    loaded = rules("id: a, trigger: {event: test.failed}, message: hm")
    counted = Census([*census().of(census().counts), Event("file.saved", "bob", 0, {})])
    assert unseen_types(loaded, counted) == [("file.saved", 2), ("test.passed", 1), ("chat_message", 1)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("trigger: {event: {event: e, where: event.level == '3'}}",
         "\"event.level == '3'\" compares text with what is a number in every event of the log that has it; write 3"
         " without the quotes [other-kind]"),
        ("trigger: {event: e}, condition: 3 < event.name or event.x",
         '"3 < event.name" compares a number with what is text in every event of the log that has it; write "3", or'
         " compare float(event.name) [other-kind]"),
        ("trigger: {count: {event: e, where: event.level >= 'a', at_least: 2, within: 5m}}",
         "\"event.level >= 'a'\" compares text with what is a number in every event of the log that has it"
         " [other-kind]"),
        ("trigger: {event: e}, condition: \"event.level in ['1', '2']\"",
         "\"event.level in ['1', '2']\" compares text with what is a number in every event of the log that has it"
         " [other-kind]"),
        ("trigger: {event: e}, condition: event.level == 3", ""),
        ("trigger: {event: e}, condition: event.mixed == 3 or event.mixed == 'x' or event.none == 3", ""),
        ("trigger: {event: e}, condition: event.level == null or event.level != event.name", ""),
        ("trigger: {event: [e, f]}, condition: event.level == '3'", ""),
        ("trigger: {schedule: {every: 5m}}, condition: user.level == '3'", ""),
    ],
)  # fmt: skip
def test_another_kind_of_value_than_the_log_has_is_found(line: str, found: str) -> None:
    events = [
        Event("user.identify", "ann", 0, {"level": 3}),
        Event("e", "ann", 1, {"level": 3, "name": "x", "mixed": 3, "none": None, "x": True}),
        Event("e", "ann", 2, {"level": 2.5, "mixed": "x", "level2": 1}),
        Event("f", "ann", 3, {"level": "3"}),
    ]
    all_found = lint(rules(f"id: a, message: hm, {line}"), [log_check(Census(events))])
    assert "".join(str(one).partition(": ")[2] for one in all_found) == found


LASTED = "id: a, trigger: {session: {lasted: 30m}}, message: hm"


def within_session(line: str, timeout: str, events: list[Event]) -> list[str]:
    text = f"version: 1\npolicy: {{session_timeout: {timeout}}}\nrules:\n  - {{{line}}}\n"
    loaded = load({"r.yaml": text.replace("message: hm", "message: {type: question, text: Hm}")}, KINDS)
    return [str(found) for found in lint(loaded, [log_check(Census(events))]) if found.code == "within-session"]


@pytest.mark.parametrize(("timeout", "is_found"), [("29m59s", False), ("30m", True), ("30m1s", True)])
def test_a_session_lasts_for_its_timeout_after_a_single_event(timeout: str, is_found: bool) -> None:
    events = [Event("e", "ann", SECOND, {})]
    found = within_session(LASTED, timeout, events)
    assert bool(found) == is_found
    # So says the engine itself.
    text = f"version: 1\npolicy: {{session_timeout: {timeout}}}\nrules:\n  - {{{LASTED}}}\n"
    loaded = load({"r.yaml": text.replace("message: hm", "message: {type: question, text: Hm}")}, KINDS)
    [ran] = run_users(in_memory(events), [Timeline(loaded)], until=HOUR)
    assert bool(ran.evaluated[0].decisions) == is_found


def test_the_finding_says_what_to_do() -> None:
    assert within_session(LASTED, "1h", [Event("e", "ann", SECOND, {})]) == [
        "r.yaml:4:23: the log has no session.start, and a session that nobody opened ends 1h after its last event"
        ' (session_timeout): 30m have passed after a single event; wait for longer than "session_timeout",'
        " or shorten it [within-session]"
    ]


def test_sessions_that_somebody_opens_may_last_for_less() -> None:
    assert (
        within_session(LASTED, "1h", [Event("session.start", "ann", SECOND, {}), Event("e", "ann", SECOND, {})]) == []
    )
    assert within_session(LASTED.replace("lasted", "returned_after"), "1h", [Event("e", "ann", SECOND, {})]) == []
    assert within_session(LASTED + ", mode: off", "1h", [Event("e", "ann", SECOND, {})]) == []
