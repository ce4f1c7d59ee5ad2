"""``schedule``: fires at times of the calendar, or every so often from the start of the user's presence.

Runs no clock and remembers nothing: the next moment follows from the user's own clock, so a schedule can be
neither late nor owed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Literal

from engine.core import shapes
from engine.core.calendar import Agenda, Calendar
from engine.core.cron import parse_cron, parse_time_of_day, times_of_day
from engine.core.dispatch import Soonest, Watch
from engine.core.refusal import Refused
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import WEEKDAYS, user_zone
from engine.core.state import UserState
from engine.core.units import SECOND, format_at, format_duration, parse_duration, to_datetime
from engine.core.zones import parse_zone

AGENDAS_KEPT_MAX = 256
INTERVAL_MIN = SECOND

Zone = tzinfo | Literal["user"] | None  # None is the policy's


def parse_schedule_zone(text: str) -> Zone:
    return "user" if text == "user" else parse_zone(text)


def parse_interval(text: str) -> int:
    """A duration of at least `INTERVAL_MIN`: nobody wants to be looked at more often, and each time is a candidate."""
    interval = parse_duration(text)
    if interval < INTERVAL_MIN:
        raise Refused(f'expected at least {format_duration(INTERVAL_MIN)}, got "{text}"')
    return interval


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
        "every": shapes.duration(
            "Again and again this long, at least 1s, counted from the moment on which the user became present.",
            parse_interval,
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

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        moment = self.calendar.next_after(at, self._zone(state, policy))
        if moment is None:
            return "it comes no more"
        return f"it comes next in {format_duration(moment - at)}, at {format_at(moment).replace('.000000Z', 'Z')}"

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> CalendarIndex:
        return CalendarIndex(watches)


class CalendarIndex:
    """All schedules by calendar: those of one zone are one agenda, so the next moment is one bisection.

    Three kinds of zones: the one that was written, the policy's (None), the user's. The agendas of the latter
    two are made when the zone is met.
    """

    __slots__ = ("_agendas", "_by_zone")
    steady = True

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._by_zone: dict[Zone, list[tuple[Calendar, Watch]]] = {}
        for watch in watches:
            trigger = watch.trigger
            assert isinstance(trigger, CalendarSchedule)
            self._by_zone.setdefault(trigger.zone, []).append((trigger.calendar, watch))
        self._agendas: dict[tuple[Zone, tzinfo], Agenda[Watch]] = {}

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        if state.present_since is None:
            return None, ()
        if len(self._by_zone) == 1:
            (written,) = self._by_zone
            return self._agenda(written, state, policy).next_after(state.now)
        soonest: int | None = None
        due: list[Watch] = []
        for written in self._by_zone:
            moment, watches = self._agenda(written, state, policy).next_after(state.now)
            if moment is None or (soonest is not None and moment > soonest):
                continue
            if soonest is None or moment < soonest:
                soonest, due = moment, []
            due.extend(watches)
        return soonest, due

    def _agenda(self, written: Zone, state: UserState, policy: Policy) -> Agenda[Watch]:
        zone = policy.zone if written is None else written
        if zone == "user":
            zone = user_zone(state.attributes, policy)
        agenda = self._agendas.get((written, zone))
        if agenda is None:
            if len(self._agendas) >= AGENDAS_KEPT_MAX:
                self._agendas.clear()
            agenda = self._agendas[written, zone] = Agenda(self._by_zone[written], zone)
        return agenda


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

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        if state.present_since is None:
            return None
        return f"{format_duration((at - state.present_since) % self.span)} of {format_duration(self.span)}"

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> IntervalIndex:
        return IntervalIndex(watches)


class IntervalIndex:
    """All schedules by interval; those of one length come together."""

    __slots__ = ("_by_span",)
    steady = True

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._by_span: dict[int, list[Watch]] = {}
        for watch in watches:
            trigger = watch.trigger
            assert isinstance(trigger, IntervalSchedule)
            self._by_span.setdefault(trigger.span, []).append(watch)

    def soonest(self, state: UserState, policy: Policy) -> Soonest:
        since = state.present_since
        if since is None:
            return None, ()
        passed = state.now - since
        if len(self._by_span) == 1:
            ((span, watches),) = self._by_span.items()
            return state.now + span - passed % span, watches
        soonest = min(span - passed % span for span in self._by_span)
        return state.now + soonest, [
            watch for span, watches in self._by_span.items() if span - passed % span == soonest for watch in watches
        ]


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
