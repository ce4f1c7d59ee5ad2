"""``proactive diff``: what two rule sets say to the same people. Arguments, printing and exit codes only."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.interrupt import asking_to_stop, until_asked
from engine.cli.lines import fitted
from engine.cli.logs import LogOptions, Opened, open_logs, stopped_by_unreadable
from engine.cli.moments import end_meant, needs_zone
from engine.cli.options import Clock, Config, Day, Format, Logs, Memory, Source, Until, User, Zone
from engine.cli.pages import Report, about, check_report, write_report
from engine.cli.progress import progress_bar
from engine.cli.stopping import refused_as, stop, stop_refused
from engine.core.refusal import Refused
from engine.core.rules import RuleSet, Timeline
from engine.core.units import format_duration, parse_duration
from engine.folder import load_folder
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.load import load
from engine.replay.diff import MOVED_WITHIN, USERS_KEPT, Diff, compare_rules
from engine.replay.diff_text import markdown, partial, people, summary, table
from engine.replay.driver import run_users
from engine.replay.page.compared import diff_page
from engine.replay.recording import recorded_rules
from engine.replay.report import details
from engine.revision import NoRevision, in_work_tree, read_revision
from engine.settings_file import read_settings
from engine.triggers import KINDS

_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)")


def diff(
    logs: Logs,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="RULES|GIT-REF", help="Folder, file or git revision.  [default: HEAD; of a store, its own]"
        ),
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="RULES|GIT-REF", help="The same, after the edit.  [default: rules]")
    ] = None,
    config: Config = None,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = None,
    day: Day = None,
    memory: Memory = None,
    until: Until = None,
    user: Annotated[str | None, typer.Option(help="Show all changes of this user.")] = None,
    users: Annotated[int, typer.Option(min=0, max=USERS_KEPT, help="Show the changes of so many users.")] = 5,
    moved_within: Annotated[
        str, typer.Option(metavar="SPAN", help="A message this near to one that is gone has moved.")
    ] = format_duration(MOVED_WITHIN),
    max_new: Annotated[
        str | None, typer.Option(metavar="N|N%", help="Exit with 1 if more messages are new than that.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anybody would notice.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown, for a pull request.")] = False,
    report: Report = None,
) -> None:
    """Show who would gain, lose, or get a moved or reworded message by an edit of the rules, and why.

    Without --before and --after it compares the rules of the last commit with those of the work tree. The exit code
    is 0 unless --max-new or --exit-code say otherwise.
    """
    options = LogOptions(source, format, user_at, timezone, clock, day, memory, needs_zone(until))
    check_report(report, logs)
    try:
        limit = None if max_new is None else Limit.parse(max_new)
        end = end_meant(until, timezone)
        with refused_as("--moved-within"):
            near = parse_duration(moved_within)
        with stopped_by_unreadable(source, ", ".join(logs)):
            opened = open_logs(logs, options)
            sides = _sides(before, after, config, opened)
            found = _compare(opened, sides, end, near, user)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    except RuleErrors as errors:
        stop_refused(errors, code=2)
    except (NoRevision, Refused) as refused:
        stop(str(refused))
    for line in details(opened.bad, []):
        typer.echo(line, err=True)
    old, new = sides
    if report is not None:
        write_report(
            report, diff_page(found, old.name, new.name, about(logs, opened.bad, until=end, partial=partial(found)))
        )
    if as_markdown:
        typer.echo(markdown(found, old.name, new.name, users), nl=False)
    else:
        _print(found, old, new, 1 if user is not None else users)
    _end(found, limit, exit_code)


def _end(found: Diff, limit: Limit | None, exit_code: bool) -> None:
    """Exit with 1 where the options ask for it; a part of the log says nothing of that."""
    if found.of_users is not None:
        stop("interrupted", code=130)
    if found.faults:
        stop(f"the engine failed on {counted(found.faults, 'event')}; replay shows where", code=1)
    if limit is not None and limit.is_exceeded(found):
        stop(limit.told(found), code=1)
    if exit_code and found.changed_users:
        raise typer.Exit(1)


def _print(found: Diff, old: Side, new: Side, users: int) -> None:
    head = [
        *filter(None, [partial(found)]),
        f"before  {old.name}, {counted(old.rule_count, 'rule')}",
        f"after   {new.name}, {counted(new.rule_count, 'rule')}",
    ]
    typer.echo("\n".join([*head, "", *table(found), "", *summary(found), *fitted(people(found, users))]))


@dataclass(frozen=True, slots=True)
class Limit:
    """How many messages may be new: a number, or a share of those that there were."""

    most: Decimal
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Raises `Refused`."""
        match = _SHARE.fullmatch(text.strip())
        if match is None or ("." in match[1] and not match[2]):
            raise Refused(f'--max-new: expected a number of messages, or a share such as 5%, got "{text}"')
        return cls(Decimal(match[1]), bool(match[2]))

    def is_exceeded(self, found: Diff) -> bool:
        gained = found.total.changes["gained"]
        # Multiplied and not divided, so that what is just allowed is so to the last digit.
        return 100 * gained > self.most * found.total.before.messages if self.is_share else gained > self.most

    def told(self, found: Diff) -> str:
        gained = found.total.changes["gained"]
        share = f"{100 * found.new_share:.1f}%" if found.total.before.messages else "and there was none before"
        allowed = f"{self.most:g}{'%' if self.is_share else ''}"
        return f"--max-new: {counted(gained, 'message')} would be new ({share}), at most {allowed} may be"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: how the user called it, and the rules at their moments."""

    name: str
    timeline: Timeline

    @property
    def rule_count(self) -> int:
        return len(self.timeline.latest.rules)


def _sides(before: str | None, after: str | None, config: str | None, opened: Opened) -> tuple[Side, Side]:
    folder = str(read_settings(config, os.environ, to_serve=False).rules)
    new = _side(after or folder, folder)
    if before is None and opened.recording is not None:
        return Side("the recorded rules", recorded_rules(opened.recording)), new
    # A revision is looked at where the later rules lie, if that is a place that git knows.
    known = after is not None and Path(after).exists() and in_work_tree(after)
    return _side(before or "HEAD", str(after) if known else folder), new


def _side(name: str, folder: str) -> Side:
    """``name`` is a folder or a file where there is one, else a revision, of which ``folder`` is read unless it says
    another, as ``main:rules``."""
    if Path(name).exists():
        return Side(name, Timeline(load_folder(name)))
    reference, _, path = name.partition(":")
    revision = read_revision(reference, path or folder)
    try:
        return Side(str(revision), Timeline(_load(revision.sources)))
    except RuleErrors as errors:
        raise errors.under(revision.name) from None


def _load(sources: dict[str, str]) -> RuleSet:
    return load(sources, KINDS)


def _compare(opened: Opened, sides: tuple[Side, Side], until: int | None, near: int, user: str | None) -> Diff:
    if user is not None and not opened.activity.of(user):
        stop(f'the log has no user "{user}"')
    old, new = sides
    activity = opened.activity
    with progress_bar("comparing", activity.events) as progress, asking_to_stop() as asked:
        ran = until_asked(run_users(activity, [old.timeline, new.timeline], until, progress, opened.came_to), asked)
        found = compare_rules(old.timeline.latest, new.timeline.latest, ran, near, user)
        found.of_users = activity.users if asked() else None
        return found
