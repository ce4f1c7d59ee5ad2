"""A rule set begins to hold for a user: what goes on being remembered, what is found out anew, what is forgotten.

Nothing that would have fired before the change ever fires.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from engine.core.delivery import cancel_unsendable
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline, Trigger, renamed_key
from engine.core.state import GONE_RULES_MAX, UserState

# `evaluate.run`, which lets the events of a user's past happen once more.
Run = Callable[[Timeline, UserState, Sequence[Event], int, list[Decision]], None]


def adopt(timeline: Timeline, index: int, state: UserState, decisions: list[Decision], run: Run) -> None:
    """The rule set of that index holds for this user. The clock stops just short of its moment.

    Wake-ups due at the very moment belong to the new rules; setting the next one is left to the caller.
    """
    rules, moment = timeline.rule_sets[index], timeline.moments[index]
    state.now = max(state.now, moment - 1)
    state.rules_since = moment
    if rules.renamed:
        _rename(rules, state)
    for key in [key for key in state.memory if key not in rules.keys]:
        del state.memory[key]
    state.steady = None
    _forget_the_gone(rules, state)
    cancel_unsendable(state, rules, moment, decisions)
    fresh = timeline.fresh(index)
    if fresh and timeline.history is not None:
        _find_out(rules, fresh, state, timeline.history(state.user, moment), moment, run)


def _find_out(
    rules: RuleSet, fresh: frozenset[str], state: UserState, past: Sequence[Event], moment: int, run: Run
) -> None:
    """Remember for the fresh triggers what they would if these rules had held all along: the past is run once more,
    for a user of whom nothing is known, and nothing that is said is heard."""
    timeline = Timeline(rules)
    former = UserState(state.user)
    try:
        run(timeline, former, past, moment - 1, [])
    except Exception:
        former = _with_care(timeline, state.user, past, moment, run)
    for rule in rules:
        for trigger in rule.triggers:
            memory = former.memory.get(trigger.key) if trigger.key in fresh else None
            if memory is not None:
                _take_over(trigger, memory, former, state)


def _with_care(timeline: Timeline, user: str, past: Sequence[Event], moment: int, run: Run) -> UserState:
    """The same, less the events on which evaluation raises: they are set aside wherever they come."""
    before = UserState(user).encode()
    for event in past:
        state = UserState.decode(before)
        with suppress(Exception):
            run(timeline, state, (event,), event.at, [])
            before = state.encode()
    state = UserState.decode(before)
    with suppress(Exception):
        run(timeline, state, (), moment - 1, [])
        return state
    return UserState.decode(before)  # time itself cannot pass for this user


def _take_over(trigger: Trigger, memory: object, former: UserState, state: UserState) -> None:
    kept = trigger.rebuilt(memory, former, state)
    if kept is not None:
        state.memory[trigger.key] = kept


def _rename(rules: RuleSet, state: UserState) -> None:
    """What is remembered of a rule follows it to its new id; what is remembered of that id already stays."""
    renamed = rules.renamed
    for was, now in renamed.items():
        if was in state.sent and now not in state.sent:
            state.sent[now] = state.sent.pop(was)
    for key in [key for key in state.memory if key not in rules.keys]:
        new = renamed_key(key, renamed)
        if new != key and new in rules.keys and new not in state.memory:
            state.memory[new] = state.memory.pop(key)
    for held in state.held:
        held.rule = renamed.get(held.rule, held.rule)
    for outstanding in state.messages.values():
        outstanding.rule = renamed.get(outstanding.rule, outstanding.rule)
    if state.finished:
        state.finished = {name: renamed.get(rule_id, rule_id) for name, rule_id in state.finished.items()}
    wishes = state.preferences
    if wishes is not None:
        wishes.muted = list(dict.fromkeys([renamed.get(name, name) for name in wishes.muted]))
        snoozed: dict[str, int] = {}
        for name, until in wishes.snoozed.items():
            name = renamed.get(name, name)
            snoozed[name] = max(until, snoozed.get(name, until))
        wishes.snoozed = snoozed


def _forget_the_gone(rules: RuleSet, state: UserState) -> None:
    """What rules have sent is remembered when they are gone, for they may come back; but not without bound."""
    gone = [name for name in state.sent if name not in rules.by_id]
    if len(gone) > GONE_RULES_MAX:
        gone.sort(key=lambda name: (state.sent[name].last, name))
        for name in gone[:-GONE_RULES_MAX]:
            del state.sent[name]
    for name in [name for name in state.spent if name not in rules.policy.budgets]:
        state.drop_spending(name)
