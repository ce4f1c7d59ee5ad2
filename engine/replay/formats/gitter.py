"""Text of Gitter rooms: ``[2026-03-27 10:00:00] <ann> text``, in as many lines as the message has.

It does not look into what is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import LINE_BYTES_MAX, Progress
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.texts import read_texts
from engine.replay.naming import name_of
from engine.replay.stamps import Stamps

_MESSAGE = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\] <([^<>\s]{1,255})>(?: (.*))?", re.ASCII | re.DOTALL)
TEXT_MAX = LINE_BYTES_MAX  # characters of a message, with all its lines


class Gitter:
    """What somebody says is a ``chat_message``; the room, by the name of the log, is its session."""

    name = "gitter"
    doc = "Text of a Gitter room."
    options: tuple[Option, ...] = ("--timezone",)

    def recognises(self, head: Head) -> bool:
        return bool(head.lines) and _MESSAGE.fullmatch(head.lines[0].decode("utf-8", "replace")) is not None

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        return read_texts(log, _Messages(name_of(log), Stamps(settings.zone)), bad, progress)


class _Messages:
    """Holds the message that may go on in the next line."""

    def __init__(self, room: str | None, stamps: Stamps) -> None:
        self._room = room
        self._stamps = stamps
        self._open: tuple[int, str] | None = None
        self._lines: list[str] = []
        self._length = 0
        self._is_skipping = False

    def read(self, number: int, line: str) -> Event | None:
        match = _MESSAGE.fullmatch(line)
        if match is None:
            if not self._is_skipping:
                self._go_on(line)
            return None
        self._is_skipping = False
        try:
            at = self._stamps.parse(match[1])
        except Refused as refused:
            # What this message goes on with is not said by whoever spoke before.
            self._is_skipping = True
            raise BadLine("bad time", refused.message) from None
        done = self.end()
        self._open = (at, match[2])
        self._lines = [match[3] or ""]
        self._length = len(self._lines[0])
        return done

    def end(self) -> Event | None:
        if self._open is None:
            return None
        at, user = self._open
        self._open = None
        return Event("chat_message", user, at, {"message": "\n".join(self._lines).rstrip("\n")}, "", self._room)

    def _go_on(self, line: str) -> None:
        if self._open is None:
            if line.strip():
                raise BadLine("no message", "expected [YYYY-MM-DD HH:MM:SS] <user> text")
            return
        if self._length + len(line) + 1 > TEXT_MAX:
            raise BadLine("message too long", f"more than {TEXT_MAX >> 20} Mi characters")
        self._lines.append(line)
        self._length += len(line) + 1
