"""When messages were sent: over the day, the week and the whole log, as sections of a page. It gathers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from engine.core.model import Json
from engine.core.quiet import QuietHours
from engine.core.rules import Policy
from engine.replay.page.document import Section
from engine.replay.page.gather import DAYS_MAX, Days, Gathered
from engine.replay.page.markup import Cell, Column, Html, heat_cell, said, table

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FILLED_DAYS_MAX = 92  # up to here days without any events have their place on the chart, empty


def _clock(gathered: Gathered, users: int) -> str:
    if gathered.own_clock == 0:
        return f"By the clock of {gathered.zone_name}."
    own = f"{gathered.own_clock:,} of {users:,}"
    return f"By the clock of each user where the log names their zone ({own}), else by that of {gathered.zone_name}."


def hours(gathered: Gathered, users: int, policy: Policy) -> Section:
    events, sent, kept = (
        _by_hour(week) for week in (gathered.week_events, gathered.week_sent, gathered.week_kept_back)
    )
    if not any(events):
        return Section("hours", "Over the day", content=said("The log has no events."))
    columns = [Column("hour"), *[Column(name, numeric=True) for name in ("messages", "kept back", "events")]]
    rows: list[list[Cell]] = [[f"{hour:02d}:00", sent[hour], kept[hour], events[hour]] for hour in range(24)]
    lead = f"Messages, candidates that a limit kept back, and events as the line. {_clock(gathered, users)}"
    if policy.quiet_hours:
        spans = [f"{name} {_quiet_text(hours)}" for name, hours in policy.quiet_hours.items()]
        lead += f" Quiet hours are shaded: {'; '.join(spans)}."
    return Section("hours", "Over the day", lead, "hours", tables=table("Over the day", columns, rows))


def _by_hour(week: Sequence[int]) -> list[int]:
    return [sum(week[hour::24]) for hour in range(24)]


def _quiet_text(hours: QuietHours) -> str:
    text = f"{_clock_time(hours.start)} to {_clock_time(hours.end)}"
    if len(hours.days) == 7:
        return text
    return text + " on " + ", ".join([WEEKDAYS[day] for day in sorted(hours.days)])


def _clock_time(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def hours_data(gathered: Gathered, policy: Policy) -> Json:
    quiet = []
    for name, hours in policy.quiet_hours.items():
        ends = [(hours.start, hours.end)] if hours.start < hours.end else [(hours.start, 1440), (0, hours.end)]
        quiet += [[name, start / 60, end / 60] for start, end in ends if start < end]
    return {
        "events": _by_hour(gathered.week_events),
        "sent": _by_hour(gathered.week_sent),
        "keptBack": _by_hour(gathered.week_kept_back),
        "quiet": quiet,
    }


def week(gathered: Gathered) -> Section:
    most = max(gathered.week_sent)
    if not most:
        return Section("week", "Over the week", content=said("No message was sent."))
    columns = [Column("messages"), *[Column(f"{hour:02d}", numeric=True) for hour in range(24)]]
    rows: list[list[Cell]] = []
    for day, name in enumerate(WEEKDAYS):
        counts = gathered.week_sent[day * 24 : day * 24 + 24]
        rows.append([name, *[heat_cell(count, most) for count in counts]])
    lead = "Messages by day of the week and hour, by the same clocks: the more, the darker."
    return Section(
        "week", "Over the week", lead, content=Html(f'<div class="heat">{table("Over the week", columns, rows)}</div>')
    )


def days(days: Days) -> Section:
    each = "day" if days.width == 1 else f"{days.width} days from"
    columns = [Column(each), Column("messages", numeric=True), Column("events", numeric=True)]
    bars = _bars(days)
    if not bars:
        return Section("days", "Over the log", content=said("The log has no events."))
    lead = "Messages and events by day, by the same clocks."
    if days.width > 1:
        lead = f"Messages and events by {days.width} days, since the log has more than {DAYS_MAX:,} days."
    if _leaves_out(days):
        lead += " Days without events or messages are left out."
    rows: list[list[Cell]] = [[name, sent, events] for name, events, sent in bars]
    return Section(
        "days",
        "Over the log",
        lead,
        "days",
        tables=table("Over the log", columns, rows),
    )


def _leaves_out(days: Days) -> bool:
    return bool(days.bars) and max(days.bars) - min(days.bars) >= max(FILLED_DAYS_MAX, len(days.bars))


def _bars(days: Days) -> list[tuple[str, int, int]]:
    """``(first day, events, messages)``."""
    places = sorted(days.bars)
    if places and not _leaves_out(days):
        places = list(range(places[0], places[-1] + 1))
    found = []
    for place in places:
        events, sent = days.bars.get(place, (0, 0))
        found.append((date.fromordinal(max(place * days.width, 1)).isoformat(), events, sent))
    return found


def days_data(days: Days) -> Json:
    bars = _bars(days)
    return {"names": [bar[0] for bar in bars], "events": [bar[1] for bar in bars], "sent": [bar[2] for bar in bars]}
