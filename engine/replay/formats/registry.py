"""The formats that are known, and which of them a log is of. It reads the beginning of a log and no more."""

from __future__ import annotations

import os

from engine.core.refusal import Refused
from engine.loading.wording import did_you_mean, listed, with_hint
from engine.replay.blocks import read_head
from engine.replay.formats.access_log import AccessLog
from engine.replay.formats.base import FILES_MAX, HEAD_BYTES, Format, Head
from engine.replay.formats.caliper import Caliper
from engine.replay.formats.cloudevents import CloudEvents
from engine.replay.formats.gharchive import GhArchive
from engine.replay.formats.gitter import Gitter
from engine.replay.formats.irc import Irc
from engine.replay.formats.parquet import Parquet
from engine.replay.formats.progsnap2 import ProgSnap2
from engine.replay.formats.segment import Segment
from engine.replay.formats.xapi import Xapi

# In the order of their names.
FORMATS: tuple[Format, ...] = (
    AccessLog(),
    Caliper(),
    CloudEvents(),
    GhArchive(),
    Gitter(),
    Irc(),
    Parquet(),
    ProgSnap2(),
    Segment(),
    Xapi(),
)
OWN = "jsonl"  # the name of the engine's own form
BY_MAPPING = ("json", "csv")  # forms that say nothing of what their records mean
MAPPED: tuple[Format, ...] = (Parquet(),)  # what a mapping may be of, beside JSON lines, JSON and CSV


def format_named(name: str) -> Format | None:
    """The format that ``--format`` says, None for the engine's own form. Raises `Refused`."""
    names = [OWN, *(known.name for known in FORMATS)]
    if name == OWN:
        return None
    for known in FORMATS:
        if known.name == name:
            return known
    hint = did_you_mean(name, names)
    if name in BY_MAPPING:
        hint = f'of another form such a log is read by --source, with "format: {name}" in its mapping'
    raise Refused(with_hint(f'expected a format: {listed(names, "or", most=len(names))}, got "{name}"', hint))


def recognise(head: Head) -> Format | None:
    """The format that a log begins like, None where it may be of the engine's own form or of none.

    Raises `Refused` where there are several, so that the user decides.
    """
    found = [known for known in FORMATS if known.recognises(head)]
    if len(found) > 1:
        names = [known.name for known in found]
        raise Refused(f"{head.name}: it looks like {listed(names, 'and')}; say which it is with --format")
    return found[0] if found else None


def reader_of(log: str, name: str | None = None) -> Format | None:
    """What reads that log: the format of that name, or else the one that it begins like; None is the engine's own form.

    ``log`` is what `engine.replay.members.logs_in` gives. Raises `Refused`, and OSError.
    """
    return recognise(head_of(log)) if name is None else format_named(name)


def mapped_reader_of(log: str) -> Format | None:
    """What reads that log by a mapping, where it begins like none of those that mappings themselves tell of.

    Raises OSError.
    """
    head = head_of(log)
    return next((known for known in MAPPED if known.recognises(head)), None)


def head_of(log: str) -> Head:
    """Raises OSError."""
    if os.path.isdir(log):
        with os.scandir(log) as entries:
            files = [entry.name for _, entry in zip(range(FILES_MAX), entries, strict=False)]
        return Head(log, files=frozenset(files), is_folder=True)
    return Head(log, read_head(log, HEAD_BYTES))
