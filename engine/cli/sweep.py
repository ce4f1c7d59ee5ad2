"""``proactive sweep``: other values in the rules, each tried on a log. Arguments, printing and exit codes only."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.interrupt import asking_to_stop, until_asked
from engine.cli.logs import LogOptions, Opened, open_logs, stopped_by_unreadable
from engine.cli.moments import end_meant, needs_zone
from engine.cli.options import Clock, Config, Day, Format, Logs, Memory, Rules, Source, Until, User, Zone
from engine.cli.pages import Report, about, check_report, write_report
from engine.cli.progress import progress_bar
from engine.cli.stopping import refused_as, stop, stop_refused
from engine.core.matcher import parse_event_type
from engine.core.refusal import Refused
from engine.core.rules import RuleSet
from engine.core.units import format_duration, parse_duration
from engine.folder import load_folder
from engine.loading.diagnostic import RuleErrors
from engine.loading.wording import with_hint
from engine.replay.blocks import STDIN
from engine.replay.driver import run_users
from engine.replay.page.swept import sweep_page
from engine.replay.ranges import parse_setting
from engine.replay.recording import recorded_rules
from engine.replay.report import details
from engine.replay.sweep import NEAR, TYPING, Moments, Sweep, Sweeper, breakpoints_of, sweeper
from engine.replay.sweep_text import as_json, chart, in_order, summary, table
from engine.settings_file import read_settings


def sweep(
    logs: Logs,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="PATH=VALUES", help="Values to try: 2,3,5, 2..6 or 2m..10m..2m; several make a grid."
        ),
    ],
    rules: Rules = None,
    config: Config = None,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = None,
    day: Day = None,
    memory: Memory = None,
    until: Until = None,
    typing: Annotated[
        str | None, typer.Option(metavar="TYPES", help="Events of somebody who is typing: edit,text.*")
    ] = None,
    breakpoints: Annotated[
        str | None, typer.Option(metavar="TYPES", help="Events that make a good moment: test.*,build.*")
    ] = None,
    near: Annotated[
        str, typer.Option(metavar="SPAN", help="How near to a message such events are looked for.")
    ] = format_duration(NEAR),
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE", help="Order by messages, users, typing, break, hour or budget; -users: most first."
        ),
    ] = None,
    as_data: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON, to a file or -.")
    ] = None,
    report: Report = None,
) -> None:
    """Try values in the rules on a recorded log, and show what each would have sent, to how many, and how well timed.

    A place is written RULE.KEY…, such as stuck.trigger.count.at_least, or policy.KEY…. The rules as they are stand
    among the results, marked "now".
    """
    options = LogOptions(source, format, user_at, timezone, clock, day, memory, needs_zone(until))
    run = _Run(options, rules, config, sort, as_data, report)
    try:
        with stopped_by_unreadable(source, ", ".join(logs)):
            end = end_meant(until, timezone)
            moments = _moments(typing, breakpoints, near)
            with refused_as("--sort"):
                in_order((), sort)
            run.start(logs, settings, moments, end)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    except RuleErrors as errors:
        stop_refused(errors)
    except Refused as refused:
        stop(with_hint(refused.message, refused.hint))


def _moments(typing: str | None, breakpoints: str | None, near: str) -> Moments:
    """Those that were named; no breakpoints where the rules are to say them."""
    with refused_as("--near"):
        span = parse_duration(near)
    return Moments(
        TYPING if typing is None else _types("--typing", typing),
        () if breakpoints is None else _types("--breakpoints", breakpoints),
        span,
    )


def _types(option: str, text: str) -> tuple[str, ...]:
    with refused_as(option):
        return tuple(parse_event_type(part.strip()) for part in text.split(","))


@dataclass(slots=True)
class _Run:
    """The options, and the steps that follow from them."""

    options: LogOptions
    rules: str | None
    config: str | None
    sort: str | None
    as_data: str | None
    report: str | None

    def start(self, logs: list[str], settings: list[str], moments: Moments, until: int | None) -> None:
        if self.as_data not in (None, STDIN) and not Path(str(self.as_data)).absolute().parent.is_dir():
            stop(f"--json: there is no folder {Path(str(self.as_data)).parent}")
        check_report(self.report, logs)
        wanted = [parse_setting(text) for text in settings]
        opened = open_logs(logs, self.options)
        base = self.base(opened)
        if not moments.breakpoints:
            moments = Moments(moments.typing, breakpoints_of(base), moments.near)
        ready = sweeper(base, wanted, moments)
        is_whole = self.take(opened, ready, until)
        found = ready.result(opened.activity.users, until, is_partial=not is_whole)
        if self.report is not None:
            page = sweep_page(
                found, about(logs, opened.bad, self.rules or "", until), in_order(found.points, self.sort)
            )
            write_report(self.report, page)
        self.show(found, opened)
        if not is_whole:
            raise KeyboardInterrupt

    def base(self, opened: Opened) -> RuleSet:
        if opened.recording is not None and self.rules is self.config is None:
            return recorded_rules(opened.recording).latest
        return load_folder(self.rules or read_settings(self.config, os.environ, to_serve=False).rules)

    def take(self, opened: Opened, ready: Sweeper, until: int | None) -> bool:
        """Run user after user; whether it came to the end. What was run before an interrupt counts."""
        activity = opened.activity
        with progress_bar("sweeping", activity.events) as progress, asking_to_stop() as asked:
            users = run_users(activity, ready.timelines, until, progress, opened.came_to)
            for ran in until_asked(users, asked):
                ready.take(ran)
            return not asked()

    def show(self, found: Sweep, opened: Opened) -> None:
        for line in details(opened.bad, found.faults):
            typer.echo(line, err=True)
        points = in_order(found.points, self.sort)
        lines = [*table(found, points), "", *chart(points), "", *summary(found)]
        if found.is_partial:
            lines.insert(0, f"only part of the log: {found.users:,} of {found.of_users:,} users")
        typer.echo("\n".join(lines), err=self.as_data == STDIN)
        if self.as_data is not None:
            self.write(json.dumps(as_json(found, points), indent=2, ensure_ascii=False) + "\n")
        if found.faults:
            raise typer.Exit(1)

    def write(self, text: str) -> None:
        if self.as_data == STDIN:
            typer.echo(text, nl=False)
            return
        try:
            Path(str(self.as_data)).write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            stop(f"--json: {self.as_data}: {(error.strerror or 'cannot be written').lower()}")
