"""The questions of a terminal that are open, and what a line says to one of them. It sends and shows nothing."""

from __future__ import annotations

from dataclasses import dataclass

QUESTIONS_MAX = 10  # that are open at once, the latest: of so many the server remembers that they may be answered


@dataclass(frozen=True, slots=True)
class Question:
    """``number`` is what a person calls it by. ``expires_at`` is in epoch seconds, None where it stays."""

    id: str
    options: tuple[str, ...]
    text: str = ""
    rule: str = ""
    expires_at: float | None = None
    number: int = 0

    def __str__(self) -> str:
        return " ".join([self.text, *(f"{number}. {option}" for number, option in enumerate(self.options, 1))])

    def answer(self, text: str) -> str:
        """What is answered by this line: an option by its number or in its words, or other words.

        Raises `NoSuchOption` for a number that is none's.
        """
        if is_number(text) and self.options:
            number = int(text)
            if not 1 <= number <= len(self.options):
                raise NoSuchOption(f"there are {len(self.options)} options, and {number} is none of them")
            return self.options[number - 1]
        return next((option for option in self.options if option.casefold() == text.casefold()), text)


class NoSuchOption(Exception):
    """The text says which there are."""


class Questions:
    """Those that are open, in the order in which they came."""

    def __init__(self) -> None:
        self._open: tuple[Question, ...] = ()
        self._numbered = 0

    @property
    def open(self) -> tuple[Question, ...]:
        return self._open

    @property
    def newest(self) -> Question | None:
        return self._open[-1] if self._open else None

    def ask(self, question_id: str, options: tuple[str, ...], text: str, rule: str, expires_at: float | None) -> int:
        """A question has come, perhaps once more. Its number: one more than that of the question before it."""
        known = next((each.number for each in self._open if each.id == question_id), None)
        if known is None:
            # Counted from one again when there is nothing that could be mistaken for another.
            self._numbered = self._numbered + 1 if self._open else 1
        number = self._numbered if known is None else known
        others = [each for each in self._open if each.id != question_id]
        self._open = (*others, Question(question_id, options, text, rule, expires_at, number))[-QUESTIONS_MAX:]
        return number

    def numbered(self, number: int) -> Question | None:
        return next((each for each in self._open if each.number == number), None)

    def close(self, question_id: str, now: float) -> Question | None:
        """It has been answered or put away; it, where it was open. Those that nobody waits for any more go as well."""
        closed = next((each for each in self._open if each.id == question_id), None)
        self._open = tuple(
            each for each in self._open if each.id != question_id and (each.expires_at is None or now < each.expires_at)
        )
        return closed


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
