"""What `proactive connect` makes of what is typed and of what the server says. No socket, no terminal.

What is typed answers the newest open question, if there is one, and is a chat message otherwise. A message that
offers options asks a question, whatever its type is.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import msgspec

HELP = (
    "type to chat; with a question open, type a number or your answer; /chat TEXT to chat all the same, "
    "/event TYPE key=value … for an activity event, /quit to leave"
)
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
class Question:
    id: str
    options: tuple[str, ...]


class Conversation:
    """One client. ``awaited`` counts the frames that the server has yet to answer."""

    def __init__(self, client: str, zone: tzinfo | None = None) -> None:
        self.client = client
        self.awaited = 0
        self.question: Question | None = None
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
        if word == "/event":
            return self._event(rest)
        if word.startswith("/"):
            return Explain(HELP if word == "/help" else f'there is no "{word}": {HELP}')
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
        return Shown(
            self._time(frame.get("timestamp")),
            printable(LABELS.get(kind, kind)),
            printable(_text(frame)),
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
