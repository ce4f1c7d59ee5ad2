"""Why a rule spoke or did not: what is told is so, and a change that is shown really makes it speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.loading.patch import patch
from engine.replay.activity import in_memory
from engine.replay.driver import replay
from engine.replay.why import Account, Asked, NothingKnown, account
from engine.replay.why_text import as_json, text
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
MESSAGE = 'message: {type: question, text: "{{ event.test | default(\'x\') }}", options: ["Yes", "No"]}'


def rules_of(*rules: str, policy: str = "") -> dict[str, str]:
    """One file; each rule without its braces, "r" the first."""
    written = "\n".join(f"  - {{id: {'rst'[number]}, {rule}, {MESSAGE}}}" for number, rule in enumerate(rules))
    return {"rules.yaml": f"version: 1\n{policy}\nrules:\n{written}\n"}


def happened(second: float, event_type: str, session: str | None = None, **data: Any) -> Event:
    return Event(event_type, "ann", START + round(second * SECOND), data, f"e{second}", session)


def asked(
    rules: dict[str, str],
    events: Sequence[Event],
    at: float | None = None,
    until: float | None = None,
    around: int = 60,
) -> Account:
    moment = None if at is None else START + round(at * SECOND)
    end = None if until is None else START + round(until * SECOND)
    question = Asked("r", "ann", moment, around * MINUTE)
    return account(in_memory(events), Timeline(load(rules, KINDS)), question, end)


def sent_with(rules: dict[str, str], events: Sequence[Event], change: Any, until: int) -> list[Decision]:
    """What the rule sends with the change that was told, made by hand."""
    sources = rules
    for edit in change["set"]:
        sources = patch(sources, edit["path"], edit["value"], KINDS)
    kept = list(events)
    for gone in change["removed"]:
        kept.remove(next(one for one in kept if (one.type, one.id) == (gone["type"], gone["id"])))
    kept += [
        Event(one["type"], "ann", parse_at(one["at"]), one["data"], one["id"], one["session"])
        for one in change["added"]
    ]
    end = max(until, *(event.at for event in kept)) if kept else until
    made = replay(in_memory(kept), Timeline(load(sources, KINDS)), end).by_user.get("ann", [])
    return [decision for decision in made if decision.rule == "r" and decision.outcome == "sent"]


def on_one_line(found: Account) -> str:
    return " ".join(" ".join(text(found)).split())


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
TWO = [happened(0, "note", test="a"), happened(300, "note", test="b")]
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


def test_a_change_that_opens_one_gate_is_followed_by_one_for_the_next() -> None:
    sources = rules_of("trigger: {event: note}, cooldown: 10m, max: {max: 1, per: day}")
    found = asked(sources, TWO, at=300, around=1)
    assert [step.text for step in found.remedies[0].steps] == [
        "cooldown: 5m instead of 10m",
        "max: 2 instead of 1 per day",
    ]
    assert [verdict.gate for verdict in found.sights[0].gates if verdict.reason is not None] == ["cooldown", "cap"]


def test_what_waited_for_a_moment_in_vain_goes_with_the_moment_or_without() -> None:
    sources = rules_of("trigger: {event: note}, deliver: {at: save, within: 1m, otherwise: drop}")
    told = [[step.text for step in remedy.steps] for remedy in asked(sources, TWO, until=600).remedies]
    assert told == [["one more save, at 2026-03-27T10:05:01Z"], ["deliver.otherwise: send"], ["no deliver"]]


def test_of_events_that_have_to_differ_it_is_said_in_what() -> None:
    sources = rules_of("trigger: {count: {event: note, at_least: 3, within: 10m, distinct: test}}")
    more = asked(sources, TWO[:1], until=60).remedies[1]
    assert more.steps[0].text == (
        '2 more note with test = "new 1" and so on, each with another test, before 2026-03-27T10:10:00Z'
    )
    assert [event.data for event in more.steps[0].added] == [{"test": "new 1"}, {"test": "new 2"}]


@pytest.mark.parametrize(
    ("rule", "policy", "change", "edit"),
    [
        ("max: {max: 1, per: 1h}", "", "max: 4 instead of 1 per 1h", ("r.max.max", "4")),
        (
            "budget: b",
            "policy: {budgets: {b: {limits: {max: 1, per: 1h}}}}",
            "budget b: max 5 instead of 1 per 1h, in the policy",
            ("policy.budgets.b.limits.max", "5"),
        ),
    ],
)
def test_a_number_that_lets_others_through_before_is_raised_until_it_does(
    rule: str, policy: str, change: str, edit: tuple[str, str]
) -> None:
    """What comes before takes what is added first. It is one change all the same, of what is written."""
    sources = rules_of(f"trigger: {{event: note}}, {rule}", policy=policy)
    notes = [happened(second, "note") for second in (0, *((5,) if policy else ()), 10, 20, 30)]
    found = asked(sources, notes, at=30, around=1)
    first = found.remedies[0]
    assert ([step.text for step in first.steps], first.edits) == ([change], (edit,))
    last = sent_with(sources, notes, as_json(found)["changes"][0], notes[-1].at)[-1]
    assert last.at == notes[-1].at


def test_where_no_way_is_found_past_a_gate_the_candidate_is_told_of() -> None:
    # What is said to nobody is not said whatever the rule says: two more gates than are tried.
    policy = 'policy: {holdout: 100%, quiet_hours: {all: {from: "00:00", to: "23:59"}}}'
    sources = rules_of(
        "trigger: {event: {event: note, where: event.n > 1}}, warmup: 10m, condition: [false, not true]", policy=policy
    )
    found = asked(sources, [happened(0, "note", n=1)])
    assert found.remedies
    assert not any(remedy.is_whole for remedy in found.remedies)
    assert "would have made a candidate, though no message" in on_one_line(found)


def test_of_a_message_that_is_to_be_written_the_prompt_is_told() -> None:
    sources = {
        "rules.yaml": rules_of("trigger: {event: note}")["rules.yaml"].replace(
            "question,", "question, compose: 'Ask  {{ event.n }}.',"
        )
    }
    found = asked(sources, [happened(0, "note", n=1)], at=0)
    assert 'to be written by "Ask 1."' in on_one_line(found)
    assert as_json(found)["candidates"][0]["prompt"] == "Ask  1."
    assert as_json(asked(rules_of("trigger: {event: note}"), [happened(0, "note")]))["candidates"][0]["prompt"] is None


def test_for_a_sequence_the_steps_are_told_and_for_a_count_what_it_counted() -> None:
    sources = rules_of("trigger: {sequence: {steps: [a, b], within: 5m}}")
    events = [happened(0, "a", test=1), happened(5, "c"), happened(9, "b", test=2)]
    [sight] = asked(sources, events, at=9).sights
    assert [event.id for event in sight.made_by] == ["e0", "e9"]
    sources = rules_of("trigger: {count: {event: a, at_least: 3, within: 1m, group_by: g, distinct: v}}")
    events = [happened(second, "a", g=second % 2, v=second // 4) for second in range(10)]
    [first, second] = asked(sources, events).sights
    assert [event.id for event in first.made_by] == ["e2", "e6", "e8"]
    assert [event.id for event in second.made_by] == ["e3", "e7", "e9"]


def test_what_became_of_a_held_message_is_told_with_it() -> None:
    sources = rules_of("trigger: {event: note}, deliver: {at: save, within: 2m}")
    [first, second] = asked(sources, [*TWO, happened(310, "save")], until=900).sights
    assert [(one.at - START, one.outcome) for one in (first.decision, *first.later)] == [
        (0, "held"),
        (120 * SECOND, "sent"),
    ]
    assert second.sent is not None
    assert second.sent.at == START + 310 * SECOND


def test_a_span_is_cut_to_whole_seconds_that_have_passed() -> None:
    notes = [happened(0, "note"), happened(299.9, "note")]
    found = asked(rules_of("trigger: {event: note}, cooldown: 10m"), notes, at=299.9, around=1)
    assert found.remedies[0].steps[0].text == "cooldown: 4m59s instead of 10m"


def test_what_was_sent_by_the_same_input_stands_among_the_gates() -> None:
    found = asked(rules_of("trigger: {event: note}", "trigger: {event: note}, priority: 5"), TWO, at=0, around=1)
    [told] = [verdict.reason for verdict in found.sights[0].gates if verdict.reason is not None]
    assert told == found.sights[0].decision.reason
    # What another input sent at the same moment does not.
    again = [happened(0, "other"), happened(0, "note")]
    found = asked(rules_of("trigger: {event: note}", "trigger: {event: other}"), again)
    assert [verdict.reason for verdict in found.sights[0].gates] == [None] * 10


def test_what_came_to_a_candidate_in_the_end_is_no_miss() -> None:
    sources = rules_of("trigger: {count: {event: note, at_least: 3, within: 10m}}")
    notes = [happened(second, "note") for second in (0, 10, 20, 900, 910, 920, 5000, 9000)]
    found = asked(sources, notes)
    assert len(found.sights) == 2
    assert [(miss.text, miss.at - START) for miss in found.misses] == [("1 of 3 in 10m", 9000 * SECOND)]


@pytest.mark.parametrize(
    ("rule", "events", "at"),
    [
        (
            "trigger: {count: {event: note, at_least: 3, within: 10m, reset_on: done}}",
            [(0, "note"), (10, "note"), (20, "done"), (30, "note"), (40, "note"), (50, "done")],
            40,
        ),
        (
            "trigger: {count: {event: note, at_least: 3, within: 10m}}",
            [(0, "note"), (10, "note"), (20, "note"), (100, "note"), (110, "note")],
            110,
        ),
    ],
    ids=["reset", "it fired"],
)
def test_what_came_before_a_window_was_emptied_counts_no_more(
    rule: str, events: list[tuple[int, str]], at: int
) -> None:
    """What is left in the window is the miss, and what had been in it does not hide it."""
    sources, happenings = rules_of(rule), [happened(second, kind) for second, kind in events]
    for found in (asked(sources, happenings), asked(sources, happenings, at=at, around=1)):
        assert [(miss.text, miss.at - START) for miss in found.misses][:1] == [("2 of 3 in 10m", at * SECOND)]
        assert [len(miss.events) for miss in found.misses] == [2]


@pytest.mark.parametrize(
    ("kind", "moments", "within"),
    [
        # Where the window takes in all, the first three fill it, and the two in the middle are taken apart.
        ("count: {event: note, at_least: 3", [0, 70, 140, 141, 205, 400], "1m6s"),
        ("count: {event: note, at_least: 2", [0, 60], "1m1s"),
        ("count: {event: note, at_least: 2", [0, 60.5], "1m1s"),
        ("sequence: {steps: [note, note]", [0, 61], "1m1s"),
        ("sequence: {steps: [note, note]", [0, 60.5, 200, 260.001], "1m1s"),
    ],
)
def test_of_spans_that_would_do_the_shortest_is_told_in_whole_seconds(
    kind: str, moments: list[float], within: str
) -> None:
    sources = rules_of(f"trigger: {{{kind}, within: 1m}}}}")
    events = [happened(second, "note") for second in moments]
    told = [change for change in as_json(asked(sources, events))["changes"] if "within" in change["steps"][0]]
    assert [change["steps"] for change in told] == [[f"within: {within} instead of 1m"]]
    assert sent_with(sources, events, told[0], events[-1].at)
    shorter = {**told[0], "set": [{**told[0]["set"][0], "value": "1m5s" if within == "1m6s" else "1m"}]}
    assert not sent_with(sources, events, shorter, events[-1].at)


def test_only_what_is_near_the_moment_is_told_of() -> None:
    sources = rules_of("trigger: {event: note}")
    assert [sight.at for sight in asked(sources, TWO, at=240, around=1).sights] == [START + 300 * SECOND]
    assert asked(sources, TWO, at=239, around=1).sights == ()
    assert asked(sources, TWO, at=239, around=1).made == 2


def test_a_rule_that_is_off_is_told_to_be_switched_on() -> None:
    found = asked(rules_of("trigger: {event: note}, mode: off"), TWO)
    assert found.remedies[0].steps[0].text == "mode: live instead of off"


def test_somebody_whom_the_log_does_not_know_is_refused() -> None:
    timeline = Timeline(load(rules_of("trigger: {event: note}"), KINDS))
    with pytest.raises(NothingKnown, match='the log has no user "bob"'):
        account(in_memory(TWO), timeline, Asked("r", "bob"))
    with pytest.raises(NothingKnown, match="runs from 2026-03-27T10:00:00Z to 2026-03-27T10:05:00Z"):
        account(in_memory(TWO), timeline, Asked("r", "ann", START - 5 * MINUTE, MINUTE))


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
