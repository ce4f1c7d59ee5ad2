"""What a store is read by as a whole, and filled by as a whole: for moving all of it into another one.

Beside the contract of a store, since nobody who evaluates needs it; each kind of store has its own. Nobody else may
write meanwhile. It decides nothing: `engine.migration` says what goes where.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.storage.base import Base, Fault, Folded, OutboxMessage

PAGE = 500  # rows that are read at once
USERS = 100  # whose messages are, for one may have some hundred


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a partition stands. ``last_tick``: of the last tick of its log, -1 where there is none.

    ``wake``: the earliest of its users' wake-ups, None where there is none. ``has_states``, ``has_bases``: of any user.
    """

    cursor: int
    last: int
    last_at: int
    last_tick: int
    wake: int | None
    folded: Folded
    has_states: bool
    has_bases: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A user's state as it is kept, with what is kept beside it."""

    user: str
    state: bytes
    wake: int | None
    present: bool


@dataclass(frozen=True, slots=True)
class Decided:
    user: str
    at: int
    line: bytes


class Contents(Protocol):
    """All that a store has and its contract does not hand out page by page. Raises `StoreError`."""

    async def stands(self) -> list[Stand]:
        """Of every partition, in order."""

    def decisions(self, partition: int) -> AsyncIterator[list[Decided]]:
        """In the order in which they were made."""

    def states(self, partition: int) -> AsyncIterator[list[Kept]]: ...

    def bases(self, partition: int) -> AsyncIterator[list[Base]]: ...

    def outbox(self) -> AsyncIterator[list[OutboxMessage]]:
        """Each with the words that it says now; all of a user's follow on each other, in the order of `pending`."""

    async def pending(self, users: list[str]) -> list[list[OutboxMessage]]:
        """As `Store.pending` of each, what has expired among them; asked together, so of `USERS` at most."""

    def faults(self) -> AsyncIterator[list[Fault]]:
        """Those of a partition, or of all, from the oldest on."""


class Loading(Protocol):
    """Fills a store in which nothing is: bases first, the rest by commits, which follow on version 0."""

    async def begin(self) -> None:
        """From now on nobody but this program takes the store for a whole one."""

    async def put_bases(self, partition: int, folded: Folded, bases: Sequence[Base]) -> None:
        """May be called again for further bases, with the same ``folded``, before the first commit of the partition."""

    async def put_rules(self, moments: Sequence[tuple[int, str]]) -> None:
        """The rule sets that hold, each from its moment on. Their texts are saved."""

    async def come_to(self, last_at: Sequence[int]) -> None:
        """Up to where time has come, of each partition; -1 where it has not begun."""

    async def end(self) -> None:
        """It is whole, and as durable as the store promises."""
