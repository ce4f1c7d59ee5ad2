"""One sitting of one person: a clock that each doing moves on. What is done is for `tutor` and `chat` to say."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.model import Event, Json
from engine.core.units import MILLISECOND, MINUTE, SECOND
from engine.simulate.dice import Dice
from engine.simulate.people import Person

LENGTH = 40 * MINUTE  # of half of all sittings
LENGTH_MAX = 240 * MINUTE


class Sitting:
    """``now`` is the moment at hand, ``until`` the one at which the person means to leave."""

    __slots__ = ("dice", "now", "person", "session", "until")

    def __init__(self, person: Person, session: str, start: int, dice: Dice) -> None:
        self.person = person
        self.session = session
        self.now = start
        self.until = start + min(dice.around(LENGTH, 0.5), LENGTH_MAX)
        self.dice = dice

    @property
    def goes_on(self) -> bool:
        return self.now < self.until

    def does(self, kind: str, **data: Json) -> Event:
        return Event(kind, self.person.user, self.now, data, session=self.session)

    def waits(self, span: int) -> None:
        """At least a millisecond, for nobody does two things at once."""
        self.now += max(span // MILLISECOND, 1) * MILLISECOND

    def thinks(self, median: int, spread: float = 0.8) -> None:
        self.waits(int(self.person.pace * self.dice.around(median, spread)))

    def begins(self) -> Iterator[Event]:
        """Who it is comes first, for it says in which zone the session begins."""
        person = self.person
        yield self.does("user.identify", name=person.name, skill=person.skill, timezone=person.zone_name)
        self.waits(200 * MILLISECOND)
        yield self.does("session.start", synthetic=True)

    def types(self, kind: str, bursts: int, **data: Json) -> Iterator[Event]:
        """Bursts of quick changes, with pauses for thought between them."""
        for burst in range(bursts):
            if burst:
                self.thinks(12 * SECOND, 0.9)
            for _ in range(self.dice.times(5, 20)):
                self.thinks(1400 * MILLISECOND, 0.6)
                yield self.does(kind, **data, characters=self.dice.between(1, 30))

    def ends(self) -> Iterator[Event]:
        """Most leave; some shut the lid, and the session ends when the connection does."""
        if self.dice.chance(0.7):
            self.thinks(20 * SECOND)
        else:
            self.waits(self.dice.between(1, 10) * MINUTE)
        yield self.does("session.end")
