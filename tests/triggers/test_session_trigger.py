"""Sessions against a naive reading of the page, and what the vectors of `session` do not show."""

from __future__ import annotations

from typing import Any

import naive
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply, run
from engine.core.model import Decision, Event
from engine.core.rules import Policy, RuleSet, Timeline, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, to_timedelta
from engine.loading.load import load
from engine.triggers import KINDS
from engine.triggers.session import KIND

START = naive.START
TIMEOUT, AWAY, LASTED = 5 * MINUTE, 3 * MINUTE, 4 * MINUTE
PAGE = """
version: 1
policy: {session_timeout: 5m, simultaneous: 100}
defaults: {offline: keep}
rules:
  - {id: start, trigger: {session: start}, message: {type: tip, data: {}}}
  - {id: end, trigger: {session: end}, message: {type: tip, data: {}}}
  - {id: back, trigger: {session: {returned_after: 3m}}, message: {type: tip, data: {}}}
  - {id: lasted, trigger: {session: {lasted: 4m}}, message: {type: tip, data: {}}}
"""
RULES: RuleSet = load({"rules.yaml": PAGE}, KINDS)


def presences(events: list[Event], until: int) -> list[tuple[int, str, int | None, str]]:
    """``(beginning, event, end, event)`` of every presence: the open sessions, looked at again and again.

    The event of an end that comes by time is the last activity; without an end by ``until`` it is None.
    """
    found: list[tuple[int, str, int | None, str]] = []
    own: set[str] = set()
    implicit = False
    began: tuple[int, str] | None = None
    last: Event | None = None
    for event in [*events, None]:
        at = until + 1 if event is None else event.at
        if implicit and last is not None and last.at + TIMEOUT <= at and last.at + TIMEOUT <= until:
            implicit = False
            if not own and began is not None:
                found.append((*began, last.at + TIMEOUT, last.id))
                began = None
        if event is None:
            break
        name = event.session or ""
        if event.type == "session.start":
            own.add(name)
        elif event.type == "session.end":
            own.discard(name)
        else:
            implicit = implicit or began is None
            last = event
        if began is None and (own or implicit):
            began = (at, event.id)
        elif began is not None and not own and not implicit:
            found.append((*began, at, event.id))
            began = None
    return found if began is None else [*found, (*began, None, "")]


def expected(events: list[Event], until: int) -> dict[str, list[tuple[int, str, int | None]]]:
    """``(moment, event, the span among the facts)`` of what each rule is to fire."""
    said: dict[str, list[tuple[int, str, int | None]]] = {"start": [], "end": [], "back": [], "lasted": []}
    left: int | None = None
    for begin, opened, end, closed in presences(events, until):
        said["start"].append((begin, opened, None))
        if left is not None and begin - left >= AWAY:
            said["back"].append((begin, opened, begin - left))
        if begin + LASTED <= (until if end is None else end):
            said["lasted"].append((begin + LASTED, opened, LASTED))
        if end is not None:
            said["end"].append((end, closed, end - begin))
        left = end
    return said


@settings(max_examples=300, deadline=None)
@given(naive.histories([TIMEOUT, AWAY, LASTED], ("a", "b"), sessions=True), st.booleans())
def test_sessions_begin_last_and_end_when_the_page_says(events: list[Event], in_leaps: bool) -> None:
    until = max([START, *(event.at for event in events)]) + HOUR
    decisions: list[Decision] = []
    state = UserState("ann")
    for event in events:
        if in_leaps:
            state = UserState.decode(state.encode())
            advance(Timeline(RULES), state, event.at, decisions)
        apply(Timeline(RULES), state, event, decisions)
    advance(Timeline(RULES), state, until, decisions)
    said: dict[str, list[tuple[int, str, int | None]]] = {"start": [], "end": [], "back": [], "lasted": []}
    for made in decisions:
        spans = [value for name, value in made.trigger.items() if name != "kind"]
        span = spans[0] // to_timedelta(1) if spans else None
        said[made.rule].append((made.at, made.event_id, span))
    assert said == expected(events, until)


def build(**values: Any) -> Trigger:
    trigger = KIND.build(values, "r/session-0")
    assert isinstance(trigger, Trigger)
    return trigger


@pytest.mark.parametrize(
    "values", [{"on": "start"}, {"on": "end"}, {"returned_after": MINUTE}, {"lasted": MINUTE}], ids=str
)
def test_it_remembers_nothing_of_its_own(values: dict[str, Any]) -> None:
    assert not build(**values).has_memory


def test_the_end_of_a_session_that_an_earlier_version_opened_is_told_without_its_length() -> None:
    state = UserState("ann")
    state.now = START
    fired = build(on="end").observe(state, Scope(state, None, START, Policy()))
    assert fired is not None
    assert (fired.facts, fired.event) == ({}, None)


def test_a_session_that_an_earlier_version_opened_lasts_without_an_event() -> None:
    state = UserState("ann")
    state.present_since = state.now = START
    trigger = build(lasted=MINUTE)
    assert trigger.due(state, Policy()) == START + MINUTE
    fired = trigger.fire(state, Policy())
    assert fired is not None
    assert fired.event is None


def test_the_event_that_opened_a_session_is_kept_cut_down_written_or_not() -> None:
    page = """
version: 1
rules:
  - {id: long, trigger: {session: {lasted: 1m}}, message: {type: tip, text: "{{ event.log | length }}"}}
"""
    timeline = Timeline(load({"rules.yaml": page}, KINDS))
    large = Event("edit", "ann", START, {"log": "x" * 9000})
    texts = []
    for through_bytes in (False, True):
        state, decisions = UserState("ann"), list[Decision]()
        apply(timeline, state, large, decisions)
        apply(timeline, state, Event("look", "ann", START + 1, {}), decisions)
        if through_bytes:
            state = UserState.decode(state.encode())
        advance(timeline, state, START + MINUTE, decisions)
        texts += [decision.message.text for decision in decisions if decision.message]
    assert texts == ["512", "512"]


@pytest.mark.parametrize("count", [1, 40])
def test_many_spans_come_each_at_its_moment(count: int) -> None:
    rules = "".join(
        f"  - {{id: r{number}, trigger: {{session: {{lasted: {number}m}}}}, message: {{type: tip, data: {{}}}}}}\n"
        for number in range(count, 0, -1)
    )
    timeline = Timeline(load({"rules.yaml": f"version: 1\nrules:\n{rules}"}, KINDS))
    decisions: list[Decision] = []
    run(timeline, UserState("ann"), [Event("session.start", "ann", START, {})], START + 2 * HOUR, decisions)
    assert [(made.at - START, made.rule) for made in decisions] == [
        (number * MINUTE, f"r{number}") for number in range(1, count + 1)
    ]
