"""From the names of logs to their events: picks the reader of each, and knows no format itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.document import json_batches
from engine.replay.formats.base import Settings, UnknownForm
from engine.replay.formats.registry import OWN, mapped_reader_of, reader_of
from engine.replay.jsonl import jsonl_batches
from engine.replay.mapping import Source
from engine.replay.members import logs_in
from engine.replay.partitioned import InPartition
from engine.replay.shares import Share, own_events, own_lines
from engine.replay.table import csv_batches
from engine.replay.unused import Unused


def event_batches(
    logs: Sequence[str],
    settings: Settings,
    form: str | None,
    bad: BadRecords,
    progress: Progress | None = None,
    share: Share | None = None,
) -> Iterator[list[Event]]:
    """All events, some thousands at a time, in the order of the logs and of their lines.

    A log is read by the mapping of the settings where they have one, else as of the format ``form``, else as of the
    format that it begins like; "-" is standard input. Raises OSError for a log that cannot be read, `UnknownForm`, and
    `UnknownColumn`. With a ``share`` it is what belongs to that; of bad records, too, each belongs to one.
    """
    unused = Unused(settings)
    for name in logs:
        for _, batches in opened_logs(name, settings, form, bad, progress, share, unused, is_alone=len(logs) == 1):
            yield from batches
    unused.refuse(list(logs))


def opened_logs(
    name: str,
    settings: Settings,
    form: str | None,
    bad: BadRecords,
    progress: Progress | None = None,
    share: Share | None = None,
    unused: Unused | None = None,
    *,
    is_alone: bool = False,
) -> Iterator[tuple[str, Iterator[list[Event]]]]:
    """The logs that one name stands for, each with the name of its format and its events, as `event_batches` has them.

    Each has to be read before the next is asked for. ``unused`` is told of each; ``is_alone`` says that there is no
    other name.
    """
    mapping = settings.source
    # What is wrong with all of a log, and not with one of its lines, is for the first of those who share it.
    common = bad if share is None or share.is_first else BadRecords()
    for log in logs_in(name, common, progress, share):
        bad.begin(log, is_member=log != name)
        source = None if mapping is None else mapping.of_log(log, name)
        settings = replace(settings, source=source)
        try:
            reader = mapped_reader_of(log) if source is not None and form is None else reader_of(log, form)
        except Refused as refused:
            where = "" if form is None else "--format: "
            raise UnknownForm(where + refused.message, code=refused.code) from None
        if unused is not None:
            unused.met(log, reader, is_alone=is_alone and log == name)
        if reader is not None:
            yield reader.name, _own(reader.read(log, settings, common, progress), bad, share)
            continue
        if source is None and form is None and log.lower().removesuffix(".gz").removesuffix(".zst").endswith(".csv"):
            raise UnknownForm(f"{log}: a CSV log needs --source, which says what its columns mean")
        if source is not None and source.format == "csv":
            yield source.format, _own(csv_batches(log, source, common, progress), bad, share)
        elif source is not None and source.format == "json":
            yield source.format, _own(json_batches(log, source, common, progress), bad, share)
        else:
            pick, of_bytes = None if share is None else own_lines(source, share), common
            if share is not None and isinstance(log, InPartition) and source is None:
                pick = None if log.is_alone(share) else pick
                of_bytes = bad if log.is_first(share) else BadRecords()
            batches = jsonl_batches(log, source, bad, progress, pick, of_bytes)
            yield OWN if source is None else source.format, _own(batches, bad, None)


def _own(batches: Iterator[list[Event]], bad: BadRecords, share: Share | None) -> Iterator[list[Event]]:
    """What belongs to the share of a log, of which it is noted where there is anything."""
    for batch in batches if share is None else own_events(batches, share):
        if batch:
            bad.note_events()
        yield batch


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
