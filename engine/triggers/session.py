"""``session``: fires when presence begins or ends, when the user comes back after a while, or has stayed for one.

It remembers nothing: the state knows when presence began and ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from engine.core import shapes
from engine.core.dispatch import Soonest, SpanTable, Watch
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState, keep
from engine.core.units import format_duration, to_timedelta

SHAPE = shapes.Fields(
    keys={
        "on": shapes.Choice(words=("start", "end"), doc="At the first event of a session, or at its end."),
        "returned_after": shapes.duration("At the first event after the user was away for so long."),
        "lasted": shapes.duration("So long after the session began, if it still lasts."),
    },
    shorthand="on",
    exactly_one=("on", "returned_after", "lasted"),
    doc="When a session begins, ends, or has lasted for a while; when the user comes back.",
)


class SessionStart(Trigger):
    __slots__ = ()
    kind = "session"

    def __init__(self, key: str) -> None:
        super().__init__(key, presence="arrival")

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        return Fired({}, scope.event)

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        since = state.present_since
        return "no session began" if since is None else f"the session began {format_duration(at - since)} before"


class SessionEnd(Trigger):
    __slots__ = ()
    kind = "session"

    def __init__(self, key: str) -> None:
        super().__init__(key, presence="departure")

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        opened_by = state.opened_by
        if opened_by is None:  # a state of an earlier version does not know it
            return Fired({}, scope.event)
        return Fired({"lasted": to_timedelta(state.now - opened_by.at)}, scope.event)

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        return "no session ended" if state.left_at is None else "the session goes on"


class Returned(Trigger):
    """The user was away for at least ``span``: nobody comes back who has never been there."""

    __slots__ = ("span",)
    kind = "session"

    def __init__(self, key: str, span: int) -> None:
        super().__init__(key, presence="arrival")
        self.span = span

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        if state.left_at is None or state.now - state.left_at < self.span:
            return None
        return Fired({"away": to_timedelta(state.now - state.left_at)}, scope.event)

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        if state.left_at is None:
            return "the user had not been here before"
        until = at if state.present_since is None else state.present_since
        return f"away for {format_duration(until - state.left_at)} of {format_duration(self.span)}"


class Lasted(Trigger):
    """The session has lasted for ``span``."""

    __slots__ = ("facts", "span")
    kind = "session"
    has_timer = True

    def __init__(self, key: str, span: int) -> None:
        super().__init__(key)
        self.span = span
        self.facts = {"lasted": to_timedelta(span)}

    def due(self, state: UserState, policy: Policy) -> int | None:
        if state.present_since is None:
            return None
        moment = state.present_since + self.span
        return moment if moment > state.now else None

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        opened_by = state.opened_by
        return Fired(self.facts, None if opened_by is None else keep(opened_by))

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        if state.present_since is None:
            return None
        return f"{format_duration(at - state.present_since)} of {format_duration(self.span)}"

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> LastedIndex:
        return LastedIndex(watches)


class LastedIndex:
    """All of them by their spans: the next deadline follows from when presence began, whatever the user does."""

    __slots__ = ("table",)
    steady = True

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.table = SpanTable((watch.trigger.span, watch) for watch in watches if isinstance(watch.trigger, Lasted))

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        return self.table.soonest(state.present_since, state.now)


_BY_WORD: dict[Literal["start", "end"], type[SessionStart | SessionEnd]] = {"start": SessionStart, "end": SessionEnd}


def _build(values: dict[str, Any], key: str) -> Trigger:
    if "returned_after" in values:
        return Returned(key, values["returned_after"])
    if "lasted" in values:
        return Lasted(key, values["lasted"])
    return _BY_WORD[values["on"]](key)


KIND = shapes.Kind(
    "session",
    SHAPE,
    _build,
    facts={
        "lasted": "at the end, and with `lasted`: how long the session has lasted, a duration",
        "away": "with `returned_after`: how long the user was away, a duration",
    },
)
