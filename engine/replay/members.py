"""The logs that an argument of a command stands for: a file, standard input, each file of a folder or of an archive.

It opens what holds logs and reads none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN, Once, Progress
from engine.replay.formats.registry import head_of, recognise


def logs_in(log: str, bad: BadRecords, progress: Progress | None = None) -> Iterator[str]:
    """The logs that a name stands for; each has to be read before the next is asked for.

    A folder that is itself a log (`ProgSnap2`) is one; any other is what lies in it, in the order of the names, hidden
    files and links left out. Raises OSError, and `Refused` as `recognise` does.
    """
    if log == STDIN:
        yield Once(STDIN, sys.stdin.buffer)
    elif not os.path.isdir(log) or recognise(head_of(log)) is not None:
        yield log
    else:
        with os.scandir(log) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_symlink())
        for name in names:
            yield from logs_in(os.path.join(log, name), bad, progress)
