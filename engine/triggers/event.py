"""``event``: fires at every matching event. It remembers nothing."""

from __future__ import annotations

from typing import Any

from engine.core.matcher import MATCHER, Matcher
from engine.core.rules import Fired, Trigger
from engine.core.scope import Scope
from engine.core.shapes import Kind
from engine.core.state import UserState


class EventTrigger(Trigger):
    __slots__ = ("matcher",)
    kind = "event"

    def __init__(self, key: str, matcher: Matcher) -> None:
        super().__init__(key, event_types=matcher.event_types, equality=matcher.equality)
        self.matcher = matcher

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        where = self.matcher.where
        return Fired({}, scope.event) if where is None or where.holds(scope) else None

    def missed(self, scope: Scope) -> str | None:
        return self.matcher.missed(scope)


def _build(values: dict[str, Any], key: str) -> EventTrigger:
    return EventTrigger(key, Matcher.build(values))


KIND = Kind("event", MATCHER, _build)
