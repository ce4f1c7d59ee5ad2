"""The report of a sweep: each figure against the values that were tried, as sections of a page. It tries nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.core.model import Json
from engine.core.units import HOUR
from engine.replay.page.about import About, number, span_text
from engine.replay.page.document import Card, Document, Section, write
from engine.replay.page.markup import EMPTY, Cell, Column, Html, escaped, heat_cell, said, table
from engine.replay.sweep import Point, Sweep
from engine.replay.sweep_text import column_names

NOTHING = "–"
# What comes one after the other on an axis, so that a line may go from one to the next.
ORDERED = re.compile(r"-?\d+(?:\.\d+)?%?|(?:\d+(?:d|h|ms|m|s))+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Figure:
    """What is shown of a point; None where the log cannot tell."""

    id: str
    title: str
    lead: str
    of: Callable[[Point], float | None]
    is_share: bool = False

    def text(self, value: float | None) -> str:
        if value is None:
            return NOTHING
        if self.is_share:
            return f"{value:.1%}"
        return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


FIGURES = (
    Figure("messages", "Messages", "How many messages were sent.", lambda point: point.messages),
    Figure("users", "Users reached", "How many users got a message.", lambda point: point.users),
    Figure("typing", "Mid-typing", "The share of messages that came while the user was typing.",
           lambda point: point.typing_share, True),
    Figure("breakpoint", "At a breakpoint", "The share of messages that came when one thing was done, and the next not"
           " begun.", lambda point: point.breakpoint_share, True),
    Figure("per-hour", "Messages per user-hour", "Messages per hour that a user was present.",
           lambda point: point.per_hour),
    Figure("budget", "Budget spent", "What messages charged to all budgets together.", lambda point: point.budget),
    Figure("refused", "Refused by a budget", "Candidates that a budget kept from being sent.",
           lambda point: point.refused),
)  # fmt: skip


def sweep_page(sweep: Sweep, about: About, points: Sequence[Point] | None = None) -> bytes:
    """The whole file. ``points`` are those of the sweep in another order for the table."""
    figures = [figure for figure in FIGURES if any(figure.of(point) is not None for point in sweep.points)]
    missing = [figure.title for figure in FIGURES if figure not in figures]
    sections = [_all(sweep, sweep.points if points is None else points, figures, missing)]
    sections += [
        _against_two(sweep, figure) if len(sweep.settings) == 2 else _against(sweep, figure) for figure in figures
    ]
    span = span_text(sweep.first, sweep.last)
    origin = [*about.origin(), *_settings(sweep), *([("Time", span)] if span else [])]
    labels = about.labels()
    if sweep.is_partial and not about.partial:
        labels.insert(0, f"Partial: {sweep.users:,} of {number(sweep.of_users, 'user')} were run.")
    return write(Document("What other values change", labels, origin, _cards(sweep, about), sections, _data(sweep)))


def _settings(sweep: Sweep) -> list[tuple[str, str]]:
    return [
        ("Set", f"{setting.path}, now {NOTHING if now is None else now}")
        for setting, now in zip(sweep.settings, sweep.now, strict=True)
    ]


def _cards(sweep: Sweep, about: About) -> list[Card]:
    asked = [point for point in sweep.points if point.is_asked]
    messages = [point.messages for point in asked] or [0]
    now = next((point for point in sweep.points if point.is_now), None)
    cards = [
        Card("Events", f"{sweep.events:,}", f"of {number(sweep.users, 'user')}"),
        Card("Combinations" if len(sweep.settings) > 1 else "Values", f"{len(asked):,}"),
        Card("Messages", f"{min(messages):,} to {max(messages):,}", "from the fewest to the most"),
    ]
    if now is not None:
        cards.append(Card("Messages now", f"{now.messages:,}", f"to {number(now.users, 'user')}"))
    if sweep.faults:
        cards.append(Card("Faults", f"{len(sweep.faults):,}", "events left out, because the engine failed on them"))
    return [*cards, about.bad_records()]


def _all(sweep: Sweep, points: Sequence[Point], figures: Sequence[Figure], missing: Sequence[str]) -> Section:
    names = column_names([setting.path for setting in sweep.settings])
    columns = [
        *[Column(name, user_text=True) for name in names],
        Column(""),
        *[Column(figure.title, numeric=True) for figure in figures],
    ]
    rows: list[list[Cell]] = [
        [
            *[_value(value) for value in point.values],
            Html('<span class="now">now</span>') if point.is_now else "",
            *[figure.text(figure.of(point)) for figure in figures],
        ]
        for point in points
    ]
    lead = "Every combination was run over the same people."
    told = said(f"The log has no events that could tell: {', '.join(missing)}.") if missing else EMPTY
    return Section("points", "All figures", lead, content=Html(table("All figures", columns, rows) + told))


def _value(value: str | None) -> str:
    return NOTHING if value is None else " ".join(value.split())


def _against(sweep: Sweep, figure: Figure) -> Section:
    return Section(figure.id, figure.title, figure.lead, f"figure {figure.id}", is_half=True)


def _against_two(sweep: Sweep, figure: Figure) -> Section:
    """A heat map: the values of the first setting down, those of the second across."""
    first, second = sweep.settings
    by_values: Mapping[tuple[str | None, ...], Point] = {point.values: point for point in sweep.points}
    found = [figure.of(point) for point in sweep.points if point.is_asked]
    known = [value for value in found if value is not None]
    least, most = min(known, default=0), max(known, default=0)
    names = column_names([first.path, second.path])
    columns = [Column(f"{names[0]} ↓  {names[1]} →"), *[Column(value, numeric=True) for value in second.values]]
    rows: list[list[Cell]] = []
    for down in first.values:
        cells: list[Cell] = [down]
        for across in second.values:
            point = by_values.get((down, across))
            cells.append(heat_cell(None, most, NOTHING) if point is None else _heat(figure, point, least, most))
        rows.append(cells)
    now = next((point for point in sweep.points if point.is_now), None)
    told = f" Now: {figure.text(figure.of(now))}" if now is not None else ""
    told += " (in a frame)." if now is not None and now.is_asked else "." if now is not None else ""
    heat = Html(f'<div class="heat grid">{table(figure.title, columns, rows)}</div>')
    return Section(figure.id, figure.title, figure.lead + told, content=heat, is_half=True)


def _heat(figure: Figure, point: Point, least: float, most: float) -> Html:
    value = figure.of(point)
    return heat_cell(value, most, escaped(figure.text(value)), least=least, is_framed=point.is_now)


def _data(sweep: Sweep) -> Json:
    asked = [point for point in sweep.points if point.is_asked]
    now = next((point for point in sweep.points if point.is_now), None)
    return {
        "names": [", ".join([_value(value) for value in point.values]) for point in asked],
        "paths": [setting.path for setting in sweep.settings],
        "isLine": len(sweep.settings) == 1 and all(ORDERED.fullmatch(value) for value in sweep.settings[0].values),
        "now": next((place for place, point in enumerate(asked) if point.is_now), None),
        "figures": {
            figure.id: {
                "title": figure.title,
                "isShare": figure.is_share,
                "values": [figure.of(point) for point in asked],
                "now": None if now is None else figure.of(now),
            }
            for figure in FIGURES
        },
        "presentHours": max((point.present for point in sweep.points), default=0) / HOUR,
    }
