"""What `proactive connect` makes of what is typed and of what the server says. No socket, no terminal.

What is typed answers the newest open question, if there is one, and is a chat message otherwise. A message that
offers options asks a question, whatever its type is.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

import msgspec

from engine.core.refusal import Refused
from engine.core.units import SECOND, parse_duration

HINT = "type to chat; with a question open, type a number or your answer; /help lists the rest"
HELP = """type to chat; with a question open, type a number or your answer
/chat TEXT             chat, also with a question open
/event TYPE key=value… an activity event
/dismiss               put the last message away
/mute                  no more of the rule that sent it; /unmute takes back every mute
/snooze 15m            nothing for so long; /snooze tomorrow until eight, /snooze off
/level LESS            how much to hear: off, less, normal or more
/quit                  leave"""
LEVELS = ("off", "less", "normal", "more")
MORNING = 8  # o'clock, when a snooze until tomorrow ends
SHOWN_MAX = 40  # characters of a message by which it is named
NO_MESSAGES = ("chat_response", "pong", "error")  # frames that nothing becomes of
REPLIES = ("chat_response", "pong", "error")  # frames that answer one of ours
LABELS = {"chat_response": "answer", "notification": "note"}  # what a person reads instead of the protocol's word


@dataclass(frozen=True, slots=True)
class Send:
    """``note`` is what to tell the person once it is sent, such as which option a number stood for."""

    frame: dict[str, Any]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class Explain:
    """Nothing is sent; the person is told why."""

    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame as a person reads it: when, what kind, the text, and the numbered options."""

    at: str
    kind: str
    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Last:
    """The newest message, which can be dismissed. ``rule`` is "" for one of the application's own."""

    id: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    options: tuple[str, ...]


