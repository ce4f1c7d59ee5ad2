"""How near the triggers of a rule came to firing, and when, in a span of one user's time. It decides nothing.

It looks on while the events run (`witness.Onlooker`). Of each trigger it keeps the nearest moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.core.calendar import Calendar
from engine.core.expressions import Expression
from engine.core.glance import glance
from engine.core.model import Event, is_activity
from engine.core.operands import seen
from engine.core.rules import Policy, Rule, RuleSet, Trigger
from engine.core.scope import Scope, user_zone
from engine.core.state import UserState
from engine.core.units import DAY, format_duration, show_at
from engine.replay.trail import Trail
from engine.replay.witness import Onlooker
from engine.triggers.absence import Absence
from engine.triggers.count import Count
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import Inactivity, InactivityAfter
from engine.triggers.keywords import Keywords
from engine.triggers.response import Response
from engine.triggers.schedule import CalendarSchedule, IntervalSchedule
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned

OCCURRENCES_MAX = 500  # of a schedule in the span that are looked at


@dataclass(frozen=True, slots=True)
class Approach:
    """How near one trigger came. ``share`` is from 0 (nothing) to below 1 (it fires), ``position`` the trigger's place.

    ``text`` says it; ``event`` is what came last, or in between; ``span`` the time that passed where it is a matter of
    time, and ``events`` what it had gathered. ``missed``: the event came and would not do;
    ``values`` are then the names that its ``where`` looks at and what they were, in turn.
    """

    position: int
    trigger: Trigger
    at: int
    share: float
    text: str
    event: Event | None = None
    span: int | None = None
    events: tuple[Event, ...] = ()
    missed: bool = False
    values: tuple[Any, ...] = ()


@dataclass(slots=True)
class Nearest(Onlooker):
    """Keeps of each trigger of ``rule`` the nearest moment from ``start`` to ``end``; of equals that nearest to ``at``.

    Without an ``at`` the latest of equals counts. Moments at which the rule had a candidate are no misses.
    """

    rule: Rule
    start: int
    stop: int
    at: int | None = None
    found: dict[int, Approach] = field(default_factory=dict)
    trail: Trail = field(default_factory=Trail)
    _idle_since: int | None = None
    _present_since: int | None = None
    _armed: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _idle_armed: frozenset[int] = frozenset()
    _open: dict[int, Approach] = field(default_factory=dict)

    def note(
        self, position: int, at: int, share: float, text: str, event: Event | None = None, span: int | None = None,
        events: Sequence[Event] = (), missed: Scope | None = None,
    ) -> None:  # fmt: skip
        """The trigger with that position came so near."""
        if not self.start <= at <= self.stop:
            return
        trigger = self.rule.triggers[position]
        where = None if missed is None else where_of(trigger)
        values = () if where is None or missed is None else seen(where.names, missed)
        approach = Approach(
            position, trigger, at, share, text, event, span, tuple(events), missed is not None, values
        )  # fmt: skip
        if not events:
            self._keep(self.found, approach)
            return
        # What has been gathered may yet come to a candidate, as long as it is not too old.
        waiting = self._open.get(position)
        if waiting is not None and isinstance(trigger, Count | Steps) and waiting.at + trigger.within < at:
            self._keep(self.found, self._open.pop(position))
        self._keep(self._open, approach)

    def _keep(self, among: dict[int, Approach], approach: Approach) -> None:
        former = among.get(approach.position)
        if former is None or self._rank(approach) >= self._rank(former):
            among[approach.position] = approach

    def _rank(self, approach: Approach) -> tuple[float, int, int]:
        return (approach.share, *self._nearer(approach.at))

    def _nearer(self, at: int) -> tuple[int, int]:
        return (0 if self.at is None else -abs(at - self.at), at)

    def best(self) -> list[Approach]:
        """The nearest moment of each trigger, the nearest of all first."""
        return sorted(self.found.values(), key=lambda found: (-found.share, found.position))

    def before(self, rules: RuleSet, state: UserState, event: Event) -> None:
        self._left(state)
        for position, trigger in self._present(rules):
            match trigger:
                case Inactivity() if is_activity(event.type):
                    self._idle(position, trigger, state, event)
                case Absence():
                    self._armed[position] = _armed(trigger, state)

    def after(self, rules: RuleSet, state: UserState, event: Event, fired: bool) -> None:
        self._left(state)
        if fired and event.at <= self.stop:
            self._open.clear()
        current = rules.by_id.get(self.rule.id)
        if current is not None:
            self.trail.note(current, rules.policy, state, event)
        for position, trigger in self._present(rules):
            if isinstance(trigger, Absence):
                self._waited(position, trigger, state, event)
            if isinstance(trigger, Returned) and state.present_since == state.now == event.at:
                self._came_back(position, trigger, state)
            if not fired and _covers(trigger, event.type):
                self._came(position, trigger, Scope(state, event, state.now, rules.policy), rules)
            if isinstance(trigger, Absence):
                self._armed[position] = _armed(trigger, state)
        self._idle_since = state.idle_since
        self._idle_armed = frozenset(
            place for place, trigger in enumerate(self.rule.triggers) if _is_armed(trigger, state)
        )
        self._present_since = state.present_since

    def end(self, rules: RuleSet, state: UserState, at: int) -> None:
        self._left(state)
        for approach in self._open.values():
            self._keep(self.found, approach)
        for position, trigger in self._present(rules):
            match trigger:
                case Inactivity() if state.idle_since is not None:
                    self._idle(position, trigger, state, None, at)
                case Absence():
                    for since in _armed(trigger, state):
                        self._so_long(position, at, at - since, trigger.within, "waited", "when time ended")
                case Lasted() if state.present_since is not None:
                    self._so_long(position, at, at - state.present_since, trigger.span, "lasted", "when time ended")
                case CalendarSchedule():
                    self._scheduled(position, trigger, state, rules)
                case IntervalSchedule() if state.present_since is not None:
                    passed = (at - state.present_since) % trigger.span
                    self._so_long(position, at, passed, trigger.span, "present for", "when time ended")

    def _present(self, rules: RuleSet) -> list[tuple[int, Trigger]]:
        """The triggers that these rules have."""
        return [(place, trigger) for place, trigger in enumerate(self.rule.triggers) if trigger.key in rules.keys]

    def _left(self, state: UserState) -> None:
        """The user may have left since anybody looked."""
        since, left = self._present_since, state.left_at
        if since is None or left is None or left < since:
            return
        self._present_since = state.present_since
        for position, trigger in enumerate(self.rule.triggers):
            match trigger:
                case Lasted():
                    self._so_long(position, left, left - since, trigger.span, "lasted", "when the user left")
                case IntervalSchedule():
                    passed = (left - since) % trigger.span
                    self._so_long(position, left, passed, trigger.span, "present for", "when the user left")
                case Absence():
                    for armed in self._armed.get(position, ()):
                        self._so_long(position, left, left - armed, trigger.within, "waited", "when the user left")
                case Inactivity() if self._idle_since is not None and position in self._idle_armed:
                    idle = left - self._idle_since
                    self._so_long(position, left, idle, trigger.span, "idle", "when the user left")
        self._idle_since = None

    def _so_long(
        self, position: int, at: int, span: int, whole: int, doing: str, until: str, event: Event | None = None
    ) -> None:
        """It would have had to go on for longer."""
        if 0 < span < whole:
            text = f"{doing} {format_duration(span)} of {format_duration(whole)} {until}"
            self.note(position, at, span / whole, text, event, span)

    def _idle(
        self, position: int, trigger: Inactivity, state: UserState, event: Event | None, at: int | None = None
    ) -> None:
        if state.idle_since is None:
            return
        moment = at if event is None else event.at
        assert moment is not None
        span = moment - state.idle_since
        last = state.last_activity
        if _is_armed(trigger, state):
            until = "when time ended" if event is None else f"when {event.type} came"
            self._so_long(position, moment, span, trigger.span, "idle", until, event)
        elif span >= trigger.span and last is not None:
            text = f"idle for {format_duration(span)}, and the last activity was {last.type}"
            scope = Scope(state, last, state.now, Policy())
            self.note(position, state.idle_since + trigger.span, 0.5, text, last, trigger.span, missed=scope)

    def _waited(self, position: int, trigger: Absence, state: UserState, event: Event) -> None:
        """One of those that were armed is so no more, and it has not fired: its time was not over."""
        now = _armed(trigger, state)
        for since in self._armed.get(position, ()):
            if since not in now and event.at - since < trigger.within:
                until = f"when {event.type} came" if state.present_since is not None else "when the user left"
                self._so_long(position, event.at, event.at - since, trigger.within, "waited", until, event)

    def _came_back(self, position: int, trigger: Returned, state: UserState) -> None:
        if state.left_at is not None and state.left_at < state.now:
            away = state.now - state.left_at
            self._so_long(position, state.now, away, trigger.span, "away", "when the user came back")

    def _came(self, position: int, trigger: Trigger, scope: Scope, rules: RuleSet) -> None:
        """An event of the trigger's types has come, and it did not fire."""
        event, state = scope.event, scope.state
        assert event is not None
        missed = trigger.missed(scope)
        told = trigger.progress(state, rules.policy, state.now)
        match trigger:
            case Count() if trigger.matcher.covers(event.type):
                name = "" if trigger.grouping is None else trigger.grouping.name(event) or ""
                # What came before the window was emptied counts no more.
                count = trigger.gathered(state, state.now).get(name, 0)
                gathered = self.trail.counted(trigger, name)[-count:] if count else ()
                share = len(gathered) / trigger.count if missed is None else 0.25 / trigger.count
                text = str(told) if missed is None else f"{told}; {event.type} came, and {missed}"
                if share < 1:
                    failed = None if missed is None else scope
                    self.note(position, event.at, share, text, event, None, gathered, failed)
            case Steps():
                self._stepped(position, trigger, scope, str(told))
            case Response():
                share = 0.5 if event.data.get("rule") == trigger.to else 0.25
                self.note(position, event.at, share, f"{event.type} came, and {missed}", event, missed=scope)
            case _ if missed is not None and not isinstance(trigger, Inactivity | Absence):
                self.note(position, event.at, 0.5, f"{event.type} came, and {missed}", event, missed=scope)

    def _stepped(self, position: int, trigger: Steps, scope: Scope, told: str) -> None:
        event = scope.event
        assert event is not None
        name = "" if trigger.grouping is None else trigger.grouping.name(event)
        groups = scope.state.memory.get(trigger.key, {})
        done = [match for match in groups.get(name, ()) if match[0][1] + trigger.within >= event.at]
        if done:
            steps = [Event(kind, event.user, at, data) for kind, at, data in done[-1]]
            self.note(position, event.at, len(done) / len(trigger.steps), told, event, None, steps)

    def _scheduled(self, position: int, trigger: CalendarSchedule, state: UserState, rules: RuleSet) -> None:
        """Whenever it came in the span and there is no candidate, the user was not there."""
        zone = rules.policy.zone if trigger.zone is None else trigger.zone
        if trigger.zone == "user":
            zone = user_zone(state.attributes, rules.policy)
        assert not isinstance(zone, str)
        calendar: Calendar = trigger.calendar
        moment = calendar.next_after(self.start - 1, zone)
        for _ in range(OCCURRENCES_MAX):
            if moment is None or moment > self.stop:
                break
            self.note(position, moment, 0.5, f"it came at {show_at(moment)}, when the user was absent", None, 0)
            moment = calendar.next_after(moment, zone)
        if position not in self.found and moment is not None:
            apart = moment - self.stop
            text = f"it comes next at {show_at(moment)}, {format_duration(apart)} later"
            self.note(position, self.stop, 0.2 * max(0.0, 1 - apart / DAY), text, None, apart)


def where_of(trigger: Trigger) -> Expression | None:
    """The condition on the events of a trigger that has one matcher for them."""
    match trigger:
        case Count() | EventTrigger() | Keywords():
            return trigger.matcher.where
        case InactivityAfter() | Absence():
            return trigger.after.where
    return None


def _armed(trigger: Absence, state: UserState) -> tuple[int, ...]:
    return tuple([parts[1] for parts in state.memory.get(trigger.key, {}).values()])


def _is_armed(trigger: Trigger, state: UserState) -> bool:
    return not isinstance(trigger, InactivityAfter) or state.memory.get(trigger.key) == state.activity_count


def _covers(trigger: Trigger, event_type: str) -> bool:
    return any(
        event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern
        for pattern in trigger.event_types
    )


def group_shown(trigger: Count | Steps, name: str) -> str:
    """The group as people are shown it, "" where all is one."""
    return "" if trigger.grouping is None else glance(trigger.grouping.facts(name)["group"])
