"""How far the triggers of rules without a candidate came at most. It decides nothing, nor asks rules that fired.

It runs users' events once more, each silent rule alone, and asks the triggers along the way; of a large log only a
share, so that it costs little beside the dry run itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.rules import Policy, Rule, RuleSet, Timeline, Trigger
from engine.core.state import UserState
from engine.core.units import format_duration
from engine.loading.wording import listed
from engine.replay.survey import Survey, listens_to_messages
from engine.triggers.absence import Absence
from engine.triggers.count import Count
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned


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


def furthest(timeline: Timeline, survey: Survey, end: int) -> Furthest:
    """How far the triggers of the surveyed rules came, of a timeline of one rule set; time ends at ``end``."""
    found = Furthest()
    for rule in timeline.latest:
        if rule.id in survey.pasts:
            pasts = survey.pasts[rule.id]
            reaches = [reach for reach in map(reach_of, rule.triggers) if reach is not None]
            looked, ran_out = _run_again(_alone(timeline, rule), pasts.users(), reaches, end, pasts.most)
            for reach in reaches:
                found.reaches[reach.trigger.key] = reach
                found.looked[reach.trigger.key] = looked if ran_out else None
    return found


def _alone(timeline: Timeline, rule: Rule) -> Timeline:
    """The rule without the others, unless it listens to what becomes of their messages."""
    rules = timeline.latest
    return Timeline(rules if listens_to_messages(rule) else RuleSet((rule,), rules.policy, ""))


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
