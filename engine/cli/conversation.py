"""What `proactive connect` makes of what is typed and of what the server says. No socket, no terminal.

What is typed answers the newest open question, if there is one, and is a chat message otherwise; with that answered the
one before is open again. A message that offers options asks a question, whatever its type is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from engine.cli.commands import ALONE, HELP, HINT, NoEvent, completions, read_event
from engine.cli.outbox import Frame
from engine.cli.printable import one_line, printable
from engine.cli.questions import NoSuchOption, Question, Questions, is_number
from engine.cli.shown import LABELS, NO_MESSAGES, Message, Piece, Shown, beginning, fenced_text_of, row_of, text_of
from engine.cli.wishes import (
    LEVELS,
    NotMeant,
    Wishes,
    level_wish,
    mute_wish,
    shown_moment,
    snooze_wish,
    unmute_wish,
)

RECENT_MAX = 200  # messages that are remembered, for what is said of them later
WITHDRAWN = {
    "answered": "answered elsewhere",
    "dismissed": "put away elsewhere",
    "muted": "muted elsewhere",
    "cancelled": "taken back",
}


@dataclass(frozen=True, slots=True)
class Send:
    """``note`` is what to tell the person, such as which option a number stood for."""

    frame: Frame
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class Explain:
    """Nothing is sent; the person is told something."""

    text: str


def nothing_waits() -> Iterable[Frame]:
    return ()


class Conversation:
    """One client. ``clock`` gives epoch seconds; times are shown and meant in ``zone``, that of the machine for None.

    ``waiting`` gives what was typed and the server does not have yet.
    """

    def __init__(
        self,
        client: str,
        clock: Callable[[], float],
        zone: tzinfo | None = None,
        waiting: Callable[[], Iterable[Frame]] = nothing_waits,
    ) -> None:
        self.client = client
        self.questions = Questions()
        self._recent: OrderedDict[str, Message] = OrderedDict()
        self._last: Message | None = None
        self._shown: Message | None = None  # the latest there was, whatever became of it
        self._answered = ""  # the question that was answered latest: only its rule may still be muted
        self._wishes = Wishes()
        self._clock = clock
        self._zone = zone
        self._waiting = waiting

    def typed(self, line: str) -> Send | Quit | Explain | None:
        """What a line asks for; None for an empty one."""
        text = line.strip()
        if not text:
            return None
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if word == "/quit" and not rest:
            return Quit()
        if word.startswith("/"):
            return self._command(word, rest)
        if self.questions.newest is not None:
            return self._answer(self.questions.newest, text)
        if is_number(text):
            # Whoever types a number means an option of a question that they take to be open.
            return Explain(f"no question is open that {text} could answer; to say it all the same: /chat {text}")
        return self._chat(text)

    def completions(self, line: str) -> list[str]:
        """What the last word of a line could become."""
        rules = dict.fromkeys(one_line(message.rule) for message in list(self._recent.values()) if message.rule)
        return completions(
            line,
            {
                "/level": LEVELS,
                "/snooze": ("15m", "1h", "tomorrow", "off"),
                "/mute": (*rules, "all"),
                "/unmute": (*sorted(self._wishes.muted), "all"),
                "/answer": [str(each.number) for each in self.questions.open],
            },
        )

    def received(self, frame: Frame) -> Shown | Piece | Explain | None:
        """A frame of the server's; None for one that a person need not see."""
        kind = str(frame.get("type"))
        if kind == "chat_response_delta":
            return Piece(str(frame.get("to")), printable(str(frame.get("delta", ""))), self._time(self._clock()))
        if kind == "withdrawn":
            return self._withdrawn(frame)
        if kind == "preferences":
            return self._wished(frame)
        given = frame.get("options")
        options = tuple(map(str, given)) if isinstance(given, list) else ()
        if kind == "backend_message":
            kind = str(frame.get("messageType"))
        text = printable(text_of(frame))
        rule = str(frame.get("rule", ""))
        stamp, expires = frame.get("timestamp"), frame.get("expiresAt")
        expires_at = expires if isinstance(expires, int | float) else None
        # Servers of before put a `questionId` into questions alone; it has always been the `id`.
        name = frame.get("questionId", frame.get("id") if options else None)
        number = 0
        if isinstance(name, str):
            self.questions.close("", self._clock())  # those that have expired
            number = self.questions.ask(name, options, beginning(text), rule, expires_at)
            number = number if len(self.questions.open) > 1 else 0
        if isinstance(frame.get("id"), str) and frame["type"] not in NO_MESSAGES:
            why = frame.get("why") if isinstance(frame.get("why"), str) else ""
            at = self._time(stamp)
            self._remember(Message(frame["id"], rule, beginning(text), at, str(why), expires_at))
        to = frame.get("to")
        return Shown(
            self._time(stamp),
            one_line(LABELS.get(kind, kind)),
            text,
            tuple(map(printable, options)),
            number,
            str(to) if frame.get("type") == "chat_response" and to is not None else "",
            printable(fenced_text_of(frame)),
        )

    def unreadable(self, text: str) -> Shown:
        """What the server says that is no frame."""
        return Shown("", "unreadable", printable(text))

    # What the server says of other things than messages.

    def _remember(self, message: Message) -> None:
        self._last = self._shown = self._recent[message.id] = message
        self._recent.move_to_end(message.id)
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)

    def _withdrawn(self, frame: Frame) -> Explain | None:
        message_id = str(frame.get("id"))
        question = self.questions.close(message_id, self._clock())
        message = self._recent.get(message_id)
        if self._last is not None and self._last.id == message_id:
            self._last = self._asked()
        if message is None:
            return None  # it was never shown
        word = WITHDRAWN.get(str(frame.get("reason")), "withdrawn")
        return Explain(f"{word}: {message.text}{'' if question is None else self._still_open()}")

    def _wished(self, frame: Frame) -> Explain | None:
        """What holds according to the server. What was typed here and has yet to arrive there holds all the same."""
        wishes = Wishes().after(frame)
        for waiting in self._waiting():
            if waiting.get("type") == "preferences":
                wishes = wishes.after(waiting)
        before, self._wishes = self._wishes, wishes
        said = wishes.changes(before, self._clock(), self._zone)
        return Explain("; ".join(said)) if said else None

    # What is typed.

    def _chat(self, text: str) -> Send:
        return Send({"type": "chat_message", "message": text, "clientId": self.client})

    def _answer(self, question: Question, text: str) -> Send | Explain:
        try:
            text = question.answer(text)
        except NoSuchOption as error:
            return Explain(str(error))
        self.questions.close(question.id, self._clock())
        self._answered = question.id
        frame = {"type": "user_response", "questionId": question.id, "response": text, "clientId": self.client}
        return Send(frame, printable(f"answered: {text}{self._still_open()}"))

    def _answer_numbered(self, rest: str) -> Send | Explain:
        number, _, text = rest.partition(" ")
        if not is_number(number) or not text.strip():
            return Explain("expected /answer and the number of a question, then the answer; /questions lists them")
        question = self.questions.numbered(int(number[:9]))
        if question is None:
            return Explain(f"no question {number[:9]} is open; /questions lists those that are")
        return self._answer(question, text.strip())

    def _asked(self) -> Message | None:
        """The message of the newest question that is open."""
        newest = self.questions.newest
        if newest is None:
            return None
        return self._recent.get(newest.id, Message(newest.id, newest.rule, newest.text))

    def _still_open(self) -> str:
        """To stand behind a note: the question that is answered next, where there is one."""
        newest = self.questions.newest
        return "" if newest is None else f"; still open: {newest}"

    def _command(self, word: str, rest: str) -> Send | Explain:
        if word in ALONE and rest:
            return Explain(f'expected nothing behind {word}, got "{one_line(rest)}"')
        match word:
            case "/chat":
                return self._chat(rest) if rest else Explain("expected /chat TEXT")
            case "/event":
                try:
                    return Send(read_event(rest, self.client))
                except NoEvent as error:
                    return Explain(str(error))
            case "/answer":
                return self._answer_numbered(rest)
            case "/questions":
                return Explain(self._listed_questions())
            case "/why":
                return Explain(self._why())
            case "/waiting":
                return Explain("\n".join(map(row_of, self._waiting())) or "nothing waits; the server has it all")
            case "/dismiss":
                return self._became("dismissed")
            case "/mute" if not rest:
                return self._became("muted")
            case "/mute" | "/unmute" | "/snooze" | "/level":
                return self._wish(word, rest)
            case "/help":
                return Explain(HELP)
        return Explain(f'there is no "{one_line(word)}": {HINT}')

    def _wish(self, word: str, rest: str) -> Send | Explain:
        try:
            match word:
                case "/mute":
                    wishes, note = mute_wish(rest)
                case "/unmute":
                    wishes, note = unmute_wish(rest)
                case "/snooze":
                    wishes, note = snooze_wish(rest, self._clock(), self._zone)
                case _:
                    wishes, note = level_wish(rest)
        except NotMeant as error:
            return Explain(str(error))
        frame = {"type": "preferences", **wishes, "clientId": self.client}
        self._wishes = self._wishes.after(frame)
        return Send(frame, note)

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
        closed = self.questions.close(last.id, self._clock())
        still_open = "" if closed is None else self._still_open()
        self._last = self._asked()
        frame = {"type": "outcome", "id": last.id, "outcome": outcome, "clientId": self.client}
        return Send(frame, printable(note + still_open))

    def _listed_questions(self) -> str:
        self.questions.close("", self._clock())
        if not self.questions.open:
            return "no question is open"
        first = "; a number or words alone answer the last" if len(self.questions.open) > 1 else ""
        return "\n".join([f"open{first}:", *(f"question {each.number}: {each}" for each in self.questions.open)])

    def _why(self) -> str:
        message = self._shown
        if message is None:
            return "nothing has been said yet that could have a reason"
        at = f" at {message.at}" if message.at else ""
        said = f'the rule "{message.rule}" found that it may help' if message.rule else "it comes from the application"
        lines = [f'"{message.text}": {said}{at}', message.why]
        if message.expires_at is not None:
            lines.append(f"it is of use until {shown_moment(message.expires_at, self._zone)}")
        if message.rule:
            lines.append(f"no more of it: /mute {message.rule}")
        return printable("\n".join(line for line in lines if line))

    def _time(self, stamp: Any) -> str:
        if not isinstance(stamp, int | float):
            return ""
        try:
            return datetime.fromtimestamp(stamp, self._zone).strftime("%H:%M:%S")
        except (ValueError, OverflowError, OSError):
            return ""
