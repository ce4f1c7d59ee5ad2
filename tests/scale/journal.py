"""What those outside the fleet know for certain: what they said, what of it was acknowledged, what they were shown.

It judges nothing (`oracle` does), and it believes no store.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Said:
    """Steps of the journal, which counts whatever happens to it. ``acknowledged`` is None until it is."""

    sent: int
    acknowledged: int | None = None


@dataclass(slots=True)
class Seat:
    """One place at which a user is shown messages: ``shown`` has their texts by id, ``times`` how often each came."""

    user: str
    shown: dict[str, str] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)


class Journal:
    """``seats`` by name. From when a seat is taken it is owed whatever is decided for its user."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str], Said] = {}
        self.seats: dict[str, Seat] = {}
        self.refused = 0  # answers that it was not stored, of which nobody knows what became
        self.again = 0  # what was said more than once on purpose
        self.delays: list[float] = []  # seconds from what was said to the message that it led to, where that is known
        self._step = 0

    def say(self, user: str, event_id: str) -> None:
        """It is about to be sent, or sent again, which counts as the first time."""
        self._step += 1
        self.said.setdefault((user, event_id), Said(self._step))

    def acknowledge(self, user: str, event_id: str) -> None:
        self._step += 1
        said = self.said[user, event_id]
        if said.acknowledged is None:
            said.acknowledged = self._step

    def sit(self, name: str, user: str) -> None:
        self.seats.setdefault(name, Seat(user))

    def show(self, name: str, message_id: str, text: str) -> bool:
        """Whether it is new there: a repeat is dropped by its id."""
        seat = self.seats[name]
        seat.times[message_id] += 1
        if message_id in seat.shown:
            return False
        seat.shown[message_id] = text
        return True

    @property
    def acknowledged(self) -> int:
        return sum(said.acknowledged is not None for said in self.said.values())
