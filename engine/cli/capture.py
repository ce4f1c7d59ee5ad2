"""``proactive capture``: something that happened, as a test of rules. Arguments, printing and exit codes only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.logs import LogOptions, Opened, open_logs, stopped_by_unreadable
from engine.cli.moments import moment_meant, needs_zone, span_meant, zone_of
from engine.cli.options import Clock, Config, Day, Format, Logs, Memory, Rules, Source, User, Zone
from engine.cli.stopping import stop, stop_refused
from engine.cli.why import check_rule, timeline_of
from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.rules import RuleSet, Timeline
from engine.core.units import format_duration, show_at
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.load import load_with_tests
from engine.loading.spans import spans_of
from engine.loading.tree import Mapping, Scalar, parse_tree
from engine.replay.activity import InMemory
from engine.replay.capture import AFTER, BEFORE, Captured, capture_incident, written_test
from engine.replay.driver import run_users
from engine.replay.redaction import redact as redacted
from engine.replay.report import details
from engine.replay.why import outside
from engine.scenario import run_scenario
from engine.triggers import KINDS


def capture(
    logs: Logs,
    user: Annotated[str, typer.Option("--user", help="To whom it happened.")],
    around: Annotated[str, typer.Option(metavar="TIME", help="When: a time, or 14:09 of the only day.")],
    before: Annotated[
        str, typer.Option(metavar="SPAN", help="From how long before it decisions matter.")
    ] = format_duration(BEFORE),
    after: Annotated[str, typer.Option(metavar="SPAN", help="Until how long after it.")] = format_duration(AFTER),
    rule: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only what this rule did; may be repeated.")
    ] = None,
    redact: Annotated[bool, typer.Option("--redact", help="Replace names, ids and texts.")] = False,
    name: Annotated[str | None, typer.Option(help="What the test is called.")] = None,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write it there, a new file.")] = None,
    rules: Rules = None,
    config: Config = None,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = None,
    day: Day = None,
    memory: Memory = None,
) -> None:
    """Make a rule test of something that happened: the events that matter, and what the rules made of them.

    It is a rule file with nothing but the test, to be put beside the rules; `proactive test` passes it at once, which
    has been tried when it is printed.
    """
    if output is not None and Path(output).exists():
        stop(f"--output: {output} is there already; name a new file")
    options = LogOptions(source, format, user_at, timezone, clock, day, memory, needs_zone(around))
    try:
        with stopped_by_unreadable(source, ", ".join(logs)):
            opened = open_logs(logs, options)
            timeline = timeline_of(opened, rules, config)
            for one in rule or ():
                check_rule(timeline, one, rules)
            at = moment_meant(around, zone_of(timezone), opened.activity.of(user), "--around")
            span = (at - span_meant("--before", before), at + span_meant("--after", after))
            events, end = _past(opened, timeline, user, at, span)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    except RuleErrors as errors:
        stop_refused(errors)
    for line in details(opened.bad, []):
        typer.echo(line, err=True)
    incident = capture_incident(timeline, events, span[0], min(span[1], end), tuple(rule) if rule else None)
    captured = incident.captured
    for note in incident.notes:
        typer.echo(note, err=True)
    count = len(captured.events)
    if redact:
        result = redacted(captured)
        for left in result.left:
            typer.echo(f"not redacted, for something else would be decided: {left}", err=True)
    text = _tested(captured, name or f"{_who(captured)} at {show_at(at)}")
    apart = [path for path, source in captured.rules.sources.items() if _beside(source) != source]
    for path in apart:
        typer.echo(f"{path} stands apart: put the test into it, under tests", err=True)
    if output is None:
        typer.echo(text, nl=False)
    else:
        _write(output, text)
    typer.echo(f"captured {count:,} of {counted(len(events), 'event')}; the test passes", err=True)


def _past(opened: Opened, timeline: Timeline, user: str, at: int, span: tuple[int, int]) -> tuple[list[Event], int]:
    """The user's events on which the engine does not fail, and how far their time came."""
    own = opened.activity.of(user)
    if not own:
        stop(f'the log has no user "{user}"')
    until = opened.activity.last if opened.recording is None else None
    [ran] = run_users(InMemory({user: own}), [timeline], until, None, opened.came_to)
    if not ran.events[0].at <= span[1] or span[0] > ran.end:
        stop(outside(user, at, own[0].at, ran.end))
    if not ran.happened:
        stop(f'all that user "{user}" did is folded: there is nothing to make a test of')
    failed = {index for index, _ in ran.evaluated[0].faults}
    return [event for place, event in enumerate(ran.events) if place not in failed], ran.end


def _who(captured: Captured) -> str:
    rules = list(dict.fromkeys(one.rule for one in captured.decisions if one.at >= captured.since))
    what = ", ".join(rules[:3]) if rules else "silence"
    return f"{what} for {captured.user}"


def _tested(captured: Captured, name: str) -> str:
    """The file with the test, which has been read and run. Stops where it does not pass."""
    try:
        text = written_test(captured, name)
    except ValueError as error:
        stop(f"no test can be made of it: {error}; --before and --after look at less")
    failures = failures_of(captured.rules, text)
    if failures:
        stop("no test could be made of it that passes:\n" + "\n".join(failures), code=1)
    return text


def failures_of(rules: RuleSet, text: str) -> Sequence[str]:
    """What is wrong with the test, beside those rules; nothing where it passes."""
    # A file that says that it stands apart would not be seen by a test beside it.
    sources = {path: _beside(source) for path, source in rules.sources.items()}
    name = "captured.yaml"
    while name in sources:
        name = f"_{name}"
    try:
        loaded = load_with_tests({**sources, name: text}, KINDS)
    except RuleErrors as errors:
        return [str(diagnostic) for diagnostic in errors.diagnostics]
    except Refused as refused:
        return [refused.message]
    [scenario] = [scenario for scenario in loaded.scenarios if scenario.path == name]
    result = run_scenario(loaded.rules, scenario)
    return [] if result.passed else result.lines()


def _beside(source: str) -> str:
    """The text of a file as one that does not stand apart."""
    parsed = parse_tree("", source)
    if parsed.errors or not isinstance(parsed.root, Mapping) or "standalone" not in parsed.root.entries:
        return source
    _, said = spans_of(parsed.text, parsed.root).entries["standalone"]
    if said.is_alias or not isinstance(said.node, Scalar) or said.node.value is not True:
        return source
    return f"{parsed.text[: said.start]}false{parsed.text[said.end :]}"


def _write(output: str, text: str) -> None:
    try:
        with open(output, "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        stop(f"--output: {output}: {(error.strerror or 'cannot be written').lower()}")
