"""The layout of an archive: the events of each partition of a store in a folder of their own, in the order of its log.

A user is in one partition, so whoever takes a share of the users need not read the others. It opens nothing but the
file that says how many partitions there are.

    archive.json                      {"format": 1, "partitions": 8}
    p=003/date=2026-11-23/000000000000017-000000000000950.jsonl.zst     events, by the numbers of the first and the last
    sends/p=003/date=…                what the application said itself: no events, and so nothing for a dry run
    rules/2026-11-01T10:00:00Z-HASH/  the rule set that held from then on
"""

from __future__ import annotations

import os
from math import gcd

import msgspec

from engine.replay.shares import Share

ARCHIVE_FILE = "archive.json"
FORMAT = 1
HEAD_BYTES_MAX = 4096


class Head(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    partitions: int


class InPartition(str):
    """The name of a log that has the users of one partition, of so many, and of no other."""

    number: int
    of: int

    def __new__(cls, name: str, partition: int, count: int) -> InPartition:
        log = super().__new__(cls, name)
        log.number = partition
        log.of = count
        return log

    def concerns(self, share: Share) -> bool:
        """Whether it may have users of the share."""
        return (self.number - share.number) % gcd(self.of, share.of) == 0

    def is_alone(self, share: Share) -> bool:
        """Whether it has users of that share alone."""
        return self.of % share.of == 0

    def is_first(self, share: Share) -> bool:
        """Whether that share is the first of those whom it concerns."""
        return self.number % gcd(self.of, share.of) == share.number


def name_of(partition: int) -> str:
    return f"p={partition:03d}"


def head_in(folder: str) -> Head | None:
    """What the archive in a folder says of itself; None where it is no archive of ours."""
    try:
        with open(os.path.join(folder, ARCHIVE_FILE), "rb") as file:
            head = msgspec.json.decode(file.read(HEAD_BYTES_MAX), type=Head)
    except (OSError, msgspec.MsgspecError):
        return None
    return head if head.format == FORMAT and head.partitions > 0 else None


def partitions_in(folder: str) -> list[InPartition] | None:
    """The folders of the partitions that have events; None where it is no archive."""
    head = head_in(folder)
    if head is None:
        return None
    every = [
        InPartition(os.path.join(folder, name_of(number)), number, head.partitions) for number in range(head.partitions)
    ]
    return [part for part in every if os.path.isdir(part)]
