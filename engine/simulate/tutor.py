"""People who learn to program with exercises: they edit, save, build and test, get stuck, ask, drift off, come back.

Whoever has misunderstood a test fails it again and again, until it dawns on them: so failures come in streaks, which
chances that are the same at every try would hardly ever make.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.core.model import Event
from engine.core.units import MILLISECOND, MINUTE, SECOND
from engine.simulate.course import CALM, EXERCISES, LOST, PAGES, difficulty
from engine.simulate.dice import odds
from engine.simulate.people import Person
from engine.simulate.sitting import Sitting

LEARNED = 0.03  # how much abler a passed test makes
PASSES = 0.82  # of the tries of somebody who has understood
DAWNS = 0.1  # of the tries of somebody who has not, at first; it grows with every failure
GROWS = 0.05
BUILD_FAILS = 0.1
DRIFTS_OFF = 0.05


class Learner:
    """One person on their way through the course, over all sittings."""

    __slots__ = ("ability", "done", "opened", "person", "seed")

    def __init__(self, person: Person, seed: int) -> None:
        self.person = person
        self.seed = seed
        self.ability = person.ability
        self.done = 0  # tests that are behind them, passed or given up
        self.opened = ""

    def sits(self, sitting: Sitting) -> Iterator[Event]:
        yield from sitting.begins()
        self.opened = ""
        if sitting.dice.chance(0.4):
            sitting.thinks(15 * SECOND)
            yield sitting.does("page.viewed", page=sitting.dice.pick(PAGES))
        while sitting.goes_on:
            yield from self.works(sitting, *self.next_test())
            self.done += 1
            if sitting.dice.chance(DRIFTS_OFF):
                sitting.waits(sitting.dice.between(6, 28) * MINUTE)
        yield from sitting.ends()

    def next_test(self) -> tuple[str, str, int]:
        """The exercise, its test, and how often the course was gone through before."""
        time, place = divmod(self.done, TESTS_COUNT)
        file, test = TESTS[place]
        return file, test, time

    def works(self, sitting: Sitting, file: str, test: str, time: int) -> Iterator[Event]:
        """Edit, save, build and run the test, until it passes, or patience or the sitting ends."""
        dice, person = sitting.dice, sitting.person
        if file != self.opened:
            sitting.thinks(20 * SECOND)
            self.opened = file
            yield sitting.does("file.opened", file=file)
        hard = difficulty(self.seed, file, test, time) - self.ability
        has_misunderstood = dice.chance(odds(1.2 * hard - 0.6))
        failures = 0
        while True:
            sitting.thinks(15 * SECOND, 0.9)
            yield from sitting.types("file.edited", dice.times(1.8, 6), file=file)
            yield from self.saves(sitting, file)
            if dice.chance(DAWNS + GROWS * failures if has_misunderstood else PASSES):
                yield sitting.does("test.passed", file=file, test=test, milliseconds=dice.between(3, 400))
                self.ability += LEARNED
                yield from says(sitting, CALM, person.talk / 5, file, test)
                return
            failures += 1
            yield sitting.does("test.failed", file=file, test=test, milliseconds=dice.between(3, 400))
            if failures >= person.patience or not sitting.goes_on:
                return
            if failures >= 2:
                yield from self.is_stuck(sitting, file, test)

    def saves(self, sitting: Sitting, file: str) -> Iterator[Event]:
        """Save and build, and again where it does not build; up to the moment at which the test has run."""
        dice = sitting.dice
        sitting.thinks(1500 * MILLISECOND)
        yield sitting.does("file.saved", file=file)
        while dice.chance(BUILD_FAILS):
            sitting.thinks(1200 * MILLISECOND)
            yield sitting.does("build.failed", file=file, errors=dice.times(1.6, 9))
            sitting.thinks(8 * SECOND)
            yield from sitting.types("file.edited", 1, file=file)
            sitting.thinks(1500 * MILLISECOND)
            yield sitting.does("file.saved", file=file)
        sitting.thinks(3 * SECOND, 0.6)

    def is_stuck(self, sitting: Sitting, file: str, test: str) -> Iterator[Event]:
        dice = sitting.dice
        if dice.chance(0.25):
            for _ in range(dice.times(1.7, 4)):
                sitting.thinks(20 * SECOND)
                yield sitting.does("page.viewed", page=dice.pick(PAGES))
        yield from says(sitting, LOST, sitting.person.talk, file, test)
        if dice.chance(0.2):
            sitting.waits(dice.around(4 * MINUTE, 0.5))  # staring at it


TESTS = tuple((file, test) for file, tests in EXERCISES for test in tests)
TESTS_COUNT = len(TESTS)


def says(sitting: Sitting, texts: Sequence[str], probability: float, file: str, test: str) -> Iterator[Event]:
    if sitting.dice.chance(probability):
        sitting.thinks(12 * SECOND)
        yield sitting.does("chat_message", message=sitting.dice.pick(texts).format(file=file, test=test))
