"""A rule set begins to hold: an edited trigger goes on as if it had been written so from the beginning."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import naive
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply, run
from engine.core.model import Decision, Event, Reason
from engine.core.rules import HISTORY_EVENTS_MAX, RuleSet, Timeline
from engine.core.state import Sent, UserState
from engine.core.units import HOUR, MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.replay.driver import replay
from engine.storage.base import Entry
from engine.storage.memory import MemoryStore
from engine.triggers import KINDS
from engine.turn import Turns

START = naive.START
SPAN = 3 * MINUTE
# As a trigger is written first, and then.
EDITS: dict[str, tuple[str, str]] = {
    "count": ("{count: {event: a, at_least: 3, within: 9m}}", "{count: {event: a, at_least: 2, within: 3m}}"),
    "count, more": ("{count: {event: a, at_least: 2, within: 3m}}", "{count: {event: a, at_least: 3, within: 6m}}"),
    "count distinct": (
        "{count: {event: [a, b], at_least: 2, within: 3m}}",
        "{count: {event: [a, b], at_least: 2, within: 3m, distinct: v}}",
    ),
    "count reset": (
        "{count: {event: a, at_least: 2, within: 3m, group_by: g}}",
        "{count: {event: a, at_least: 3, within: 9m, reset_on: {event: b, where: event.n == 2}}}",
    ),
    "count in session": (
        "{count: {event: a, at_least: 2, within: 3m}}",
        "{count: {event: a, where: session.events > 1, at_least: 2, within: 9m, group_by: g}}",
    ),
    "sequence": (
        "{sequence: {steps: [a, b], within: 3m}}",
        "{sequence: {steps: [a, b, a], within: 6m, without: {event: b, where: event.n == 2}}}",
    ),
    "sequence by group": (
        "{sequence: {steps: [a, a, a], within: 3m}}",
        "{sequence: {steps: [a, a], within: 3m, group_by: [g, n]}}",
    ),
    "absence": ("{absence: {after: a, no: b, within: 9m}}", "{absence: {after: a, no: b, within: 3m}}"),
    "absence, other way": (
        "{absence: {after: a, no: b, within: 1m}}",
        "{absence: {after: [a, b], no: {event: a, where: event.n == 2}, within: 3m, group_by: g}}",
    ),
    "inactivity": (
        "{inactivity: {for: 1m, after: a}}",
        "{inactivity: {for: 3m, after: {event: a, where: event.n == 1}}}",
    ),
    "another kind": ("{count: {event: a, at_least: 2, within: 3m}}", "{absence: {after: a, no: b, within: 3m}}"),
    "lasted": ("{session: {lasted: 9m}}", "{session: {lasted: 3m}}"),
    "returned": ("{session: {returned_after: 9m}}", "{session: {returned_after: 3m}}"),
}


@cache
def rule_set(*triggers: str, mode: str = "live") -> RuleSet:
    rules = [
        f'{{id: r{number}, mode: "{mode}", trigger: {trigger}, message: {{type: tip, data: {{}}}}}}'
        for number, trigger in enumerate(triggers)
    ]
    page = "version: 1\npolicy: {simultaneous: 100, session_timeout: 5m}\n" + f"rules: [{', '.join(rules)}]\n"
    return load({"rules.yaml": page}, KINDS)


def with_history(before: RuleSet, events: list[Event]) -> Timeline:
    return Timeline(before, history=lambda user, moment: [event for event in events if event.at < moment])


def remembered(state: UserState) -> dict[str, Any]:
    """What triggers remember, less the numbers of activities that are not the last: nothing can come of those.

    Written and read, since a tuple is a list from then on.
    """
    state = UserState.decode(state.encode())
    last = None if state.idle_since is None else state.activity_count
    return {key: value for key, value in state.memory.items() if not isinstance(value, int) or value == last}


def fired(decision: Decision) -> tuple[Any, ...]:
    """All of a decision but what depends on how many messages there have been."""
    return decision.at, decision.rule, decision.outcome, decision.event_id, decision.trigger


def played(timeline: Timeline, events: list[Event], until: int) -> tuple[list[Decision], UserState]:
    decisions: list[Decision] = []
    state = UserState("ann")
    run(timeline, state, events, until, decisions)
    return decisions, state


def moments_of(events: list[Event]) -> st.SearchStrategy[int]:
    near = st.sampled_from([START, *(event.at for event in events)])
    return st.builds(int.__add__, near, st.sampled_from((0, 1, MINUTE, SPAN - 1, SPAN, SPAN + 1, 5 * MINUTE)))


histories = naive.histories([SPAN, 5 * MINUTE], ("a", "a", "b"), sessions=True)


@pytest.mark.parametrize("edit", EDITS)
@settings(max_examples=60, deadline=None)
@given(events=histories, data=st.data())
def test_an_edited_trigger_goes_on_as_if_it_had_been_so_all_along(
    edit: str, events: list[Event], data: st.DataObject
) -> None:
    before, after = EDITS[edit]
    at = data.draw(moments_of(events))
    until = max([at, *(event.at for event in events)]) + 2 * SPAN
    timeline = with_history(rule_set(before), events)
    timeline.add(at, rule_set(after))
    # The fresh engine has run the same history, of which it was to say nothing, and then the rest.
    fresh, left = played(Timeline(rule_set(after)), events, until)
    edited, state = played(timeline, events, until)
    former, _ = played(Timeline(rule_set(before)), events, until)
    assert [fired(made) for made in edited if made.at >= at] == [fired(made) for made in fresh if made.at >= at]
    # Until then all was as it was: nothing fires for what is past.
    first = [event for event in events if event.at < at]
    if first:
        assert [made for made in edited if made.at < at] == [made for made in former if made.at < at]
    assert remembered(state) == remembered(left)


@pytest.mark.parametrize("edit", EDITS)
@settings(max_examples=30, deadline=None)
@given(events=histories, data=st.data())
def test_memory_is_the_same_right_after_the_change(edit: str, events: list[Event], data: st.DataObject) -> None:
    before, after = EDITS[edit]
    at = data.draw(moments_of(events))
    past = [event for event in events if event.at < at]
    timeline = with_history(rule_set(before), events)
    timeline.add(at, rule_set(after))
    state, left = UserState("ann"), UserState("ann")
    run(timeline, state, past, at, [])
    run(Timeline(rule_set(after)), left, past, at - 1, [])
    advance(Timeline(rule_set(after)), left, at, [])
    assert remembered(state) == remembered(left)


@settings(max_examples=60, deadline=None)
@given(events=histories, data=st.data())
def test_the_same_rules_again_at_any_moments_change_nothing(events: list[Event], data: st.DataObject) -> None:
    rules = rule_set(*[after for _, after in EDITS.values()])
    until = max([START, *(event.at for event in events)]) + 2 * SPAN
    whole, end = played(Timeline(rules), events, until)
    timeline = with_history(rules, events)
    for at in sorted(data.draw(st.sets(moments_of(events), max_size=3))):
        timeline.add(at, rules)
    again, state = played(timeline, events, until)
    assert again == whole
    assert remembered(state) == remembered(end)


@settings(max_examples=60, deadline=None)
@given(events=histories, data=st.data())
def test_rules_that_were_off_for_a_while_have_missed_nothing(events: list[Event], data: st.DataObject) -> None:
    triggers = [after for _, after in EDITS.values()]
    begin, end = sorted(data.draw(st.lists(moments_of(events), min_size=2, max_size=2, unique=True)))
    until = max([end, *(event.at for event in events)]) + 2 * SPAN
    whole, _ = played(Timeline(rule_set(*triggers)), events, until)
    timeline = with_history(rule_set(*triggers), events)
    timeline.add(begin, rule_set(*triggers, mode="off"))
    timeline.add(end, rule_set(*triggers))
    made, _ = played(timeline, events, until)
    first = events[0].at if events else START
    kept = [one for one in whole if one.at < begin or one.at >= end]
    assert [fired(one) for one in made if one.at >= first] == [fired(one) for one in kept]


def test_without_a_past_a_new_trigger_begins_with_nothing() -> None:
    timeline = Timeline(rule_set())
    timeline.add(START + 2, rule_set("{count: {event: a, at_least: 2, within: 3m}}"))
    events = [Event("a", "ann", START + number, {}) for number in (0, 1, 2, 3)]
    decisions, _ = played(timeline, events, START + 3)
    assert [decision.at for decision in decisions] == [START + 3]


def test_a_past_event_on_which_evaluation_raises_is_left_out() -> None:
    """As it was when it came: it has been set aside, and everything else has happened."""

    def partly_broken(user: str, moment: int) -> list[Event]:
        # A set is no JSON: it can stand in no log.
        return [
            Event("a", "ann", START, {"g": 1}),
            Event("a", "ann", START, {"g": {1, 2}}),
            Event("a", "ann", START, {"g": 2}),
        ]

    timeline = Timeline(rule_set(), history=partly_broken)
    timeline.add(START + 2, rule_set("{count: {event: a, at_least: 2, within: 3m, group_by: g}}"))
    events = [Event("a", "ann", START + number, {"g": group}) for number, group in ((0, 3), (2, 1), (3, 2), (4, 3))]
    decisions, _ = played(timeline, events, START + 4)
    assert [decision.at for decision in decisions] == [START + 2, START + 3]


# The newest events count, in live and replay alike.

TWO_STEPS = "{sequence: {steps: [a, b], within: 3h}}"


def past_of(fillers: int) -> list[Event]:
    others = [Event("c", "ann", START + SECOND * (1 + number), {}, f"c{number}") for number in range(fillers)]
    return [Event("a", "ann", START, {}, "a"), *others]


@pytest.mark.parametrize(("fillers", "knows"), [(HISTORY_EVENTS_MAX - 1, True), (HISTORY_EVENTS_MAX, False)])
async def test_of_a_long_past_the_newest_events_count_in_live_and_replay_alike(fillers: int, knows: bool) -> None:
    events = past_of(fillers)
    moment = events[-1].at + SECOND
    last = Event("b", "ann", moment + SECOND, {}, "b")

    timeline = Timeline(rule_set())
    timeline.add(moment, rule_set(TWO_STEPS))
    replayed = replay([*events, last], timeline)
    assert [decision.event_id for decision in replayed.by_user.get("ann", [])] == ["b"] * knows

    store = MemoryStore(1)
    turns = Turns(store)
    await turns.recover()
    for rules, at in ((rule_set(), START - MINUTE), (rule_set(TWO_STEPS), moment)):
        await store.save_rules(rules.hash, rules.sources)
        if at > START:
            await turns.make([Entry("event", event.at, "ann", event) for event in events], events[-1].at, due=False)
        await turns.change_rules(rules, at)
    result = await turns.make([Entry("event", last.at, "ann", last)], last.at, due=False)
    assert [decision.event_id for decision in result.decisions] == ["b"] * knows


# A new name.


def named(rule_id: str, was: str | None = None, **more: Any) -> RuleSet:
    rule = {
        "id": rule_id,
        "trigger": {"count": {"event": "a", "at_least": 2, "within": "1h"}},
        "message": {"type": "question", "text": "x"},
        **({} if was is None else {"was": was}),
        **more,
    }
    return load({"rules.yaml": json.dumps({"version": 1, "rules": [rule]})}, KINDS)


def renamed_after(count: int, *, at: int = START + MINUTE, **more: Any) -> tuple[Timeline, UserState]:
    """One who has seen so many `a` of the rule ``old``, which is then renamed to ``new``."""
    timeline = Timeline(named("old", **more))
    timeline.add(at, named("new", "old", **more))
    state = UserState("ann")
    for number in range(count):
        apply(timeline, state, Event("a", "ann", START + number, {}), [])
    return timeline, state


def outcomes(timeline: Timeline, state: UserState, *stamps: int) -> list[tuple[str, str]]:
    decisions: list[Decision] = []
    for at in stamps:
        apply(timeline, state, Event("a", "ann", at, {}), decisions)
    return [(decision.rule, decision.outcome) for decision in decisions]


def test_a_renamed_rule_has_its_memory_without_asking_for_a_past() -> None:
    timeline, state = renamed_after(1)
    assert timeline.fresh(1) == frozenset()
    assert timeline.wants_history(START) == []
    assert outcomes(timeline, state, START + HOUR - 1) == [("new", "sent")]


def test_a_renamed_rule_has_its_cooldown_and_its_caps() -> None:
    for more in ({"cooldown": "1h"}, {"max": [{"max": 1, "per": "user"}]}):
        timeline, state = renamed_after(2, **more)
        (outcome,) = outcomes(timeline, state, START + 2 * MINUTE, START + 3 * MINUTE)
        assert outcome == ("new", "cooldown" if "cooldown" in more else "cap")
        assert list(state.sent) == ["new"]


def test_a_renamed_rule_draws_as_before() -> None:
    message = {"type": "question", "variants": [{"id": f"v{number}", "text": "x"} for number in range(8)]}
    rules = named("old", holdout="50%", message=message)
    kept = draws_of(rules, None)
    assert draws_of(rules, named("new", "old", holdout="50%", message=message)) == kept
    assert {outcome for outcome, _ in kept} == {"sent", "holdout"}
    # A rule that is another one draws for itself.
    assert draws_of(rules, named("new", holdout="50%", message=message)) != kept


def draws_of(rules: RuleSet, later: RuleSet | None) -> list[tuple[str, str | None]]:
    """What becomes of ten users, before and after ``later`` begins to hold."""
    found = []
    for number in range(10):
        user = f"user{number}"
        timeline = Timeline(rules)
        if later is not None:
            timeline.add(START + MINUTE, later)
        decisions: list[Decision] = []
        stamps = (START, START + 1, START + 2 * MINUTE, START + 3 * MINUTE)
        run(timeline, UserState(user), [Event("a", user, at, {}) for at in stamps], stamps[-1], decisions)
        found += [(decision.outcome, decision.variant) for decision in decisions]
    return found


def test_what_a_rule_of_that_name_has_sent_already_stays() -> None:
    timeline, state = renamed_after(2, cooldown="1h")
    advance(timeline, state, START + MINUTE, [])
    # The file says for ever that it had another name; only what was remembered under that one moves.
    timeline.add(START + 2 * MINUTE, named("new", "old", cooldown="1h", description="again"))
    last = state.sent["new"].last
    advance(timeline, state, START + 2 * MINUTE, [])
    assert state.sent["new"].last == last
    assert state.sent.keys() == {"new"}


def test_wishes_follow_a_rule_to_its_new_name() -> None:
    timeline, state = renamed_after(1)
    wishes = {"muted": ["old", "new", "topic"], "snoozed": {"old": "2026-03-27T12:00:00Z"}}
    apply(timeline, state, Event("user.preferences", "ann", START + 5, wishes), [])
    advance(timeline, state, START + MINUTE, [])
    assert state.preferences is not None
    assert state.preferences.muted == ["new", "topic"]
    assert list(state.preferences.snoozed) == ["new"]


@pytest.mark.parametrize(("old", "new"), [(12, 13), (13, 12)])
def test_of_two_names_that_become_one_the_later_snooze_holds(old: int, new: int) -> None:
    timeline, state = renamed_after(1)
    wishes = {"snoozed": {"old": f"2026-03-27T{old}:00:00Z", "new": f"2026-03-27T{new}:00:00Z"}}
    apply(timeline, state, Event("user.preferences", "ann", START + 5, wishes), [])
    advance(timeline, state, START + MINUTE, [])
    assert state.preferences is not None
    assert state.preferences.snoozed == {"new": parse_at("2026-03-27T13:00:00Z")}


def test_what_the_new_name_has_sent_goes_before_what_the_old_one_has() -> None:
    timeline, state = renamed_after(1)
    own, other = Sent(START, 1, 1, 1, []), Sent(START - HOUR, 2, 1, 2, [])
    state.sent = {"new": own, "old": other}
    advance(timeline, state, START + MINUTE, [])
    assert state.sent == {"new": own, "old": other}


def test_an_edited_trigger_of_a_renamed_rule_is_found_out_from_the_past() -> None:
    timeline = Timeline(named("old"), history=lambda user, moment: [Event("a", "ann", START + n, {}) for n in (0, 1)])
    more = {"trigger": {"count": {"event": "a", "at_least": 3, "within": "1h"}}}
    timeline.add(START + MINUTE, named("new", "old", **more))
    state = UserState("ann")
    assert outcomes(timeline, state, START, START + 1, START + 2 * MINUTE) == [("old", "sent"), ("new", "sent")]


def test_what_is_over_is_muted_under_the_new_name() -> None:
    timeline, state = renamed_after(1)
    state.finished = {"m1": "old", "m2": "other"}
    advance(timeline, state, START + MINUTE, [])
    assert state.finished == {"m1": "new", "m2": "other"}


def test_what_is_held_for_an_absent_user_is_not_sent_once_the_rule_keeps_nothing_for_them() -> None:
    more = {"trigger": {"event": "a"}, "deliver": {"at": "b", "within": "2m"}}
    timeline = Timeline(named("r", offline="keep", **more))
    timeline.add(START + MINUTE, named("r", **more))
    state, decisions = UserState("ann"), list[Decision]()
    for event_type in ("session.start", "a", "session.end"):
        apply(timeline, state, Event(event_type, "ann", START, {}), decisions)
    assert state.present_since is None
    advance(timeline, state, START + HOUR, decisions)
    assert [(made.at, made.outcome, made.was) for made in decisions] == [
        (START, "held", None),
        (START + 2 * MINUTE, "cancelled", "held"),
    ]
    assert decisions[-1].reason == Reason("absent")


def test_what_was_charged_to_a_budget_that_is_gone_is_forgotten() -> None:
    def with_budgets(*names: str) -> RuleSet:
        policy = {"budgets": {name: {"limits": [{"max": 9, "per": "user"}]} for name in names}}
        rule = {"id": "r", "trigger": {"event": "a"}, "message": {"type": "question", "text": "x"}}
        return load({"rules.yaml": json.dumps({"version": 1, "rules": [rule], "policy": policy})}, KINDS)

    timeline, state = Timeline(with_budgets("kept", "gone")), UserState("ann")
    timeline.add(START + MINUTE, with_budgets("kept", "new"))
    apply(timeline, state, Event("a", "ann", START, {}), [])
    assert state.spent.keys() == {"kept", "gone"}
    advance(timeline, state, START + MINUTE, [])
    assert state.spent.keys() == {"kept"}
