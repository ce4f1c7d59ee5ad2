"""People who ask and answer in a chat: a question, a while of waiting, a word to and fro, thanks or silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.core.model import Event
from engine.core.units import MILLISECOND, MINUTE, SECOND
from engine.simulate.course import FOLLOW_UPS, QUESTIONS, REMARKS, THANKS
from engine.simulate.people import Person
from engine.simulate.sitting import Sitting
from engine.simulate.tutor import TESTS

CHARACTER = 120 * MILLISECOND  # that is typed
ASKS = 0.4  # of those who come; the others read, and say something now and then
TELLS_TYPING = 4 * SECOND  # how often a client tells that somebody types


class Chatter:
    """One person in the chat, over all sittings."""

    __slots__ = ("person", "seed")

    def __init__(self, person: Person, seed: int) -> None:
        self.person = person
        self.seed = seed

    def sits(self, sitting: Sitting) -> Iterator[Event]:
        dice = sitting.dice
        yield from sitting.begins()
        while sitting.goes_on:
            sitting.thinks(MINUTE, 1.0)
            if dice.chance(ASKS):
                yield from self.asks(sitting)
            else:
                yield from writes(sitting, REMARKS)
            sitting.thinks(3 * MINUTE, 1.0)
        yield from sitting.ends()

    def asks(self, sitting: Sitting) -> Iterator[Event]:
        dice = sitting.dice
        yield from writes(sitting, QUESTIONS)
        if dice.chance(0.3):
            sitting.waits(dice.between(6, 20) * MINUTE)  # nobody answers
            return
        for _ in range(dice.times(2.5, 8)):
            sitting.thinks(45 * SECOND, 0.9)
            yield from writes(sitting, FOLLOW_UPS)
        if dice.chance(0.6):
            sitting.thinks(90 * SECOND)
            yield from writes(sitting, THANKS)


def writes(sitting: Sitting, texts: Sequence[str]) -> Iterator[Event]:
    """A line in the chat, and before it what the client tells of the typing."""
    file, test = sitting.dice.pick(TESTS)
    text = sitting.dice.pick(texts).format(file=file, test=test)
    rest = int(len(text) * CHARACTER * sitting.person.pace)
    while rest > TELLS_TYPING:
        yield sitting.does("typing")
        sitting.waits(TELLS_TYPING)
        rest -= TELLS_TYPING
    sitting.waits(rest)
    yield sitting.does("chat_message", message=text)
