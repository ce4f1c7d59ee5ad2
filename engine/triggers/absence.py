"""``absence``: fires a span after an event that arms it, if no event that disarms it came in between.

It remembers the events that armed it, one for each group, and drops them with the presence in which they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core import shapes
from engine.core.dispatch import ArmedTimer, Watch
from engine.core.glance import glance
from engine.core.groups import GROUP_BY, Grouping, touch
from engine.core.kept import GROUPED_EVENT_BYTES_MAX, KEPT_EVENT_BYTES_MAX, kept_event, restored_event
from engine.core.matcher import Matcher, heard_by, matcher_shape
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import format_duration, to_timedelta

SHAPE = shapes.Fields(
    keys={
        "after": matcher_shape("The event that arms it; more of them while it is armed change nothing."),
        "no": matcher_shape("The event that disarms it; one that arms it as well does so afterwards."),
        "within": shapes.duration("How long the other event has time to come."),
        "group_by": GROUP_BY,
    },
    required=("after", "no", "within"),
    doc="This long after an event, if another has not come in between.",
)


class Absence(Trigger):
    """Memory: for each group the event that armed it, in their order."""

    __slots__ = ("after", "bytes_max", "facts", "grouping", "no", "within")
    kind = "absence"
    has_timer = True
    has_memory = True

    def __init__(self, key: str, after: Matcher, no: Matcher, within: int, grouping: Grouping | None) -> None:
        event_types, equality = heard_by([after, no])
        super().__init__(key, event_types=event_types, equality=equality, presence="departure")
        self.after = after
        self.no = no
        self.within = within
        self.grouping = grouping
        self.bytes_max = KEPT_EVENT_BYTES_MAX if grouping is None else GROUPED_EVENT_BYTES_MAX
        self.facts = {"waited": to_timedelta(within)}

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        groups: dict[str, Any] | None = state.memory.get(self.key)
        if state.present_since is None:
            if groups is not None:
                del state.memory[self.key]
            return None
        disarms = groups is not None and self.no.matches(scope)
        arms = self.after.matches(scope)
        if not (arms or disarms):
            return None
        event = scope.event
        assert event is not None  # only presence can end without one
        name = "" if self.grouping is None else self.grouping.name(event)
        if name is None:
            return None
        if groups is not None and disarms:
            self._disarm(state, groups, (name,))
        if arms and (not groups or name not in groups):
            if groups:
                touch(groups, name, kept_event(event, self.bytes_max))
            else:
                state.memory[self.key] = {name: kept_event(event, self.bytes_max)}
            state.wake_by(state.now + self.within)
        return None

    def _disarm(self, state: UserState, groups: dict[str, Any], names: Sequence[str]) -> None:
        for name in names:
            groups.pop(name, None)
        if not groups:
            del state.memory[self.key]

    def due(self, state: UserState, policy: Policy) -> int | None:
        groups = state.memory.get(self.key)
        if groups is None:
            return None
        first = next(iter(groups.values()))
        moment: int = first[1] + self.within
        return moment if moment > state.now else None

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        groups = state.memory[self.key]
        due = [name for name, parts in groups.items() if parts[1] + self.within <= state.now]
        event = restored_event(state.user, groups[due[0]])
        self._disarm(state, groups, due)
        facts = self.facts if self.grouping is None else {**self.facts, **self.grouping.facts(due[0])}
        return Fired(facts, event)

    def rebuilt(self, memory: Any, former: UserState, state: UserState) -> Any:
        # Where the past is known in part only, `former` may have overlooked that the user left.
        since = state.present_since
        return None if since is None else {name: parts for name, parts in memory.items() if parts[1] >= since} or None

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        groups = state.memory.get(self.key)
        if groups is None:
            return "not armed"
        # The first of them is due first, unless one was armed at this very moment: that event is what is asked about.
        name, parts = next(reversed(groups.items()))
        if parts[1] != at:
            name, parts = next(iter(groups.items()))
        of = "" if self.grouping is None else f", for {glance(self.grouping.facts(name)['group'])}"
        return f"armed, {format_duration(at - parts[1])} of {format_duration(self.within)}{of}"

    def missed(self, scope: Scope) -> str | None:
        event = scope.event
        if event is None or not self.after.covers(event.type):
            return None
        ungrouped = None if self.grouping is None else self.grouping.missed(event, "group_by")
        return ungrouped or self.after.missed(scope)

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> ArmedTimer:
        return ArmedTimer(watches)


def _build(values: dict[str, Any], key: str) -> Absence:
    return Absence(
        key,
        Matcher.build(values["after"]),
        Matcher.build(values["no"]),
        values["within"],
        Grouping.build(values.get("group_by")),
    )


KIND = shapes.Kind(
    "absence",
    SHAPE,
    _build,
    facts={
        "waited": "how long the other event had time to come, a duration",
        "group": "the value of the field that it is grouped by, or the list of values",
    },
)
