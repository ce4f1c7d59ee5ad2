"""How much a person wants to hear, as it is typed and as it is said back. It sends and shows nothing.

Times are epoch seconds; they are shown and meant in a zone, that of the machine for None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from engine.cli.printable import one_line
from engine.core.refusal import Refused
from engine.core.units import SECOND, parse_duration

LEVELS = ("off", "less", "normal", "more")
MORNING = 8  # o'clock, when a snooze until tomorrow ends
EVERYTHING = "*"  # in place of the name of a rule or topic
NAME_LENGTH_MAX = 128  # characters of such a name, as the protocol has it
NAMES_SHOWN_MAX = 5


class NotMeant(Exception):
    """What was typed says no wish; the text says what would."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What holds. ``snoozed_until`` is None where nothing is snoozed."""

    level: str = "normal"
    muted: frozenset[str] = frozenset()
    snoozed_until: float | None = None

    def after(self, frame: Mapping[str, Any]) -> Wishes:
        """With what a ``preferences`` frame says, of the server's or one that is on its way to it."""
        level = frame.get("level", self.level)
        muted = frozenset(_names(frame["muted"])) if "muted" in frame else self.muted
        muted = (muted | frozenset(_names(frame.get("mute")))) - frozenset(_names(frame.get("unmute")))
        until = frame.get("snoozedUntil", self.snoozed_until)
        return Wishes(
            level if level in LEVELS else self.level,
            muted,
            # The server keeps whole seconds.
            float(int(until)) if isinstance(until, int | float) and abs(until) < 1e11 else None,
        )

    def changes(self, before: Wishes, now: float, zone: tzinfo | None) -> list[str]:
        """What is other than it was, in words."""
        said = []
        if self.level != before.level:
            said.append(f"level: {self.level}")
        if self.snoozed_until != before.snoozed_until:
            is_snoozed = self.snoozed_until is not None and self.snoozed_until > now
            if is_snoozed and self.snoozed_until is not None:
                said.append(f"snoozed until {shown_moment(self.snoozed_until, zone)}")
            elif before.snoozed_until is not None and before.snoozed_until > now:
                said.append("no longer snoozed")
        if more := self.muted - before.muted:
            said.append(f"muted: {_listed(more)}")
        if less := before.muted - self.muted:
            said.append(f"no longer muted: {_listed(less)}")
        return said


def level_wish(rest: str) -> tuple[dict[str, Any], str]:
    """The fields of a ``preferences`` frame, and a note for the person. Raises `NotMeant`, as the others do."""
    if rest not in LEVELS:
        raise NotMeant(f'expected /level {", ".join(LEVELS[:-1])} or {LEVELS[-1]}, got "{rest}"')
    return {"level": rest}, f"level: {rest}"


def mute_wish(name: str) -> tuple[dict[str, Any], str]:
    """No more of a rule or topic, or of anything."""
    name = _named(name)
    note = "everything; /unmute takes it back" if name == EVERYTHING else f"no more of {one_line(name)}"
    return {"mute": [name]}, f"muted: {note}"


def unmute_wish(name: str) -> tuple[dict[str, Any], str]:
    """That taken back, of one or of all."""
    name = _named(name)
    if name in ("", EVERYTHING):
        return {"muted": []}, "all mutes taken back"
    return {"unmute": [name]}, f"no longer muted: {one_line(name)}"


def snooze_wish(rest: str, now: float, zone: tzinfo | None) -> tuple[dict[str, Any], str]:
    """Nothing for so long, or until eight tomorrow; or that taken back."""
    if rest == "off":
        return {"snoozedUntil": None}, "no longer snoozed"
    if rest == "tomorrow":
        day = datetime.fromtimestamp(now, zone).date() + timedelta(days=1)
        until = datetime.combine(day, time(MORNING), zone).timestamp()
    else:
        try:
            until = now + parse_duration(rest) / SECOND
        except Refused as refused:
            raise NotMeant(f'{refused.message}; or "tomorrow", or "off"') from None
    return {"snoozedUntil": until}, f"snoozed until {shown_moment(until, zone)}"


def row_of_wish(frame: Mapping[str, Any], zone: tzinfo | None) -> str:
    """What a ``preferences`` frame asks for, in a row."""
    said = [f"level: {frame['level']}"] if "level" in frame else []
    if "snoozedUntil" in frame:
        until = frame["snoozedUntil"]
        is_off = not isinstance(until, int | float)
        said.append("no longer snoozed" if is_off else f"snoozed until {shown_moment(until, zone)}")
    for field, word in (("muted", "muted alone"), ("mute", "muted"), ("unmute", "no longer muted")):
        if field in frame:
            said.append(f"{word}: {_listed(_names(frame[field])) or 'nothing'}")
    return "; ".join(said)


def shown_moment(at: float, zone: tzinfo | None) -> str:
    """A moment of these days."""
    try:
        return f"{datetime.fromtimestamp(at, zone):%a %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "who knows when"


def _named(name: str) -> str:
    if len(name) > NAME_LENGTH_MAX:
        raise NotMeant(f"expected a name of at most {NAME_LENGTH_MAX} characters, got {len(name)}")
    return EVERYTHING if name == "all" else name


def _names(found: Any) -> Iterable[str]:
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _listed(names: Iterable[str]) -> str:
    """In one row, whoever wrote them."""
    known = sorted(names)
    shown = ["everything" if name == EVERYTHING else one_line(name) for name in known[:NAMES_SHOWN_MAX]]
    return ", ".join(shown) + (f" and {len(known) - NAMES_SHOWN_MAX} more" if len(known) > NAMES_SHOWN_MAX else "")
