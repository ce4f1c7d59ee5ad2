"""Write ``examples/logs/tutor.jsonl``: a small tutoring class, simulated. No person ever did any of it.

It draws from one fixed seed and reads no clock, so it writes the same bytes on every machine:

    python scripts/simulate_log.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

SEED = 20260302
LOG = Path(__file__).parent.parent / "examples" / "logs" / "tutor.jsonl"
DAYS = (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
PEOPLE = 12

SKILLS = ("beginner", "beginner", "intermediate", "expert")
ZONES = ("Europe/Paris", "Europe/Paris", "Europe/Athens", "Europe/London")
# Each exercise with its tests, in the order in which people come to them.
EXERCISES = {
    "fibonacci.py": ("base_cases", "small_numbers", "large_numbers"),
    "coin_change.py": ("no_coins", "exact_amount", "fewest_coins"),
    "knapsack.py": ("empty_bag", "one_item", "best_value", "zero_weight"),
    "edit_distance.py": ("same_word", "one_letter", "long_words"),
    "binary_search.py": ("found", "not_found", "off_by_one"),
}
LOST = (
    "I don't understand memoization",
    "I'm stuck on {test}, it keeps failing",
    "why does {file} give the wrong answer?",
    "can someone explain dynamic programming to me",
    "how do I know which subproblems I need for the knapsack",
    "I am confused about the base case",
    "my recursion never ends, what do I do",
    "is memoizing the same as caching?",
)
CALM = (
    "what time does the lab end?",
    "can I use a dictionary for the table?",
    "thanks, {test} passes now",
    "got it, thank you",
    "do the tests in {file} run in order?",
    "is tabulation always faster than recursion",
)

Item = TypeVar("Item")


class Dice:
    """Chance from `Random.random` alone: of all its methods, the one whose sequence Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.between(0, len(items) - 1)]


@dataclass
class Person:
    """``ease`` is how often a try succeeds, ``talk`` how often trouble is put into words."""

    user: str
    skill: str
    zone: str
    ease: float
    talk: float
    clock: datetime = DAYS[0]
    session: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)

    def does(self, kind: str, **data: Any) -> None:
        at = self.clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"at": at, "user": self.user, "session": self.session, "type": kind}
        self.records.append({**record, "data": data} if data else record)

    def waits(self, milliseconds: int) -> None:
        self.clock += timedelta(milliseconds=milliseconds)


def simulate() -> list[dict[str, Any]]:
    dice = Dice(SEED)
    records: list[dict[str, Any]] = []
    for number in range(1, PEOPLE + 1):
        skill = SKILLS[number % len(SKILLS)]
        person = Person(
            user=f"simulated-{number:02d}",
            skill=skill,
            zone=dice.pick(ZONES),
            ease={"beginner": 0.3, "intermediate": 0.5, "expert": 0.75}[skill],
            talk=dice.between(2, 6) / 10,
        )
        for day, midnight in enumerate(DAYS, 1):
            for sitting in range(1, dice.between(1, 2) + 1):
                person.session = f"{person.user}-{day}-{sitting}"
                person.clock = midnight + timedelta(hours=3 + 6 * sitting, milliseconds=dice.between(0, 5_400_000))
                sit_down(dice, person)
        records += person.records
    records.sort(key=lambda record: record["at"])  # stable, so equal moments keep the order of the people
    return records


def sit_down(dice: Dice, person: Person) -> None:
    person.does("session.start", simulated=True)
    person.waits(200)
    person.does("user.identify", name=f"Student {person.user[-2:]}", skill=person.skill, timezone=person.zone)
    for file in sorted(dice.between(0, 99) * 10 + place for place in range(len(EXERCISES)))[: dice.between(1, 2)]:
        name = list(EXERCISES)[file % 10]
        person.waits(dice.between(5_000, 60_000))
        person.does("file.opened", file=name)
        for test in EXERCISES[name]:
            work_on(dice, person, name, test)
    if dice.chance(0.85):  # the others just shut the lid: their session ends when the connection does
        person.waits(dice.between(5_000, 240_000))
    else:
        person.waits(dice.between(400_000, 1_500_000))
    person.does("session.end")


def work_on(dice: Dice, person: Person, file: str, test: str) -> None:
    """Edit, save, run the test, until it passes or patience ends; the longer it fails, the longer the pauses."""
    for attempt in range(1, dice.between(4, 9)):
        for _ in range(dice.between(1, 4)):
            person.waits(dice.between(2_000, 45_000))
            person.does("file.edited", file=file, characters=dice.between(1, 180))
        person.waits(dice.between(500, 4_000))
        person.does("file.saved", file=file)
        person.waits(dice.between(800, 9_000))
        if dice.chance(person.ease + 0.08 * attempt):
            person.does("test.passed", file=file, test=test, milliseconds=dice.between(3, 400))
            speak(dice, person, CALM, person.talk / 4, file, test)
            return
        person.does("test.failed", file=file, test=test, milliseconds=dice.between(3, 400))
        if attempt >= 2:
            speak(dice, person, LOST, person.talk, file, test)
            if dice.chance(0.3):
                person.waits(dice.between(150_000, 420_000))  # staring at it, or getting a coffee


def speak(dice: Dice, person: Person, texts: Sequence[str], probability: float, file: str, test: str) -> None:
    if dice.chance(probability):
        person.waits(dice.between(4_000, 40_000))
        person.does("chat_message", message=dice.pick(texts).format(file=file, test=test))


def lines() -> Iterator[str]:
    for record in simulate():
        yield json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else LOG
    target.write_text("".join(lines()), encoding="utf-8", newline="\n")
    print(f"{target}: {len(simulate())} simulated events")


if __name__ == "__main__":
    main()
