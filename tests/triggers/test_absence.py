"""Absence against a naive reading of the page: for every event that could arm it, scan what came before and after."""

from __future__ import annotations

from functools import cache

import naive
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply
from engine.core.groups import GROUPS_MAX
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import STATE_BYTES_MAX, UserState
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.triggers import KINDS

WITHIN = 3 * MINUTE
TIMEOUT = 5 * MINUTE
MATCHERS: dict[str, naive.Test] = {
    "a": lambda event: event.type == "a",
    "[a, b]": lambda event: event.type in ("a", "b"),
    "{event: a, where: event.n == 2}": lambda event: event.type == "a" and event.data["n"] == 2,
    "b": lambda event: event.type == "b",
    "'*'": lambda event: True,
}


@cache
def rule_set(written: str, timeout: str = "5m") -> RuleSet:
    page = f"""
version: 1
policy: {{simultaneous: 100, session_timeout: {timeout}}}
rules: [{{id: missed, trigger: {{absence: {{{written}}}}}, message: {{type: question, text: x}}}}]
"""
    return load({"rules.yaml": page}, KINDS)


def decisions_of(
    rules: RuleSet, events: list[Event], until: int, *, written: bool = False
) -> tuple[list[Decision], UserState]:
    """``written``: the state is written and read again between any two events."""
    state, decisions = UserState("ann"), list[Decision]()
    for event in events:
        apply(Timeline(rules), state, event, decisions)
        if written:
            state = UserState.decode(state.encode())
    advance(Timeline(rules), state, until, decisions)
    return decisions, state


@settings(max_examples=500, deadline=None)
@given(
    naive.histories([WITHIN, TIMEOUT], ("a", "a", "b", "c"), sessions=True),
    st.sampled_from(list(MATCHERS)),
    st.sampled_from(list(MATCHERS)),
    st.booleans(),
    st.sampled_from((0, 1, WITHIN - 1, WITHIN, 2 * TIMEOUT)),
    st.booleans(),
)
def test_it_misses_what_the_page_says(
    events: list[Event], after: str, no: str, grouped: bool, later: int, written: bool
) -> None:
    group_by = ", group_by: g" if grouped else ""
    until = (events[-1].at if events else naive.START) + later
    rules = rule_set(f"after: {after}, no: {no}, within: 3m{group_by}")
    decisions, _ = decisions_of(rules, events, until, written=written)
    fired = naive.absence_firings(
        events,
        MATCHERS[after],
        MATCHERS[no],
        (lambda event: event.data.get("g")) if grouped else (lambda event: "all"),
        WITHIN,
        TIMEOUT,
        until,
    )
    # Of those due at one moment the first armed speaks for all.
    first: dict[int, str] = {}
    for moment, event_id in fired:
        first.setdefault(moment, event_id)
    assert [(made.at, made.event_id) for made in decisions] == list(first.items())
    assert all(("group" in made.trigger) == grouped for made in decisions)


def asked(number: int, **data: object) -> Event:
    return Event("a", "ann", naive.START + number, dict(data), f"e{number}")


def test_beyond_the_bound_the_group_armed_first_is_forgotten() -> None:
    rules = rule_set("after: a, no: b, within: 3m, group_by: g")
    until = naive.START + 2 * WITHIN
    few, _ = decisions_of(rules, [asked(number, g=number) for number in range(GROUPS_MAX)], until)
    many, _ = decisions_of(rules, [asked(number, g=number) for number in range(GROUPS_MAX + 1)], until)
    assert [made.event_id for made in few] == [f"e{number}" for number in range(GROUPS_MAX)]
    assert [made.event_id for made in many] == [f"e{number}" for number in range(1, GROUPS_MAX + 1)]


def test_the_memory_of_one_trigger_is_bounded_however_large_the_events() -> None:
    rules = rule_set("after: a, no: b, within: 3m, group_by: g")
    events = [asked(number, g=number, text="x" * 500, more=["y" * 50] * 100) for number in range(2 * GROUPS_MAX)]
    _, state = decisions_of(rules, events, naive.START)
    assert len(state.encode()) < STATE_BYTES_MAX // 2


def test_nothing_is_remembered_once_it_has_fired_or_is_disarmed() -> None:
    rules = rule_set("after: a, no: b, within: 3m")
    _, state = decisions_of(rules, [asked(0)], naive.START + WITHIN)
    assert state.memory == {}
    _, state = decisions_of(rules, [asked(0), Event("b", "ann", naive.START + 1, {})], naive.START + 1)
    assert state.memory == {}
