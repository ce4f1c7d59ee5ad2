"""``sequence``: fires at the event that completes some steps in order, the last at most so long after the first.

It remembers, for each number of steps done, the match that began latest: no other can live longer, so a match is
found whenever any choice of events is one.
"""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from typing import Any

from engine.core import shapes
from engine.core.glance import glance
from engine.core.groups import GROUP_BY, GROUPS_MAX, Grouping, touch
from engine.core.kept import GROUPED_EVENT_BYTES_MAX, KEPT_EVENT_BYTES_MAX, keep
from engine.core.matcher import MATCHER, Matcher, heard_by, matcher_shape
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import format_duration, to_datetime

STEPS_MIN, STEPS_MAX = 2, 8
EVENTS_MAX = 200  # kept of all groups of one trigger and one user: what has more steps has fewer groups

SHAPE = shapes.Fields(
    keys={
        "steps": shapes.ListOf(
            item=MATCHER,
            length_min=STEPS_MIN,
            length_max=STEPS_MAX,
            repeats=True,
            doc="The events, in order; others may lie between them.",
        ),
        "within": shapes.duration("How long after the first the last may come at most."),
        "without": matcher_shape(
            "Events that discard what was done; one that matches the first step then begins anew."
        ),
        "group_by": GROUP_BY,
    },
    required=("steps", "within"),
    doc="At the event that completes the steps in order. Then all that was done is discarded.",
)

# An event of a match: its type, its moment and its data.
Step = list[Any]


class Sequence(Trigger):
    """Memory: for each group the matches with one step done, with two, and so on; each a list of events."""

    __slots__ = ("bytes_max", "grouping", "groups_max", "steps", "within", "without")
    kind = "sequence"
    has_memory = True

    def __init__(
        self, key: str, steps: Ordered[Matcher], within: int, without: Matcher | None, grouping: Grouping | None
    ) -> None:
        event_types, equality = heard_by(steps if without is None else [*steps, without])
        super().__init__(key, event_types=event_types, equality=equality)
        self.steps = tuple(steps)
        self.within = within
        self.without = without
        self.grouping = grouping
        self.bytes_max = KEPT_EVENT_BYTES_MAX if grouping is None else GROUPED_EVENT_BYTES_MAX
        kept = len(steps) * (len(steps) - 1) // 2  # one event of the match with one step done, two of the next …
        self.groups_max = min(GROUPS_MAX, EVENTS_MAX // kept)

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        event = scope.event
        assert event is not None  # dispatch only shows events
        groups: dict[str, Any] | None = state.memory.get(self.key)
        steps = self.steps
        if groups is None:
            if not steps[0].matches(scope):
                return None
            groups = {}
        grouping = self.grouping
        name = "" if grouping is None else grouping.name(event)
        if name is None:
            return None
        done: list[list[Step]] = groups.get(name, [])
        if done and self.without is not None and self.without.matches(scope):
            done.clear()
        # A match with more steps done began no later, so those that are too old stand at the end.
        earliest = state.now - self.within
        while done and done[-1][0][1] < earliest:
            done.pop()
        step: Step | None = None
        # From the last step to the first: an event completes at most one step of a match.
        for place in range(len(done), -1, -1):
            if steps[place].matches(scope):
                step = step or [event.type, event.at, keep(event, self.bytes_max).data]
                match = [*done[place - 1], step] if place else [step]
                if place == len(steps) - 1:
                    self._discard(state, groups, name)
                    return Fired(self._facts(scope, name, match), event)
                done[place : place + 1] = [match]
        if step is not None:
            touch(groups, name, done, self.groups_max)
            state.memory[self.key] = groups
        elif not done:
            self._discard(state, groups, name)
        return None

    def _discard(self, state: UserState, groups: dict[str, Any], name: str) -> None:
        groups.pop(name, None)
        if not groups:
            state.memory.pop(self.key, None)

    def _facts(self, scope: Scope, name: str, match: list[Step]) -> dict[str, Any]:
        zone = scope.zone
        steps = [{**data, "type": event_type, "at": to_datetime(at, zone)} for event_type, at, data in match]
        return {"steps": steps} if self.grouping is None else {"steps": steps, **self.grouping.facts(name)}

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        # Of each match the first step: what began too long ago cannot be completed any more.
        best = {
            name: max([place for place, match in enumerate(done, 1) if match[0][1] + self.within >= at], default=0)
            for name, done in state.memory.get(self.key, {}).items()
        }
        # The latest group, which stands last, or where nothing of it can be completed, whichever came furthest.
        name = next(reversed(best), None)
        if name is not None and not best[name]:
            name = max(best, key=best.__getitem__)
        of = "" if not name or self.grouping is None else f" of {glance(self.grouping.facts(name)['group'])}"
        return f"{best.get(name or '', 0)} of {len(self.steps)} steps in {format_duration(self.within)}{of}"

    def missed(self, scope: Scope) -> str | None:
        event = scope.event
        steps = [] if event is None else [step for step in self.steps if step.covers(event.type)]
        if event is None or not steps:
            return None
        ungrouped = None if self.grouping is None else self.grouping.missed(event, "group_by")
        if ungrouped is not None:
            return ungrouped
        missed = [step.missed(scope) for step in steps]
        return None if None in missed else missed[0]


def _build(values: dict[str, Any], key: str) -> Sequence:
    without = values.get("without")
    return Sequence(
        key,
        [Matcher.build(step) for step in values["steps"]],
        values["within"],
        None if without is None else Matcher.build(without),
        Grouping.build(values.get("group_by")),
    )


KIND = shapes.Kind(
    "sequence",
    SHAPE,
    _build,
    facts={
        "steps": "the events of the match in order, each with its data, `type` and `at`",
        "group": "the value of the field that it is grouped by, or the list of values",
    },
)
