"""Whether invariants hold for what one user was sent. It makes up nothing and prints nothing.

A decision does not say in which presence it was made, nor in which zone the user was: that is found by running the
user's events once more, a step at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.quiet import QuietHours
from engine.core.rules import RuleSet, Timeline
from engine.core.scope import user_zone
from engine.core.state import UserState
from engine.core.units import format_duration, to_datetime
from engine.loading.diagnostic import counted
from engine.loading.invariants import AtMost, EveryRuleFires, Invariant, NeverDuring


class Sending(NamedTuple):
    """A message that was sent: in which presence of the user, counted from 1, and in which zone the user was."""

    decision: Decision
    presence: int
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold for a user. ``sendings`` are those that break it, the last is one too many."""

    invariant: AtMost | NeverDuring
    user: str
    sendings: tuple[Sending, ...]

    def text(self) -> str:
        """What was sent to whom, on one line but for the moments."""
        count = len(self.sendings)
        if isinstance(self.invariant, NeverDuring):
            return f"{self.sendings[-1].decision.rule} sent during {self.invariant.quiet_hours}"
        per = self.invariant.per
        within = f"within {format_duration(per)}" if isinstance(per, int) else f"in one {per}"
        if per == "user":
            within = "in all"
        return f"{counted(count, 'message')} {within}, at most {self.invariant.count_max}"


class Watch:
    """One user's run, an input at a time: all ``decisions`` so far, and what was sent. As one `run` would have it."""

    def __init__(self, timeline: Timeline, user: str) -> None:
        self.timeline = timeline
        self.state = UserState(user)
        self.decisions: list[Decision] = []
        self.sendings: list[Sending] = []
        self._seen = 0

    def apply(self, event: Event) -> None:
        # What time brings is looked at before the event can change the zone or begin another presence.
        self.advance(event.at)
        apply(self.timeline, self.state, event, self.decisions)
        self._look()

    def advance(self, to: int) -> None:
        advance(self.timeline, self.state, to, self.decisions)
        self._look()

    def _look(self) -> None:
        if self._seen == len(self.decisions):
            return
        for decision in self.decisions[self._seen :]:
            if decision.outcome == "sent":
                policy = self.timeline.rule_sets[self.timeline.holding(decision.at)].policy
                zone = user_zone(self.state.attributes, policy)
                self.sendings.append(Sending(decision, self.state.presence, zone))
        self._seen = len(self.decisions)


def run_watched(
    timeline: Timeline, user: str, events: Iterable[Event], until: int
) -> tuple[list[Decision], list[Sending]]:
    """All decisions of the user, and what was sent. The same as one `run`, for time runs the same in any steps."""
    watch = Watch(timeline, user)
    for event in events:
        watch.apply(event)
    watch.advance(until)
    return watch.decisions, watch.sendings


def violation_of(
    invariant: AtMost | NeverDuring, timeline: Timeline, user: str, sendings: Sequence[Sending]
) -> Violation | None:
    """The first time that the user's messages broke it, None where they never did."""
    if isinstance(invariant, NeverDuring):
        mine = [sending for sending in sendings if invariant.concerns(sending.decision.rule)]
        found = [sending for sending in mine if _is_quiet(invariant, timeline, sending)][:1]
    else:
        found = fullest(invariant, sendings)
        found = found if len(found) > invariant.count_max else []
    return Violation(invariant, user, tuple(found)) if found else None


def _is_quiet(invariant: NeverDuring, timeline: Timeline, sending: Sending) -> bool:
    at = sending.decision.at
    # A rule set of the past may have had no such hours.
    hours: QuietHours | None = timeline.rule_sets[timeline.holding(at)].policy.quiet_hours.get(invariant.quiet_hours)
    return hours is not None and hours.holds(to_datetime(at, sending.zone))


def fullest(invariant: AtMost, sendings: Iterable[Sending]) -> list[Sending]:
    """The first period with the most messages that the invariant counts; one too many is enough, it looks no further.

    Of a sliding span as of any period it is what was sent until the last of them.
    """
    window: deque[Sending] = deque()
    periods: dict[Hashable, list[Sending]] = {}
    found: list[Sending] = []
    for sending in sendings:
        if not invariant.concerns(sending.decision.rule):
            continue
        if isinstance(invariant.per, int):
            window.append(sending)
            # The window is (now - D, now]: what was sent exactly D ago is outside.
            while window[0].decision.at <= sending.decision.at - invariant.per:
                window.popleft()
            same: Sequence[Sending] = window
        else:
            so_far = periods.setdefault(_period(invariant.per, sending), [])
            so_far.append(sending)
            same = so_far
        if len(same) > len(found):
            found = list(same)
        if len(found) > invariant.count_max:
            break
    return found


def _period(per: str, sending: Sending) -> Hashable:
    if per == "session":
        return sending.presence
    return to_datetime(sending.decision.at, sending.zone).date() if per == "day" else None


def silent_rules(invariant: EveryRuleFires, rules: RuleSet, fired: Iterable[str]) -> list[str]:
    """The rules that are not off, are meant, and are not among those that ``fired``; in rule order."""
    heard = frozenset(fired)
    return [rule.id for rule in rules if rule.mode != "off" and invariant.concerns(rule.id) and rule.id not in heard]


def may_break(invariant: Invariant, sent: int) -> bool:
    """Whether so many messages to a user can break it: whether it is worth a closer look."""
    if isinstance(invariant, AtMost):
        return sent > invariant.count_max
    return isinstance(invariant, NeverDuring) and sent > 0
