"""Who they are: hours, zones, weekends, skill, and how long they stay with it. It lets nobody do anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from engine.core.calendar import moment_of
from engine.core.units import HOUR, MINUTE, SECOND
from engine.core.zones import parse_zone
from engine.simulate.dice import Dice

ZONES = (
    "Europe/Paris", "Europe/Paris", "Europe/London", "Europe/Athens", "America/New_York", "America/Sao_Paulo",
    "Asia/Kolkata", "Asia/Tokyo",
)  # fmt: skip
FIRST_NAMES = (
    "Ada", "Bela", "Carla", "Dilip", "Emre", "Femi", "Gita", "Hana", "Ines", "Jonas", "Kofi", "Lena", "Mei", "Noah",
    "Olga", "Paul", "Quinn", "Rosa", "Sami", "Tove", "Uma", "Vera", "Wanda", "Xenia", "Yara", "Zeno",
)  # fmt: skip
EARLIEST, LATEST = 6 * HOUR, 23 * HOUR  # when somebody sits down, by their own clock
REST = 20 * MINUTE  # between two sittings at least


@dataclass(frozen=True, slots=True)
class Person:
    """Habits. ``ability`` is on the scale of the difficulties of exercises, whose mean is 0 and whose deviation is 1.

    ``hour`` is around when they sit down, in microseconds after midnight; ``diligence`` how likely they do on a
    working day, ``weekend`` what of that is left on others. They take part from day ``first`` to day ``last``, counted
    from 0. ``pace`` stretches all spans of typing; ``patience`` is how many failures in a row they put up with;
    ``talk`` how likely trouble is put into words.
    """

    user: str
    name: str
    skill: str
    ability: float
    zone_name: str
    hour: int
    diligence: float
    weekend: float
    sittings: float
    first: int
    last: int
    pace: float
    patience: int
    talk: float

    @property
    def zone(self) -> tzinfo:
        return parse_zone(self.zone_name)


def person(seed: int, number: int, days: int) -> Person:
    """The person of that number, from 1. It is the same one however many others there are."""
    dice = Dice("simulate", seed, "person", number)
    ability = dice.normal()
    first = 0 if dice.chance(0.7) else dice.between(0, max(days - 1, 0))
    # A quarter loses interest: each day may be the last one.
    last = first + dice.times(4, days) - 1 if dice.chance(0.25) else days - 1
    return Person(
        user=f"simulated-{number:05d}",
        name=dice.pick(FIRST_NAMES),
        skill="beginner" if ability < 0.2 else "intermediate" if ability < 1.2 else "expert",
        ability=ability,
        zone_name=dice.pick(ZONES),
        hour=dice.between(8, 21) * HOUR,
        diligence=0.25 + 0.6 * dice.fraction(),
        weekend=dice.fraction() * dice.fraction(),
        sittings=1 + dice.fraction(),
        first=first,
        last=last,
        pace=0.6 + 0.9 * dice.fraction(),
        patience=dice.between(3, 10),
        talk=0.05 + 0.5 * dice.fraction() * dice.fraction(),
    )


def sittings(someone: Person, seed: int, start: date, days: int) -> Iterator[tuple[str, int, Dice]]:
    """When that person sits down: a name for the session, the moment, and the chance of what comes then; in order.

    Whoever sits down next has to see that the one before is over, and that some rest comes between.
    """
    for day in range(someone.first, min(someone.last + 1, days)):
        dice = Dice("simulate", seed, "day", someone.user, day)
        today = start + timedelta(days=day)
        diligence = someone.diligence * (someone.weekend if today.weekday() >= 5 else 1)
        if not dice.chance(diligence):
            continue
        moments = []
        for _ in range(dice.times(someone.sittings, 4)):
            local = someone.hour + int(dice.normal() * 2 * HOUR)
            moments.append(min(max(local, EARLIEST), LATEST) // SECOND)
        for number, seconds in enumerate(sorted(moments), 1):
            local_time = datetime.combine(today, time()) + timedelta(seconds=seconds, milliseconds=dice.between(0, 999))
            yield f"{someone.user}-{day + 1}-{number}", moment_of(local_time, someone.zone), dice
