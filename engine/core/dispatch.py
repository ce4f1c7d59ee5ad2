"""From an event or a moment to the rules that can care, without looking at the others.

An index, made once per rule set; it only ever answers, and the same question always with the same answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from engine.core.model import is_activity
from engine.core.scope import Scope

if TYPE_CHECKING:
    from engine.core.matcher import Matcher
    from engine.core.model import Event
    from engine.core.rules import Budget, Fired, Policy, Rule, Trigger
    from engine.core.state import UserState

INTERESTS_MAX = 4096  # event types whose interest is remembered; those beyond are worked out each time


class Watch(NamedTuple):
    """One trigger of one rule. Sorts by rule order, then as written."""

    order: int
    position: int
    rule: Rule
    trigger: Trigger


class Meter(NamedTuple):
    """A budget that an event charges with ``cost``, or (None) empties."""

    budget: Budget
    matcher: Matcher
    cost: int | None


Soonest = tuple[int | None, Sequence[Watch]]


class EventIndex(Protocol):
    """Many triggers of one kind, asked at once: one pass over the event for all of them."""

    def observe(self, state: UserState, event: Event, policy: Policy) -> list[tuple[Watch, Fired]]: ...


class TimerIndex(Protocol):
    """Many triggers of one kind, asked at once for the soonest moment after ``state.now`` and whose it is.

    ``steady``: the answer follows from the clock, the user's zone and the beginning of presence alone, so that
    it stands until it has come, whatever the user does.
    """

    steady: bool

    def soonest(self, state: UserState, policy: Policy) -> Soonest: ...


class Interest:
    """Who cares for one type of event.

    ``always`` are asked at every such event. ``by_field`` holds, for a data field, the triggers by the literal
    that the field must equal. ``indexes`` answer for whole kinds. ``meters`` are the budgets that look at it, those
    that it may empty first. ``does_more``: it is no activity, or it does more than to be that and to be shown to
    triggers.
    """

    __slots__ = ("activity", "always", "by_field", "does_more", "empty", "indexes", "meters")

    def __init__(
        self,
        activity: bool,
        always: tuple[Watch, ...] = (),
        by_field: tuple[tuple[str, dict[Any, tuple[Watch, ...]]], ...] = (),
        indexes: tuple[EventIndex, ...] = (),
        meters: tuple[Meter, ...] = (),
    ) -> None:
        self.activity = activity
        self.meters = meters
        self.always = always
        self.by_field = by_field
        self.indexes = indexes
        self.empty = not (always or by_field or indexes)
        self.does_more = bool(not activity or meters)

    def observe(self, state: UserState, event: Event, policy: Policy) -> list[tuple[Watch, Fired]]:
        """Offer the event, which happens now, to all who care. In no particular order: `settle` sorts."""
        asked = self.always
        for name, table in self.by_field:
            value = event.data.get(name)
            # Tables hold text alone: a list or an object could not be looked up.
            if value.__class__ is str and value in table:
                asked += table[value]
        hits = observe_each(asked, state, Scope(state, event, state.now, policy)) if asked else []
        for index in self.indexes:
            hits += index.observe(state, event, policy)
        return hits


_SILENT = {True: Interest(True), False: Interest(False)}


class Interests(dict[str, Interest]):
    """Who cares for events of each type: found out when it is first asked about, and remembered.

    Those types that nobody cares for have their own bound, so that no number of them crowds out the others.
    """

    __slots__ = ("_silent", "_work_out")

    def __init__(self, work_out: Callable[[str], Interest]) -> None:
        self._work_out = work_out
        self._silent = 0

    def __missing__(self, event_type: str) -> Interest:
        found = self._work_out(event_type)
        silent = found is _SILENT[found.activity]
        if (self._silent if silent else len(self) - self._silent) < INTERESTS_MAX:
            self[event_type] = found
            self._silent += silent
        return found


class Dispatch:
    """The index of a rule set. ``interests``: who cares for events of which type.

    ``idle_min`` is the shortest span of inactivity that any trigger waits for; ``arrivals`` and ``departures`` are the
    triggers that look on when presence begins and ends.
    """

    __slots__ = (
        "_exact", "_indexes", "_meters", "_prefixes", "_steady", "_timers", "arrivals", "departures",
        "departures_by_key", "idle_min", "interests",
    )  # fmt: skip

    def __init__(self, rules: Iterable[Rule], policy: Policy) -> None:
        self._exact: dict[str, list[Watch]] = {}
        self._prefixes: dict[str, list[Watch]] = {}
        self.interests = Interests(self._work_out)
        self._indexes: dict[tuple[int, ...], EventIndex] = {}
        timers: dict[type[Trigger], list[Watch]] = {}
        spans = []
        arrivals, departures = [], []
        self.departures_by_key: dict[str, Watch] = {}
        for rule in rules:
            for position, trigger in enumerate(rule.triggers):
                watch = Watch(rule.order, position, rule, trigger)
                for event_type in trigger.event_types:
                    if event_type.endswith("*"):
                        self._prefixes.setdefault(event_type[:-1], []).append(watch)
                    else:
                        self._exact.setdefault(event_type, []).append(watch)
                if trigger.has_timer:
                    timers.setdefault(type(trigger), []).append(watch)
                if trigger.idle_span is not None:
                    spans.append(trigger.idle_span)
                if trigger.presence == "arrival":
                    arrivals.append(watch)
                elif trigger.presence == "departure" and trigger.has_memory:
                    self.departures_by_key[trigger.key] = watch
                elif trigger.presence == "departure":
                    departures.append(watch)
        self.arrivals = tuple(arrivals)
        self.departures = tuple(departures)
        budgets = policy.budgets.values()
        resets = [Meter(budget, matcher, None) for budget in budgets for matcher in budget.resets]
        charges = [Meter(budget, charge.matcher, charge.cost) for budget in budgets for charge in budget.charges]
        self._meters = (*resets, *charges)
        indexes = [kind.index_timers(watches) for kind, watches in timers.items()]
        self._steady = tuple(index for index in indexes if index.steady)
        self._timers = tuple(index for index in indexes if not index.steady)
        self.idle_min = min(spans, default=None)

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        """The soonest moment after ``state.now`` at which a timer fires if nothing else happens, and all of them."""
        steady = state.steady
        if steady is None or (steady[0] is not None and steady[0] <= state.now):
            steady = state.steady = _soonest(self._steady, state, policy)
        return _soonest(self._timers, state, policy, steady)

    def _work_out(self, event_type: str) -> Interest:
        found = list(self._exact.get(event_type, ()))
        for prefix, watches in self._prefixes.items():
            if event_type.startswith(prefix):
                found.extend(watches)
        activity = is_activity(event_type)
        meters = tuple([meter for meter in self._meters if meter.matcher.covers(event_type)])
        if not found and not meters:
            return _SILENT[activity]
        # A trigger that names a type twice, by itself and by a prefix, sees the event once.
        found = sorted({(watch.order, watch.position): watch for watch in found}.values(), key=_place)
        always: list[Watch] = []
        by_field: dict[str, dict[Any, list[Watch]]] = {}
        by_kind: dict[type[Trigger], list[Watch]] = {}
        for watch in found:
            equality = watch.trigger.equality
            if watch.trigger.indexes_events:
                by_kind.setdefault(type(watch.trigger), []).append(watch)
            elif equality is not None and isinstance(equality[1], str):
                by_field.setdefault(equality[0], {}).setdefault(equality[1], []).append(watch)
            else:
                always.append(watch)
        return Interest(
            activity,
            tuple(always),
            tuple((name, {literal: tuple(w) for literal, w in table.items()}) for name, table in by_field.items()),
            tuple(self._index(kind, watches) for kind, watches in by_kind.items()),
            meters,
        )

    def _index(self, kind: type[Trigger], watches: list[Watch]) -> EventIndex:
        # Types that the same triggers care for share one index: it can be large.
        places = tuple(part for watch in watches for part in _place(watch))
        if places not in self._indexes:
            self._indexes[places] = kind.index_events(watches)
        return self._indexes[places]


def observe_departure(dispatch: Dispatch, state: UserState, scope: Scope) -> list[tuple[Watch, Fired]]:
    """Ask those who look on when presence ends: of the triggers that remember things, those that remember something."""
    hits = observe_each(dispatch.departures, state, scope)
    forgetful = dispatch.departures_by_key
    if forgetful:
        # A list, for they may forget it.
        hits += observe_each([forgetful[key] for key in state.memory if key in forgetful], state, scope)
    return hits


def observe_each(watches: Iterable[Watch], state: UserState, scope: Scope) -> list[tuple[Watch, Fired]]:
    """Ask each of the triggers about the event of the scope."""
    hits = []
    for watch in watches:
        fired = watch.trigger.observe(state, scope)
        if fired is not None:
            hits.append((watch, fired))
    return hits


def _soonest(indexes: Iterable[TimerIndex], state: UserState, policy: Policy, found: Soonest = (None, ())) -> Soonest:
    """The soonest of what the indexes say and of what has been ``found`` already."""
    soonest, watches = found
    for index in indexes:
        moment, due = index.soonest(state, policy)
        if moment is not None:
            if soonest is None or moment < soonest:
                soonest, watches = moment, due
            elif moment == soonest:
                watches = (*watches, *due)
    return soonest, watches


class EachTimer:
    """The timer index of a kind that has none of its own: asks each trigger."""

    __slots__ = ("watches",)
    steady = False

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.watches = tuple(watches)

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        return _soonest_of_each(self.watches, state, policy)


class ArmedTimer:
    """The timer index of a kind that is armed only while the state remembers something of the trigger: asks those."""

    __slots__ = ("by_key",)
    steady = False

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.by_key = {watch.trigger.key: watch for watch in watches}

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        by_key = self.by_key
        armed = [by_key[key] for key in state.memory if key in by_key]
        return _soonest_of_each(armed, state, policy) if armed else (None, ())


def _soonest_of_each(watches: Iterable[Watch], state: UserState, policy: Policy) -> Soonest:
    soonest: int | None = None
    due: list[Watch] = []
    for watch in watches:
        moment = watch.trigger.due(state, policy)
        if moment is None or (soonest is not None and moment > soonest):
            continue
        if soonest is None or moment < soonest:
            soonest, due = moment, []
        due.append(watch)
    return soonest, due


class SpanTable:
    """Triggers that fire so long after an anchor: the next moment is one bisection, however many there are."""

    __slots__ = ("_spans", "_watches")

    def __init__(self, spans: Iterable[tuple[int, Watch]]) -> None:
        by_span: dict[int, list[Watch]] = {}
        for span, watch in spans:
            by_span.setdefault(span, []).append(watch)
        self._spans = sorted(by_span)
        self._watches = [tuple(by_span[span]) for span in self._spans]

    def soonest(self, anchor: int | None, now: int) -> Soonest:
        """The soonest moment after ``now``; none where there is no anchor."""
        if anchor is None:
            return None, ()
        place = bisect_right(self._spans, now - anchor)
        if place == len(self._spans):
            return None, ()
        return anchor + self._spans[place], self._watches[place]


def _place(watch: Watch) -> tuple[int, int]:
    return watch.order, watch.position
