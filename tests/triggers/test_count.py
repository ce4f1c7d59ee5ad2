"""Counting against a naive reading of the page: at every event, scan all that has happened."""

from __future__ import annotations

from typing import Any

import naive
import one_rule
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.groups import GROUPS_MAX
from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.state import STATE_BYTES_MAX
from engine.core.units import MINUTE, from_datetime
from engine.loading.diagnostic import RuleErrors
from engine.triggers.count import COUNT_MAX, MOMENTS_MAX, VALUES_MAX

WITHIN = 3 * MINUTE


def rule_set(written: str) -> RuleSet:
    return one_rule.rule_set("many", "count", written)


@settings(max_examples=400, deadline=None)
@given(
    naive.histories([WITHIN], ("a", "a", "b")),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(("", "group_by: g", "group_by: [g, n]")),
    st.sampled_from(("", "reset_on: b", "reset_on: {event: [a, b], where: event.n == 2}")),
    st.booleans(),
)
def test_it_counts_as_the_page_says(
    events: list[Event], count: int, distinct: bool, group_by: str, reset_on: str, written: bool
) -> None:
    parts = (f"event: a, at_least: {count}, within: 3m", group_by, reset_on, "distinct: v" if distinct else "")
    decisions, _ = one_rule.decisions_of(rule_set(", ".join(filter(None, parts))), events, written=written)

    def resets(event: Event) -> bool:
        return event.type == "b" if reset_on == "reset_on: b" else bool(reset_on) and event.data["n"] == 2

    expected = naive.count_firings(
        events,
        lambda event: event.type == "a",
        resets,
        {"": lambda _: "all", "group_by: g": group, "group_by: [g, n]": group_and_n}[group_by],
        (lambda event: event.data.get("v")) if distinct else None,
        count,
        WITHIN,
    )
    assert [(made.event_id, from_datetime(made.trigger["first_at"])) for made in decisions] == expected
    assert {made.trigger["count"] for made in decisions} <= {count}
    assert all(("group" in made.trigger) == bool(group_by) for made in decisions)


def group(event: Event) -> Any:
    return event.data.get("g")


def group_and_n(event: Event) -> Any:
    return (event.data["g"], event.data["n"]) if "g" in event.data else None


def opened(number: int, **data: Any) -> Event:
    return Event("a", "ann", naive.START + number, data)


def test_nothing_is_remembered_once_the_window_is_empty() -> None:
    rules = rule_set("event: a, at_least: 2, within: 3m, group_by: g, reset_on: b")
    _, state = one_rule.decisions_of(rules, [opened(0, g="x"), opened(1, g="x")])
    assert state.memory == {}
    _, state = one_rule.decisions_of(rules, [opened(0, g="x"), Event("b", "ann", naive.START, {"g": "x"})])
    assert state.memory == {}


@pytest.mark.parametrize(("others", "fires"), [(GROUPS_MAX - 1, True), (GROUPS_MAX, False)])
def test_beyond_the_bound_the_group_left_alone_longest_is_forgotten(others: int, fires: bool) -> None:
    rules = rule_set("event: a, at_least: 3, within: 3m, group_by: g")
    # The group is touched after another that was there before it.
    events = [opened(0, g="x"), opened(1, g="first"), opened(2, g="x")]
    events += [opened(3 + number, g=number) for number in range(others - 1)]
    events += [opened(1000, g="last"), opened(1001, g="x")] if not fires else [opened(1001, g="x")]
    decisions, _ = one_rule.decisions_of(rules, events)
    assert bool(decisions) == fires


@pytest.mark.parametrize(("distinct", "remembered"), [("", MOMENTS_MAX), (", distinct: v", VALUES_MAX)])
def test_the_memory_of_one_trigger_is_bounded_however_far_it_counts(distinct: str, remembered: int) -> None:
    rules = rule_set(f"event: a, at_least: {COUNT_MAX}, within: 9d, group_by: g{distinct}")
    values = range(COUNT_MAX - 1)
    groups = range(remembered // COUNT_MAX + 1)
    events = [opened(0, g=f"{number}" + "g" * 250, v=f"{value:0255}") for number in groups for value in values]
    decisions, state = one_rule.decisions_of(rules, events)
    assert decisions == []
    (memory,) = state.memory.values()
    assert sum(map(len, memory.values())) == remembered // COUNT_MAX * (COUNT_MAX - 1)
    assert len(state.encode()) < STATE_BYTES_MAX


@pytest.mark.parametrize("count", [0, COUNT_MAX + 1])
def test_what_cannot_be_counted_to_is_refused(count: int) -> None:
    with pytest.raises(RuleErrors, match=f"expected a whole number from 1 to {COUNT_MAX}, got {count}"):
        rule_set(f"event: a, at_least: {count}, within: 3m")


def test_rules_for_other_literals_are_not_asked() -> None:
    (rule,) = rule_set('event: a, where: event.g == "x", at_least: 2, within: 3m')
    assert rule.triggers[0].equality == ("g", "x")
    (rule,) = rule_set('event: a, where: event.g == "x", at_least: 2, within: 3m, reset_on: b')
    assert rule.triggers[0].equality is None
