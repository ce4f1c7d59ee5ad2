"""A commit that failed so that nobody knows whether it was made, and how that is found out. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from engine.storage.base import Commit, Entry, Store
from engine.turn_work import TurnResult


@dataclass(frozen=True, slots=True)
class Doubt:
    """``asked``: the entries of the turn, by which one that is tried again is known. ``result``: what came of it."""

    asked: list[Entry]
    commits: list[Commit]
    result: TurnResult

    async def was_made(self, store: Store) -> bool:
        """Whether the commit was made after all, and only the answer was lost. Raises `StoreError`.

        Then the doubt stays: to take it for made would be as wrong as to make the turn again. A commit that appended
        nothing cannot be found out, nor has anybody to be told of it.
        """
        # It is made whole or not at all, so the parts that appended something tell of the others.
        telling = [commit for commit in self.commits if commit.appended]
        for commit in telling:
            before = commit.cursor - len(commit.appended)
            if await store.log(commit.partition, before, len(commit.appended)) != commit.appended:
                return False
        return bool(telling)
