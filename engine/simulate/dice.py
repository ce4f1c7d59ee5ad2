"""Chance that is the same on every machine: whole numbers, and of fractions only what IEEE 754 rounds alike everywhere.

It reads no clock and no source of randomness: what is drawn depends on the cause that is given, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from engine.core.model import derive_id

Item = TypeVar("Item")

BITS = (1 << 64) - 1
HALVINGS = 12
PART = (1 << 16) - 1
# Of the sum of four even fractions the variance is a third.
NORMAL_SCALE = 1.7320508075688772 / (1 << 16)


class Dice:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): one whole number is all that it remembers."""

    __slots__ = ("_state",)

    def __init__(self, *cause: str | int) -> None:
        self._state = int(derive_id(*cause)[:16], 16)

    def bits(self) -> int:
        """64 bits, evenly spread."""
        self._state = mixed = (self._state + 0x9E3779B97F4A7C15) & BITS
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & BITS
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & BITS
        return mixed ^ (mixed >> 31)

    def fraction(self) -> float:
        """From 0, and below 1."""
        return (self.bits() >> 11) / (1 << 53)

    def chance(self, probability: float) -> bool:
        return self.fraction() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + ((self.bits() * (high - low + 1)) >> 64)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.between(0, len(items) - 1)]

    def normal(self) -> float:
        """About normal, of mean 0 and deviation 1, never beyond 3.5: the sum of four even draws of 16 bits each."""
        bits = self.bits()
        drawn = (bits & PART) + ((bits >> 16) & PART) + ((bits >> 32) & PART) + (bits >> 48)
        return (drawn - 2 * PART) * NORMAL_SCALE

    def around(self, median: int, spread: float) -> int:
        """Log-normal: half of all are below the median, and some are far above. ``spread`` is that of the logarithm."""
        return max(int(median * exponential(spread * self.normal())), 1)

    def times(self, mean: float, most: int) -> int:
        """Geometric, from 1 on: how often something is done whose end comes as likely at any time."""
        count = 1
        while count < most and self.chance(1 - 1 / mean):
            count += 1
        return count


def exponential(x: float) -> float:
    """e to the ``x``, near enough for small ones: by products alone, for `math.exp` is not the same everywhere."""
    power = 1 + x / (1 << HALVINGS)
    for _ in range(HALVINGS):
        power *= power
    return power


def odds(x: float) -> float:
    """The logistic function: 0.5 at 0, towards 1 above."""
    return 1 / (1 + exponential(-x))
