"""The logs that an argument of a command stands for: a file, standard input, each file of a folder or of an archive.

It opens what holds logs and reads none of them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator

from engine.replay.archive import SECTOR, is_tar, members
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import STDIN, Once, Progress, read_blocks, read_head
from engine.replay.formats.registry import head_of, recognise
from engine.replay.partitioned import InPartition, partitions_in
from engine.replay.shares import Share


def logs_in(log: str, bad: BadRecords, progress: Progress | None = None, share: Share | None = None) -> Iterator[str]:
    """The logs that a name stands for; each has to be read before the next is asked for.

    A folder that is itself a log (ProgSnap2) is one; any other is what lies in it, in the order of the names, hidden
    files and links left out. An archive is its files, in the order in which they are in it, each called
    ``archive.tar.gz:name``. Of an archive of a server (`partitioned`) it is the events, with a ``share`` those
    of the partitions that concern it; each log is `InPartition` then. Raises OSError, and `Refused` as `recognise`
    does.
    """
    if log == STDIN:
        yield from _file_or_archive(Once(STDIN, sys.stdin.buffer), bad, progress)
    elif os.path.isdir(log):
        if recognise(head_of(log)) is not None:
            yield log
            return
        partitions = partitions_in(log)
        if partitions is not None:
            for part in partitions:
                if share is None or part.concerns(share):
                    for name in logs_in(str(part), bad, progress):
                        yield InPartition(name, part.number, part.of)
            return
        with os.scandir(log) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_symlink())
        for name in names:
            yield from logs_in(os.path.join(log, name), bad, progress)
    elif stat.S_ISREG(os.stat(log).st_mode):
        yield from _file_or_archive(log, bad, progress)
    else:
        # A pipe: what is looked at is gone from it.
        with open(log, "rb") as stream:
            yield from _file_or_archive(Once(log, stream), bad, progress)


def _file_or_archive(log: str, bad: BadRecords, progress: Progress | None) -> Iterator[str]:
    if not is_tar(read_head(log, SECTOR)):
        yield log
        return
    number = 0
    try:
        for number, member in enumerate(members(read_blocks(log, progress)), 1):
            if isinstance(member, BadLine):
                bad.add(log, number, member)
                continue
            # The archive's own bytes are told of as they are read.
            inner = Once(f"{log}:{member.name}", member.content, told=True)
            if is_tar(read_head(inner, SECTOR)):
                bad.add(log, number, BadLine("archive in an archive", member.name))
            else:
                yield inner
    except BadLine as damage:
        bad.add(log, number + 1, damage)
