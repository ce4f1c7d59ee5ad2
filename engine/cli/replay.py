"""``proactive replay``: what rules would have done with a recorded log. Arguments, printing and exit codes only."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from engine.cli.lines import fitted
from engine.cli.logs import check_logs, read_source, stop, stopped_by_unreadable
from engine.core.model import Decision, Event
from engine.core.refusal import Refused
from engine.core.rules import Timeline
from engine.core.units import parse_at
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.invariants import Invariant
from engine.loading.load import load_with_tests
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN, is_store
from engine.replay.claims import broken_invariants
from engine.replay.driver import replay as replay_events
from engine.replay.mapping import Source
from engine.replay.reading import read_logs
from engine.replay.recording import Recording, read_recording, recorded_rules
from engine.replay.report import claims_row, count_rules, details, rule_table, summary
from engine.replay.silence import explain_silence
from engine.replay.trial import trial_table
from engine.replay.verify import compare, verified
from engine.settings import read_settings
from engine.storage.codec import encode_decision
from engine.triggers import KINDS

LINES_AT_ONCE = 5000


def replay(
    logs: Annotated[
        list[str],
        typer.Argument(metavar="LOG…", help="Logs (.jsonl, .csv, also .gz; - is standard input), or a store."),
    ],
    rules: Annotated[str | None, typer.Option(help="Folder of rules, or one rule file.  [default: rules]")] = None,
    config: Annotated[str | None, typer.Option(help="Settings that name the folder of rules.")] = None,
    source: Annotated[str | None, typer.Option(help="Mapping for a log of another form.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Let time run to here, not to the log's end.")
    ] = None,
    decisions: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write every decision there; - to print.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take records that cannot be read as an error.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare with what the server recorded.")] = False,
) -> None:
    """Run rules over a recorded log and report what they would have sent.

    A log is JSON lines, or anything that --source maps to it, or the SQLite file of a server; of that, the rules
    are the recorded ones unless others are named. The exit code is 1 where something went wrong.
    """
    run = _Run(rules, config, source, decisions, strict, verify)
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
    source: str | None
    decisions: str | None
    strict: bool
    verify: bool
    until: int | None = None
    invariants: tuple[Invariant, ...] = ()

    def start(self, logs: list[str]) -> None:
        stores = [log for log in logs if is_store(log)]
        self.check(logs, stores)
        bad = BadRecords()
        recording: Recording | None = None
        if stores:
            recording = asyncio.run(read_recording(stores[0]))
            timeline = self.recorded_rules(recording) if self.rules is self.config is None else self.named_rules()
            events = recording.events
        else:
            timeline = self.named_rules()
            events = self.read(logs, read_source(self.source), bad)
        self.judge(timeline, events, bad, recording)

    def check(self, logs: list[str], stores: list[str]) -> None:
        if stores and len(logs) > 1:
            stop(f"{stores[0]}: a store is replayed alone, without other logs")
        if stores and self.source is not None:
            stop("--source is for logs; a store needs no mapping")
        if self.verify and not stores:
            stop(f"--verify compares with what a server recorded; {logs[0]} is not the SQLite file of one")
        if self.verify and (self.rules or self.config or self.until is not None):
            stop("--verify runs the recorded rules as far as the server came; leave --rules, --config and --until out")
        check_logs(logs, self.source)
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

    def read(self, logs: list[str], source: Source | None, bad: BadRecords) -> list[Event]:
        size = None if STDIN in logs else sum(os.path.getsize(log) for log in logs)
        with _progress("reading", size) as progress:
            events = read_logs(logs, source, bad, progress)
        if bad.total and (self.strict or not events):
            for line in details(bad, []):
                typer.echo(line, err=True)
            why = bad.misses or ("does the log need --source?" if source is None else "")
            hint = "" if self.strict else "; no record could be read" + (f": {why}" if why else "")
            stop(f"{counted(bad.total, 'bad record')}{hint}", code=1)
        return events

    def judge(self, timeline: Timeline, events: list[Event], bad: BadRecords, recording: Recording | None) -> None:
        gc.freeze()  # the events stay to the end; the collector need not look at them again and again
        came_to = None if recording is None else recording.time_came_to
        with _progress("replaying", len(events)) as progress:
            replayed = replay_events(events, timeline, self.until, progress, came_to)
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


@contextmanager
def _progress(title: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """A bar on the error stream where a person sees it; None where nobody does."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, rate="")

        def advance(count: int) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            unit = "MB/s" if title == "reading" else "events/s"
            shown = "" if not speed else f"{speed / 1e6:,.1f} {unit}" if unit == "MB/s" else f"{speed:,.0f} {unit}"
            bar.update(task, advance=count, rate=shown)

        yield advance
