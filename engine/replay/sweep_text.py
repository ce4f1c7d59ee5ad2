"""What a sweep found, as a table, a chart, and JSON. It computes from the sweep alone and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.units import HOUR, format_at, format_duration, show_at
from engine.loading.wording import did_you_mean, listed
from engine.replay.sweep import Point, Sweep

WIDTH = 80
NUMBERS = 5  # the least that a column of numbers is wide
VALUE_MAX = 24  # characters of a value that the table shows
BAR_MAX = 44
EIGHTHS = " ▏▎▍▌▋▊▉"
NOTHING = "–"

FIGURES: Mapping[str, Callable[[Point], float | None]] = {
    "messages": lambda point: point.messages,
    "users": lambda point: point.users,
    "typing": lambda point: point.typing_share,
    "at break": lambda point: point.breakpoint_share,
    "per hour": lambda point: point.per_hour,
    "budget": lambda point: point.budget,
}
# How `--sort` calls them.
SORTS = {"break": "at break", "hour": "per hour", **{name: name for name in FIGURES if " " not in name}}


def in_order(points: Sequence[Point], sort: str | None) -> list[Point]:
    """The points by a figure, the smallest first, or with a ``-`` before its name the largest; equal ones as they came.

    What has no such figure comes last. Raises `Refused`.
    """
    if sort is None:
        return list(points)
    name = sort.removeprefix("-")
    if name not in SORTS:
        hint = did_you_mean(name, SORTS)
        raise Refused(f'expected {listed(sorted(SORTS), "or")}, got "{sort}"', hint=hint)
    figure, sign = FIGURES[SORTS[name]], -1 if sort.startswith("-") else 1
    having = [(value, point) for point in points if (value := figure(point)) is not None]
    having.sort(key=lambda pair: sign * pair[0])
    return [point for _, point in having] + [point for point in points if figure(point) is None]


def table(sweep: Sweep, points: Sequence[Point]) -> list[str]:
    """What was set, and a row for each point. The rules as they are have ``now`` before them."""
    names = column_names([setting.path for setting in sweep.settings])
    rows = [[_shown(value) for value in point.values] + _figures(point) for point in points]
    widths = _widths([*names, *FIGURES], rows)
    if 3 + sum(width + 2 for width in widths) > WIDTH:
        names = [chr(ord("a") + place % 26) for place in range(len(names))]
        widths = _widths([*names, *FIGURES], rows)
    left = max(map(len, names))
    head = [
        f"{name:<{left}}  {setting.path}, now {NOTHING if value is None else _shown(value)}"
        for name, setting, value in zip(names, sweep.settings, sweep.now, strict=True)
    ]
    lines = [*head, "", _row("", [*names, *FIGURES], widths)]
    marks = ["now" if point.is_now else "" for point in points]
    return lines + [_row(mark, row, widths) for mark, row in zip(marks, rows, strict=True)]


def column_names(paths: Sequence[str]) -> list[str]:
    """The ends of the paths, each as short as it can be without being another's too."""
    names = []
    for path in paths:
        parts = path.split(".")
        ends = (".".join(parts[-length:]) for length in count(1))
        others = [other for other in paths if other != path]
        names.append(next(end for end in ends if end == path or not any(_ends(other, end) for other in others)))
    return names


def _ends(path: str, end: str) -> bool:
    return path == end or path.endswith(f".{end}")


def _figures(point: Point) -> list[str]:
    return [
        f"{point.messages:,}",
        f"{point.users:,}",
        _share(point.typing_share),
        _share(point.breakpoint_share),
        NOTHING if point.per_hour is None else f"{point.per_hour:.2f}",
        f"{point.budget:,}",
    ]


def _widths(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(NUMBERS, len(name), *(len(row[place]) for row in rows)) for place, name in enumerate(names)]


