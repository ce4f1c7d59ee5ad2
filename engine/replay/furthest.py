"""How far the triggers of rules without a candidate came at most. It decides nothing, nor asks rules that fired.

It runs users' events once more, each silent rule alone, and asks the triggers along the way; of a large log only a
share, so that it costs little beside the dry run itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.core.evaluate import advance, apply
from engine.core.matcher import Matcher
from engine.core.model import LIFECYCLE_PREFIX, Decision, Event
from engine.core.rules import Policy, Rule, RuleSet, Timeline, Trigger
from engine.core.state import UserState
from engine.core.units import format_duration
from engine.loading.wording import listed
from engine.replay.activity import group
from engine.replay.census import Census
from engine.triggers.absence import Absence
from engine.triggers.count import Count
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned

EVENTS_MIN = 20_000  # that are run again however small the log is
EVENTS_SHARE = 50  # of a log: one event in so many, where that is more
RULE_EVENTS_MIN = 1_000  # for each rule
RULES_MAX = 50  # silent rules that are run again; of further ones nothing is known


@dataclass(slots=True)
class Reach:
    """How far one trigger came. ``best`` is 0 where it never even began; ``text`` says the rest."""

    trigger: Trigger
    best: int = 0
    text: str = ""

    def before(self, state: UserState) -> None:
        """Time has run to an event, which has not yet happened."""

    def after(self, state: UserState, event: Event) -> None:
        """The event has happened."""

    def end(self, state: UserState, at: int) -> None:
        """The user's time is over."""


class Matches(Reach):
    """Of `Count` and of `Sequence`: what is remembered of a group is the longer the further it came."""

    def after(self, state: UserState, event: Event) -> None:
        trigger = self.trigger
        assert isinstance(trigger, Count | Steps)
        groups = state.memory.get(trigger.key)
        if groups is None:
            return
        name = "" if trigger.grouping is None else trigger.grouping.name(event)
        reached = len(groups.get(name, ()))
        if reached > self.best:
            self.best = reached
            self.text = f"at most {trigger.progress(state, Policy(), state.now)}"


class Stay(Reach):
    """Of `Lasted`: the longest session; it has lasted as long as it was seen to last."""

    _since: int | None = None

    def before(self, state: UserState) -> None:
        since, self._since = self._since, state.present_since
        if since is not None and since != state.present_since and state.left_at is not None:
            self._note(state.left_at - since)

    def after(self, state: UserState, event: Event) -> None:
        self.before(state)

    def end(self, state: UserState, at: int) -> None:
        self.before(state)
        if state.present_since is not None:
            self._note(at - state.present_since)
        self._since = None

    def _note(self, span: int) -> None:
        trigger = self.trigger
        assert isinstance(trigger, Lasted)
        if span >= self.best:
            self.best = span
            self.text = f"no session lasted {format_duration(trigger.span)}; the longest {format_duration(span)}"


class Away(Reach):
    """Of `Returned`: the longest absence from which somebody came back."""

    def after(self, state: UserState, event: Event) -> None:
        trigger = self.trigger
        assert isinstance(trigger, Returned)
        if state.left_at is None or state.present_since != state.now:
            return
        span = state.now - state.left_at
        if span >= self.best:
            self.best = span
            away = format_duration(trigger.span)
            self.text = f"nobody came back after {away} away; the longest was {format_duration(span)}"


class Waited(Reach):
    """Of `Absence`: what became of the times when it was armed."""

    _armed: tuple[int, ...] = ()
    came = left = ended = False

    def before(self, state: UserState) -> None:
        # Time alone takes nothing from a trigger that does not fire, but with the end of a session.
        armed = self._moments(state)
        self.left |= len(armed) < len(self._armed)
        self._armed = armed

    def after(self, state: UserState, event: Event) -> None:
        armed = self._moments(state)
        gone = bool(set(self._armed) - set(armed))
        self.came |= gone and state.present_since is not None
        self.left |= gone and state.present_since is None
        self.best |= bool(armed)
        self._armed = armed

    def end(self, state: UserState, at: int) -> None:
        self.before(state)
        self.ended |= bool(self._armed)
        self._armed = ()
        trigger = self.trigger
        assert isinstance(trigger, Absence)
        within, no = format_duration(trigger.within), listed(trigger.no.event_types, "or")
        if self.came and not (self.left or self.ended):
            self.text = f"{no} always came within {within}"
            return
        why = [f"{no} came"] * self.came + ["the user left"] * self.left + ["the log ended"] * self.ended
        self.text = f"each time {' or '.join(why)} within {within}" if why else ""

    def _moments(self, state: UserState) -> tuple[int, ...]:
        return tuple([parts[1] for parts in state.memory.get(self.trigger.key, {}).values()])


