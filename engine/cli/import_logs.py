"""``proactive import``: logs of other makers in the engine's own form. Arguments, printing and exit codes only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from engine.cli.logs import LogOptions, find_store, size_of, stop_empty, stopped_by_unreadable, why_unread
from engine.cli.options import LOGS_HELP, Clock, Day, Format, Memory, Source, User, Zone
from engine.cli.outputs import is_log
from engine.cli.progress import progress_bar
from engine.cli.stopping import stop
from engine.core.model import Event
from engine.core.units import format_at
from engine.loading.diagnostic import RuleErrors
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN
from engine.replay.formats.registry import FORMATS, OWN
from engine.replay.pack import packed
from engine.replay.reading import opened_logs
from engine.replay.recording import read_recording
from engine.replay.report import details
from engine.replay.sorting import SortedLines
from engine.replay.unused import Unused
from engine.settings_file import store_password
from engine.storage.base import Entry
from engine.storage.codec import encode_entry

USERS_MAX = 1_000_000  # of a log that are counted
PART = ".part"  # what a file is called until it is whole


def import_logs(
    logs: Annotated[list[str] | None, typer.Argument(metavar="LOG…", help=LOGS_HELP)] = None,
    output: Annotated[
        str, typer.Option(metavar="FILE", help="Where to write; packed if it ends in .gz or .zst.")
    ] = STDIN,
    sort: Annotated[bool, typer.Option("--sort", help="Sort the events of all logs by their moments.")] = False,
    source: Source = None,
    format: Format = None,
    user_at: User = None,
    timezone: Zone = None,
    clock: Clock = None,
    day: Day = None,
    memory: Memory = None,
    list_formats: Annotated[bool, typer.Option("--list", help="List the forms of logs that are known.")] = False,
) -> None:
    """Write logs of other makers, or what a server has recorded, in the engine's own form, one JSON object a line.

    The events come in the order of the logs and of their records. What was read of each log stands on the error
    stream in one line. The exit code is 1 if no record could be read.
    """
    if list_formats:
        for name, doc in sorted([(OWN, "JSON lines of the engine's own form."), *((f.name, f.doc) for f in FORMATS)]):
            typer.echo(f"{name:<12}{doc}")
        return
    if not logs:
        stop("expected the logs to be imported, got none; --list lists their forms")
    options = LogOptions(source, format, user_at, timezone, clock, day, memory)
    try:
        with stopped_by_unreadable(source, ", ".join(logs)):
            _Import(logs, output, options, sort).run()
    except RuleErrors as errors:
        for diagnostic in errors.diagnostics:
            typer.echo(diagnostic, err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted; what was written so far is in {output}{PART}" if output != STDIN else "interrupted", err=True
        )
        raise typer.Exit(130) from None


@dataclass(slots=True)
class _Told:
    """What is told of one log when it has been read."""

    log: str
    forms: dict[str, None] = field(default_factory=dict)
    events: int = 0
    users: set[str] = field(default_factory=set)
    first: int | None = None
    last: int | None = None
    bad: BadRecords = field(default_factory=BadRecords)

    def add(self, batch: list[Event]) -> None:
        self.events += len(batch)
        if len(self.users) < USERS_MAX:
            self.users.update([event.user for event in batch])
        first, last = min(event.at for event in batch), max(event.at for event in batch)
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)

    def __str__(self) -> str:
        users = f"{len(self.users):,} {'user' if len(self.users) == 1 else 'users'}"
        if len(self.users) >= USERS_MAX:
            users = f"{USERS_MAX:,} users or more"
        parts = [f"{self.events:,} {'event' if self.events == 1 else 'events'} of {users}"]
        if self.first is not None and self.last is not None:
            parts.append(f"{_moment(self.first)} to {_moment(self.last)}")
        if self.bad.total:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.bad.counts.items())
            parts.append(f"{self.bad.total:,} {'bad record' if self.bad.total == 1 else 'bad records'}: {reasons}")
        forms = f"{' and '.join(self.forms)}, " if self.forms else ""
        return f"{self.log}: {forms}{'; '.join(parts)}"


def _moment(at: int) -> str:
    return format_at(at).replace(".000000Z", "Z")


@dataclass(slots=True)
class _Import:
    logs: list[str]
    output: str
    options: LogOptions
    sort: bool

    def run(self) -> None:
        store = find_store(self.logs, self.options)
        self.check()
        told: list[_Told] = []
        with _written(self.output) as stream, progress_bar("importing", size_of(self.logs), "bytes") as progress:
            batches = self.recorded(store, told) if store is not None else self.read(told, progress)
            if self.sort:
                _write_sorted(stream, batches, self.options.memory_bytes())
            else:
                for batch in batches:
                    stream.write(b"".join([_line(event) + b"\n" for event in batch]))
            if not any(one.events for one in told):
                unread = next((one for one in told if one.bad.total), None)
                if unread is None:
                    stop_empty(self.logs)
                why = why_unread(unread.bad, [unread.log], self.options)
                stop("no record could be read" + (f": {why}" if why else ""), code=1)

    def check(self) -> None:
        if self.options.memory is not None and not self.sort:
            stop("--memory is for --sort: in the order of the logs nothing is held")
        if self.output == STDIN:
            return
        output = Path(self.output)
        if not output.absolute().parent.is_dir():
            stop(f"--output: there is no folder {output.parent}")
        if output.is_dir():
            stop(f"--output: {output} is a folder")
        for name in (self.output, self.output + PART):
            if is_log(name, self.logs):
                written = "" if name == self.output else f" is written as {name} until it is whole, which"
                stop(f"--output: {output}{written} is the log itself")

    def read(self, told: list[_Told], progress: Callable[[int], None] | None) -> Iterator[list[Event]]:
        settings = self.options.settings()
        unused = Unused(settings)
        for log in self.logs:
            one = _Told(log)
            told.append(one)
            opened = opened_logs(
                log, settings, self.options.format, one.bad, progress, unused=unused, is_alone=len(self.logs) == 1
            )
            for form, batches in opened:
                one.forms[form] = None
                for batch in batches:
                    one.add(batch)
                    yield batch
            _tell(one)
        unused.refuse(self.logs)

    def recorded(self, store: str, told: list[_Told]) -> Iterator[list[Event]]:
        events = asyncio.run(read_recording(store, store_password(os.environ))).events
        one = _Told(store, {"store": None})
        told.append(one)
        if events:
            one.add(events)
            yield events
        _tell(one)


def _tell(one: _Told) -> None:
    for line in details(one.bad, []):
        typer.echo(line, err=True)
    typer.echo(str(one), err=True)


def _line(event: Event) -> bytes:
    return encode_entry(Entry("event", event.at, event.user, event))


def _write_sorted(stream: BinaryIO, batches: Iterable[list[Event]], memory: int) -> None:
    with SortedLines(memory) as lines:
        for batch in batches:
            for event in batch:
                lines.add(event.at, _line(event))
        for line in lines:
            stream.write(line + b"\n")


@contextmanager
def _written(output: str) -> Iterator[BinaryIO]:
    """A stream to that file, which has its name only when it is whole; what no file is, is written to at once."""
    if output == STDIN:
        stream = typer.get_binary_stream("stdout")
        try:
            yield stream
            stream.flush()
        except OSError as error:
            _stop_at_full("standard output", error)
            raise
        return
    is_file = not os.path.exists(output) or os.path.isfile(output)
    part = output + PART if is_file else output
    try:
        with open(part, "wb") as file, packed(file, output) as stream:
            yield stream
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if is_file:
            with suppress(OSError):
                os.unlink(part)
        if isinstance(error, OSError):
            _stop_at_full(output, error)
        raise
    if is_file:
        os.replace(part, output)


def _stop_at_full(output: str, error: OSError) -> None:
    """End the command where it is the output that cannot be written: an error of writing does not know the file."""
    if error.filename is None and not isinstance(error, BrokenPipeError):
        stop(f"--output: {output}: {(error.strerror or 'cannot be written').lower()}")
