"""What a format of logs has to say of itself. It reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from functools import cached_property
from typing import Literal, Protocol

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.document import first_records
from engine.replay.elements import OUTERMOST
from engine.replay.mapping import Source

Clock = Literal["server", "client"]
Option = Literal["--timezone", "--user-at", "--clock", "--day"]  # what the command line says of a log
HEAD_BYTES = 64 * 1024  # of a log, unpacked, by which its format is recognised
BATCH_EVENTS = 5000  # that a reader hands over at once, about
FILES_MAX = 10_000  # of a folder, whose names are looked at


class UnknownForm(Refused):
    """It cannot be told how a log is to be read: of which format it is, of which day, what its columns mean."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user says of a log, for all formats; each takes what it has a use for.

    ``user`` is the path to the user in a record, ``clock`` the one that is believed where a record has two, ``day``
    the date of a log that has times alone. ``given`` are those that somebody has written, and expects to matter.
    """

    source: Source | None = None
    zone: tzinfo = UTC
    user: str | None = None
    clock: Clock = "server"
    day: date | None = None
    given: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Head:
    """The beginning of a log. ``start`` are its first `HEAD_BYTES` or less, unpacked; of a folder, the names in it."""

    name: str
    start: bytes = b""
    files: frozenset[str] = field(default_factory=frozenset)
    is_folder: bool = False

    @cached_property
    def lines(self) -> list[bytes]:
        """The whole lines of the beginning that are not empty; the last one only where the log is no longer."""
        lines = self.start.split(b"\n")
        if len(self.start) >= HEAD_BYTES:
            lines.pop()
        return [line.rstrip(b"\r") for line in lines if line.strip()]

    @cached_property
    def records(self) -> list[dict[str, Json]]:
        """The first JSON objects, at most ten: lines, items of a list, or documents one behind the other."""
        return self.inside(OUTERMOST)

    def inside(self, *within: str) -> list[dict[str, Json]]:
        """The first JSON objects, where they may also stand in a list under such a name: ``{"batch": […]}``."""
        return [] if self.is_folder else first_records(self.start, (OUTERMOST, *within))


class Format(Protocol):
    """``name`` is what ``--format`` says, ``doc`` one line about it, ``options`` those of the settings it looks at."""

    name: str
    doc: str
    options: tuple[Option, ...]

    def recognises(self, head: Head) -> bool:
        """Whether the log is of this format, beyond doubt: by what it says, not by its name."""
        ...

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        """The events, in batches, in the order of the log. What cannot be read of it is counted in ``bad``.

        Raises OSError where the log cannot be opened, and `UnknownForm` where it lacks what the user has to say.
        """
        ...
