"""From the names of logs to their events: picks the reader, and knows no format itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engine.core.model import Event
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.jsonl import read_jsonl
from engine.replay.mapping import Source
from engine.replay.table import read_csv


def read_logs(
    logs: Sequence[str], source: Source | None, bad: BadRecords, progress: Progress | None = None
) -> list[Event]:
    """All events, in the order of the logs and of their lines. All of them are held in memory, to be sorted.

    "-" is standard input. Raises OSError for a log that cannot be read, and `UnknownColumn`.
    """
    events: list[Event] = []
    with collector_paused():
        for log in logs:
            if source is not None and source.format == "csv":
                read_csv(log, source, bad, events, progress)
            else:
                read_jsonl(log, source, bad, events, progress)
    return events


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
