"""Delivery at a good moment against a naive reading of section 7, and the bound on what is held."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply, run
from engine.core.model import Decision, Event
from engine.core.remembered import HELD_MAX
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
WITHIN, QUIET = 10 * SECOND, 4 * SECOND
SPANS = (0, 1, SECOND, QUIET, WITHIN - QUIET, WITHIN)


@cache
def rule_set(breakpoint: bool, quiet: bool, otherwise: str) -> RuleSet:
    deliver: dict[str, Any] = {"within": "10s", "otherwise": otherwise, "cancel_on": ["undo", "stuck.undo"]}
    if breakpoint:
        deliver["at"] = ["save*", "stuck.save"]
    if quiet:
        deliver["quiet_for"] = "4s"
    rule = {"id": "r", "trigger": {"event": "stuck*"}, "message": {"type": "tip", "data": {}}, "deliver": deliver}
    return load({"rules.yaml": json.dumps({"version": 1, "rules": [rule], "policy": {"simultaneous": 2}})}, KINDS)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """One session that goes on, begun by an event that is no activity."""
    events = [Event("session.start", "ann", START, {}, "e0")]
    types = ("stuck", "stuck", "stuck.save", "stuck.undo", "save", "edit", "undo", "ping")
    at = START
    for number in range(1, draw(st.integers(1, 12))):
        if draw(st.booleans()):
            at = max(at, draw(st.sampled_from(events)).at + draw(st.sampled_from(SPANS)) + draw(st.integers(-1, 1)))
        else:
            at += draw(st.sampled_from(SPANS))
        events.append(Event(draw(st.sampled_from(types)), "ann", at, {}, f"e{number}"))
    return events


def expected(events: list[Event], breakpoint: bool, quiet: bool, otherwise: str) -> list[tuple[int, str, str]]:
    """``(moment, id of the event that fired, outcome)``, read off the history for each message in turn."""
    found: list[tuple[int, int, int, str, str]] = []  # with the place of the event, before whose firing others leave
    free_from = (START, 0)  # the moment and the place in the history up to which a message is held
    for place, event in enumerate(events):
        if not event.type.startswith("stuck"):
            continue
        if (event.at, place) < free_from:
            found.append((event.at, place, 1, event.id, "cooldown"))
            continue
        end, at, outcome = fate(events, place, breakpoint, quiet, otherwise)
        if end == place:
            found.append((event.at, place, 1, event.id, "sent"))
            continue
        found.append((event.at, place, 1, event.id, "held"))
        found.append((at, end, 0, event.id, outcome))
        free_from = (at, end)
    return [(at, event_id, outcome) for at, _, _, event_id, outcome in sorted(found)]


def fate(events: list[Event], made: int, breakpoint: bool, quiet: bool, otherwise: str) -> tuple[int, int, str]:
    """``(place, moment, outcome)``: the event that ends the wait, or (by time) the first one that comes after it."""
    over = events[made].at + WITHIN
    reached = not breakpoint
    for place in range(made, len(events)):
        event = events[place]
        if place > made and "undo" in event.type:
            return place, event.at, "cancelled"
        is_breakpoint = breakpoint and "save" in event.type
        reached = reached or is_breakpoint
        active = [each.at for each in events[: place + 1] if each.type not in ("ping", "session.start")]
        idle_at = max(active) + QUIET if quiet and active else event.at
        if (is_breakpoint or place == made) and reached and idle_at <= event.at:
            return place, event.at, "sent"
        # Until the next event nothing but time passes, and what is due at its moment is due before it.
        until = events[place + 1].at if place + 1 < len(events) else over
        if reached and event.at < idle_at <= min(until, over):
            return place + 1, idle_at, "sent"
        if over <= until:
            return place + 1, over, "sent" if otherwise == "send" else "expired"
    raise AssertionError("the wait is over at last")


@settings(max_examples=400, deadline=None)
@given(histories(), st.booleans(), st.booleans(), st.sampled_from(("send", "drop")))
def test_messages_leave_when_the_page_says(events: list[Event], breakpoint: bool, quiet: bool, otherwise: str) -> None:
    if not (breakpoint or quiet):
        breakpoint = True
    timeline = Timeline(rule_set(breakpoint, quiet, otherwise))
    decisions: list[Decision] = []
    run(timeline, UserState("ann"), events, events[-1].at + MINUTE, decisions)
    rows = [(decision.at, decision.event_id, decision.outcome) for decision in decisions]
    assert rows == expected(events, breakpoint, quiet, otherwise)
    held = set()
    for decision in decisions:
        assert (decision.was == "held") == (decision.event_id in held)
        held |= {decision.event_id} if decision.outcome == "held" else set()


@settings(max_examples=150, deadline=None)
@given(histories(), st.booleans(), st.lists(st.sampled_from(SPANS), max_size=8))
def test_they_leave_the_same_however_time_is_let_run(events: list[Event], quiet: bool, leaps: list[int]) -> None:
    timeline = Timeline(rule_set(True, quiet, "drop"))
    whole: list[Decision] = []
    state = UserState("ann")
    run(timeline, state, events, events[-1].at + MINUTE, whole)
    parts: list[Decision] = []
    broken = UserState("ann")
    for event in events:
        for leap in sorted(leaps):
            if broken.now >= 0 and broken.now + leap < event.at:
                advance(timeline, broken, broken.now + leap, parts)
                broken = UserState.decode(broken.encode())
        apply(timeline, broken, event, parts)
    advance(timeline, broken, events[-1].at + MINUTE, parts)
    assert (parts, broken.encode()) == (whole, state.encode())


# The bound.


def many(count: int) -> Timeline:
    rules = [
        {"id": f"r{number:02}", "trigger": {"event": "stuck"}, "message": {"type": "tip", "data": {}},
         "deliver": {"at": "save", "within": "5m"}}
        for number in range(count)
    ]  # fmt: skip
    policy = {"simultaneous": 100, "budgets": {"all": {"limits": [{"max": count, "per": "user"}]}}}
    return Timeline(load({"rules.yaml": json.dumps({"version": 1, "rules": rules, "policy": policy})}, KINDS))


@pytest.mark.parametrize("more", [-1, 0, 1, 2])
def test_no_more_are_held_than_there_is_room_for(more: int) -> None:
    timeline, state = many(HELD_MAX + more), UserState("ann")
    decisions: list[Decision] = []
    apply(timeline, state, Event("stuck", "ann", START, {}), decisions)
    held = min(HELD_MAX + more, HELD_MAX)
    assert [decision.outcome for decision in decisions] == ["held"] * held + ["expired"] * max(more, 0)
    assert len(state.held) == held
    # What there was no room for was never held, and is charged to nothing.
    assert state.spent["all"].total == held
    assert all(decision.was is None for decision in decisions)
    decisions.clear()
    apply(timeline, state, Event("save", "ann", START + SECOND, {}), decisions)
    assert [(decision.outcome, decision.was) for decision in decisions] == [("sent", "held")] * held
    assert list(state.held) == []


def test_room_that_has_become_free_is_used() -> None:
    timeline, state = many(HELD_MAX + 1), UserState("ann")
    decisions: list[Decision] = []
    run(
        timeline,
        state,
        [Event("stuck", "ann", START, {}), Event("save", "ann", START + 1, {}), Event("stuck", "ann", START + 2, {})],
        START + 2,
        decisions,
    )
    last = [decision.outcome for decision in decisions if decision.at == START + 2]
    # One place was left in the budget: the one that was not held for want of room was not charged.
    assert last == ["held"] + ["budget"] * HELD_MAX
