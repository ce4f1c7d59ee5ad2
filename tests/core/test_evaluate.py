"""How a user's time moves: the four sentences of the semantics, for rules and events as hypothesis draws them."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import GAPS, START, compiled, event_lists, rule_texts

from engine.core.delivery import soonest_delivery
from engine.core.evaluate import advance, apply, run
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline, Trigger
from engine.core.state import ATTRIBUTES_MAX, GONE_RULES_MAX, SESSIONS_MAX, Sent, UserState
from engine.core.units import HOUR, MINUTE, SECOND
from engine.loading.load import load
from engine.triggers import KINDS

QUICK = settings(max_examples=120, deadline=None)
BARE = 'version: 1\nrules: [{id: r, trigger: {inactivity: 5m}, message: {type: question, text: "x"}}]\n'
pieces = st.lists(st.integers(0, 40 * MINUTE), max_size=6)


def played(
    rules: RuleSet, events: list[Event], *, leaps: list[int] | None = None, through_bytes: bool = False
) -> tuple[list[Decision], bytes]:
    """Decisions and final state; ``leaps``: moments (from `START`) at which time is also let run, in between."""
    timeline = Timeline(rules)
    state = UserState("ann")
    decisions: list[Decision] = []
    until = (events[-1].at if events else START) + HOUR
    stops = sorted(START + leap for leap in leaps or ())
    for event in [*events, None]:
        to = until if event is None else event.at
        for stop in stops:
            if stop <= to:
                advance(timeline, state, stop, decisions)
                if through_bytes:
                    state = UserState.decode(state.encode())
        if through_bytes:
            state = UserState.decode(state.encode())
        if event is not None:
            apply(timeline, state, event, decisions)
    advance(timeline, state, until, decisions)
    return decisions, state.encode()


@QUICK
@given(rule_texts(), event_lists(), pieces)
def test_time_runs_the_same_in_one_leap_or_in_many(text: str, events: list[Event], leaps: list[int]) -> None:
    rules = compiled(text)
    assert played(rules, events, leaps=leaps) == played(rules, events)


@QUICK
@given(rule_texts(), event_lists(), pieces)
def test_writing_and_reading_the_state_in_between_changes_nothing(
    text: str, events: list[Event], leaps: list[int]
) -> None:
    rules = compiled(text)
    assert played(rules, events, leaps=leaps, through_bytes=True) == played(rules, events)


@QUICK
@given(rule_texts(), event_lists())
def test_run_is_its_events_one_by_one(text: str, events: list[Event]) -> None:
    rules = compiled(text)
    state = UserState("ann")
    decisions: list[Decision] = []
    run(Timeline(rules), state, events, (events[-1].at if events else START) + HOUR, decisions)
    assert (decisions, state.encode()) == played(rules, events)


@QUICK
@given(rule_texts(), event_lists("ann"), event_lists("bob"))
def test_users_do_not_influence_each_other(text: str, anns: list[Event], bobs: list[Event]) -> None:
    rules = compiled(text)
    timeline = Timeline(rules)
    together: dict[str, list[Decision]] = {"ann": [], "bob": []}
    states = {user: UserState(user) for user in together}
    for event in sorted([*anns, *bobs], key=lambda event: event.at):
        apply(timeline, states[event.user], event, together[event.user])
    for user, events in (("ann", anns), ("bob", bobs)):
        # Compiled anew, so that nothing can have been left behind in the rules.
        alone, state, anew = list[Decision](), UserState(user), Timeline(compiled(text))
        for event in events:
            apply(anew, state, event, alone)
        assert together[user] == alone
        assert states[user].encode() == state.encode()


@QUICK
@given(rule_texts(), event_lists(), st.sampled_from(GAPS), st.sampled_from(GAPS), st.integers(-1, 1))
def test_the_same_rules_said_again_change_no_decision(
    text: str, events: list[Event], one: int, other: int, off: int
) -> None:
    rules, again = compiled(text), compiled(text + "\n# said again\n")
    assert rules.hash != again.hash
    timeline = Timeline(rules)
    timeline.add(START + one + other + off, again)
    state = UserState("ann")
    decisions: list[Decision] = []
    run(timeline, state, events, (events[-1].at if events else START) + HOUR, decisions)
    assert decisions == played(rules, events)[0]


@QUICK
@given(rule_texts(), event_lists())
def test_each_candidate_has_one_outcome_and_no_input_sends_more_than_it_may(text: str, events: list[Event]) -> None:
    rules = compiled(text)
    timeline = Timeline(rules)
    state = UserState("ann")
    decisions: list[Decision] = []
    not_asked = {rule.id for rule in rules if any(depends_on_the_past(trigger) for trigger in rule.triggers)}
    for event in events:
        by_time: list[Decision] = []
        by_event: list[Decision] = []
        advance(timeline, state, event.at, by_time)
        apply(timeline, state, event, by_event)
        # Timers of one moment are one input, and so is an event.
        inputs = [list(group) for _, group in groupby(by_time, key=lambda decision: decision.at)]
        for made in [*inputs, by_event]:
            candidates = [decision for decision in made if decision.was is None]
            assert len({decision.rule for decision in candidates}) == len(candidates)
            assert sum(decision.outcome == "sent" for decision in made) <= rules.policy.simultaneous
            decisions += made
        candidates = [decision for decision in by_event if decision.was is None]
        order = [(-rules.by_id[decision.rule].priority, decision.order) for decision in candidates]
        assert order == sorted(order)
        assert {decision.rule for decision in candidates} - not_asked == rules_that_fire(
            rules, state, event
        ) - not_asked
    check_conservation(decisions, state)


WITH_MESSAGE = ("sent", "held", "shadow", "cancelled", "expired")


def check_conservation(decisions: list[Decision], state: UserState) -> None:
    """The candidates are the sum of the outcomes: each message has one at a time, and what is left over is held."""
    stands: dict[str, Decision] = {}
    for decision in decisions:
        message = decision.message
        assert (message is None) == (decision.outcome not in WITH_MESSAGE)
        assert decision.reason is not None or decision.outcome in ("sent", "shadow")
        if message is None:
            continue
        former = stands.get(message.id)
        if decision.was is None:
            assert former is None
        else:
            assert former is not None
            assert (former.outcome, former.rule) == (decision.was, decision.rule)
        stands[message.id] = decision
    candidates = sum(decision.was is None for decision in decisions)
    outcomes = Counter(decision.outcome for decision in decisions)
    outcomes.subtract(decision.was for decision in decisions if decision.was is not None)
    assert candidates == outcomes.total()
    assert min(outcomes.values(), default=0) >= 0
    assert {held.message.id for held in state.held} == {
        message_id for message_id, decision in stands.items() if decision.outcome == "held"
    }


def depends_on_the_past(trigger: Trigger) -> bool:
    return trigger.has_memory or trigger.kind in ("session", "response")


def rules_that_fire(rules: RuleSet, state: UserState, event: Event) -> set[str]:
    """Asked again afterwards, of a copy: what triggers without a past look at is the event alone."""
    state = UserState.decode(state.encode())
    return {watch.rule.id for watch, _ in rules.dispatch.interests[event.type].observe(state, event, rules.policy)}


@QUICK
@given(rule_texts(), event_lists())
def test_the_clock_never_goes_back_and_a_wake_up_is_never_late(text: str, events: list[Event]) -> None:
    rules = compiled(text)
    timeline = Timeline(rules)
    state = UserState("ann")
    decisions: list[Decision] = []
    for event in events:
        before = state.now
        apply(timeline, state, event, decisions)
        assert state.now == event.at >= before
        moment = next_moment(rules, state)
        assert moment is None or (state.wake is not None and state.wake <= moment)
    assert [decision.at for decision in decisions] == sorted(decision.at for decision in decisions)


def next_moment(rules: RuleSet, state: UserState) -> int | None:
    """The next moment at which time alone changes something, asked of everything that could, and of nothing noted."""
    read = UserState.decode(state.encode())
    moments = [soonest_delivery(rules, read)]
    if read.present_since is not None:
        for rule in rules:
            if rule.mode != "off":
                moments += [trigger.due(read, rules.policy) for trigger in rule.triggers]
        if read.implicit_since is not None and read.idle_since is not None:
            moments.append(read.idle_since + rules.policy.session_timeout)
    return min([moment for moment in moments if moment is not None], default=None)


# By hand: the edges and the bounds.


def rules_of(text: str) -> Timeline:
    return Timeline(load({"rules.yaml": text}, KINDS))


def event(event_type: str, at: int, session: str | None = None, **data: object) -> Event:
    return Event(event_type, "ann", at, dict(data), session=session)


def test_before_the_first_event_there_is_no_time() -> None:
    state = UserState("ann")
    before = state.encode()
    advance(rules_of(BARE), state, HOUR, [])
    assert state.encode() == before


def test_where_nothing_happens_the_state_stays_as_it_was() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    apply(timeline, state, event("e", 0), [])
    before = state.encode()
    advance(timeline, state, 5 * MINUTE - 1, [])
    assert state.encode() == before


@pytest.mark.parametrize(("to", "count"), [(5 * MINUTE - 1, 0), (5 * MINUTE, 1), (5 * MINUTE + 1, 1), (29 * MINUTE, 1)])
def test_a_timer_runs_when_time_comes_to_its_very_moment(to: int, count: int) -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    decisions: list[Decision] = []
    run(timeline, state, [event("e", 0)], to, decisions)
    assert [decision.at for decision in decisions] == [5 * MINUTE] * count


def test_the_first_event_finds_the_rules_of_its_moment() -> None:
    timeline = rules_of(BARE)
    timeline.add(HOUR, load({"rules.yaml": BARE.replace("5m", "1m")}, KINDS))
    for at, span in ((HOUR - 1, MINUTE), (HOUR, MINUTE), (HOUR - 10 * MINUTE, 5 * MINUTE)):
        decisions: list[Decision] = []
        run(timeline, UserState("ann"), [event("e", at)], HOUR - 1 + 20 * MINUTE, decisions)
        assert decisions[0].at - at == span


def test_a_late_event_happens_at_the_clock_and_keeps_the_stamp_it_came_with() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    apply(timeline, state, event("e", HOUR), [])
    apply(timeline, state, event("e", MINUTE), [])
    assert state.last_activity is not None
    assert (state.now, state.last_activity.at, state.last_activity.at_reported) == (HOUR, HOUR, MINUTE)
    apply(timeline, state, Event("e", "ann", MINUTE, {}, at_reported=SECOND), [])
    assert (state.last_activity.at, state.last_activity.at_reported) == (HOUR, SECOND)


def test_sessions_beyond_their_bound_end_the_one_open_longest() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    for number in range(SESSIONS_MAX + 2):
        apply(timeline, state, event("session.start", number, f"s{number}"), [])
    assert list(state.sessions) == [f"s{number}" for number in range(2, SESSIONS_MAX + 2)]
    assert state.present_since == 0
    assert state.presence == 1


def test_a_session_that_is_opened_twice_is_open_since_the_first_time() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    apply(timeline, state, event("session.start", 0, "s"), [])
    apply(timeline, state, event("session.start", MINUTE, "s"), [])
    apply(timeline, state, event("e", 2 * MINUTE), [])
    assert state.sessions == {"s": 0}
    assert (state.present_since, state.idle_since) == (0, 2 * MINUTE)
    apply(timeline, state, event("session.end", 3 * MINUTE, "s"), [])
    assert state.sessions == {}
    assert (state.present_since, state.wake, state.idle_since, state.last_activity) == (None, None, None, None)


def test_attributes_are_bounded_in_number_and_size() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    apply(timeline, state, event("user.identify", 0, None, **{f"a{number}": 0 for number in range(100)}), [])
    assert list(state.attributes) == [f"a{number}" for number in range(ATTRIBUTES_MAX)]
    apply(timeline, state, event("user.identify", 1, a0="x" * 5000, a1=1, a99=1), [])
    assert (state.attributes["a0"], state.attributes["a1"], "a99" in state.attributes) == (0, 1, False)


def test_what_rules_that_are_gone_have_sent_is_remembered_up_to_a_bound() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    apply(timeline, state, event("e", 0), [])
    state.sent = {f"gone{number:03}": Sent(number, 1, 1, 1, []) for number in range(GONE_RULES_MAX + 5)}
    state.sent["r"] = Sent(0, 1, 1, 1, [])
    timeline.add(SECOND, load({"rules.yaml": BARE + "# again"}, KINDS))
    advance(timeline, state, SECOND, [])
    assert sorted(state.sent) == [*(f"gone{number:03}" for number in range(5, GONE_RULES_MAX + 5)), "r"]


def test_memory_of_triggers_that_are_gone_is_dropped() -> None:
    timeline, state = rules_of(BARE), UserState("ann")
    apply(timeline, state, event("e", 0), [])
    (key,) = timeline.latest.keys
    state.memory = {key: 1, "gone/inactivity-00000000": 1}
    timeline.add(SECOND, load({"rules.yaml": BARE + "# again"}, KINDS))
    advance(timeline, state, SECOND, [])
    assert state.memory == {key: 1}
