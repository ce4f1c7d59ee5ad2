"""Why a rule spoke or did not: what is told is so, and a change that is shown really makes it speak."""

from __future__ import annotations

import pytest
from asked_why import START, TWO, asked, happened, on_one_line, rules_of, sent_with
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.units import SECOND, parse_at
from engine.replay.why_text import as_json

FAILED = [happened(60 * minute, "test.failed", test="t1") for minute in (0, 2)]


# (rule, events, seconds that time runs, what the nearest miss is, the smallest change)
MISSES: list[tuple[str, list[Event], float, str, str]] = [
    (
        "trigger: {count: {event: test.failed, at_least: 3, within: 10m, group_by: test}}",
        [*FAILED, happened(180, "test.failed", test="t2")],
        300,
        'count: 2 of 3 in 10m of "t1"',
        'one more test.failed with test = "t1", before 2026-03-27T10:10:00Z',
    ),
    (
        "trigger: {sequence: {steps: [file.opened, test.failed, test.passed], within: 5m}}",
        [happened(0, "file.opened"), happened(10, "test.failed")],
        400,
        "sequence: 2 of 3 steps in 5m",
        "one more test.passed, before 2026-03-27T10:05:00.001Z",
    ),
    (
        "trigger: {inactivity: 5m}",
        [happened(0, "file.saved"), happened(288, "file.saved"), happened(300, "session.end")],
        300,
        "inactivity: idle 4m48s of 5m when file.saved came",
        "for: 4m48s instead of 5m",
    ),
    (
        "trigger: {keywords: {any: [install], event: chat_message}}",
        [happened(0, "chat_message", message="good morning")],
        60,
        "keywords: chat_message came, and the text has none of the words",
        'one more chat_message with message = "install", at 2026-03-27T10:00:01Z',
    ),
    (
        "trigger: {absence: {after: test.failed, no: test.passed, within: 5m}}",
        [happened(0, "test.failed"), happened(120, "test.passed")],
        400,
        "absence: waited 2m of 5m when test.passed came",
        "within: 2m instead of 5m",
    ),
    (
        "trigger: {event: build, where: event.level >= 3}",
        [happened(0, "build", level=2)],
        60,
        "event: build came, and the where does not hold: event.level >= 3 (event.level is 2)",
        "one more build with level = 3, at 2026-03-27T10:00:01Z",
    ),
    (
        'trigger: {schedule: {at: ["10:31"]}}',
        [happened(0, "file.saved"), happened(60, "session.start", "s"), happened(90, "session.end", "s")],
        3600,
        "schedule: it came at 2026-03-27T10:31:00Z, when the user was absent",
        "one more file.saved, at 2026-03-27T10:30:59Z",
    ),
    (
        "trigger: {schedule: {every: 20m}}",
        [happened(0, "session.start", "s"), happened(900, "session.end", "s")],
        3600,
        "schedule: present for 15m of 20m when the user left",
        "every: 15m instead of 20m",
    ),
    (
        "trigger: {session: {lasted: 20m}}",
        [happened(0, "session.start", "s"), happened(900, "session.end", "s")],
        3600,
        "session: lasted 15m of 20m when the user left",
        "lasted: 15m instead of 20m",
    ),
    (
        "trigger: {session: {returned_after: 20m}}",
        [happened(0, "session.start", "s"), happened(60, "session.end", "s"), happened(660, "session.start", "s")],
        700,
        "session: away 10m of 20m when the user came back",
        "returned_after: 10m instead of 20m",
    ),
]


@pytest.mark.parametrize(("rule", "events", "until", "miss", "change"), MISSES, ids=[case[3] for case in MISSES])
def test_the_nearest_miss_is_told_and_the_smallest_change(
    rule: str, events: list[Event], until: float, miss: str, change: str
) -> None:
    rules = rules_of(rule)
    found = asked(rules, events, until=until)
    assert found.sights == ()
    assert miss in on_one_line(found)
    assert found.remedies[0].steps[0].text == change
    for told in as_json(found)["changes"]:
        assert sent_with(rules, events, told, found.end)


