"""The only code that moves a user's time. A state and an input go in; decisions come out, and the state has moved on.

1. A user's time runs from moment to moment, beginning with their first event. At each moment a rule set that
   begins to hold is adopted first, then wake-ups due run, then the event. Each happens at the moment it was due,
   however late the caller is.
2. An input is offered to the rules in order; candidates are settled by priority; each ends in exactly one outcome.
3. Only a present user's triggers have wake-ups; they are dropped when the last session ends. A message that is held
   or that may still be answered keeps its moments.
4. `advance` in one leap or in two is the same. Nothing in a user's state depends on another user.

Nothing here asks whether it is live or a dry run: there is no way to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from engine.core.adoption import adopt
from engine.core.beginning import Beginning, begin
from engine.core.delivery import cancel_unkept, release, soonest_delivery, withdraw
from engine.core.dispatch import Interest, Watch, observe_departure, observe_each
from engine.core.feedback import expire, take_preferences, take_receipt
from engine.core.model import LIFECYCLE_PREFIX, RECORD_TYPES, Decision, Event
from engine.core.outgoing import spend
from engine.core.rules import RuleSet, Timeline
from engine.core.scope import Scope
from engine.core.settle import Candidates, settle
from engine.core.state import ATTRIBUTES_MAX, SESSIONS_MAX, UserState, is_small_attribute, keep, session_name


def run(timeline: Timeline, state: UserState, events: Iterable[Event], until: int, decisions: list[Decision]) -> None:
    """Apply ``events``, which are in order of time, then let the user's time run to ``until``."""
    for event in events:
        apply(timeline, state, event, decisions)
    advance(timeline, state, until, decisions)


def apply(timeline: Timeline, state: UserState, event: Event, decisions: list[Decision]) -> None:
    """Let time run to the event, then let it happen; one stamped earlier than the user's clock happens at the clock.

    What the driver has written down for itself (`RECORD_TYPES`) is nothing that happened: the state stays as it was.
    """
    if event.type in RECORD_TYPES:
        return
    at = event.at
    if at < state.now:
        reported = event.at if event.at_reported is None else event.at_reported
        at = state.now
        event = msgspec.structs.replace(event, at=at, at_reported=reported)
    wake = state.wake
    if state.rules_since >= timeline.since and (wake is None or wake > at):
        rules = timeline.latest
    elif type(event) is Beginning:
        adopted = begin(timeline, state, event, run)
        if adopted is not None:
            _set_wake(adopted, state)
        return
    else:
        rules = _come_to(timeline, state, at, decisions)
    state.now = at
    interest = rules.dispatch.interests[event.type]
    if state.present_since is None or state.held or interest.does_more:
        _happen(rules, interest, state, event, decisions)
        return
    # Nearly always a user who is there does something, and there are only triggers to ask.
    _be_active(rules, state, event)
    if not interest.empty:
        candidates = interest.observe(state, event, rules.policy)
        if candidates:
            settle(candidates, state, rules.policy, decisions)


def _come_to(timeline: Timeline, state: UserState, at: int, decisions: list[Decision]) -> RuleSet:
    """Let time run to ``at``; the rule set that the user has adopted by then."""
    if state.now < 0:
        index = timeline.holding(at)
        state.rules_since = timeline.moments[index]
        return timeline.rule_sets[index]
    advance(timeline, state, at, decisions)
    return timeline.rule_sets[timeline.holding(state.rules_since)]


def _happen(rules: RuleSet, interest: Interest, state: UserState, event: Event, decisions: list[Decision]) -> None:
    """Let the event happen, whatever it is, at ``state.now``."""
    arrived = left = False
    if interest.activity:
        arrived = state.present_since is None
        if arrived:
            state.implicit_since = state.now
            _arrive(state, event)
        _be_active(rules, state, event)
        if arrived:
            _set_wake(rules, state)
    elif event.type == "session.start":
        arrived = _start_session(rules, state, event)
    elif event.type == "session.end":
        left = _end_session(state, event)
    elif event.type == "user.identify":
        _identify(rules, state, event)
    elif event.type == "user.preferences":
        take_preferences(state, event.data)
    elif event.type.startswith(LIFECYCLE_PREFIX):
        event = take_receipt(rules, state, event)
    sent_now: list[str] = []
    candidates = _leave(rules, state, event, decisions) if left else []
    candidates += _react(rules, interest, state, event, decisions, sent_now)
    if arrived:
        # What was sent to an absent user waits no longer than until they arrive.
        for outstanding in state.messages.values():
            outstanding.waits = False
        candidates += observe_each(rules.dispatch.arrivals, state, Scope(state, event, state.now, rules.policy))
    if candidates:
        settle(candidates, state, rules.policy, decisions, sent_now)


def _react(
    rules: RuleSet, interest: Interest, state: UserState, event: Event, decisions: list[Decision], sent_now: list[str]
) -> Candidates:
    """What an event does besides moving sessions: budgets, what is held, and then the triggers."""
    scope = Scope(state, event, state.now, rules.policy)
    for meter in interest.meters:
        if meter.matcher.holds(scope):
            if meter.cost is None:
                state.drop_spending(meter.budget.name)
            else:
                spend(meter.budget, state, meter.cost)
    if state.held or state.messages:
        withdraw(rules, state, scope, decisions)
    if state.held:
        release(rules, state, scope, decisions, sent_now)
    return interest.observe(state, event, rules.policy)