def reach_of(trigger: Trigger) -> Reach | None:
    """What tells how far it comes; None for kinds of which there is nothing to tell."""
    match trigger:
        case Count() | Steps():
            return Matches(trigger)
        case Lasted():
            return Stay(trigger)
        case Returned():
            return Away(trigger)
        case Absence():
            return Waited(trigger)
    return None


@dataclass(slots=True)
class Furthest:
    """``reaches`` by the keys of triggers. ``looked``: how many events it took, None where that were all there are."""

    reaches: dict[str, Reach] = field(default_factory=dict)
    looked: dict[str, int | None] = field(default_factory=dict)


def furthest(timeline: Timeline, silent: Sequence[Rule], log: Census, end: int) -> Furthest:
    """How far the triggers of the ``silent`` rules came, of a timeline of one rule set; time ends at ``end``."""
    found = Furthest()
    rules = [rule for rule in silent if any(_can_be_told(trigger, log) for trigger in rule.triggers)][:RULES_MAX]
    most = max(max(EVENTS_MIN, len(log.events) // EVENTS_SHARE) // max(len(rules), 1), RULE_EVENTS_MIN)
    relevant = {rule.id: _relevant(rule, log, most + 1) for rule in rules}
    # One look at the log for all of them, however many they are.
    wanted = frozenset(event.user for events in relevant.values() for event in events)
    pasts = group([event for event in log.events if event.user in wanted]) if wanted else {}
    for rule in rules:
        reaches = [reach for reach in map(reach_of, rule.triggers) if reach is not None]
        types = frozenset(log.types(_patterns(rule))) if _needs_no_past(rule) else frozenset(log.counts)
        names = dict.fromkeys(event.user for event in relevant[rule.id])
        users = ([event for event in pasts[name] if event.type in types] for name in names)
        looked, ran_out = _run_again(_alone(timeline, rule), users, reaches, end, most)
        for reach in reaches:
            found.reaches[reach.trigger.key] = reach
            found.looked[reach.trigger.key] = None if len(relevant[rule.id]) <= most and not ran_out else looked
    return found


def _patterns(rule: Rule) -> list[str]:
    return [name for trigger in rule.triggers for name in trigger.event_types]


def _can_be_told(trigger: Trigger, log: Census) -> bool:
    return reach_of(trigger) is not None and (not trigger.event_types or bool(log.types(trigger.event_types)))


def _alone(timeline: Timeline, rule: Rule) -> Timeline:
    """The rule without the others, unless it listens to what becomes of their messages."""
    rules = timeline.latest
    if any(name.startswith(LIFECYCLE_PREFIX) or name == "*" for name in _patterns(rule)):
        return Timeline(rules)
    return Timeline(RuleSet((rule,), rules.policy, ""))


def _relevant(rule: Rule, log: Census, most: int) -> Sequence[Event]:
    """The first events of the log that the rule looks at; where it looks at sessions, of any type."""
    if any(trigger.kind == "session" for trigger in rule.triggers):
        return log.events[:most]
    return log.first(log.types(_patterns(rule)), most)


def _needs_no_past(rule: Rule) -> bool:
    """Whether nothing but the events of its types has a bearing on how far its triggers come."""
    if any(name.startswith(LIFECYCLE_PREFIX) or name == "*" for name in _patterns(rule)):
        return False
    for trigger in rule.triggers:
        if not isinstance(trigger, Count | Steps):
            return False
        if any(matcher.where is not None and not matcher.where.needs <= {"event"} for matcher in matchers_of(trigger)):
            return False
    return True


def matchers_of(trigger: Count | Steps) -> list[Matcher]:
    """The matchers of the events that bring it further, and of those that throw it back."""
    if isinstance(trigger, Count):
        return [trigger.matcher, *([trigger.reset_on] if trigger.reset_on else [])]
    return [*trigger.steps, *([trigger.without] if trigger.without else [])]


def _run_again(
    timeline: Timeline, users: Iterable[list[Event]], reaches: Sequence[Reach], end: int, most: int
) -> tuple[int, bool]:
    """Run at most so many events, of one user after the other; how many these were, and whether any were left out."""
    looked = 0
    for mine in users:
        state, made = UserState(mine[0].user), list[Decision]()
        for event in mine:
            if looked == most:
                return looked, True
            looked += 1
            advance(timeline, state, event.at, made)
            for reach in reaches:
                reach.before(state)
            apply(timeline, state, event, made)
            for reach in reaches:
                reach.after(state, event)
        advance(timeline, state, end, made)
        for reach in reaches:
            reach.end(state, end)
    return looked, False
