"""What a person reads of the server's frames. Pure; what a frame changes, `conversation` knows."""

from __future__ import annotations

import json
from dataclasses import dataclass

from engine.cli.outbox import Frame
from engine.cli.printable import one_line
from engine.cli.wishes import row_of_wish

BEGINNING_MAX = 40  # characters of a message by which it is named
NO_MESSAGES = ("chat_response", "error")  # frames that nothing becomes of
LABELS = {"chat_response": "answer", "notification": "note"}  # what a person reads instead of the protocol's word


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame as a person reads it: when, what kind, the text, and the numbered options.

    ``number`` is that of a question beside which others are open, 0 otherwise; ``to`` what an answer is the answer to.
    ``fenced`` is the text with its code between fences, "" where that is no other.
    """

    at: str
    kind: str
    text: str
    options: tuple[str, ...] = ()
    number: int = 0
    to: str = ""
    fenced: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer that is still being written."""

    to: str
    text: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One that was shown. ``rule`` is "" for one of the application's own; ``text`` is how it begins."""

    id: str
    rule: str
    text: str
    at: str = ""
    why: str = ""
    expires_at: float | None = None


def beginning(text: str) -> str:
    """By how it begins a message is named."""
    first = text.split("\n", 1)[0]
    return first if len(first) <= BEGINNING_MAX else first[: BEGINNING_MAX - 1] + "…"


def row_of(frame: Frame) -> str:
    """What was typed, in a row."""
    match frame.get("type"):
        case "chat_message":
            text = f"{frame.get('message')}"
        case "user_response":
            text = f"answer: {frame.get('response')}"
        case "preferences":
            text = row_of_wish(frame, None)
        case kind:
            rest = [f"{name}={value}" for name, value in frame.items() if name not in ("id", "clientId", "type")]
            text = " ".join([f"{kind}", *rest])
    return beginning(one_line(text))


def text_of(frame: Frame) -> str:
    """What a person should read of a frame: its message, and the other fields of a frame of its own kind."""
    message = str(frame.get("message", ""))
    if frame.get("type") in ("backend_message", *NO_MESSAGES):
        return message
    rest = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in frame.items()
        if name not in ("type", "timestamp", "id", "message", "options", "questionId", "rule", "expiresAt", "seq")
    ]
    return "\n".join(part for part in (message, *rest) if part)


def fenced_text_of(frame: Frame) -> str:
    """What there is to read of a code suggestion, its code between fences that do not occur in it."""
    code, language = frame.get("code"), frame.get("language")
    if frame.get("type") != "code_suggestion" or not isinstance(code, str):
        return ""
    fence = "```"
    while fence in code:
        fence += "`"
    words = [frame.get("message"), frame.get("explanation")]
    said = [word for word in words if isinstance(word, str) and word]
    name = "".join(language.split()) if isinstance(language, str) else ""
    return "\n".join([*said, fence + name.replace("`", ""), code.rstrip("\n"), fence])