def advance(timeline: Timeline, state: UserState, to: int, decisions: list[Decision]) -> None:
    """Run every change of rules and every wake-up due by ``to``. Before the first event there is nothing to run.

    The clock comes to stand at the last thing that happened, not at ``to``: where nothing happens, the state
    stays as it was, to the byte.
    """
    if state.now < 0:
        return
    moments = timeline.moments
    index = timeline.holding(state.rules_since)
    while True:
        adoption = moments[index + 1] if index + 1 < len(moments) else None
        wake = state.wake
        if adoption is not None and adoption <= to and (wake is None or adoption <= wake):
            index += 1
            adopt(timeline, index, state, decisions, run)
            _set_wake(timeline.rule_sets[index], state)
        elif wake is not None and wake <= to:
            _wake_up(timeline.rule_sets[index], state, wake, decisions)
        else:
            return


def _wake_up(rules: RuleSet, state: UserState, moment: int, decisions: list[Decision]) -> None:
    """Run what is due at ``moment``: what is held, the timers, messages that expire, the end of an implicit session.

    ``moment`` may turn out too early, since activity moves deadlines without touching the wake-up: then
    nothing happens but that the next one is set.
    """
    due: int | None = None
    watches: Sequence[Watch] = ()
    if state.present_since is not None:
        due, watches = rules.dispatch.soonest(state, rules.policy)
    ends = _implicit_end(rules, state)
    delivery = soonest_delivery(rules, state) if state.held or state.messages else None
    if due != moment and ends != moment and delivery != moment:
        state.wake = _sooner(_sooner(due, ends), delivery)
        return
    state.now = moment
    sent_now: list[str] = []
    if delivery == moment and state.held:
        release(rules, state, None, decisions, sent_now)
    candidates: Candidates = []
    if due == moment:
        for watch in watches:
            fired = watch.trigger.fire(state, rules.policy)
            if fired is not None:
                candidates.append((watch, fired))
    if delivery == moment:
        for event in expire(rules, state):
            interest = rules.dispatch.interests[event.type]
            candidates += _react(rules, interest, state, event, decisions, sent_now)
    settle(candidates, state, rules.policy, decisions, sent_now)
    if ends == moment:
        state.implicit_since = None
        if not state.sessions:
            had = {watch.rule.order for watch, _ in candidates}
            last = state.last_activity
            leaving = _leave(rules, state, None if last is None else keep(last), decisions)
            leaving = [candidate for candidate in leaving if candidate[0].order not in had]
            settle(leaving, state, rules.policy, decisions, sent_now)
    _set_wake(rules, state)


def _set_wake(rules: RuleSet, state: UserState) -> None:
    wake = soonest_delivery(rules, state) if state.held or state.messages else None
    if state.present_since is not None:
        due, _ = rules.dispatch.soonest(state, rules.policy)
        wake = _sooner(wake, _sooner(due, _implicit_end(rules, state)))
    state.wake = wake


def _sooner(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one if one < other else other


def _implicit_end(rules: RuleSet, state: UserState) -> int | None:
    if state.implicit_since is None or state.idle_since is None:
        return None
    # A policy with a shorter timeout may begin to hold after the session would have ended by it: then it ends at once.
    return max(state.idle_since + rules.policy.session_timeout, state.now + 1)


def _be_active(rules: RuleSet, state: UserState, event: Event) -> None:
    """The user, who is present, does something."""
    at = state.now
    state.session_events += 1
    state.activity_count += 1
    state.last_activity = event
    state.idle_since = at
    # Deadlines that were armed can only have moved later. Of those that activity arms, this is the earliest.
    span = rules.dispatch.idle_min
    if span is not None:
        state.wake_by(at + span)


def _start_session(rules: RuleSet, state: UserState, event: Event) -> bool:
    """A session opens; whether presence begins with it."""
    name = session_name(event)
    if name in state.sessions:
        return False
    if len(state.sessions) >= SESSIONS_MAX:
        del state.sessions[next(iter(state.sessions))]
    state.sessions[name] = state.now
    if state.present_since is not None:
        return False
    _arrive(state, event)
    _set_wake(rules, state)
    return True


def _end_session(state: UserState, event: Event) -> bool:
    """A session ends; whether presence ends with it."""
    if state.sessions.pop(session_name(event), None) is None:
        return False
    return not state.sessions and state.implicit_since is None


def _identify(rules: RuleSet, state: UserState, event: Event) -> None:
    for name, value in event.data.items():
        if (name in state.attributes or len(state.attributes) < ATTRIBUTES_MAX) and is_small_attribute(name, value):
            state.attributes[name] = value
    # Another zone may bring a schedule of the user's nearer.
    state.steady = None
    _set_wake(rules, state)


def _arrive(state: UserState, event: Event) -> None:
    state.presence += 1
    state.steady = None
    state.present_since = state.now
    state.opened_by = event
    state.session_events = 0


def _leave(rules: RuleSet, state: UserState, event: Event | None, decisions: list[Decision]) -> Candidates:
    """The last session has ended, with ``event``: timers are dropped; windows, cooldowns and caps stay.

    What triggers make of it is for the caller to settle.
    """
    state.present_since = None
    state.left_at = state.now
    state.steady = None
    scope = Scope(state, event, state.now, rules.policy)
    candidates: Candidates = observe_departure(rules.dispatch, state, scope)
    state.opened_by = None
    state.session_events = 0
    state.idle_since = None
    state.last_activity = None
    if state.held:
        cancel_unkept(state, rules, decisions)
    _set_wake(rules, state)
    return candidates
