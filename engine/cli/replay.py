"""``proactive replay``: what rules would have done with a recorded log. Arguments, printing and exit codes only."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass, replace
from typing import Annotated, NoReturn

import typer

from engine.cli.decision_file import check_output, write_decisions
from engine.cli.interrupt import asking_to_stop
from engine.cli.lines import fitted
from engine.cli.logs import LogOptions, find_store, open_logs, refuse_bad, size_of, stopped_by_unreadable
from engine.cli.moments import end_meant, needs_zone
from engine.cli.options import Clock, Config, Day, Format, Jobs, Logs, Memory, Rules, Source, Until, User, Zone
from engine.cli.pages import Report, about, check_report, write_report
from engine.cli.progress import progress_bar
from engine.cli.stopping import stop, stop_refused
from engine.core.rules import Timeline
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.invariants import Invariant
from engine.loading.load import load_with_tests
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN
from engine.replay.crew import Crew, WorkerDied, can_share, spooled
from engine.replay.dryrun import Alone, DryRun, Runner
from engine.replay.page.about import About
from engine.replay.page.gather import Gathered
from engine.replay.page.replayed import replay_page
from engine.replay.recording import Recording, recorded_rules
from engine.replay.report import claims_row, details, rule_table, summary
from engine.replay.silence import explain_silence, survey_of
from engine.replay.verify import Verification, verified
from engine.replay.worker import Reading
from engine.replay.written import SortedLines
from engine.settings_file import read_settings
from engine.triggers import KINDS

LINES_SHARE = 4  # of the memory that events may take, so much besides is for decisions that are to be written


def replay(
    logs: Logs,
    rules: Rules = None,
    config: Config = None,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = None,
    day: Day = None,
    memory: Memory = None,
    jobs: Jobs = 1,
    until: Until = None,
    decisions: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write every decision there; - to print.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take records that cannot be read as an error.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare with what the server recorded.")] = False,
    report: Report = None,
) -> None:
    """Run rules over a recorded log and report what they would have sent.

    A log is JSON lines, or of a format that is recognised, or anything that --source maps to it, or the store of a
    server, its SQLite file or redis://HOST; of that, the rules are the recorded ones unless others are named. The exit
    code is 1 where something went wrong.
    """
    options = LogOptions(source, format, user_at, timezone, clock, day, memory, needs_zone(until))
    run = _Run(rules, config, options, decisions, strict, verify, jobs, report)
    try:
        run.until = end_meant(until, timezone)
        with stopped_by_unreadable(source, logs[0]):
            run.start(logs)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None
    except RuleErrors as errors:
        stop_refused(errors)
    except WorkerDied as died:
        stop(str(died), code=1)


@dataclass(slots=True)
class _Run:
    """The options, and the steps that follow from them."""

    rules: str | None
    config: str | None
    options: LogOptions
    decisions: str | None
    strict: bool
    verify: bool
    jobs: int
    page: str | None
    until: int | None = None
    invariants: tuple[Invariant, ...] = ()

    def start(self, logs: list[str]) -> None:
        store = find_store(logs, self.options)
        self.check(logs, store)
        # Rules that are wrong are told before a large log is read.
        timeline = None if store is not None and self.rules is self.config is None else self.named_rules()
        if self.jobs > 1 and timeline is not None:
            self.share(logs, timeline)
            return
        opened = open_logs(logs, self.options, strict=self.strict)
        if timeline is None:
            assert opened.recording is not None  # for there is a store
            timeline = self.recorded_rules(opened.recording)
        dry = self.dry_run(timeline, opened.recording)
        gc.freeze()  # the events stay to the end; the collector need not look at them again and again
        self.judge(dry, Alone(opened.activity, opened.came_to), opened.bad, logs)

    def share(self, logs: list[str], timeline: Timeline) -> None:
        """The same by several processes."""
        settings = self.options.settings()
        dry = self.dry_run(timeline, None)
        reading = Reading(logs, settings, self.options.format, self.options.memory_bytes() // self.jobs)
        with Crew(self.jobs, reading, dry, spooled() if STDIN in logs else None) as crew:
            size = size_of(logs)
            with progress_bar("reading", None if size is None else self.jobs * size, "bytes") as progress:
                crew.read(progress)
            refuse_bad(crew.bad, crew.events, logs, self.options, strict=self.strict)
            self.judge(dry, crew, crew.bad, logs)

    def check(self, logs: list[str], store: str | None) -> None:
        if self.jobs > 1 and store is not None:
            stop("--jobs is for logs; a store is replayed by one process")
        if self.jobs > 1 and not can_share():
            stop("--jobs needs a system that can fork a process; this one cannot")
        for log in logs if self.jobs > 1 else ():
            is_own = log.startswith(("/dev/", "/proc/"))  # it means something else in another process
            if log != STDIN and os.path.exists(log) and (is_own or not (os.path.isfile(log) or os.path.isdir(log))):
                stop(f"{log}: --jobs needs a log that several can read; give this one by standard input, as -")
        if self.verify and store is None:
            stop(f"--verify compares with what a server recorded; {logs[0]} is not the store of one")
        if self.verify and (self.rules or self.config or self.until is not None):
            stop("--verify runs the recorded rules as far as the server came; leave --rules, --config and --until out")
        if self.decisions not in (None, STDIN):
            check_output(str(self.decisions), logs)
        check_report(self.page, logs)
        outputs = [os.path.realpath(name) for name in (self.page, self.decisions) if name is not None]
        if len(outputs) != len(set(outputs)):
            stop(f"--decisions and --report: both are {self.page}")

    def named_rules(self) -> Timeline:
        folder = self.rules or read_settings(self.config, os.environ, to_serve=False).rules
        loaded = load_folder_with_tests(folder)
        self.invariants = tuple(
            [replace(invariant, path=opened_as(folder, invariant.path)) for invariant in loaded.invariants]
        )
        return Timeline(loaded.rules)

    def recorded_rules(self, recording: Recording) -> Timeline:
        timeline = recorded_rules(recording)
        self.invariants = load_with_tests(timeline.latest.sources, KINDS).invariants
        return timeline

    def dry_run(self, timeline: Timeline, recording: Recording | None) -> DryRun:
        memory = self.options.memory_bytes() // LINES_SHARE // self.jobs
        lines = None if self.decisions is None else SortedLines(memory)
        verification = Verification(recording.decisions) if self.verify and recording is not None else None
        studies = [] if self.page is None else [Gathered(timeline.latest.policy.zone_name)]
        return DryRun(timeline, self.invariants, self.until, studies, lines=lines, verification=verification)

    def judge(self, dry: DryRun, runner: Runner, bad: BadRecords, logs: list[str]) -> None:
        with asking_to_stop() as stopped, progress_bar("replaying", runner.events) as progress:
            runner.run(dry, progress, stopped)
        written = self.write(dry, runner)
        if self.page is not None:
            self.write_page(self.page, dry, runner, about(logs, bad, self.rules or "", self.until))
        for line in details(bad, dry.tally.faults):
            typer.echo(line, err=True)
        if not dry.is_whole:
            self.say_part(dry, runner, bad, written)
        lines, is_well = self.report(dry, runner, bad)
        self.say("\n".join(lines))
        if dry.verification is not None:
            difference = dry.verification.difference()
            self.say(str(difference or verified(dry.verification.recorded)))
            is_well = is_well and difference is None
        if not is_well:
            raise typer.Exit(1)

    def write(self, dry: DryRun, runner: Runner) -> str | None:
        if self.decisions is None or dry.lines is None:
            return None
        with progress_bar("writing", dry.lines.count, "decisions") as progress:
            return write_decisions(self.decisions, runner.chunks(dry), dry.is_whole, progress)

    def write_page(self, page: str, dry: DryRun, runner: Runner, made_from: About) -> None:
        if not dry.is_whole:
            partial = f"{dry.tally.users:,} of {counted(runner.users, 'user')} were run."
            made_from = replace(made_from, partial=partial)
        (gathered,) = dry.studies
        assert isinstance(gathered, Gathered)
        write_report(page, replay_page(dry.tally, gathered, dry.timeline.latest, made_from))

    def say_part(self, dry: DryRun, runner: Runner, bad: BadRecords, written: str | None) -> NoReturn:
        """What came of the users that were run before the user had enough. It says so first."""
        tally = dry.tally
        lines = [
            f"interrupted: {tally.users:,} of {counted(runner.users, 'user')},"
            f" {tally.events:,} of {counted(runner.events, 'event')}"
        ]
        if written not in (None, STDIN):
            lines.append(f"their decisions are in {written}")
        lines += ["", *rule_table(dry.timeline.latest, tally.rules), "", *summary(tally, bad, self.until)]
        self.say("\n".join(lines))
        raise typer.Exit(130)

    def report(self, dry: DryRun, runner: Runner, bad: BadRecords) -> tuple[list[str], bool]:
        """The whole report, and whether all is well."""
        tally, broken = dry.tally, dry.claims.broken()
        lines = [*rule_table(dry.timeline.latest, tally.rules), "", *summary(tally, bad, self.until)]
        if self.invariants and not tally.fault_count:
            lines.append(claims_row(len(self.invariants), len(broken)))
        trial = dry.trial.table()
        lines += ["", *trial] if trial else []
        if not tally.fault_count:  # an event that was left out may be the one that a rule waited for
            survey = survey_of(dry.timeline, tally)
            if not survey.is_idle:
                with progress_bar("comparing", runner.events) as progress:
                    runner.look_again(survey, dry, progress)
            causes = explain_silence(dry.timeline, tally, dry.reasons, survey, dry.end)
            lines += ["", *fitted(causes, err=self.decisions == STDIN)] if causes else []
        lines += ["", *(line for one in broken for line in one)] if broken else []
        return lines, not (tally.fault_count or broken)

    def say(self, text: str) -> None:
        typer.echo(text, err=self.decisions == STDIN)
