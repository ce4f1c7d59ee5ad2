"""The logs that commands are given: what cannot be read is said before anything is. It runs nothing."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date
from typing import NoReturn

import typer

from engine.cli.progress import progress_bar
from engine.cli.stopping import stop
from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.zones import parse_zone
from engine.loading.diagnostic import counted
from engine.replay.activity import Activity
from engine.replay.archive import is_tar
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN, is_store
from engine.replay.formats.base import Option, Settings, UnknownForm
from engine.replay.formats.registry import OWN, head_of, recognise
from engine.replay.mapping import Source
from engine.replay.reading import collector_paused, event_batches
from engine.replay.recording import Recording, RecordingUnusable, read_recording
from engine.replay.report import details
from engine.replay.room import MEMORY_DEFAULT, parse_size
from engine.replay.source import parse_source
from engine.replay.spilled import Gathering, TooLittleMemory
from engine.replay.table import UnknownColumn
from engine.settings_file import store_password
from engine.storage.base import StoreError

SOURCE_BYTES_MAX = 1024 * 1024
_PASSWORD = re.compile(r"(?<=://)[^/\s,]*:[^/\s,]*(?=@)")
STDIN_TWICE = "standard input can be read only once"


@contextmanager
def stopped_by_unreadable(source: str | None, named: str) -> Iterator[None]:
    """Stop where a log, its mapping or a store cannot be read; ``named`` are the stores that may be meant."""
    try:
        yield
    except UnknownColumn as unknown:
        place = unknown.place
        stop(f"{source}:{place.line}:{place.column}: {unknown.message} [{unknown.code}]")
    except UnknownForm as unknown:
        stop(unknown.message)
    except OSError as error:
        if error.filename is None:
            raise
        stop(f"{error.filename}: {(error.strerror or 'cannot be read').lower()}")
    except TooLittleMemory as little:
        stop(f"--memory: {little}")
    except (StoreError, RecordingUnusable) as error:
        stop(f"{without_password(named)}: {error}")


def without_password(named: str) -> str:
    """Names of stores as they may be shown, whatever somebody wrote into them."""
    return _PASSWORD.sub("…", named)


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
    """What the user says of the logs, as in `engine.cli.options`.

    ``is_zone_of_moments`` says that ``zone`` is also that of a moment of the command line, and so has a use.
    """

    source: str | None = None
    format: str | None = None
    user: str | None = None
    zone: str | None = None
    clock: str | None = None
    day: str | None = None
    memory: str | None = None
    is_zone_of_moments: bool = False

    def settings(self) -> Settings:
        """For the readers. Stops where an option is not understood or says what the mapping does, raises what
        `read_source` does."""
        self._check_beside_source()
        if self.clock not in (None, "server", "client"):
            stop(f'--clock: expected server or client, got "{self.clock}"')
        try:
            zone = UTC if self.zone is None else parse_zone(self.zone)
        except Refused as refused:
            stop(f"--timezone: {refused.message}")
        try:
            day = None if self.day is None else date.fromisoformat(self.day)
        except ValueError:
            stop(f'--day: expected a date such as "2026-03-30", got "{self.day}"')
        return Settings(
            source=read_source(self.source),
            zone=zone,
            user=self.user,
            clock="client" if self.clock == "client" else "server",
            day=day,
            given=tuple(self.given()),
        )

    def given(self) -> dict[Option, str]:
        """What is said of the logs themselves, and has no other use."""
        values: dict[Option, str | None] = {
            "--user-at": self.user,
            "--timezone": None if self.is_zone_of_moments else self.zone,
            "--clock": self.clock,
            "--day": self.day,
        }
        return {option: value for option, value in values.items() if value is not None}

    def _check_beside_source(self) -> None:
        """Stop where an option would not be looked at, since the mapping says it. No mapping says Parquet."""
        if self.source is None:
            return
        form = ["--format"] if self.format not in (None, "parquet") else []
        for option in (*form, *self.given()):
            stop(f"{option}: with --source the mapping says it; write it there, and leave {option} out")

    def memory_bytes(self) -> int:
        """How much of the events may be at hand. Stops where that is not understood."""
        try:
            return MEMORY_DEFAULT if self.memory is None else parse_size(self.memory)
        except Refused as refused:
            stop(f"--memory: {refused.message}")


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


def open_logs(logs: Sequence[str], options: LogOptions, *, strict: bool = False) -> Opened:
    """Read logs, or one store. Raises what `stopped_by_unreadable` takes.

    What cannot be read of them is counted in ``bad``, for the command to tell. Where it is all that there is, and with
    ``strict`` where it is anything, the command is stopped.
    """
    bad = BadRecords()
    if find_store(logs, options) is not None:
        recording = asyncio.run(read_recording(logs[0], store_password(os.environ)))
        recorded = recording.activity()
        if not recorded.users:
            stop_empty(logs)
        return Opened(recorded, bad, recording)
    settings = options.settings()
    gathering = Gathering(options.memory_bytes())
    with progress_bar("reading", size_of(logs), "bytes") as progress, collector_paused():
        for batch in event_batches(logs, settings, options.format, bad, progress):
            gathering.add(batch)
    activity = gathering.activity()
    refuse_bad(bad, activity.events, logs, options, strict=strict)
    return Opened(activity, bad)


def refuse_bad(bad: BadRecords, events: int, logs: Sequence[str], options: LogOptions, *, strict: bool) -> None:
    """Stop where there is no event; with ``strict`` where anything could not be read."""
    if bad.total and (strict or not events):
        stop_at_bad(bad, logs, options, strict)
    if not events:
        stop_empty(logs)


def stop_empty(logs: Sequence[str]) -> NoReturn:
    """Stop since there was nothing to be read, which every command takes for something that went wrong."""
    stop(f"{', '.join(logs)}: there is nothing in it", code=1)


def find_store(logs: Sequence[str], options: LogOptions) -> str | None:
    """The store among the logs. Stops where it is not alone, or standard input would be read twice."""
    if logs.count(STDIN) > 1:
        stop(STDIN_TWICE)
    store = next((log for log in logs if is_store(log)), None)
    if store is None:
        return None
    if len(logs) > 1:
        stop(f"{store}: a store is replayed alone, without other logs")
    _refuse_for_store(options)
    return store


def _refuse_for_store(options: LogOptions) -> None:
    if options.source is not None:
        stop("--source is for logs; a store needs no mapping")
    if options.format is not None:
        stop("--format is for logs; a store has its own")
    for option in options.given():
        stop(f"{option} is for logs; a store says it itself")


def size_of(logs: Sequence[str]) -> int | None:
    """How many bytes are to be read; None where that is not known."""
    return sum(map(os.path.getsize, logs)) if all(map(os.path.isfile, logs)) else None


def stop_at_bad(
    bad: BadRecords, logs: Sequence[str], options: LogOptions, strict: bool = False, code: int = 1
) -> NoReturn:
    """Stop since nothing could be read, or not all, which a strict user takes as an error; and say why."""
    for line in details(bad, []):
        typer.echo(line, err=True)
    why = why_unread(bad, logs, options)
    hint = "" if strict else "; no record could be read" + (f": {why}" if why else "")
    stop(f"{counted(bad.total, 'bad record')}{hint}", code)


def why_unread(bad: BadRecords, logs: Sequence[str], options: LogOptions) -> str:
    """What may be the matter with logs of which nothing could be read; "" where nobody knows."""
    if bad.misses or options.source is not None:
        return bad.misses
    if options.format is not None:
        return _other_form(options.format, logs)
    begins = bad.shown[0].text[:1] if bad.shown and set(bad.counts) == {"not JSON"} else ""
    document = ' a JSON document that goes over several lines does, with "format: json"' if begins in ("[", "{") else ""
    return "does the log need --source?" + document


def _other_form(form: str, logs: Sequence[str]) -> str:
    """That it may be another format than the user said, and which one the first log begins like."""
    question = f"is --format {form} right?"
    log = logs[0]
    if not os.path.isfile(log):
        return question  # a pipe cannot be looked at again, and a folder is of several forms
    head = head_of(log)
    if is_tar(head.start):
        return question
    try:
        found = recognise(head)
    except Refused as several:
        return f"{question} {several.message}"
    if found is not None:
        return "" if found.name == form else f"{question} {log} begins like {found.name}"
    is_own = form != OWN and any({"at", "user", "type"} <= record.keys() for record in head.records)
    return f"{question} {log} begins like {OWN if is_own else 'no form that is known'}"


def read_all(logs: Sequence[str], options: LogOptions) -> list[Event]:
    """The events of logs, then those of stores, all of them in memory; what cannot be read of them is told on the
    error stream. Stops where there is nothing at all. Raises what `stopped_by_unreadable` takes.
    """
    if logs.count(STDIN) > 1:
        stop(STDIN_TWICE)
    stores = [log for log in logs if is_store(log)]
    if len(stores) == len(logs):
        _refuse_for_store(options)
    bad = BadRecords()
    others = [log for log in logs if log not in stores]
    events = [event for batch in event_batches(others, options.settings(), options.format, bad) for event in batch]
    for store in stores:
        events += asyncio.run(read_recording(store, store_password(os.environ))).events
    if not events:
        if bad.total:
            stop_at_bad(bad, logs, options, code=2)  # 1 is for findings
        stop_empty(logs)
    for line in details(bad, []):
        typer.echo(line, err=True)
    return events
