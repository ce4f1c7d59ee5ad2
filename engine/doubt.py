"""Commits of which nobody knows whether they were made, or of which a part was made, and how that is found out.

It writes nothing. A turn that is tried again leaves out what has happened already; of one that nobody tries again, what
was made of it is told with the next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.storage.base import Commit, Conflict, Entry, Store, StoreError, partition_of
from engine.turn_work import TurnResult


@dataclass(slots=True)
class Settled:
    """What of a turn has happened in tries that failed: of ``asked`` the entries at the places of ``entries``.

    The turn is known by the list that was asked for: it is the same one in each try.
    """

    asked: list[Entry]
    entries: dict[int, Entry] = field(default_factory=dict)
    result: TurnResult = field(default_factory=TurnResult)
    is_whole: bool = False

    @property
    def rest(self) -> list[int]:
        """The places of what has not happened yet."""
        return [place for place in range(len(self.asked)) if place not in self.entries]


@dataclass(frozen=True, slots=True)
class Doubt:
    """One try, which failed by ``error``.

    ``result`` has the entries of the places that had not happened; ``parts`` is what would come of each commit.
    """

    settled: Settled
    result: TurnResult
    parts: Sequence[tuple[Commit, TurnResult]]
    error: StoreError

    async def settle(self, store: Store) -> None:
        """Find out what was made. Raises `StoreError`: then the doubt stays.

        To take it for made would be as wrong as to make the turn again.
        """
        made: dict[int, TurnResult] = {}
        for commit, part in self.parts:
            if await self._was_made(commit, store):
                made[commit.partition] = part
        settled = self.settled
        for place, entry in zip(settled.rest, self.result.entries, strict=False):
            if partition_of(entry.user, store.partition_count) in made:
                settled.entries[place] = entry
                settled.result.repeated += [entry] if any(entry is each for each in self.result.repeated) else []
        for part in made.values():
            settled.result.add(part)
        settled.is_whole = bool(made) and len(made) == len(self.parts) and not settled.rest

    async def _was_made(self, commit: Commit, store: Store) -> bool:
        if isinstance(self.error, Conflict):
            return self.error.refused is not None and commit.partition not in self.error.refused
        # One that appended nothing cannot be found out, nor has anybody to be told of it; to make it again is nothing.
        before = commit.cursor - len(commit.appended)
        return bool(commit.appended) and (
            await store.log(commit.partition, before, len(commit.appended)) == commit.appended
        )


class Doubts:
    """Those of one driver, which makes one turn at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: Doubt | None = None
        self._current: Settled | None = None
        self._late: list[TurnResult] = []  # of turns that nobody waits for any more

    def note(self, doubt: Doubt) -> None:
        self._open = doubt

    async def resolve(self) -> None:
        """Before anything else is committed. Raises `StoreError`."""
        if self._open is None:
            return
        doubt = self._open
        await doubt.settle(self._store)
        self._open = None
        if doubt.settled is not self._current:
            self._late.append(doubt.settled.result)

    async def begin(self, asked: list[Entry]) -> Settled:
        """The turn that is asked for, and what has happened of it already. Raises `StoreError`."""
        await self.resolve()
        if self._current is None or self._current.asked is not asked:
            if self._current is not None:
                self._late.append(self._current.result)
            self._current = Settled(asked)
        return self._current

    def end(self, settled: Settled, made: TurnResult) -> TurnResult:
        """The result of the whole turn: ``made`` has the entries of the places that were left."""
        entries = settled.entries | dict(zip(settled.rest, made.entries, strict=False))
        whole = TurnResult([entries[place] for place in sorted(entries)])
        for part in (*self._late, settled.result, made):
            whole.add(part)
        self._current, self._late = None, []
        return whole
