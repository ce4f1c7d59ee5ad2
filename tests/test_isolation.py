"""A fault of ours costs no more than the input it lies in."""

from __future__ import annotations

from live_world import START, badly_compiled

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE
from engine.isolation import Evaluated, evaluate_user

RULES = """
version: 1
rules:
  - {id: bad, trigger: {faulty: {}}, message: {type: question, text: x}}
  - {id: seen, trigger: {event: e}, message: {type: notification, text: "{{ event.id }}"}}
  - {id: idle, trigger: {inactivity: 2m}, message: {type: question, text: x}}
"""


def event(number: int, after: int = 0, **data: object) -> Event:
    return Event("e", "ann", START + after, dict(data), f"e{number}")


def evaluated(events: list[Event], until: int | None) -> Evaluated:
    return evaluate_user(Timeline(badly_compiled(RULES)), lambda: UserState("ann"), events, until)


def alone(events: list[Event], until: int) -> tuple[list[Decision], bytes]:
    decisions: list[Decision] = []
    state = UserState("ann")
    run(Timeline(badly_compiled(RULES)), state, events, until, decisions)
    return decisions, state.encode()


def test_where_nothing_is_wrong_nothing_is_different() -> None:
    events = [event(0), event(1, MINUTE)]
    found = evaluated(events, START + 4 * MINUTE)
    assert (found.decisions, found.state.encode()) == alone(events, START + 4 * MINUTE)
    assert found.faults == []


def test_an_event_on_which_evaluation_raises_is_as_if_it_had_not_been() -> None:
    good = [event(0), event(2, 2 * MINUTE), event(4, 3 * MINUTE)]
    events = [good[0], event(1, MINUTE, boom=True), good[1], event(3, 2 * MINUTE, boom=True), good[2]]
    found = evaluated(events, START + 9 * MINUTE)
    assert (found.decisions, found.state.encode()) == alone(good, START + 9 * MINUTE)
    assert [place for place, _ in found.faults] == [1, 3]
    assert all("RuntimeError: boom at an event" in trace for _, trace in found.faults)


def test_the_very_first_and_the_only_event_may_be_the_faulty_one() -> None:
    found = evaluated([event(0, boom=True)], START + MINUTE)
    assert found.state.encode() == UserState("ann").encode()
    assert found.decisions == []
    assert [place for place, _ in found.faults] == [0]


def test_time_that_cannot_pass_leaves_the_events_as_they_were() -> None:
    events = [event(0, late=True), event(1, MINUTE)]
    found = evaluated(events, START + 9 * MINUTE)
    assert [place for place, _ in found.faults] == [None]
    assert "RuntimeError: boom in time" in found.faults[0][1]
    assert [decision.event_id for decision in found.decisions] == ["e0", "e1"]
    assert found.state.now == START + MINUTE


def test_an_event_that_time_cannot_reach_is_left_out_with_its_reason() -> None:
    # The timer that raises lies between the two events, so it is the second that cannot be applied.
    found = evaluated([event(0, late=True), event(1, 6 * MINUTE)], None)
    assert [place for place, _ in found.faults] == [1]
    assert found.state.now == START


def test_without_a_moment_to_come_to_time_does_not_run_on() -> None:
    found = evaluated([event(0)], None)
    assert found.state.now == START
    assert [decision.rule for decision in found.decisions] == ["seen"]
