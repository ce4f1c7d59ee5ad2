"""One user's time once more, with somebody who watches one rule: every candidate, its gates, and what made it.

It decides nothing: the rules run as they always do, the one that is watched with a condition more that always holds
and looks about when it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from engine.core.evaluate import advance, apply
from engine.core.expressions import Expression
from engine.core.feedback import seen_by_rules
from engine.core.model import LIFECYCLE_PREFIX, Decision, Event
from engine.core.rules import Rule, RuleSet, Timeline
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.verdicts import Verdict, verdicts
from engine.replay.driver import history_of
from engine.replay.trail import Trail


@dataclass(slots=True)
class Sight:
    """One candidate. ``decision`` is the one that it had first; ``later`` are those of its message, in order.

    ``gates`` are all of them, as they stood then. ``event`` is the one that fired the trigger or armed its timer,
    ``made_by`` all that the trigger went by, as far as it can be told, in order of time.
    """

    decision: Decision
    gates: tuple[Verdict, ...]
    rule: Rule
    event: Event | None
    made_by: tuple[Event, ...] = ()
    later: list[Decision] = field(default_factory=list)

    @property
    def at(self) -> int:
        return self.decision.at

    @property
    def last(self) -> Decision:
        """What has become of it in the end."""
        return self.later[-1] if self.later else self.decision

    @property
    def sent(self) -> Decision | None:
        """The decision by which its message was sent, whatever became of it afterwards."""
        return next((one for one in (self.decision, *self.later) if one.outcome == "sent"), None)


class Onlooker:
    """Asked along the way about the user's state, which it must not change. ``rules`` are those that hold."""

    def before(self, rules: RuleSet, state: UserState, event: Event) -> None:
        """Time has run to the event, which has not yet happened."""

    def after(self, rules: RuleSet, state: UserState, event: Event, fired: bool) -> None:
        """The event has happened. ``fired``: it, or the time before it, made a candidate of the rule."""

    def end(self, rules: RuleSet, state: UserState, at: int) -> None:
        """The user's time is over."""


@dataclass(slots=True)
class Witnessed:
    """``sights`` are the candidates of the rule that was watched, ``decisions`` those of all rules."""

    sights: list[Sight]
    decisions: list[Decision]


def names_of(timeline: Timeline, rule_id: str) -> frozenset[str]:
    """The ids that the rule has had."""
    names = {rule_id}
    for rules in reversed(timeline.rule_sets):
        names |= {rule.was for rule in rules if rule.id in names and rule.was is not None}
    return frozenset(names)


def witness(
    timeline: Timeline, rule_id: str, events: Sequence[Event], end: int, onlooker: Onlooker | None = None
) -> Witnessed:
    """Run the events of one user, at least one, in order of time, then their time to ``end``.

    The events are those on which evaluation does not raise.
    """
    names = names_of(timeline, rule_id)
    state = UserState(events[0].user)
    watch = _Watch(state)
    watched = _watched(timeline, names, watch)
    watched.history = history_of(events)
    trail = Trail()
    for event in events:
        seen = len(watch.sights)
        watch.begin()
        advance(watched, state, event.at, watch.decisions)
        rules = watched.rule_sets[watched.holding(event.at)]
        if onlooker is not None and state.now >= 0:
            onlooker.before(rules, state, event)
        # Afterwards a message may not be known any more that the event was about.
        shown = seen_by_rules(rules, state, event) if event.type.startswith(LIFECYCLE_PREFIX) else event
        watch.begin()
        apply(watched, state, event, watch.decisions)
        for name in names:
            if name in rules.by_id:
                trail.note(rules.by_id[name], rules.policy, state, shown)
        watch.settle(trail, seen)
        if onlooker is not None:
            onlooker.after(rules, state, shown, len(watch.sights) > seen)
    seen = len(watch.sights)
    watch.begin()
    advance(watched, state, end, watch.decisions)
    watch.settle(trail, seen)
    if onlooker is not None:
        onlooker.end(watched.rule_sets[watched.holding(end)], state, end)
    return Witnessed(_joined(watch, names), watch.decisions)


class _Watch:
    """Where the condition looks to: what has been decided, and which of it by the present input."""

    def __init__(self, state: UserState) -> None:
        self.state = state
        self.decisions: list[Decision] = []
        self.began = 0
        self.sights: list[tuple[int, tuple[Verdict, ...], Rule, Event | None]] = []
        self.made_by: list[tuple[Event, ...]] = []

    def begin(self) -> None:
        self.began = len(self.decisions)

    def look(self, rule: Rule, scope: Scope) -> bool:
        if scope.state is not self.state:
            return True  # rules that begin to hold have the past run once more, and nothing is said
        if any(held.facts is scope.trigger for held in scope.state.held):
            return True  # a message that is looked at again before it is sent is no candidate
        sent_now = [
            decision.rule
            for decision in self.decisions[self.began :]
            if decision.outcome == "sent" and decision.at == scope.at
        ]
        # The very next decision is the one about this candidate.
        self.sights.append((len(self.decisions), verdicts(rule, scope, sent_now), rule, scope.event))
        return True

    def settle(self, trail: Trail, seen: int) -> None:
        """Find out what made the candidates beyond the first ``seen``."""
        for place, _, rule, event in self.sights[seen:]:
            self.made_by.append(trail.made(rule, self.decisions[place], event))


def _watched(timeline: Timeline, names: Collection[str], watch: _Watch) -> Timeline:
    found: Timeline | None = None
    for at, rules in zip(timeline.moments, timeline.rule_sets, strict=True):
        some = tuple([_looked_at(rule, watch) if rule.id in names else rule for rule in rules])
        looked = RuleSet(some, rules.policy, rules.hash, rules.sources)
        if found is None:
            found = Timeline(looked, at)
        else:
            found.add(at, looked)
    assert found is not None  # a timeline has one rule set at least
    return found


def _looked_at(rule: Rule, watch: _Watch) -> Rule:
    lookout = Expression("true", lambda scope: watch.look(rule, scope), frozenset(), None, ())
    return replace(rule, conditions=(lookout, *rule.conditions))


def _joined(watch: _Watch, names: Collection[str]) -> list[Sight]:
    """The candidates, each with what became of its message."""
    found = []
    by_message: dict[str, Sight] = {}
    for (place, gates, rule, event), made_by in zip(watch.sights, watch.made_by, strict=True):
        sight = Sight(watch.decisions[place], gates, rule, event, made_by)
        found.append(sight)
        if sight.decision.message is not None:
            by_message[sight.decision.message.id] = sight
    for decision in watch.decisions:
        if decision.was is not None and decision.message is not None:
            first = by_message.get(decision.message.id)
            if first is not None:
                first.later.append(decision)
    return found
