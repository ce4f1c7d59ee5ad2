"""The only code that moves a user's time. A state and an input go in; decisions come out, and the state has moved on.

1. A user's time runs from moment to moment, beginning with their first event. At each moment a rule set that
   begins to hold is adopted first, then wake-ups due run, then the event. Each happens at the moment it was due,
   however late the caller is.
2. An input is offered to the rules in order; candidates are settled by priority; each ends in exactly one outcome.
3. Only a present user has wake-ups; they are dropped when the last session ends.
4. `advance` in one leap or in two is the same. Nothing in a user's state depends on another user.

Nothing here asks whether it is live or a dry run: there is no way to tell.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.core.gates import settle
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.scope import Scope
from engine.core.state import (
    ATTRIBUTES_MAX,
    GONE_RULES_MAX,
    SESSIONS_MAX,
    UserState,
    is_small_attribute,
    session_name,
)


def run(timeline: Timeline, state: UserState, events: Iterable[Event], until: int, decisions: list[Decision]) -> None:
    """Apply ``events``, which are in order of time, then let the user's time run to ``until``."""
    for event in events:
        apply(timeline, state, event, decisions)
    advance(timeline, state, until, decisions)


def apply(timeline: Timeline, state: UserState, event: Event, decisions: list[Decision]) -> None:
    """Let time run to the event, then let it happen; one stamped earlier than the user's clock happens at the clock."""
    at = event.at
    if at < state.now:
        reported = event.at if event.at_reported is None else event.at_reported
        at = state.now
        event = msgspec.structs.replace(event, at=at, at_reported=reported)
    if state.now < 0:
        index = timeline.holding(at)
        state.rules_since = timeline.moments[index]
        rules = timeline.rule_sets[index]
    else:
        wake = state.wake
        if (wake is not None and wake <= at) or timeline.moments[-1] > state.rules_since:
            advance(timeline, state, at, decisions)
        # Nearly always the latest holds, and then nothing has to be looked up.
        place = -1 if timeline.moments[-1] <= state.rules_since else timeline.holding(state.rules_since)
        rules = timeline.rule_sets[place]
    state.now = at
    interest = rules.dispatch.interest(event.type)
    if interest.activity:
        _be_active(rules, state, event)
    else:
        _LIFECYCLE.get(event.type, _nothing)(rules, state, event)
    if not interest.empty:
        scope = Scope(state, event, at, rules.policy)
        candidates = interest.observe(state, scope)
        if candidates:
            settle(candidates, state, rules.policy, decisions)


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
            _adopt(timeline, index, state)
        elif wake is not None and wake <= to:
            _wake_up(timeline.rule_sets[index], state, wake, decisions)
        else:
            return


def _adopt(timeline: Timeline, index: int, state: UserState) -> None:
    """From its moment on the rule set holds for this user. What would have fired before it never fires."""
    rules = timeline.rule_sets[index]
    moment = timeline.moments[index]
    # Wake-ups due at the very moment belong to the new rules, so the clock stops just short of it.
    state.now = max(state.now, moment - 1)
    state.rules_since = moment
    for key in [key for key in state.memory if key not in rules.keys]:
        del state.memory[key]
    state.steady = None
    _forget_the_gone(rules, state)
    if state.present_since is not None:
        for trigger in timeline.fresh(index):
            trigger.adopt(state, rules.policy)
    _set_wake(rules, state)


def _forget_the_gone(rules: RuleSet, state: UserState) -> None:
    """What rules have sent is remembered when they are gone, for they may come back; but not without bound."""
    gone = [name for name in state.sent if name not in rules.ids]
    if len(gone) > GONE_RULES_MAX:
        gone.sort(key=lambda name: (state.sent[name].last, name))
        for name in gone[:-GONE_RULES_MAX]:
            del state.sent[name]


def _wake_up(rules: RuleSet, state: UserState, moment: int, decisions: list[Decision]) -> None:
    """Run what is due at ``moment``: the timers first, then the end of an implicit session.

    ``moment`` may turn out too early, since activity moves deadlines without touching the wake-up: then
    nothing happens but that the next one is set.
    """
    due, watches = rules.dispatch.soonest(state, rules.policy)
    ends = _implicit_end(rules, state)
    if due != moment and ends != moment:
        state.wake = _sooner(due, ends)
        return
    state.now = moment
    if due == moment:
        candidates = []
        for watch in watches:
            fired = watch.trigger.fire(state, rules.policy)
            if fired is not None:
                candidates.append((watch, fired))
        settle(candidates, state, rules.policy, decisions)
    if ends == moment:
        state.implicit_since = None
        if not state.sessions:
            _leave(state)
    _set_wake(rules, state)


def _set_wake(rules: RuleSet, state: UserState) -> None:
    if state.present_since is None:
        state.wake = None
        return
    due, _ = rules.dispatch.soonest(state, rules.policy)
    state.wake = _sooner(due, _implicit_end(rules, state))


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
    at = state.now
    arrived = state.present_since is None
    if arrived:
        state.implicit_since = at
        _arrive(state)
    state.session_events += 1
    state.activity_count += 1
    state.last_activity = event
    state.idle_since = at
    if arrived:
        _set_wake(rules, state)
    # Deadlines that were armed can only have moved later. Of those that activity arms, this is the earliest.
    span = rules.dispatch.idle_min
    if span is not None and (state.wake is None or at + span < state.wake):
        state.wake = at + span


def _start_session(rules: RuleSet, state: UserState, event: Event) -> None:
    name = session_name(event)
    if name in state.sessions:
        return
    if len(state.sessions) >= SESSIONS_MAX:
        del state.sessions[next(iter(state.sessions))]
    state.sessions[name] = state.now
    if state.present_since is None:
        _arrive(state)
        _set_wake(rules, state)


def _end_session(rules: RuleSet, state: UserState, event: Event) -> None:
    if state.sessions.pop(session_name(event), None) is None:
        return
    if not state.sessions and state.implicit_since is None:
        _leave(state)
        state.wake = None


def _identify(rules: RuleSet, state: UserState, event: Event) -> None:
    for name, value in event.data.items():
        if (name in state.attributes or len(state.attributes) < ATTRIBUTES_MAX) and is_small_attribute(name, value):
            state.attributes[name] = value
    # Another zone may bring a schedule of the user's nearer.
    state.steady = None
    _set_wake(rules, state)


def _nothing(rules: RuleSet, state: UserState, event: Event) -> None:
    """Lifecycle events of which the state keeps nothing; rules may still watch for them."""


_LIFECYCLE = {"session.start": _start_session, "session.end": _end_session, "user.identify": _identify}


def _arrive(state: UserState) -> None:
    state.presence += 1
    state.steady = None
    state.present_since = state.now
    state.session_events = 0


def _leave(state: UserState) -> None:
    """The last session has ended: timers are dropped; windows, cooldowns and caps stay."""
    state.present_since = None
    state.steady = None
    state.session_events = 0
    state.idle_since = None
    state.last_activity = None
