"""Logs of IRC channels, in three layouts: lines of text, the same as HTML, and lines with channel and date.

``[10:00] <ann> text``, ``<span class="irc-date">[10:00]</span> <span …>&lt;ann&gt; text</span>`` and
``#chan 2026-03-27 [10:00:00] <ann> text``. It makes no events of what the server says: that is nobody's doing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import date

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import Head, Option, Settings, UnknownForm
from engine.replay.formats.texts import read_texts
from engine.replay.naming import name_of
from engine.replay.stamps import Stamps

LINES_LOOKED_AT = 50
DAY_S = 24 * 3600
HALF_DAY_S = 12 * 3600
SET_BACK_MAX_S = 3600  # a clock that goes back by no more was set back, as at the end of summer time

_SPAN = 'class="irc-date"'
_TAG = re.compile(r"<[^<>]{1,500}>")
_LINE = re.compile(
    r"(?:(\S{1,255}) (\d{4}-\d\d-\d\d) )?[\[(](\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AaPp])[Mm])?[\])] {0,2}(.*)",
    re.ASCII | re.DOTALL,
)
# Before the name stands what the user may do in the channel: @ for an operator, + for one who has a voice.
_MESSAGE = re.compile(r"<[ @+%&~!]?([^<>\s]{1,255})>(?: (.*))?", re.DOTALL)
_ACTION = re.compile(r"\* ([^\s*]{1,255})(?: (.*))?", re.DOTALL)
_AFTER_NAME = re.compile(r"([^\s<>:*]{1,255}): (.*)", re.DOTALL)  # only after times such as (3:49:02 PM)
_DAY = re.compile(r"(?<!\d)(\d{4})([-/_.]?)(\d\d)\2(\d\d)(?!\d)", re.ASCII)


class Irc:
    """What somebody says is a ``chat_message``, what they do (``/me``) a ``chat_action``, both with a ``message``."""

    name = "irc"
    doc = "Text or HTML of an IRC channel."
    options: tuple[Option, ...] = ("--timezone", "--day")

    def recognises(self, head: Head) -> bool:
        lines = [line.decode("utf-8", "replace") for line in head.lines[:LINES_LOOKED_AT]]
        if any(_SPAN in line for line in lines):
            return True
        matches = [_LINE.fullmatch(line) for line in lines]
        said = sum(match is not None and _MESSAGE.fullmatch(match[7]) is not None for match in matches)
        known = sum(match is not None or line.startswith("===") for match, line in zip(matches, lines, strict=True))
        return said > 0 and 10 * known >= 9 * len(lines)

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        """As every format, and raises `UnknownForm` where nothing says of which day the times are."""
        return read_texts(log, _Lines(log, settings), bad, progress)


def day_of(log: str) -> date | None:
    """The last date in the name of a log or in those of its folders: ``logs/2026/03/27/#chan.txt``, ``27…`` is none."""
    for match in reversed(list(_DAY.finditer(log))):
        try:
            return date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            continue
    return None


class _Lines:
    def __init__(self, log: str, settings: Settings) -> None:
        self._log = log
        self._name = name_of(log)
        self._stamps = Stamps(settings.zone)
        self._clock = _Clock(settings.day or day_of(log))

    def read(self, number: int, line: str) -> Event | None:
        if _SPAN in line or line.startswith("<"):
            line = html.unescape(_TAG.sub("", line)).strip()
        if not line.strip():
            return None
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadLine("no time", "the server says it" if line.startswith("===") else "")
        channel, day, hour, minute, second, meridiem, said = match.groups()
        at = self._moment(day, self._seconds(hour, minute, second, meridiem), twelve=meridiem is not None)
        session = channel or self._name
        message = _MESSAGE.fullmatch(said) or (_AFTER_NAME.fullmatch(said) if meridiem else None)
        if message is not None:
            return Event("chat_message", message[1], at, {"message": message[2] or ""}, "", session)
        action = _ACTION.fullmatch(said)
        if action is None:
            raise BadLine("no user", "the server says it")
        return Event("chat_action", action[1], at, {"message": action[2] or ""}, "", session)

    def end(self) -> Event | None:
        return None

    def _seconds(self, hour: str, minute: str, second: str | None, meridiem: str | None) -> int:
        hours = int(hour)
        if meridiem is not None:
            if not 1 <= hours <= 12:
                raise BadLine("bad time", f"expected an hour from 1 to 12, got {hours}")
            hours = hours % 12 + (12 if meridiem in "pP" else 0)
        if hours > 23 or int(minute) > 59 or int(second or 0) > 59:
            raise BadLine("bad time", f"expected a time of day, got {hour}:{minute}" + (f":{second}" if second else ""))
        return (hours * 60 + int(minute)) * 60 + int(second or 0)

    def _moment(self, day: str | None, clock: int, twelve: bool) -> int:
        if day is None:
            if self._clock.day is None:
                raise UnknownForm(
                    f"{self._log}: the log has times and no day; say it with --day, such as --day 2026-03-27, "
                    "or call the log after its day"
                )
            ordinal, clock = self._clock.turn(clock, twelve)
            if ordinal > date.max.toordinal():
                raise BadLine("bad time", "the log goes on for too many days")
            day = date.fromordinal(ordinal).isoformat()
        hours, rest = divmod(clock, 3600)
        try:
            return self._stamps.parse(f"{day}T{hours:02}:{rest // 60:02}:{rest % 60:02}")
        except Refused as refused:
            raise BadLine("bad time", refused.message) from None


class _Clock:
    """Times of day to days, for a log that says only in its name on which day it begins.

    A clock that goes back has gone round, and the next day begins. One that goes from twelve to one, in a log that
    has never had another hour than one to twelve, goes round every half day.
    """

    def __init__(self, day: date | None) -> None:
        self.day = day
        self._passed = 0  # seconds, whole turns of the clock
        self._last: int | None = None
        self._within_twelve = True
        self._half_days = False

    def turn(self, clock: int, twelve: bool) -> tuple[int, int]:
        """The ordinal of the day, and the seconds of it; ``twelve`` says that the time names its half of the day."""
        assert self.day is not None
        hour = clock // 3600
        if twelve or not 1 <= hour <= 12:
            self._within_twelve = self._half_days = False
        if self._last is not None and clock < self._last - SET_BACK_MAX_S:
            if self._within_twelve and hour == 1 and self._last // 3600 == 12:
                self._half_days = True
            self._passed += HALF_DAY_S if self._half_days else DAY_S
        self._last = clock
        days, seconds = divmod(self._passed + clock, DAY_S)
        return self.day.toordinal() + days, seconds
