"""What is told of why a rule spoke or did not, one matter after the other: gates, steps, counts, moments, spans."""

from __future__ import annotations

import pytest
from asked_why import START, TWO, asked, happened, on_one_line, rules_of, sent_with

from engine.core.rules import Timeline
from engine.core.units import MINUTE, SECOND
from engine.loading.load import load
from engine.replay.activity import in_memory
from engine.replay.why import Asked, NothingKnown, account
from engine.replay.why_text import as_json
from engine.triggers import KINDS


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
