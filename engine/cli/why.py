"""``proactive why``: why a rule spoke to somebody, or did not. Arguments, printing and exit codes only."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from engine.cli.logs import LogOptions, Opened, open_logs, stopped_by_unreadable
from engine.cli.moments import end_meant, moment_meant, needs_zone, span_meant, zone_of
from engine.cli.options import Clock, Config, Day, Format, Logs, Memory, Rules, Source, Until, User, Zone
from engine.cli.stopping import stop, stop_refused
from engine.core.rules import Timeline
from engine.core.units import format_duration
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors
from engine.loading.wording import did_you_mean
from engine.replay.recording import recorded_rules
from engine.replay.report import details
from engine.replay.why import AROUND, Asked, NothingKnown, account
from engine.replay.why_text import as_json, text
from engine.replay.witness import names_of
from engine.settings_file import read_settings


def why(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The id of the rule.")],
    logs: Logs,
    user: Annotated[str, typer.Option("--user", help="Whom it is about.")],
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The moment: a time, or 14:09 of the only day.  [default: all of the log]"),
    ] = None,
    around: Annotated[
        str, typer.Option(metavar="SPAN", help="How near to it a candidate has to be.")
    ] = format_duration(AROUND),
    changes: Annotated[bool, typer.Option(help="Look for the smallest change that would have made it speak.")] = True,
    as_data: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
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
) -> None:
    """Say why a rule spoke to somebody or did not: its candidates with every gate, or else the nearest miss.

    Below stand the smallest changes that would have made it speak, each of them tried. Of the store of a server the
    rules are those that held, unless others are named.
    """
    options = LogOptions(source, format, user_at, timezone, clock, day, memory, needs_zone(at, until))
    try:
        with stopped_by_unreadable(source, ", ".join(logs)):
            end = end_meant(until, timezone)
            opened = open_logs(logs, options)
            timeline = timeline_of(opened, rules, config)
            check_rule(timeline, rule, rules)
            moment = None if at is None else moment_meant(at, zone_of(timezone), opened.activity.of(user))
            asked = Asked(rule, user, moment, span_meant("--around", around), changes)
            found = account(opened.activity, timeline, asked, end, opened.came_to)
    except NothingKnown as nothing:
        stop(str(nothing))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    except RuleErrors as errors:
        stop_refused(errors)
    for line in details(opened.bad, []):
        typer.echo(line, err=True)
    if as_data:
        typer.echo(json.dumps(as_json(found), ensure_ascii=False, indent=2))
    else:
        is_recorded = opened.recording is not None and rules is config is None
        path = None if is_recorded else opened_as(folder_of(rules, config), found.rule.path)
        typer.echo("\n".join(text(found, path)))


def folder_of(rules: str | None, config: str | None) -> str:
    """The folder or the file of the rules."""
    return str(rules or read_settings(config, os.environ, to_serve=False).rules)


def timeline_of(opened: Opened, rules: str | None, config: str | None) -> Timeline:
    """The rules that are named, or else those of the recording. Raises `RuleErrors`."""
    if opened.recording is not None and rules is config is None:
        return recorded_rules(opened.recording)
    return Timeline(load_folder_with_tests(folder_of(rules, config)).rules)


def check_rule(timeline: Timeline, rule_id: str, rules: str | None) -> None:
    """Stop where no rule set has that rule."""
    names = names_of(timeline, rule_id)
    known = [rule.id for rule_set in timeline.rule_sets for rule in rule_set]
    if names.intersection(known):
        return
    for name, alone in load_folder_with_tests(rules).apart.items() if rules is not None else ():
        if rule_id in alone.rules.by_id:
            stop(f'"{rule_id}" stands apart; name its file, --rules {opened_as(str(rules), name)}')
    near = did_you_mean(rule_id, known)
    stop(f'there is no rule "{rule_id}"' + (f", {near}" if near else ""))
