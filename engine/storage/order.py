"""What every store holds its callers to: whole entries, time that never goes back, commits that follow on.

Pure checks; nothing is stored here. `Conflict` is somebody else's doing and is mended by polling again;
`ValueError` is the caller's own mistake, which no repetition mends.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from engine.core.model import Message
from engine.core.units import AT_MAX, AT_MIN, SECOND
from engine.storage.base import Commit, Conflict, Entry, Fold, Folded

# What an erasure says that has to wait for a turn.
UNEVALUATED = "entries of this user wait to be evaluated: let the server take its turn first"
EXPIRY_MAX = 253_402_300_800 * SECOND - 1  # the end of the year 9999, the last that a stamp can name


def check_entry(entry: Entry) -> None:
    """Raises `ValueError` for an entry that could not be read back as it is."""
    event = entry.event
    reported = None if event is None else event.at_reported
    for at in (entry.at, entry.at if reported is None else reported):
        if not AT_MIN <= at <= AT_MAX:
            raise ValueError(f"expected the moments of an entry to be from {AT_MIN} to {AT_MAX}, got {at}")
    if entry.message is not None:
        check_expiry(entry.message)
    if (event is not None) != (entry.kind == "event"):
        raise ValueError(f'an entry of kind "{entry.kind}" {"has an" if event is not None else "lacks its"} event')
    if event is not None and (event.at != entry.at or event.user != entry.user):
        raise ValueError(
            f"an entry is of its event's user and moment: expected {event.user!r} at {event.at}, "
            f"got {entry.user!r} at {entry.at}"
        )
    if (entry.message is not None) != (entry.kind == "send") or bool(entry.rules_hash) != (entry.kind == "rules"):
        raise ValueError(f'an entry of kind "{entry.kind}" lacks what is its own or has what is another\'s')


def check_expiry(message: Message) -> None:
    if message.expires_at is not None and not AT_MIN <= message.expires_at <= EXPIRY_MAX:
        raise ValueError(f"expected an expiry from {AT_MIN} to {EXPIRY_MAX}, got {message.expires_at}")


def moved_up(entry: Entry, last_at: int) -> Entry:
    """An entry from outside, no earlier than the log's last; a moved event keeps its stamp as reported."""
    check_entry(entry)
    if entry.kind not in ("event", "send"):
        raise ValueError(f'only events and sends arrive from outside, "{entry.kind}" is committed')
    if entry.at >= last_at:
        return entry
    event = entry.event
    if event is not None:
        reported = event.at if event.at_reported is None else event.at_reported
        event = msgspec.structs.replace(event, at=last_at, at_reported=reported)
    return msgspec.structs.replace(entry, at=last_at, event=event)


def check_partitions(partitions: list[int], partition_count: int) -> None:
    for partition in partitions:
        if not 0 <= partition < partition_count:
            raise ValueError(f"expected a partition from 0 to {partition_count - 1}, got {partition}")


def check_commits(commits: list[Commit], partition_count: int) -> None:
    """What can be said of commits without looking at the store."""
    partitions = [commit.partition for commit in commits]
    check_partitions(partitions, partition_count)
    if len(set(partitions)) < len(partitions):
        raise ValueError("expected one commit of each partition, got several of one")
    for commit in commits:
        if not commit.states.keys() == commit.wakes.keys() == commit.present.keys():
            raise ValueError("states, wakes and present of a commit must be of the same users")
        if not commit.unmoved <= commit.states.keys():
            raise ValueError("the unmoved users of a commit must be among the same users as its states")
        for entry in commit.appended:
            check_entry(entry)
        for former, entry in pairwise(commit.appended):
            if entry.at < former.at:
                raise ValueError(f"time went back in partition {commit.partition}, from {former.at} to {entry.at}")
        for outgoing in commit.outbox:
            check_expiry(outgoing.message)


def check_follows(commit: Commit, *, version: int, cursor: int, last_number: int, last_at: int) -> None:
    """Whether the commit follows on what the partition holds now.

    ``last_number`` is that of the log's last entry, 0 where there is none. The appended entries must
    stand behind those that were evaluated and no others: one that came in between would be skipped. Of each other
    `check_commits` has seen that they are in order.
    """
    if commit.version != version:
        raise Conflict(f"partition {commit.partition} is at version {version}, not {commit.version}")
    evaluated = commit.cursor - len(commit.appended)
    if evaluated < cursor or evaluated > last_number:
        raise ValueError(
            f"the cursor of partition {commit.partition} can move from {cursor} up to {last_number}, not to {evaluated}"
        )
    if commit.appended and evaluated < last_number:
        raise Conflict(f"partition {commit.partition} has {last_number - evaluated} entries that were not evaluated")
    if commit.appended and commit.appended[0].at < last_at:
        raise ValueError(f"time went back in partition {commit.partition}, from {last_at} to {commit.appended[0].at}")


def check_evaluated(commit: Commit, at: int | None) -> None:
    """``at``: the moment of the entry that stands last before what is appended, None where there is none."""
    if commit.evaluated_at is not None and commit.evaluated_at != at:
        raise Conflict(f"partition {commit.partition} has other entries than those that were evaluated")


def check_fold(fold: Fold, folded: Folded, *, cursor: int, entry: Entry | None) -> None:
    """Whether the log can be folded up to there; ``entry`` is the one of that number, None where there is none."""
    if fold.former != folded:
        raise Conflict(f"partition {fold.partition} is folded up to {folded}, not {fold.former}")
    if not folded.number < fold.number <= cursor:
        raise ValueError(
            f"partition {fold.partition} can be folded after {folded.number} up to {cursor}, not to {fold.number}"
        )
    if entry is None or entry.kind != "tick" or entry.at != fold.at:
        raise ValueError(f"expected entry {fold.number} of partition {fold.partition} to be a tick at {fold.at}")
