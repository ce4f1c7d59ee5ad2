"""What an expression or a template can see at one moment: the namespaces of section 4, made when asked for."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from engine.core.model import Event, Json
from engine.core.units import to_datetime
from engine.core.zones import find_zone

if TYPE_CHECKING:
    from engine.core.rules import Policy
    from engine.core.state import UserState


class Scope:
    """One moment of one user, as a rule sees it.

    ``event`` is the event that fired the trigger or armed its timer, None for a schedule. ``trigger`` are the
    facts of the trigger, empty while a ``where:`` is evaluated. Cheap to make: everything else is derived on
    first use. A scope is valid until the state moves on.
    """

    __slots__ = ("_now", "at", "event", "policy", "state", "trigger")

    def __init__(
        self,
        state: UserState,
        event: Event | None,
        at: int,
        policy: Policy,
        trigger: dict[str, Any] | None = None,
    ) -> None:
        self.state = state
        self.event = event
        self.at = at
        self.policy = policy
        self.trigger: dict[str, Any] = {} if trigger is None else trigger
        self._now: datetime | None = None

    @property
    def zone(self) -> tzinfo:
        """The user's time zone: the attribute ``timezone`` if it names one, else the policy's."""
        return user_zone(self.state.attributes, self.policy)

    @property
    def now(self) -> datetime:
        """The moment, in the user's zone."""
        if self._now is None:
            self._now = to_datetime(self.at, self.zone)
        return self._now

    def event_fields(self) -> dict[str, Any]:
        """The event's data with the reserved names over it; the moments are aware datetimes in the user's zone."""
        event = self.event
        if event is None:
            return {}
        fields = dict(event.data)
        for name in EVENT_RESERVED:
            value = self.event_reserved(name)
            if value is not None:
                fields[name] = value
            else:
                fields.pop(name, None)
        return fields

    def event_reserved(self, name: str) -> Any:
        """A reserved field of the event, or None where it has no value."""
        event = self.event
        if event is None:
            return None
        if name == "type":
            return event.type
        if name == "at":
            return to_datetime(event.at, self.zone)
        if name == "id":
            return event.id or None
        if name == "session":
            return event.session
        reported = event.at if event.at_reported is None else event.at_reported
        return to_datetime(reported, self.zone)

    def user_fields(self) -> dict[str, Json]:
        return {**self.state.attributes, "id": self.state.user}

    def session_fields(self) -> dict[str, Any]:
        """``id``, ``age``, ``events`` while the user is present, nothing otherwise."""
        fields = {name: self.session_field(name) for name in SESSION_FIELDS}
        return {name: value for name, value in fields.items() if value is not None}

    def session_field(self, name: str) -> Any:
        """One of `SESSION_FIELDS`, or None where it has no value: the user is absent, the session has no name.

        Age and events count from the moment on which presence began; ``id`` is the session that the event
        names, else the one that has been open longest, if it has a name.
        """
        state = self.state
        if state.present_since is None:
            return None
        if name == "events":
            return state.session_events
        if name == "age":
            return timedelta(microseconds=self.at - state.present_since)
        return (self.event.session if self.event is not None else None) or state.oldest_session() or None


# `event.NAME` for these is the event's own; data under the same name is out of a rule's reach.
EVENT_RESERVED = ("type", "at", "id", "session", "at_reported")
SESSION_FIELDS = ("id", "age", "events")
NOW_FIELDS = ("hour", "minute", "weekday", "date", "day", "month", "year")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def now_field(moment: datetime, name: str) -> Any:
    """``now.hour``, ``now.weekday`` ("mon"), ``now.date`` ("2026-03-27") …; raises KeyError for other names."""
    if name == "weekday":
        return WEEKDAYS[moment.weekday()]
    if name == "date":
        return moment.date().isoformat()
    if name not in NOW_FIELDS:
        raise KeyError(name)
    return getattr(moment, name)


def user_zone(attributes: dict[str, Json], policy: Policy) -> tzinfo:
    name = attributes.get("timezone")
    if isinstance(name, str):
        zone = find_zone(name)
        if zone is not None:
            return zone
    return policy.zone