# (rules, policy, events, the outcome of the last candidate, the smallest change)
CLOSED: list[tuple[list[str], str, list[Event], str, str]] = [
    (["trigger: {event: note}, cooldown: 10m"], "", TWO, "cooldown", "cooldown: 5m instead of 10m"),
    (["trigger: {event: note}, warmup: 10m"], "", TWO, "warmup", "warmup: 5m instead of 10m"),
    (["trigger: {event: note}, max: {max: 1, per: 1h}"], "", TWO, "cap", "max: 2 instead of 1 per 1h"),
    (
        ["trigger: {event: note}, max: [{max: 5, per: day}, {max: 1, per: session}]"],
        "", TWO, "cap", "max: 2 instead of 1 per session",
    ),
    (
        ["trigger: {event: note}, condition: session.events >= 7"],
        "", TWO, "condition", "condition: session.events >= 2 instead of session.events >= 7",
    ),
    (
        ["trigger: {event: note}, condition: session.age > 8m"],
        "", TWO, "condition", "condition: session.age > 4m59s instead of session.age > 8m",
    ),
    (
        ['trigger: {event: note}, condition: event.test == "c"'],
        "", TWO, "condition", 'drop the condition event.test == "c"',
    ),
    (
        ["trigger: {event: note}", "trigger: {event: note}, priority: 5"],
        "", TWO, "outranked", "priority: 5 instead of 0",
    ),
    (
        ["trigger: {event: note}"],
        'policy: {quiet_hours: {lunch: {from: "10:00", to: "11:00"}}}', TWO, "quiet_hours", "urgent: true",
    ),
    (
        ["trigger: {event: note}"],
        "policy: {budgets: {all: {limits: {max: 1, per: 1h}}}}",
        TWO, "budget", "budget all: max 2 instead of 1 per 1h, in the policy",
    ),
    (["trigger: {event: note}, holdout: 100%"], "", TWO, "holdout", "holdout: 0%"),
    (
        ["trigger: {event: session.end}"],
        "", [happened(0, "session.start", "s"), happened(9, "session.end", "s")], "absent", "offline: keep",
    ),
    (
        ["trigger: {event: note}"],
        "", [happened(0, "user.preferences", mute=["r"]), *TWO], "muted",
        'one more user.preferences with unmute = ["r"], a second before',
    ),
    (["trigger: {event: note}, level: more"], "", TWO, "muted",
     'one more user.preferences with level = "more", a second before'),
    (
        ["trigger: {event: note}, deliver: {at: save, within: 1m, otherwise: drop}"],
        "", TWO, "expired", "one more save, at 2026-03-27T10:05:01Z",
    ),
    (["trigger: {event: note}, mode: shadow"], "", TWO, "shadow", "mode: live instead of shadow"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "policy", "events", "outcome", "change"), CLOSED, ids=[case[4] for case in CLOSED])
def test_what_closed_a_gate_is_opened_by_the_smallest_change(
    rules: list[str], policy: str, events: list[Event], outcome: str, change: str
) -> None:
    sources = rules_of(*rules, policy=policy)
    found = asked(sources, events, at=300, until=600, around=1)
    if not found.sights:
        found = asked(sources, events, until=600)
    assert found.sought is not None
    assert found.sought.last.outcome == outcome
    assert [step.text for step in found.remedies[0].steps] == [change]
    for told in as_json(found)["changes"]:
        # Whoever leaves the log out of account has to see the same moment.
        assert any(sent.at >= found.sought.at for sent in sent_with(sources, events, told, found.end))


KIND_RULES = [case[0] for case in MISSES] + [
    "trigger: {count: {event: test.failed, at_least: 2, within: 1m, reset_on: test.passed, distinct: test}}",
    "trigger: {inactivity: {for: 3m, after: test.failed}}, cooldown: 10m",
    "trigger: {response: {to: s, is: [Yes, dismissed]}}",
    "trigger: {session: end}, offline: keep",
    "trigger: [{event: build}, {inactivity: 4m}], warmup: 2m, condition: session.events >= 3",
    "trigger: {event: test.failed}, deliver: {quiet_for: 30s, within: 2m, cancel_on: test.passed}, warmup: 1m",
]
TYPES = (
    "test.failed",
    "test.passed",
    "file.opened",
    "file.saved",
    "chat_message",
    "build",
    "session.start",
    "session.end",
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(TYPES),
        st.sampled_from([0, 1, 30, 59, 60, 61, 150, 299, 300, 301, 700, 1900]),
        st.sampled_from(["t1", "t2"]),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=12,
)


@given(
    rule=st.sampled_from(KIND_RULES),
    drawn=EVENTS,
    at=st.none() | st.sampled_from([0, 300, 1200]),
    rest=st.sampled_from([0, 400]),
)
def test_a_change_that_is_told_makes_the_rule_speak_when_it_is_made_by_hand(
    rule: str, drawn: list[tuple[str, int, str, int]], at: int | None, rest: int
) -> None:
    sources = rules_of(rule, "trigger: {event: test.failed}, cooldown: 2m", policy="policy: {simultaneous: 2}")
    events, second = [], 0
    for number, (event_type, gap, test, level) in enumerate(drawn):
        second += gap
        data = {"test": test, "level": level, "message": "hello there"}
        session = "s" if event_type.startswith("session.") else None
        events.append(Event(event_type, "ann", START + second * SECOND, data, f"e{number}", session))
    until = second + rest
    first = drawn[0][1]
    found = asked(sources, events, None if at is None else min(max(at, first), until), until, around=10)
    for told in as_json(found)["changes"]:
        moments = [(sent.at, sent.message.text) for sent in sent_with(sources, events, told, found.end) if sent.message]
        if told["outcome"] == "sent":
            assert (parse_at(told["at"]), told["message"]) in moments
