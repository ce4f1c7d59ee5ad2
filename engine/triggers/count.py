"""``count``: fires at the event that makes so many matches in a sliding window. Then the window begins anew.

It remembers moments, at most as many as it counts to, and nothing of the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.core import shapes
from engine.core.glance import glance
from engine.core.groups import FIELD, GROUP_BY, GROUPS_MAX, Grouping, touch
from engine.core.matcher import EVENT_TYPES, WHERE, Matcher, heard_by, matcher_shape
from engine.core.model import Event
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import format_duration, to_datetime

COUNT_MAX = 1000
MOMENTS_MAX = 10_000  # of all groups of one trigger and one user: what counts far has fewer groups
VALUES_MAX = 2_000  # the same where different values are counted, each of which can be as long as a group's name

SHAPE = shapes.Fields(
    keys={
        "event": EVENT_TYPES,
        "where": WHERE,
        "at_least": shapes.Integer(minimum=1, maximum=COUNT_MAX, doc="How many matches it takes."),
        "within": shapes.duration("How long the window is: a match that is exactly this old is out of it."),
        "group_by": GROUP_BY,
        "distinct": shapes.Parsed(
            parse=FIELD.parse,
            pattern=FIELD.pattern,
            examples=FIELD.examples,
            doc="Count different values of this data field, each at its newest occurrence.",
        ),
        "reset_on": matcher_shape("Events that empty the window; an event that also matches is then the first in it."),
    },
    required=("event", "at_least", "within"),
    doc="At the event that makes so many matches in a sliding window, which is then emptied.",
)


class Count(Trigger):
    """Memory: for each group the moments in the window, oldest first."""

    __slots__ = ("count", "grouping", "groups_max", "matcher", "reset_on", "within")
    kind = "count"
    has_memory = True
    remembered_max = MOMENTS_MAX

    def __init__(
        self, key: str, matcher: Matcher, count: int, within: int, grouping: Grouping | None, reset_on: Matcher | None
    ) -> None:
        event_types, equality = heard_by([matcher] if reset_on is None else [matcher, reset_on])
        super().__init__(key, event_types=event_types, equality=equality)
        self.matcher = matcher
        self.count = count
        self.within = within
        self.grouping = grouping
        self.reset_on = reset_on
        self.groups_max = min(GROUPS_MAX, max(self.remembered_max // count, 1))

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        event = scope.event
        assert event is not None  # dispatch only shows events
        groups: dict[str, Any] | None = state.memory.get(self.key)
        reset_on = self.reset_on
        if reset_on is None:
            where = self.matcher.where
            if where is not None and not where.holds(scope):
                return None
        else:
            if groups is not None and reset_on.matches(scope):
                groups = self._reset(state, groups, event)
            if not self.matcher.matches(scope):
                return None
        grouping = self.grouping
        name = "" if grouping is None else grouping.name(event)
        if name is None:
            return None
        window = self._with(None if groups is None else groups.get(name), event, state.now)
        if window is None:
            return None
        if len(window) >= self.count:
            if groups is not None:
                self._empty(state, groups, name)
            facts = {} if grouping is None else grouping.facts(name)
            return Fired({"count": self.count, "first_at": to_datetime(_first(window), scope.zone), **facts}, event)
        if groups is None:
            state.memory[self.key] = {name: window}
        elif grouping is not None:
            touch(groups, name, window, self.groups_max)
        return None

    def _reset(self, state: UserState, groups: dict[str, Any], event: Event) -> dict[str, Any] | None:
        """Empty the window of the event's group; what is left of the groups."""
        name = "" if self.grouping is None else self.grouping.name(event)
        if name is not None:
            self._empty(state, groups, name)
        return groups or None

    def _empty(self, state: UserState, groups: dict[str, Any], name: str) -> None:
        groups.pop(name, None)
        if not groups:
            del state.memory[self.key]

    def _with(self, window: Any, event: Event, now: int) -> Any:
        """The window, with the event in it and without what is too old; None where the event does not count."""
        if window is None:
            return [now]
        oldest = now - self.within
        while window and window[0] <= oldest:
            del window[0]
        window.append(now)
        return window

    def gathered(self, state: UserState, at: int) -> dict[str, int]:
        """How many there are in the window of each group, the latest group last."""
        return {
            name: sum(1 for moment in _moments(window) if moment > at - self.within)
            for name, window in state.memory.get(self.key, {}).items()
        }

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        counts = self.gathered(state, at)
        # The latest group, which stands last: an event of this very moment is of it. Where it has nothing in the
        # window any more, whichever came furthest.
        name = next(reversed(counts), None)
        if name is not None and not counts[name]:
            name = max(counts, key=counts.__getitem__)
        of = "" if name is None or self.grouping is None else f" of {glance(self.grouping.facts(name)['group'])}"
        return f"{counts.get(name or '', 0)} of {self.count} in {format_duration(self.within)}{of}"

    def missed(self, scope: Scope) -> str | None:
        event = scope.event
        if event is None or not self.matcher.covers(event.type):
            return None
        ungrouped = None if self.grouping is None else self.grouping.missed(event, "group_by")
        return ungrouped or self.matcher.missed(scope)


class CountDistinct(Count):
    """Memory: for each group the values in the window with the moments of their newest occurrences, oldest first."""

    __slots__ = ("distinct",)
    remembered_max = VALUES_MAX

    def __init__(self, distinct: Grouping, *parts: Any) -> None:
        super().__init__(*parts)
        self.distinct = distinct

    def missed(self, scope: Scope) -> str | None:
        event = scope.event
        if event is None or not self.matcher.covers(event.type):
            return None
        return super().missed(scope) or self.distinct.missed(event, "distinct")

    def _with(self, window: Any, event: Event, now: int) -> Any:
        value = self.distinct.name(event)
        if value is None:
            return None
        if window is None:
            return {value: now}
        oldest = now - self.within
        window.pop(value, None)
        while window and window[first := next(iter(window))] <= oldest:
            del window[first]
        window[value] = now
        return window


def _moments(window: Any) -> Iterable[int]:
    """The moments of a window, oldest first."""
    moments: Iterable[int] = window.values() if isinstance(window, dict) else window
    return moments


def _first(window: Any) -> int:
    """The oldest moment of a window."""
    return next(iter(_moments(window)))


def _build(values: dict[str, Any], key: str) -> Count:
    reset_on = values.get("reset_on")
    parts = (
        key,
        Matcher.build(values),
        values["at_least"],
        values["within"],
        Grouping.build(values.get("group_by")),
        None if reset_on is None else Matcher.build(reset_on),
    )
    return CountDistinct(Grouping((values["distinct"],)), *parts) if "distinct" in values else Count(*parts)


KIND = shapes.Kind(
    "count",
    SHAPE,
    _build,
    facts={
        "count": "how many matches it took",
        "first_at": "the moment of the oldest match in the window, with the fields of `now`",
        "group": "the value of the field that it is grouped by, or the list of values",
    },
)
