"""A scope in which expressions are evaluated: a user with a session, and an event where one is given."""

from __future__ import annotations

from typing import Any

from engine.core.model import Event
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, parse_at

NOW = parse_at("2026-03-27T10:00:00Z")


def scope_of(
    data: dict[str, Any] | None = None,
    *,
    user: dict[str, Any] | None = None,
    trigger: dict[str, Any] | None = None,
    at: int = NOW,
    event_at: int = NOW - 5 * MINUTE,
) -> Scope:
    state = UserState("ann")
    state.attributes = user or {}
    state.present_since = NOW - HOUR
    state.session_events = 12
    event = None if data is None else Event("test.failed", "ann", event_at, data, id="e1", session="s1")
    return Scope(state, event, at, Policy(), trigger)