class Conversation:
    """One client. ``awaited`` counts the frames that the server has yet to answer.

    ``clock`` gives epoch seconds; times are shown and meant in ``zone``, that of the machine for None.
    """

    def __init__(self, client: str, clock: Callable[[], float], zone: tzinfo | None = None) -> None:
        self.client = client
        self.awaited = 0
        self.question: Question | None = None
        self._last: Last | None = None
        self._clock = clock
        self._zone = zone

    def hello(self) -> dict[str, Any]:
        """The first frame of a connection: from it on the server knows whose it is."""
        return {"type": "ping", "clientId": self.client}

    def connected(self) -> None:
        """A new connection owes no answers to what was said on the former one."""
        self.awaited = 1

    def typed(self, line: str) -> Send | Quit | Explain | None:
        """What a line asks for; None for an empty one."""
        text = line.strip()
        if not text:
            return None
        word, _, rest = text.partition(" ")
        if word == "/quit":
            return Quit()
        if word == "/chat" and rest.strip():
            return self._chat(rest.strip())
        if word.startswith("/"):
            return self._command(word, rest.strip())
        if self.question is not None:
            return self._answer(self.question, text)
        return self._chat(text)

    def received(self, text: str) -> Shown | None:
        """A frame of the server's; None for one that a person need not see."""
        try:
            frame = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return Shown("", "unreadable", printable(text))
        if not isinstance(frame, dict):
            return Shown("", "unreadable", printable(text))
        kind = str(frame.get("type"))
        if kind in REPLIES and self.awaited:
            self.awaited -= 1
        if kind == "pong":
            return None
        given = frame.get("options")
        options = tuple(map(str, given)) if isinstance(given, list) else ()
        if kind == "backend_message":
            kind = str(frame.get("messageType"))
        # Servers of before put a `questionId` into questions alone; it has always been the `id`.
        name = frame.get("questionId", frame.get("id") if options else None)
        if isinstance(name, str):
            self.question = Question(name, options)
        shown = _text(frame)
        if isinstance(frame.get("id"), str) and frame["type"] not in NO_MESSAGES:
            self._last = Last(frame["id"], str(frame.get("rule", "")), _shortened(shown))
        return Shown(
            self._time(frame.get("timestamp")),
            printable(LABELS.get(kind, kind)),
            printable(shown),
            tuple(map(printable, options)),
        )

    def _chat(self, text: str) -> Send:
        self.awaited += 1
        return Send({"type": "chat_message", "message": text, "clientId": self.client})

    def _answer(self, question: Question, text: str) -> Send | Explain:
        if text.isascii() and text.isdigit() and question.options:
            number = int(text)
            if not 1 <= number <= len(question.options):
                return Explain(f"there are {len(question.options)} options, and {number} is none of them")
            text = question.options[number - 1]
        else:
            text = next((option for option in question.options if option.casefold() == text.casefold()), text)
        self.question = None
        frame = {"type": "user_response", "questionId": question.id, "response": text, "clientId": self.client}
        return Send(frame, f"answered: {printable(text)}")

    def _command(self, word: str, rest: str) -> Send | Explain:
        match word:
            case "/event":
                return self._event(rest)
            case "/dismiss":
                return self._became("dismissed")
            case "/mute":
                return self._became("muted")
            case "/unmute":
                return self._wish({"muted": []}, "nothing is muted")
            case "/snooze":
                return self._snooze(rest)
            case "/level" if rest in LEVELS:
                return self._wish({"level": rest}, f"level: {rest}")
            case "/level":
                return Explain(f'expected /level {", ".join(LEVELS[:-1])} or {LEVELS[-1]}, got "{rest}"')
            case "/help":
                return Explain(HELP)
        return Explain(f'there is no "{word}": {HINT}')

    def _became(self, outcome: str) -> Send | Explain:
        """What became of the last message; then another is to be the last."""
        last = self._last
        if last is None:
            return Explain("there is no message that this could be about")
        if outcome == "muted" and not last.rule:
            return Explain(f'"{last.text}" is of no rule that could be muted')
        self._last = None
        if self.question is not None and self.question.id == last.id:
            self.question = None
        note = f"muted: no more of {last.rule}" if outcome == "muted" else f"dismissed: {last.text}"
        frame = {"type": "outcome", "id": last.id, "outcome": outcome, "clientId": self.client}
        return Send(frame, printable(note))

    def _snooze(self, rest: str) -> Send | Explain:
        if rest == "off":
            return self._wish({"snoozedUntil": None}, "no longer snoozed")
        now = self._clock()
        if rest == "tomorrow":
            day = datetime.fromtimestamp(now, self._zone).date() + timedelta(days=1)
            until = datetime.combine(day, time(MORNING), self._zone)
        else:
            try:
                until = datetime.fromtimestamp(now + parse_duration(rest) / SECOND, self._zone)
            except Refused as refused:
                return Explain(f'{refused.message}; or "tomorrow", or "off"')
        return self._wish({"snoozedUntil": until.timestamp()}, f"snoozed until {until:%a %H:%M:%S}")

    def _wish(self, wishes: dict[str, Any], note: str) -> Send:
        return Send({"type": "preferences", **wishes, "clientId": self.client}, note)

    def _event(self, rest: str) -> Send | Explain:
        try:
            words = shlex.split(rest)
        except ValueError as error:
            return Explain(f"{error}: a quote has to be closed".lower())
        if not words:
            return Explain("expected /event TYPE key=value …")
        fields: dict[str, Any] = {}
        for word in words[1:]:
            name, equals, value = word.partition("=")
            if not equals or not name:
                return Explain(f'expected key=value, got "{word}"')
            fields[name] = _value(value)
        return Send({**fields, "type": words[0], "clientId": self.client})

    def _time(self, stamp: Any) -> str:
        if not isinstance(stamp, int | float):
            return ""
        try:
            return datetime.fromtimestamp(stamp, self._zone).strftime("%H:%M:%S")
        except (ValueError, OverflowError, OSError):
            return ""


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _shortened(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first if len(first) <= SHOWN_MAX else first[: SHOWN_MAX - 1] + "…"


def _text(frame: dict[str, Any]) -> str:
    """What a person should read of a frame: its message, and the other fields of a frame of its own kind."""
    message = str(frame.get("message", ""))
    if frame.get("type") in ("backend_message", *REPLIES):
        return message
    rest = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in frame.items()
        if name not in ("type", "timestamp", "id", "message", "options", "questionId", "rule", "expiresAt")
    ]
    return "\n".join(part for part in (message, *rest) if part)


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
