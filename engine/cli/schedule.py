"""``proactive schedule``: when the schedules of the rules will come. Arguments, clock, printing, exit codes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Annotated

import typer

from engine.cli.stopping import stop, stop_refused
from engine.core.calendar import moment_of
from engine.core.refusal import Refused
from engine.core.rules import Rule
from engine.core.units import DAY, format_duration, from_datetime, to_datetime
from engine.core.zones import parse_zone
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import Loaded
from engine.loading.wording import did_you_mean
from engine.preview import YEAR, Change, Moved, Occurrence, Scheduled, changes, intervals, moved, occurrences, schedules

LINES_MAX = 1000
TIMES_SHOWN_MAX = 3  # of a schedule on one night


def schedule(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="A folder of rules, or one rule file.")] = "rules",
    rule: Annotated[str | None, typer.Option(metavar="ID", help="Only this rule.")] = None,
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="For a user of this time zone.  [default: the policy's]")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="From the morning of that day.  [default: now]")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look ahead.")] = 7,
) -> None:
    """Show when the schedules of the rules will come.

    A line for each time, with its zone and UTC, and the quiet hours in which it falls; then what becomes of the
    times on which clocks are changed within a year.
    """
    try:
        folder = load_folder_with_tests(rules)
    except RuleErrors as errors:
        stop_refused(errors)
    loaded = folder.rules
    chosen = _chosen(folder, rule, rules)
    user_zone = loaded.policy.zone if zone is None else _zone(zone)
    start, end = _span(since, days, user_zone)
    found = schedules(chosen, loaded.policy.zone, user_zone)
    every = intervals(chosen)
    if not found and not every:
        typer.echo(f"{rules}: no rule has a schedule" if rule is None else f"{rule} has no schedule")
    else:
        typer.echo("\n".join(_times(found, start, end, user_zone) + _intervals(every) + _nights(found, start)))
    if rule is None:
        for line in _apart(folder.apart, rules):
            typer.echo(line)


def _chosen(folder: Loaded, rule_id: str | None, path: str) -> Sequence[Rule]:
    loaded = folder.rules
    if rule_id is None:
        return loaded.rules
    if rule_id not in loaded.by_id:
        for name, alone in folder.apart.items():
            if rule_id in alone.rules.by_id:
                stop(f'--rule: "{rule_id}" stands apart; name its file, {opened_as(path, name)}')
        near = did_you_mean(rule_id, loaded.by_id)
        stop(f'--rule: there is no rule "{rule_id}"' + (f", {near}" if near else ""))
    return (loaded.by_id[rule_id],)


def _apart(apart: Mapping[str, Loaded], path: str) -> list[str]:
    """Which files stand apart and have schedules that are not shown: each is a whole, with a policy of its own."""
    names = [
        opened_as(path, name)
        for name, alone in apart.items()
        if intervals(alone.rules.rules) or schedules(alone.rules.rules, alone.rules.policy.zone, UTC)
    ]
    return ["", f"not shown, for they stand apart: {', '.join(names)}"] if names else []


def _zone(name: str) -> tzinfo:
    try:
        return parse_zone(name)
    except Refused as refused:
        stop(f"--zone: {refused.message}")


def _span(since: str | None, days: int, zone: tzinfo) -> tuple[int, int]:
    if since is None:
        now = from_datetime(datetime.now(UTC))
        return now, now + days * DAY
    try:
        first = datetime.combine(date.fromisoformat(since), time())
        return moment_of(first, zone), moment_of(first + timedelta(days=days), zone)
    except (ValueError, OverflowError):
        stop(f'--from: expected a date such as "2026-03-30", got "{since}"')


def _times(found: Sequence[Scheduled], start: int, end: int, user_zone: tzinfo) -> list[str]:
    came = list(islice(occurrences(found, start, end, user_zone), LINES_MAX + 1))
    wheres = [f"{_name(one.zone)} " for one in came[:LINES_MAX]]
    moments = [f"({_utc(one.at, one.zone)})" for one in came[:LINES_MAX]]
    left, right = max(map(len, wheres), default=0), max(map(len, moments), default=0)
    lines = [
        f"{_stamp(one.at, one.zone)} {where:<{left}}{moment:<{right}} {_said(one, user_zone)}"
        for one, where, moment in zip(came, wheres, moments, strict=False)
    ]
    if len(came) > LINES_MAX:
        lines.append(f"… and more; these are the first {LINES_MAX:,}")
    if found and not came:
        lines.append(f"nothing before {_stamp(end, user_zone)} {_name(user_zone)}")
    return lines


def _said(one: Occurrence, user_zone: tzinfo) -> str:
    """Which rule it is, and what keeps it from speaking."""
    said = ["shadow"] if one.rule.mode == "shadow" else []
    if one.quiet is not None:
        kept = f'quiet hours "{one.quiet.name}"'
        held = one.held_until is not None
        said.append(f"{kept}, held until {_stamp(one.held_until, user_zone)}" if held else f"{kept}, not sent")
    notes = f"  ({'; '.join(said)})" if said else ""
    return f"{one.rule.id}{notes}"


def _intervals(every: Sequence[tuple[Rule, int]]) -> list[str]:
    return [f"every {format_duration(span)} of the session: {rule.id}" for rule, span in every]


def _nights(found: Sequence[Scheduled], start: int) -> list[str]:
    """The changes of the clocks of a year, and what they do."""
    lines: list[str] = []
    for zone in dict.fromkeys(one.zone for one in found):
        for change in changes(zone, start, start + YEAR):
            lines += ["", _change(change)]
            touched = moved(change, found)
            lines += [f"  {_moved(one, change)}" for one in touched] or ["  no schedule has a time in between"]
    return lines


def _change(change: Change) -> str:
    way = "forward" if change.skips else "back"
    return (
        f"{change.before:%a %Y-%m-%d} {_name(change.zone)}: clocks go {way} from {change.before:%H:%M} to"
        f" {change.after:%H:%M} ({_utc(change.at, change.zone)})"
    )


def _moved(one: Moved, change: Change) -> str:
    times = ", ".join(f"{local:%H:%M}" for local in one.times[:TIMES_SHOWN_MAX])
    if len(one.times) > TIMES_SHOWN_MAX:
        times += f" … {one.times[-1]:%H:%M}"
    are = "is" if len(one.times) == 1 else "are"
    if change.skips:
        instead = f"{to_datetime(one.at, change.zone):%H:%M} ({_utc(one.at, change.zone)})"
        return f"{one.scheduled.rule.id}: {times} {are} skipped; it comes at {instead} instead"
    return (
        f"{one.scheduled.rule.id}: {times} {are} repeated; it comes once, the first time ({_utc(one.at, change.zone)})"
    )


def _stamp(at: int | None, zone: tzinfo) -> str:
    return "" if at is None else f"{to_datetime(at, zone):%a %Y-%m-%d %H:%M}"


def _utc(at: int, zone: tzinfo) -> str:
    """``04:00Z``; where it is another day than in the zone, ``04:00Z +1d``."""
    moment = to_datetime(at)
    apart = (moment.date() - to_datetime(at, zone).date()).days
    return f"{moment:%H:%MZ}" + (f" {apart:+d}d" if apart else "")


def _name(zone: tzinfo) -> str:
    return getattr(zone, "key", "Etc/UTC")
