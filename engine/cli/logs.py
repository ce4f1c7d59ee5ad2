"""The logs that commands are given: what cannot be read is said before anything is. It runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer

from engine.core.model import Event
from engine.loading.diagnostic import counted
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN, is_store
from engine.replay.mapping import Source
from engine.replay.reading import read_logs
from engine.replay.recording import RecordingUnusable, read_recording
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
        why = bad.misses or ("does the log need --source?" if source is None else "")
        hint = f": {why}" if bad.total and why else ""
        stop(f"{counted(bad.total, 'bad record')}; no record could be read{hint}")
    return events
