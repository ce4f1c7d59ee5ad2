"""One frame of `proactive top`: what is known of a server, laid out for a terminal of 80 columns and 24 lines.

It asks nobody, and knows no time but that which it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from engine.cli.top_reading import Between, Quantiles, Reading

LINES_MAX = 23  # of 24: the last stays free, so that a terminal does not scroll
TROUBLE_MAX = 3  # lines of trouble; the rest stands on `/healthz`
RULES_SHOWN = 5
_COLUMN = 27  # of three

Line = Text


def frame(between: Between, url: str, clock: str, width: int = 80) -> list[Line]:
    """The lines, none wider than ``width``. ``clock`` is the time of day as it is to be shown."""
    now = between.now
    lines = [_head(now, url, clock, width), Text()]
    lines += _beside(_coming_in(between), _going_out(between), _taking(between))
    lines += [Text(), *_one_each(between), *_trouble(now)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:LINES_MAX]


def away(url: str, why: str, clock: str, width: int = 80) -> list[Line]:
    """What is shown while the server does not answer."""
    lines = [
        _with_clock(Text.assemble(("proactive", "bold"), f"  {url}"), clock, width),
        Text(),
        Text(why, style="bold red"),
        Text("asking again every second; Ctrl-C ends this", style="dim"),
    ]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _head(now: Reading, url: str, clock: str, width: int) -> Line:
    version = next((value for labels in now.samples["build_info"] for name, value in labels if name == "version"), "?")
    ready = now.total("ready")
    status = now.health.get("status")
    state, style = ("not ready", "bold red") if ready == 0 else ("ready", "green")
    if ready != 0 and status == "degraded":
        state, style = "ready, but look below", "yellow"
    head = Text.assemble(("proactive", "bold"), f" {version}  {url}  ", (state, style))
    return _with_clock(head, clock, width)


def _with_clock(head: Line, clock: str, width: int) -> Line:
    head.truncate(max(0, width - len(clock) - 2), overflow="ellipsis")
    return head + Text(" " * (width - head.cell_len - len(clock))) + Text(clock, style="dim")


def _coming_in(between: Between) -> list[Line]:
    doors = between.rates("events_total", "door")
    rows: list[tuple[str, float | None]] = [("events", sum(doors.values()))]
    rows += [(f"  {door}", rate) for door, rate in doors.items()]
    rows += [
        ("repeated", between.rate("events_repeated_total")),
        ("refused", between.rate("refusals_total")),
        ("over a limit", between.rate("rate_limited_total")),
    ]
    return [Text("In a second", style="bold"), *[_row(name, shown_rate(rate)) for name, rate in rows]]


def _going_out(between: Between) -> list[Line]:
    hows = between.rates("messages_queued_total", "how")
    rows = [("messages", between.rate("messages_total"))]
    rows += [(f"  {how}", rate) for how, rate in hows.items()]
    rows += [
        ("received", between.rate("messages_received_total")),
        ("dropped", between.rate("notifications_dropped_total")),
        ("chat answers", between.rate("answer_seconds_count")),
    ]
    return [Text("Out a second", style="bold"), *[_row(name, shown_rate(rate)) for name, rate in rows]]


def _taking(between: Between) -> list[Line]:
    rows = [
        ("to queued", "message_queued_seconds"),
        ("to received", "message_received_seconds"),
        ("timer late", "timer_lateness_seconds"),
        ("turn", "turn_seconds"),
        ("commit", "commit_seconds"),
        ("answer", "answer_seconds"),
    ]
    head = Text(f"{'Takes':12}{'half':>6}{'99 %':>7}", style="bold")
    return [head, *[_timed(name, between.quantiles(figure)) for name, figure in rows]]


def _one_each(between: Between) -> Iterable[Line]:
    now = between.now
    outcomes = between.rates("candidates_total", "outcome")
    yield _listed("Candidates", {name: shown_rate(rate) for name, rate in _largest(outcomes, len(outcomes))}, "none")
    rules = between.rates("rule_candidates_total", "rule", outcome="sent")
    yield _listed("Speak most", {name: shown_rate(rate) for name, rate in _largest(rules, RULES_SHOWN)}, "no rule")
    connections = {
        f"{transport} level {level}": count
        for transport in now.by("connections", "transport")
        for level, count in now.by("connections", "level", transport=transport).items()
        if count
    }
    told = {name: shown_count(count) for name, count in connections.items()}
    yield _listed("Connected", told | _known(now, sessions="sessions", clients="clients"), "nobody")
    queues = _known(
        now, inputs="inbox_inputs", receipts="inbox_receipts", outbox="outbox_messages", longest="outgoing_frames_max"
    )
    yield _listed("Waiting", queues, "unknown")
    yield _listed("Rules", _known(now, hold="rules", errors="rule_problems"), "unknown")
    store = now.health.get("store")
    kind = {"": str(store["store"])} if isinstance(store, dict) and "store" in store else {}
    sizes = {
        name: shown_bytes(size)
        for name, figure in (("file", "store_bytes"), ("log beside it", "store_wal_bytes"))
        if (size := _value(now, figure)) is not None
    }
    yield _listed("Store", kind | sizes, "unknown")
    yield _listed("Process", _process(between), "unknown")


def _process(between: Between) -> dict[str, str]:
    now = between.now
    told: dict[str, str] = {}
    if (memory := _value(now, "process_resident_memory_bytes")) is not None:
        told["memory"] = shown_bytes(memory)
    if _value(now, "process_cpu_seconds_total") is not None:
        told["cores"] = f"{between.rate('process_cpu_seconds_total'):.2f}"
    if (files := _value(now, "process_open_fds")) is not None:
        told["files"] = shown_count(files)
    return told


def _trouble(now: Reading) -> list[Line]:
    """What ``/healthz`` complains of, and what has been set aside since the start."""
    health: Mapping[str, Any] = now.health
    found: list[str] = []
    if _value(now, "store_writable") == 0:
        found.append("the store cannot be written to")
    for part in ("store", "live", "memory"):
        said = health.get(part)
        if isinstance(said, dict) and said.get("trouble"):
            found.append(f"{part}: {said['trouble']}")
    rules = health.get("rules")
    if isinstance(rules, dict) and isinstance(rules.get("problems"), list):
        found += [f"rules: {problem}" for problem in rules["problems"]]
    if faults := now.total("faults_total"):
        found.append(f"{shown_count(faults)} events set aside since the start; the log says why (! set aside)")
    if len(found) > TROUBLE_MAX:
        found[TROUBLE_MAX - 1 :] = [f"… and {len(found) - TROUBLE_MAX + 1:,} more; GET /healthz lists them"]
    return [Text(f"! {one.splitlines()[0]}", style="bold red") for one in found]


def _beside(*columns: Sequence[Line]) -> list[Line]:
    lines = []
    for place in range(max(map(len, columns))):
        line = Text()
        for column in columns:
            cell = column[place].copy() if place < len(column) else Text()
            cell.truncate(_COLUMN, pad=column is not columns[-1])
            line.append_text(cell)
        line.rstrip()
        lines.append(line)
    return lines


def _row(name: str, value: str) -> Line:
    return Text.assemble(f"{name:15}", (f"{value:>9}", "dim" if value == "0" else "cyan"))


def _timed(name: str, quantiles: Quantiles) -> Line:
    shown = f"{shown_seconds(quantiles.half):>6}{shown_seconds(quantiles.most):>7}"
    return Text.assemble(f"{name:12}", (shown, "dim" if quantiles.half is None else "cyan"))


def _listed(name: str, told: Mapping[str, str], nothing: str) -> Line:
    line = Text.assemble((f"{name:12}", "bold"))
    if not told:
        return line.append(nothing, style="dim")
    for number, (what, value) in enumerate(told.items()):
        line.append("  " if number else "")
        line.append(f"{what} " if what else "")
        line.append(value, style="dim" if value == "0" else "cyan")
    return line


def _known(now: Reading, **figures: str) -> dict[str, str]:
    return {name: shown_count(value) for name, figure in figures.items() if (value := _value(now, figure)) is not None}


def _value(now: Reading, name: str) -> float | None:
    return now.total(name)


def _largest(rates: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    some = [(name, rate) for name, rate in rates.items() if rate > 0]
    return sorted(some, key=lambda pair: -pair[1])[:count]


def shown_rate(rate: float | None) -> str:
    """Three digits are enough, and a rate that is not 0 never looks like it."""
    if not rate:
        return "0"
    return f"{rate:,.0f}" if rate >= 100 else f"{max(rate, 0.1):.1f}"


def shown_count(count: float) -> str:
    return f"{count:,.0f}"


def shown_bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit takes the rest")


def shown_seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.1f}ms" if seconds < 0.1 else f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 100 else f"{seconds:.0f}s"
