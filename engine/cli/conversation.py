"""What `proactive connect` makes of what is typed and of what the server says. No socket, no terminal.

What is typed answers the newest open question, if there is one, and is a chat message otherwise; with that answered the
one before is open again. A message that offers options asks a question, whatever its type is.
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
/mute                  no more of the rule that sent it
/mute NAME             no more of a rule or topic; /mute all: of anything
/unmute NAME           hear it again; /unmute takes back every mute
/snooze 15m            nothing for so long; /snooze tomorrow until eight, /snooze off
/level LESS            how much to hear: off, less, normal or more
/quit                  leave"""
LEVELS = ("off", "less", "normal", "more")
MORNING = 8  # o'clock, when a snooze until tomorrow ends
EVERYTHING = "*"  # in place of the name of a rule or topic
NAME_LENGTH_MAX = 128  # characters of such a name, as the protocol has it
QUESTIONS_MAX = 10  # that are open at once, the latest: of so many the server remembers that they may be answered
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
    """``expires_at`` is in epoch seconds, None where it stays."""

    id: str
    options: tuple[str, ...]
    text: str = ""
    rule: str = ""
    expires_at: float | None = None

    def __str__(self) -> str:
        return " ".join([self.text, *(f"{number}. {option}" for number, option in enumerate(self.options, 1))])


class Conversation:
    """One client. ``awaited`` counts the frames that the server has yet to answer.

    ``clock`` gives epoch seconds; times are shown and meant in ``zone``, that of the machine for None.
    """

    def __init__(self, client: str, clock: Callable[[], float], zone: tzinfo | None = None) -> None:
        self.client = client
        self.awaited = 0
        self.questions: list[Question] = []  # those that are open, the newest last
        self._last: Last | None = None
        self._answered = ""  # the question that was answered latest: only its rule may still be muted
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
        rest = rest.strip()
        if word == "/quit" and not rest:
            return Quit()
        if word == "/chat" and rest:
            return self._chat(rest)
        if word.startswith("/"):
            return self._command(word, rest)
        if self.questions:
            return self._answer(self.questions[-1], text)
        if text.isascii() and text.isdigit():
            # Whoever types a number means an option of a question that they take to be open.
            return Explain(f"no question is open that {text} could answer; to say it all the same: /chat {text}")
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
        shown = _text(frame)
        rule = str(frame.get("rule", ""))
        # Servers of before put a `questionId` into questions alone; it has always been the `id`.
        name = frame.get("questionId", frame.get("id") if options else None)
        if isinstance(name, str):
            expires = frame.get("expiresAt")
            expires_at = expires if isinstance(expires, int | float) else None
            self._close(name)
            self.questions = [*self.questions, Question(name, options, _shortened(shown), rule, expires_at)]
            del self.questions[:-QUESTIONS_MAX]
        if isinstance(frame.get("id"), str) and frame["type"] not in NO_MESSAGES:
            self._last = Last(frame["id"], rule, _shortened(shown))
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
        self._close(question.id)
        self._answered = question.id
        frame = {"type": "user_response", "questionId": question.id, "response": text, "clientId": self.client}
        return Send(frame, printable(f"answered: {text}{self._still_open()}"))

    def _close(self, question_id: str) -> None:
        """This question has been answered or put away, and those that nobody waits for any more are as good as that."""
        now = self._clock()
        self.questions = [
            question
            for question in self.questions
            if question.id != question_id and (question.expires_at is None or now < question.expires_at)
        ]

    def _asked(self) -> Last | None:
        """The message of the newest question that is open."""
        return Last(self.questions[-1].id, self.questions[-1].rule, self.questions[-1].text) if self.questions else None

    def _still_open(self) -> str:
        """To stand behind a note: the question that is answered next, where there is one."""
        return f"; still open: {self.questions[-1]}" if self.questions else ""

    def _command(self, word: str, rest: str) -> Send | Explain:
        match word:
            case "/event":
                return self._event(rest)
            case "/dismiss" if not rest:
                return self._became("dismissed")
            case "/mute" if not rest:
                return self._became("muted")
            case "/mute" | "/unmute":
                return self._mute(word, rest)
            case "/snooze":
                return self._snooze(rest)
            case "/level" if rest in LEVELS:
                return self._wish({"level": rest}, f"level: {rest}")
            case "/level":
                return Explain(f'expected /level {", ".join(LEVELS[:-1])} or {LEVELS[-1]}, got "{rest}"')
            case "/help" if not rest:
                return Explain(HELP)
            case "/dismiss" | "/help" | "/quit":
                return Explain(f'expected nothing behind {word}, got "{printable(rest)}"')
            case "/chat":
                return Explain("expected /chat TEXT")
        return Explain(f'there is no "{printable(word)}": {HINT}')

    def _mute(self, word: str, name: str) -> Send | Explain:
        """No more of a rule or topic, or of anything; or that taken back."""
        if len(name) > NAME_LENGTH_MAX:
            return Explain(f"expected a name of at most {NAME_LENGTH_MAX} characters, got {len(name)}")
        name = EVERYTHING if name == "all" else name
        if word == "/mute":
            note = "everything; /unmute takes it back" if name == EVERYTHING else f"no more of {name}"
            return self._wish({"mute": [name]}, f"muted: {printable(note)}")
        if name in ("", EVERYTHING):
            return self._wish({"muted": []}, "all mutes taken back")
        return self._wish({"unmute": [name]}, f"no longer muted: {printable(name)}")

    def _became(self, outcome: str) -> Send | Explain:
        """What became of the last message; then the question that is still open is the last, or another is to be."""
        last = self._last
        if last is not None and last.id == self._answered and outcome == "dismissed":
            last = self._asked()
        if last is None:
            return Explain("there is no message that this could be about")
        if outcome == "muted" and not last.rule:
            return Explain(f'"{last.text}" is of no rule that could be muted; /mute NAME names one')
        note = f"muted: no more of {last.rule}" if outcome == "muted" else f"dismissed: {last.text}"
        before = len(self.questions)
        self._close(last.id)
        still_open = self._still_open() if len(self.questions) < before else ""
        self._last = self._asked()
        frame = {"type": "outcome", "id": last.id, "outcome": outcome, "clientId": self.client}
        return Send(frame, printable(note + still_open))

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