def _row(mark: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"{mark:<3}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _share(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f}%"


def _shown(value: str | None) -> str:
    text = NOTHING if value is None else " ".join(value.split())
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"


def chart(points: Sequence[Point]) -> list[str]:
    """A bar for each point: its messages. Eighths of a character tell neighbours apart."""
    labels = [", ".join(_shown(value) for value in point.values) for point in points]
    left = max(len("messages"), *map(len, labels))
    numbers = [f"{point.messages:,}" for point in points]
    room = max(min(BAR_MAX, WIDTH - left - max(map(len, numbers)) - 8), 8)
    most = max(max(point.messages for point in points), 1)
    lines = [f"{'':<3}  {'messages':>{left}}"]
    for point, label, number in zip(points, labels, numbers, strict=True):
        whole, part = divmod(round(point.messages * room * 8 / most), 8)
        bar = "█" * whole + (EIGHTHS[part] if part else "")
        lines.append(f"{'now' if point.is_now else '':<3}  {label:>{left}}  {bar}{' ' if bar else ''}{number}")
    return lines


def summary(sweep: Sweep) -> list[str]:
    """What was run, and what the columns mean."""
    near = format_duration(sweep.moments.near)
    users = f"{sweep.users:,}" if sweep.users == sweep.of_users else f"{sweep.users:,} of {sweep.of_users:,}"
    lines = [("events", f"{sweep.events:,} of {users} user{'' if users == '1' else 's'}")]
    if sweep.first is not None and sweep.last is not None:
        span = f"{show_at(sweep.first)} to {show_at(sweep.last)}"
        lines.append(("from", span + (f", time ran to {show_at(sweep.until)}" if sweep.until is not None else "")))
    missing = "no event of the log is of these types"
    for name, told, types, option, is_known in (
        ("typing", f"less than {near} after one of these and before the next", sweep.moments.typing,
         "--typing", any(point.typing is not None for point in sweep.points)),
        ("at break", f"at one of these, or less than {near} after", sweep.moments.breakpoints,
         "--breakpoints", any(point.breakpoint is not None for point in sweep.points)),
    ):  # fmt: skip
        lines.append((name, f"share of messages {told}:"))
        lines += [("", text) for text in _wrapped(types)]
        if not is_known:
            lines.append(("", f"{missing}; {option} names others"))
    hours = max(point.present for point in sweep.points) / HOUR
    lines.append(("per hour", f"messages per hour that a user was present ({hours:,.1f} hours in all)"))
    lines.append(("budget", "what messages charged to budgets, sent or held"))
    return [f"{name:<10}{text}".rstrip() for name, text in lines]


def _wrapped(words: Sequence[str]) -> list[str]:
    lines = [""]
    for place, word in enumerate(words):
        text = word + ("," if place < len(words) - 1 else "")
        if lines[-1] and len(lines[-1]) + len(text) + 11 > WIDTH:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + text
    return lines


def as_json(sweep: Sweep, points: Sequence[Point]) -> Json:
    """All of it, for a program. Shares are from 0 to 1, null where they cannot be told; values are YAML texts."""
    return {
        "settings": [
            {"path": setting.path, "values": list(setting.values), "now": now}
            for setting, now in zip(sweep.settings, sweep.now, strict=True)
        ],
        "users": sweep.users,
        "events": sweep.events,
        "from": None if sweep.first is None else format_at(sweep.first),
        "to": None if sweep.last is None else format_at(sweep.last),
        "until": None if sweep.until is None else format_at(sweep.until),
        "partial": sweep.is_partial,
        "typing": list(sweep.moments.typing),
        "breakpoints": list(sweep.moments.breakpoints),
        "near": format_duration(sweep.moments.near),
        "points": [
            {
                "values": dict(zip([setting.path for setting in sweep.settings], point.values, strict=True)),
                "now": point.is_now,
                "asked": point.is_asked,
                "candidates": point.candidates,
                "messages": point.messages,
                "users": point.users,
                "typing": _rounded(point.typing_share),
                "breakpoint": _rounded(point.breakpoint_share),
                "user_hours": _rounded(point.present / HOUR),
                "per_hour": _rounded(point.per_hour),
                "budget": dict(point.spent),
                "refused_by_budget": point.refused,
                "rules": dict(point.by_rule),
            }
            for point in points
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
