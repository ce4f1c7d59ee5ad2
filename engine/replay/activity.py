"""The events of logs, user by user, each user's in order of time. It opens nothing and decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Protocol, runtime_checkable

from engine.core.beginning import Beginning
from engine.core.model import Event

at_of = attrgetter("at")


@runtime_checkable
class Activity(Protocol):
    """What people did. It can be gone through again and again, and nobody may rely on the order of its users.

    ``first`` and ``last`` are the moments of the first and the last event of all, None where there is none.
    """

    @property
    def users(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def first(self) -> int | None: ...
    @property
    def last(self) -> int | None: ...

    def __iter__(self) -> Iterator[tuple[str, Sequence[Event]]]:
        """User by user: at least one event each, by moment, at equal moments in the order of the log."""
        ...

    def of(self, user: str) -> Sequence[Event]:
        """The events of one user, none of somebody whom the log does not know."""
        ...


def happened(events: Sequence[Event]) -> Sequence[Event]:
    """The events of a user without the beginning of a log that was folded, which stands first where there is one."""
    return events[1:] if events and type(events[0]) is Beginning else events


def group(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Each user's events by moment, at equal moments in the order given."""
    users: dict[str, list[Event]] = {}
    for event in events:
        mine = users.get(event.user)
        if mine is None:
            users[event.user] = [event]
        else:
            mine.append(event)
    for mine in users.values():
        mine.sort(key=at_of)
    return users


class InMemory:
    """All events at hand."""

    __slots__ = ("by_user", "events", "first", "last")

    def __init__(self, by_user: Mapping[str, Sequence[Event]]) -> None:
        """``by_user`` as `group` makes it."""
        self.by_user = by_user
        self.events = sum(len(mine) - (type(mine[0]) is Beginning) for mine in by_user.values())
        self.first = min((mine[0].at for mine in by_user.values()), default=None)
        self.last = max((mine[-1].at for mine in by_user.values()), default=None)

    @property
    def users(self) -> int:
        return len(self.by_user)

    def __iter__(self) -> Iterator[tuple[str, Sequence[Event]]]:
        return iter(self.by_user.items())

    def of(self, user: str) -> Sequence[Event]:
        return self.by_user.get(user, ())


def in_memory(events: Iterable[Event]) -> InMemory:
    return InMemory(group(events))
