"""From the names of logs to their events: picks the reader of each, and knows no format itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import Settings, UnknownForm
from engine.replay.formats.registry import mapped_reader_of, reader_of
from engine.replay.jsonl import jsonl_batches
from engine.replay.mapping import Source
from engine.replay.members import logs_in
from engine.replay.table import csv_batches


def event_batches(
    logs: Sequence[str], settings: Settings, form: str | None, bad: BadRecords, progress: Progress | None = None
) -> Iterator[list[Event]]:
    """All events, some thousands at a time, in the order of the logs and of their lines.

    A log is read by the mapping of the settings where they have one, else as of the format ``form``, else as of the
    format that it begins like; "-" is standard input. Raises OSError for a log that cannot be read, `UnknownForm`, and
    `UnknownColumn`.
    """
    for name in logs:
        for log in logs_in(name, bad, progress):
            yield from _batches_of(log, settings, form, bad, progress)


def _batches_of(
    log: str, settings: Settings, form: str | None, bad: BadRecords, progress: Progress | None
) -> Iterator[list[Event]]:
    source = settings.source
    try:
        reader = mapped_reader_of(log) if source is not None and form is None else reader_of(log, form)
    except Refused as refused:
        where = "" if form is None else "--format: "
        raise UnknownForm(where + refused.message, code=refused.code) from None
    if reader is not None:
        return reader.read(log, settings, bad, progress)
    if source is None and form is None and log.lower().removesuffix(".gz").removesuffix(".zst").endswith(".csv"):
        raise UnknownForm(f"{log}: a CSV log needs --source, which says what its columns mean")
    if source is not None and source.format == "csv":
        return csv_batches(log, source, bad, progress)
    return jsonl_batches(log, source, bad, progress)


def read_logs(
    logs: Sequence[str], source: Source | None, bad: BadRecords, progress: Progress | None = None
) -> list[Event]:
    """All events at once, as `event_batches` has them."""
    with collector_paused():
        return [event for batch in event_batches(logs, Settings(source=source), None, bad, progress) for event in batch]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Nothing that is read is garbage, and looking for some takes a third of the time that reading does."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
