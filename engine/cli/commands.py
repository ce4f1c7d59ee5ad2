"""The commands of `proactive connect`: their help, their completion, and how an event is typed. Pure.

What the commands do, `conversation` decides.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.cli.outbox import Frame
from engine.cli.printable import one_line

HINT = "type to chat; with a question open, type a number or your answer; /help lists the rest"
COMMANDS = (
    ("/chat TEXT", "chat, also with a question open"),
    ("/event TYPE key=value…", "an activity event"),
    ("/questions", "those that are open, with their numbers"),
    ("/answer 2 TEXT", "answer question 2: the number of an option, or words"),
    ("/why", "why the last message came"),
    ("/dismiss", "put the last message away"),
    ("/mute", "no more of the rule that sent it"),
    ("/mute NAME", "no more of a rule or topic; /mute all: of anything"),
    ("/unmute NAME", "hear it again; /unmute takes back every mute"),
    ("/snooze 15m", "nothing for so long; /snooze tomorrow: until eight; off"),
    ("/level LESS", "how much to hear: off, less, normal or more"),
    ("/waiting", "what the server does not have yet"),
    ("/quit", "leave"),
)
USAGE_WIDTH = 23  # of the first column
HELP = "\n".join(
    ["type to chat; with a question open, type a number or your answer"]
    + [f"{usage:{USAGE_WIDTH}}{meaning}" for usage, meaning in COMMANDS]
)
ALONE = ("/dismiss", "/help", "/quit", "/questions", "/waiting", "/why")  # commands with nothing behind them
NO_EVENTS = ("events", "hello", "ping", "pong", "received")  # words of the protocol


class NoEvent(Exception):
    """What was typed is no event; the text says why."""


def completions(line: str, choices: Mapping[str, Iterable[str]]) -> list[str]:
    """What the last word of a line could become: a command, or one of the ``choices`` behind it."""
    *words_before, begun = line.split(" ")
    before = [word for word in words_before if word]
    if not before:
        words = [*dict.fromkeys(usage.partition(" ")[0] for usage, _ in COMMANDS), "/help"]
        return [word if word in ALONE else f"{word} " for word in words if begun and word.startswith(begun)]
    known = choices.get(before[0], ()) if len(before) == 1 else ()
    return [word for word in known if word.startswith(begun)]


def read_event(rest: str, client: str) -> Frame:
    """The frame of an event that is typed as its type and its fields. Raises `NoEvent`."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise NoEvent(f"{error}: a quote has to be closed".lower()) from None
    if not words:
        raise NoEvent("expected /event TYPE key=value …")
    if words[0] in NO_EVENTS:
        raise NoEvent(f'"{words[0]}" is a word of the protocol and no event')
    fields: dict[str, Any] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise NoEvent(f'expected key=value, got "{one_line(word)}"')
        fields[name] = _value(value)
    event_id = fields.get("id", "e")
    if isinstance(event_id, bool) or not isinstance(event_id, str | int) or event_id == "":
        raise NoEvent("expected the id of an event to be a word or a whole number")
    return {**fields, "type": words[0], "clientId": client}


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
