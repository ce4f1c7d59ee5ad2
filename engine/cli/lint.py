"""``proactive lint``: what the rules say that cannot be meant, one finding per line. Printing and exit codes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli.lines import fitted
from engine.cli.options import Clock, Day, Format, Source, User, Zone
from engine.cli.stopping import stop_refused
from engine.core.rules import RuleSet
from engine.folder import load_folder_with_tests, opened_as
from engine.lint.finding import Finding
from engine.lint.lint import lint as find
from engine.loading.diagnostic import RuleErrors, counted

TYPES_SHOWN_MAX = 20

# What the user says of the logs, in the order of `engine.cli.logs.LogOptions`.
Chosen = tuple[str | None, str | None, str | None, str | None, str | None, str | None]


def lint(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="A folder of rules, or one rule file.")] = "rules",
    log: Annotated[
        list[str] | None,
        typer.Option(metavar="LOG", help="Look for what the rules ask for in this log, or store; may be repeated."),
    ] = None,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = None,
    day: Day = None,
) -> None:
    r"""Report what the rules say that is legal and cannot be meant.

    Each finding stands on a line of its own: file:line:column: message \[code]. A comment "# lint: ok CODE" on that
    line or above it accepts one. The exit code is 1 if there are any, 2 if the rules cannot be loaded.
    """
    try:
        loaded = load_folder_with_tests(rules)
    except RuleErrors as errors:
        stop_refused(errors, code=2)
    # Those that stand apart are looked at each by itself, and the log is not theirs.
    apart = [finding for alone in loaded.apart.values() for finding in find(alone.rules)]
    chosen = (source, format, user_at, timezone, clock, day)
    found, unseen = (find(loaded.rules), []) if not log else _with_logs(loaded.rules, log, chosen)
    found = (*found, *apart)
    for finding in found:
        typer.echo(finding.at(opened_as(rules, finding.path)))
    for line in unseen:
        typer.echo(line)
    count = sum(len(each.rules.rules) for each in (loaded, *loaded.apart.values()))
    typer.echo(_summary(rules, count, found))
    if found:
        raise typer.Exit(1)


def _with_logs(loaded: RuleSet, logs: list[str], chosen: Chosen) -> tuple[tuple[Finding, ...], list[str]]:
    """What is found with a look at the logs, and what is to be told of them."""
    # Only now, for most have no log to look at.
    from engine.cli.logs import LogOptions, read_all, stopped_by_unreadable
    from engine.lint.logs import log_check, unseen_types
    from engine.replay.census import Census

    try:
        options = LogOptions(*chosen)
        with stopped_by_unreadable(options.source, ", ".join(logs)):
            census = Census(read_all(logs, options))
    except RuleErrors as errors:
        stop_refused(errors, code=2)
    return find(loaded, [log_check(census)]), _told(unseen_types(loaded, census))


def _told(unseen: Sequence[tuple[str, int]]) -> list[str]:
    """Which activities nothing names: for information, for nobody has to use all that a log has."""
    if not unseen:
        return []
    shown = [f"{name} ({count:,})" for name, count in unseen[:TYPES_SHOWN_MAX] if name.isprintable()]
    more = [f"and {len(unseen) - TYPES_SHOWN_MAX:,} more"] if len(unseen) > TYPES_SHOWN_MAX else []
    return fitted(["the rules name none of these events of the log: " + ", ".join([*shown, *more])])


def _summary(rules: str, count: int, found: Sequence[Finding]) -> str:
    if not found:
        return f"{rules}: {counted(count, 'rule')}, nothing found"
    return f"{counted(len(found), 'finding')} in {counted(len({one.path for one in found}), 'file')}"
