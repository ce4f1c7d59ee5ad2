"""What waits in the outbox for who comes to a gateway, and what is kept back for a while. It hands nothing over."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from engine.storage.base import OutboxMessage, partition_of
from engine.storage.fleet import FleetStore

KEPT_BACK_MAX = 100_000  # users for whom it is looked again; those beyond it find what waits when they come again


class Waiting:
    """``composed_within``: microseconds that a message waits for its text. ``wake`` when `until` has become sooner.

    ``is_leaving`` says of a message by its id that it is about to leave the outbox.
    """

    def __init__(
        self, store: FleetStore, *, now: Callable[[], int], composed_within: int, is_leaving: Callable[[str], bool],
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._now = now
        self._composed_within = composed_within
        self._is_leaving = is_leaving
        self._wake = wake
        self._kept_back: dict[str, int] = {}  # users, and when to look again
        self._moments: list[tuple[int, str]] = []

    @property
    def until(self) -> int | None:
        """When to look again for somebody; None where nothing is kept back."""
        return self._moments[0][0] if self._moments else None

    def due(self) -> list[str]:
        """For whom to look again now: each is said once."""
        now, users = self._now(), []
        while self._moments and self._moments[0][0] <= now:
            moment, user = heapq.heappop(self._moments)
            if self._kept_back.get(user) == moment:
                del self._kept_back[user]
                users.append(user)
        return users

    async def of(self, user: str) -> list[OutboxMessage]:
        """What to hand over, the oldest first; it is as durable then as what workers tell. Raises `StoreError`."""
        waiting = await self._store.pending(user, self._now())
        composed_by = self._now() - self._composed_within
        found = []
        for outgoing in waiting:
            if outgoing.message.prompt and outgoing.at > composed_by:
                # Whoever has it written tells it, but perhaps told it already, when the user was nowhere.
                self._keep_back(user, outgoing.at + self._composed_within)
            elif not self._is_leaving(outgoing.message.id):
                found.append(outgoing)
        if not found:
            return []
        await self._store.confirm([partition_of(user, self._store.partition_count)])
        return [outgoing for outgoing in found if not self._is_leaving(outgoing.message.id)]

    def _keep_back(self, user: str, moment: int) -> None:
        known = self._kept_back.get(user)
        if (known is not None and known <= moment) or len(self._moments) >= KEPT_BACK_MAX:
            return
        self._kept_back[user] = moment
        heapq.heappush(self._moments, (moment, user))
        if self._moments[0] == (moment, user):
            self._wake()
