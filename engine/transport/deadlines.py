"""Who is to be looked at when: many things that each have the same time, without a timer for each of them.

It reads no clock: seconds of any steady clock are told to it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Deadlines(Generic[Thing]):
    """Things that are each to be over within ``span_s`` of their beginning. In the order in which they are due."""

    __slots__ = ("_until", "span_s")

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self._until: dict[Thing, float] = {}

    def begin(self, thing: Thing, now: float) -> None:
        """From ``now`` on, also for what had begun before."""
        self._until.pop(thing, None)
        self._until[thing] = now + self.span_s

    def end(self, thing: Thing) -> None:
        """It is over in time, or was none of these."""
        self._until.pop(thing, None)

    def due(self, now: float) -> list[Thing]:
        """Those whose time is up. They are none of these any more."""
        late: list[Thing] = []
        for thing, until in self._until.items():
            if until > now:
                break
            late.append(thing)
        for thing in late:
            del self._until[thing]
        return late

    def __contains__(self, thing: object) -> bool:
        return thing in self._until

    def __len__(self) -> int:
        return len(self._until)


class Rounds(Generic[Thing]):
    """Everything comes up once in ``steps`` steps. What is added goes where the fewest are: no step is crowded."""

    __slots__ = ("_now", "_slots")

    def __init__(self, steps: int) -> None:
        self._slots: list[dict[Thing, None]] = [{} for _ in range(steps)]
        self._now = 0

    def add(self, thing: Thing) -> None:
        min(self._slots, key=len)[thing] = None

    def remove(self, thing: Thing) -> None:
        for slot in self._slots:
            slot.pop(thing, None)

    def step(self) -> list[Thing]:
        """Those whose turn it is."""
        slot = self._slots[self._now]
        self._now = (self._now + 1) % len(self._slots)
        return list(slot)
