"""``inactivity``: fires once, a span after the user's last activity, if no activity came in between.

The anchor is the state's own (``idle_since``), so an event costs these rules nothing, however many they are;
only ``after:`` remembers something, and only whether the last activity was one that arms it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core import shapes
from engine.core.dispatch import ArmedTimer, Soonest, SpanTable, Watch
from engine.core.matcher import Matcher, matcher_shape
from engine.core.model import is_activity
from engine.core.refusal import Refused
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState, keep
from engine.core.units import format_duration, to_timedelta

SHAPE = shapes.Fields(
    keys={
        "for": shapes.duration("How long the user must have been idle."),
        "after": matcher_shape("Only when the last activity was one of these; any later activity disarms it."),
    },
    required=("for",),
    shorthand="for",
    doc="Once per idle period, this long after the user's last activity.",
)


class Inactivity(Trigger):
    """Idle for a span, after whatever the last activity was."""

    __slots__ = ("facts", "span")
    kind = "inactivity"
    has_timer = True

    def __init__(self, key: str, span: int) -> None:
        super().__init__(key, idle_span=span)
        self.span = span
        self.facts = {"idle": to_timedelta(span)}

    def due(self, state: UserState, policy: Policy) -> int | None:
        if state.idle_since is None:
            return None
        moment = state.idle_since + self.span
        return moment if moment > state.now else None

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        last = state.last_activity
        return Fired(self.facts, None if last is None else keep(last))

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        if state.idle_since is None:
            return "no activity in this session"
        return f"idle {format_duration(at - state.idle_since)} of {format_duration(self.span)}"

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> InactivityIndex:
        return InactivityIndex(watches)


class InactivityAfter(Inactivity):
    """Idle for a span after an activity that matches. Memory: the number of the activity that armed it."""

    __slots__ = ("after",)
    has_memory = True

    def __init__(self, key: str, span: int, after: Matcher) -> None:
        Trigger.__init__(self, key, event_types=after.event_types, equality=after.equality)
        self.span = span
        self.facts = {"idle": to_timedelta(span)}
        self.after = after

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        where = self.after.where
        if scope.event is state.last_activity and (where is None or where.holds(scope)):
            state.memory[self.key] = state.activity_count
            state.wake_by(state.now + self.span)
        return None

    def due(self, state: UserState, policy: Policy) -> int | None:
        # Any later activity has another number: nothing has to be disarmed.
        return super().due(state, policy) if state.memory.get(self.key) == state.activity_count else None

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        last = state.last_activity
        if last is None or state.memory.get(self.key) == state.activity_count:
            return super().progress(state, policy, at)
        return f"not armed, the last activity was {last.type}"

    def missed(self, scope: Scope) -> str | None:
        return self.after.missed(scope)

    def rebuilt(self, memory: Any, former: UserState, state: UserState) -> Any:
        # Armed by the last activity, which is one and the same, whatever number it has.
        return state.activity_count if memory == former.activity_count and state.idle_since is not None else None

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> Any:
        return ArmedTimer(watches)


class InactivityIndex:
    """All plain inactivity triggers by their spans, counted from the last activity."""

    __slots__ = ("table",)
    steady = False

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.table = SpanTable(
            (watch.trigger.span, watch) for watch in watches if isinstance(watch.trigger, Inactivity)
        )

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        return self.table.soonest(state.idle_since, state.now)


def _build(values: dict[str, Any], key: str) -> Inactivity:
    after = values.get("after")
    if after is None:
        return Inactivity(key, values["for"])
    matcher = Matcher.build(after)
    idle = [name for name in matcher.event_types if not name.endswith("*") and not is_activity(name)]
    if idle:
        raise Refused(f'"{idle[0]}" is no activity, so nobody is idle after it', hint="name an event the user causes")
    return InactivityAfter(key, values["for"], matcher)


KIND = shapes.Kind(
    "inactivity",
    SHAPE,
    _build,
    facts={"idle": "how long the user has been idle, a duration"},
)
