"""The logs that commands are given: what cannot be read is said before anything is. It runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import typer

from engine.core.model import Event
from engine.loading.diagnostic import counted
from engine.replay.activity import Activity, in_memory
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN, is_store
from engine.replay.mapping import Source
from engine.replay.reading import read_logs
from engine.replay.recording import Recording, RecordingUnusable, read_recording
from engine.replay.report import details
from engine.replay.source import parse_source
from engine.replay.table import UnknownColumn
from engine.storage.base import StoreError

SOURCE_BYTES_MAX = 1024 * 1024


def stop(message: str, code: int = 2) -> NoReturn:
    """End the command with a line on the error stream."""
    typer.echo(message, err=True)
    raise typer.Exit(code) from None


@contextmanager
def stopped_by_unreadable(source: str | None, named: str) -> Iterator[None]:
    """Stop where a log, its mapping or a store cannot be read; ``named`` are the stores that may be meant."""
    try:
        yield
    except UnknownColumn as unknown:
        place = unknown.place
        stop(f"{source}:{place.line}:{place.column}: {unknown.message} [{unknown.code}]")
    except OSError as error:
        if error.filename is None:
            raise
        stop(f"{error.filename}: {(error.strerror or 'cannot be read').lower()}")
    except (StoreError, RecordingUnusable) as error:
        stop(f"{named}: {error}")


def check_logs(logs: Sequence[str], source: str | None) -> None:
    """Stop where standard input would be read twice, or a CSV log has no mapping."""
    if logs.count(STDIN) > 1:
        stop("standard input can be read only once")
    for log in logs if source is None else ():
        if log.lower().removesuffix(".gz").endswith(".csv"):
            stop(f"{log}: a CSV log needs --source, which says what its columns mean")


def read_source(source: str | None) -> Source | None:
    """The mapping in that file, None where none is named. Raises `RuleErrors` and OSError."""
    if source is None:
        return None
    with open(source, "rb") as stream:
        content = stream.read(SOURCE_BYTES_MAX + 1)
    try:
        return parse_source(source, content.decode("utf-8"))
    except UnicodeDecodeError as error:
        stop(f"{source}: expected UTF-8, got something else at byte {error.start + 1}")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the user says of the logs, as in `engine.cli.options`."""

    source: str | None = None
    format: str | None = None
    user: str | None = None
    zone: str | None = None
    clock: str = "server"
    day: str | None = None
    memory: str | None = None


@dataclass(slots=True)
class Opened:
    """Logs that have been read. ``recording`` is there where they are the store of a server."""

    activity: Activity
    bad: BadRecords
    recording: Recording | None = None

    @property
    def came_to(self) -> Callable[[str], int] | None:
        """As `run_users` takes it."""
        return None if self.recording is None else self.recording.time_came_to


def open_logs(logs: Sequence[str], options: LogOptions) -> Opened:
    """Read logs, or one store. Stops where nothing can be read of them, and raises what `stopped_by_unreadable` takes.

    What cannot be read of them is counted in ``bad``, for the command to tell.
    """
    stores = [log for log in logs if is_store(log)]
    if stores and len(logs) > 1:
        stop(f"{stores[0]}: a store is replayed alone, without other logs")
    if stores and options.source is not None:
        stop("--source is for logs; a store needs no mapping")
    check_logs(logs, options.source)
    bad = BadRecords()
    if stores:
        recording = asyncio.run(read_recording(stores[0]))
        return Opened(in_memory(recording.events), bad, recording)
    activity = in_memory(read_logs(logs, read_source(options.source), bad))
    if not activity.events:
        stop_empty(bad, options.source)
    return Opened(activity, bad)


def stop_empty(bad: BadRecords, source: str | None) -> NoReturn:
    """Stop since nothing could be read, and say why."""
    for line in details(bad, []):
        typer.echo(line, err=True)
    why = bad.misses or ("does the log need --source?" if source is None else "")
    hint = f": {why}" if bad.total and why else ""
    stop(f"{counted(bad.total, 'bad record')}; no record could be read{hint}")


def read_all(logs: Sequence[str], source: str | None) -> list[Event]:
    """The events of logs and of stores, in the order of ``logs``; what cannot be read of them is counted on the
    error stream. Stops where there is nothing at all. Raises what the readers of logs and stores raise.
    """
    check_logs(logs, source)
    mapping = read_source(source)
    bad = BadRecords()
    events: list[Event] = []
    for log in logs:
        if is_store(log):
            events += asyncio.run(read_recording(log)).events
        else:
            events += read_logs([log], mapping, bad)
    for line in details(bad, []):
        typer.echo(line, err=True)
    if not events:
        stop_empty(bad, source)
    return events
