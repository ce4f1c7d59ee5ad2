"""What triggers remember: a new trigger goes on as if it had been there all along."""

from __future__ import annotations

from functools import cache
from typing import Any

import naive
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.triggers import KINDS

SPAN = 3 * MINUTE
TRIGGERS = [
    "{inactivity: {for: 3m, after: {event: a, where: event.n == 1}}}",
    "{count: {event: a, at_least: 2, within: 3m, group_by: g, reset_on: {event: b, where: event.n == 2}}}",
    "{count: {event: [a, b], at_least: 2, within: 3m, distinct: v}}",
    "{sequence: {steps: [a, b, a], within: 3m, without: {event: b, where: event.n == 2}}}",
    "{sequence: {steps: [a, a], within: 3m, group_by: g}}",
    "{absence: {after: a, no: b, within: 3m}}",
    "{absence: {after: a, no: [a, b], within: 3m, group_by: [g, n]}}",
]


@cache
def rule_set(trigger: str | None) -> RuleSet:
    page = "version: 1\npolicy: {simultaneous: 100, session_timeout: 5m}\n"
    if trigger is not None:
        page += f"rules: [{{id: new, trigger: {trigger}, message: {{type: question, text: x}}}}]\n"
    return load({"rules.yaml": page}, KINDS)


def decisions_of(timeline: Timeline, events: list[Event], until: int) -> list[Decision]:
    decisions: list[Decision] = []
    run(timeline, UserState("ann"), events, until, decisions)
    return decisions


@pytest.mark.parametrize("trigger", TRIGGERS)
@settings(max_examples=100, deadline=None)
@given(events=naive.histories([SPAN, 5 * MINUTE], ("a", "a", "b"), sessions=True), data=st.data())
def test_a_new_trigger_remembers_what_it_would_if_it_had_been_there_all_along(
    trigger: str, events: list[Event], data: st.DataObject
) -> None:
    moments = [naive.START, *(event.at for event in events)]
    at = data.draw(st.sampled_from(moments)) + data.draw(st.sampled_from((0, 1, MINUTE, SPAN - 1, SPAN, SPAN + 1)))
    until = max(moments) + 2 * SPAN
    all_along = decisions_of(Timeline(rule_set(trigger)), events, until)
    past = [event for event in events if event.at < at]
    timeline = Timeline(rule_set(None), history=lambda user, moment: past)
    timeline.add(at, rule_set(trigger))
    adopted = decisions_of(timeline, events, until)
    assert [fired(made) for made in adopted] == [fired(made) for made in all_along if made.at >= at]


def fired(decision: Decision) -> tuple[int, str, dict[str, Any]]:
    """All of a decision but what depends on how many messages there have been."""
    return decision.at, decision.event_id, decision.trigger


@pytest.mark.parametrize("left", [False, True])
def test_what_was_armed_before_the_user_left_is_not_armed_though_the_past_begins_later(left: bool) -> None:
    # The session that ends was opened by an event beyond the past that is known.
    known = [Event("a", "ann", naive.START + 1, {}, "e1")]
    if left:
        known.append(Event("session.end", "ann", naive.START + 2, {}, "e2", "s1"))
    known.append(Event("session.start", "ann", naive.START + 3, {}, "e3", "s2"))
    events = [Event("session.start", "ann", naive.START, {}, "e0", "s1"), *known]
    timeline = Timeline(rule_set(None), history=lambda user, moment: known)
    timeline.add(naive.START + MINUTE, rule_set("{absence: {after: a, no: b, within: 3m}}"))
    made = decisions_of(timeline, events, naive.START + 2 * SPAN)
    assert [decision.event_id for decision in made] == ([] if left else ["e1"])


LARGE = """
version: 1
rules:
"""


def test_the_large_events_of_many_groups_of_many_rules_do_not_make_a_state_too_large() -> None:
    """A user whose state cannot be written is stuck: not even the end of their session would be taken in."""
    kinds = (
        "{sequence: {steps: [a, b], within: 1d, group_by: g}}",
        "{sequence: {steps: [a, b, c], within: 1d, group_by: g}}",
        "{absence: {after: a, no: b, within: 1d, group_by: g}}",
    )
    rules = "".join(
        f"  - {{id: r{number}, trigger: {kinds[number % 3]}, message: {{type: question, text: x}}}}\n"
        for number in range(24)
    )
    timeline = Timeline(load({"rules.yaml": LARGE + rules}, KINDS))
    text = "x" * 1000
    state = UserState("ann")
    data = {f"field{place}": text for place in range(8)}
    events = [Event("a", "ann", number, {"g": number, **data}) for number in range(120)]
    run(timeline, state, events, 120, [])
    assert len(state.memory) == 24
    assert UserState.decode(state.encode()).encode() == state.encode()
