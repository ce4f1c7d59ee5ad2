"""``schedule``: fires at times of the calendar, or every so often from the start of the user's presence.

Runs no clock and remembers nothing: the next moment follows from the user's own clock, so a schedule can be
neither late nor owed twice.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any, Literal

from engine.core import shapes
from engine.core.calendar import Calendar, parse_cron, parse_time_of_day, times_of_day
from engine.core.refusal import Refused
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import WEEKDAYS, user_zone
from engine.core.state import UserState
from engine.core.units import parse_duration, to_datetime
from engine.core.zones import parse_zone

Zone = tzinfo | Literal["user"] | None  # None is the policy's


def parse_schedule_zone(text: str) -> Zone:
    return "user" if text == "user" else parse_zone(text)


SHAPE = shapes.Fields(
    keys={
        "cron": shapes.Parsed(
            parse=parse_cron,
            examples=("0 9 * * 1-5", "*/15 8-18 * * mon-fri", "@daily"),
            doc=(
                "Five fields as in crontab(5): minute, hour, day of month, month, day of week (Sunday is 0 and 7). "
                "Where both days are restricted, either one is enough."
            ),
        ),
        "every": shapes.Parsed(
            parse=parse_duration,
            pattern=r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$",
            examples=("10m", "1h30m"),
            doc="Again and again this long, counted from the moment on which the user became present.",
        ),
        "at": shapes.ListOf(
            item=shapes.Parsed(
                parse=parse_time_of_day,
                pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
                examples=("09:00", "17:30"),
            ),
            length_max=48,
            one_will_do=True,
            doc="Times of day.",
        ),
        "days": shapes.ListOf(
            item=shapes.Choice(words=WEEKDAYS),
            length_max=7,
            one_will_do=True,
            doc="The days of the week on which `at` holds; without it every day.",
        ),
        "timezone": shapes.Parsed(
            parse=parse_schedule_zone,
            examples=("Europe/Paris", "user"),
            doc="An IANA time zone for `cron` and `at`, or `user`: the user's own. Without it the policy's.",
        ),
    },
    exactly_one=("cron", "every", "at"),
    doc=(
        "At each such time, once per present user. A local time that a change of the clocks skips comes at the "
        "first instant after the gap; one that is repeated comes once, at the first."
    ),
)


class CalendarSchedule(Trigger):
    """Fires when a calendar says so, in the zone that was written, the user's or the policy's."""

    __slots__ = ("calendar", "zone")
    kind = "schedule"
    has_timer = True

    def __init__(self, key: str, calendar: Calendar, zone: Zone) -> None:
        super().__init__(key)
        self.calendar = calendar
        self.zone = zone

    def due(self, state: UserState, policy: Policy) -> int | None:
        if state.present_since is None:
            return None
        return self.calendar.next_after(state.now, self._zone(state, policy))

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        return Fired({"at": to_datetime(state.now, self._zone(state, policy))}, None)

    def _zone(self, state: UserState, policy: Policy) -> tzinfo:
        if self.zone is None:
            return policy.zone
        return user_zone(state.attributes, policy) if self.zone == "user" else self.zone


class IntervalSchedule(Trigger):
    """Fires every so often while the user is present, counted from when presence began."""

    __slots__ = ("span",)
    kind = "schedule"
    has_timer = True

    def __init__(self, key: str, span: int) -> None:
        super().__init__(key)
        self.span = span

    def due(self, state: UserState, policy: Policy) -> int | None:
        since = state.present_since
        if since is None:
            return None
        return since + ((state.now - since) // self.span + 1) * self.span

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        return Fired({"at": to_datetime(state.now, user_zone(state.attributes, policy))}, None)


def _build(values: dict[str, Any], key: str) -> Trigger:
    if "days" in values and "at" not in values:
        raise Refused('"days" belongs to "at"', hint="a cron expression has a field for the day of the week")
    if "every" in values:
        if "timezone" in values:
            raise Refused('"timezone" says nothing beside "every", which counts from the start of presence')
        return IntervalSchedule(key, values["every"])
    calendar = values["cron"] if "cron" in values else times_of_day(values["at"], values.get("days", WEEKDAYS))
    return CalendarSchedule(key, calendar, values.get("timezone"))


KIND = shapes.Kind(
    "schedule",
    SHAPE,
    _build,
    facts={"at": "the moment for which it was scheduled, with the fields of `now`"},
)
