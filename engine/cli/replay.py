"""``proactive replay``: what rules would have done with a recorded log. Arguments, printing and exit codes only."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from engine.cli.lines import fitted
from engine.cli.logs import LogOptions, Opened, find_store, open_logs, stop, stopped_by_unreadable
from engine.cli.options import Clock, Config, Day, Format, Logs, Memory, Rules, Source, Until, User, Zone
from engine.cli.progress import progress_bar
from engine.core.model import Decision
from engine.core.refusal import Refused
from engine.core.rules import Timeline
from engine.core.units import parse_at
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors
from engine.loading.invariants import Invariant
from engine.loading.load import load_with_tests
from engine.replay.blocks import STDIN
from engine.replay.claims import broken_invariants
from engine.replay.driver import replay as replay_events
from engine.replay.recording import Recording, recorded_rules
from engine.replay.report import claims_row, count_rules, details, rule_table, summary
from engine.replay.silence import explain_silence
from engine.replay.trial import trial_table
from engine.replay.verify import compare, verified
from engine.settings import read_settings
from engine.storage.codec import encode_decision
from engine.triggers import KINDS

LINES_AT_ONCE = 5000


def replay(
    logs: Logs,
    rules: Rules = None,
    config: Config = None,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = "server",
    day: Day = None,
    memory: Memory = None,
    until: Until = None,
    decisions: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write every decision there; - to print.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take records that cannot be read as an error.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare with what the server recorded.")] = False,
) -> None:
    """Run rules over a recorded log and report what they would have sent.

    A log is JSON lines, or of a format that is recognised, or anything that --source maps to it, or the SQLite file of
    a server; of that, the rules are the recorded ones unless others are named. The exit code is 1 where something went
    wrong.
    """
    options = LogOptions(source, format, user_at, timezone, clock, day, memory)
    run = _Run(rules, config, options, decisions, strict, verify)
    try:
        run.until = None if until is None else parse_at(until)
        with stopped_by_unreadable(source, logs[0]):
            run.start(logs)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    except RuleErrors as errors:
        for diagnostic in errors.diagnostics:
            typer.echo(diagnostic, err=True)
        typer.echo(errors.summary, err=True)
        raise typer.Exit(1) from None
    except Refused as refused:
        stop(f"--until: {refused.message}")


@dataclass(slots=True)
class _Run:
    """The options, and the steps that follow from them."""

    rules: str | None
    config: str | None
    options: LogOptions
    decisions: str | None
    strict: bool
    verify: bool
    until: int | None = None
    invariants: tuple[Invariant, ...] = ()

    def start(self, logs: list[str]) -> None:
        store = find_store(logs, self.options)
        self.check(logs, store)
        # Rules that are wrong are told before a large log is read.
        timeline = None if store is not None and self.rules is self.config is None else self.named_rules()
        opened = open_logs(logs, self.options, strict=self.strict, code=1)
        if timeline is None:
            assert opened.recording is not None  # for there is a store
            timeline = self.recorded_rules(opened.recording)
        self.judge(timeline, opened)

    def check(self, logs: list[str], store: str | None) -> None:
        if self.verify and store is None:
            stop(f"--verify compares with what a server recorded; {logs[0]} is not the SQLite file of one")
        if self.verify and (self.rules or self.config or self.until is not None):
            stop("--verify runs the recorded rules as far as the server came; leave --rules, --config and --until out")
        if self.decisions not in (None, STDIN):
            self.check_output(Path(str(self.decisions)), logs)

    def check_output(self, output: Path, logs: list[str]) -> None:
        if not output.absolute().parent.is_dir():
            stop(f"--decisions: there is no folder {output.parent}")
        if output.exists() and any(log != STDIN and os.path.samefile(log, output) for log in logs):
            stop(f"--decisions: {output} is the log itself")

    def named_rules(self) -> Timeline:
        folder = self.rules or read_settings(self.config, os.environ).rules
        loaded = load_folder_with_tests(folder)
        self.invariants = tuple(
            [replace(invariant, path=opened_as(folder, invariant.path)) for invariant in loaded.invariants]
        )
        return Timeline(loaded.rules)

    def recorded_rules(self, recording: Recording) -> Timeline:
        timeline = recorded_rules(recording)
        self.invariants = load_with_tests(timeline.latest.sources, KINDS).invariants
        return timeline

    def judge(self, timeline: Timeline, opened: Opened) -> None:
        gc.freeze()  # the events stay to the end; the collector need not look at them again and again
        bad, recording, came_to = opened.bad, opened.recording, opened.came_to
        events = [event for _, mine in opened.activity for event in mine]
        with progress_bar("replaying", len(events)) as progress:
            replayed = replay_events(opened.activity, timeline, self.until, progress, came_to)
        made = replayed.decisions()
        if self.decisions is not None:
            _write(self.decisions, made)
        counts = count_rules(made)
        for line in details(bad, replayed.faults):
            typer.echo(line, err=True)
        broken = broken_invariants(self.invariants, timeline, events, replayed, self.until, came_to)
        lines = [*rule_table(timeline.latest, counts), "", *summary(replayed, counts, bad, self.until)]
        if self.invariants and not replayed.faults:
            lines.append(claims_row(len(self.invariants), len(broken)))
        end = self.until if self.until is not None else replayed.last or 0
        trial = trial_table(timeline.latest, replayed.by_user, events, end)
        lines += ["", *trial] if trial else []
        if not replayed.faults:  # an event that was left out may be the one that a rule waited for
            seen = events if self.until is None else [event for event in events if event.at <= self.until]
            causes = explain_silence(timeline, seen, counts, made, self.until)
            lines += ["", *fitted(causes, err=self.decisions == STDIN)] if causes else []
        lines += ["", *(line for one in broken for line in one)] if broken else []
        self.say("\n".join(lines))
        if self.verify and recording is not None:
            difference = compare(recording.decisions, replayed.by_user)
            self.say(str(difference or verified(recording.decisions)))
            if difference is not None:
                raise typer.Exit(1)
        if replayed.faults or broken:
            raise typer.Exit(1)

    def say(self, text: str) -> None:
        typer.echo(text, err=self.decisions == STDIN)


def _write(output: str, made: list[Decision]) -> None:
    if output == STDIN:
        _write_lines(typer.get_binary_stream("stdout"), made)
        return
    try:
        with open(output, "wb") as stream:
            _write_lines(stream, made)
    except OSError as error:
        # Such as a disk that is full: that error does not know the file.
        stop(f"--decisions: {output}: {(error.strerror or 'cannot be written').lower()}")


def _write_lines(stream: BinaryIO, made: list[Decision]) -> None:
    for start in range(0, len(made), LINES_AT_ONCE):
        stretch = made[start : start + LINES_AT_ONCE]
        stream.write(b"".join(encode_decision(decision) + b"\n" for decision in stretch))
    stream.flush()
