"""The sessions of gateways that are gone: each worker ends those of its own partitions.

A session that nobody can take up again ends at once; one that its client may take up at another gateway is given the
time for it. It evaluates nothing: that they ended is written down, and evaluated as if their gateway had said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from engine.core.model import Event, derive_id
from engine.core.units import MILLISECOND
from engine.stale import GRACE, is_resumable
from engine.storage.base import Entry, StoreError
from engine.storage.fleet import FleetStore, Presence

ENDED_AT_ONCE = 200
AGAIN_S = 1.0  # after the store refused it
# A gateway that was cut off may write a session down that nobody looks for any more, so while it is still on the roll
# all partitions are looked at again, so often.
LOOK_AGAIN_MS = 10_000

log = structlog.get_logger("worker")


class Cleaning:
    """``resume_within``: microseconds that clients have to take up their sessions elsewhere. ``again_s``: seconds."""

    def __init__(self, store: FleetStore, resume_within: int = GRACE, again_s: float = AGAIN_S) -> None:
        self._store = store
        self._again_s = again_s
        self._resume_within = resume_within
        self._lost: dict[str, int] = {}
        self._held: frozenset[int] = frozenset()
        # Of each lost gateway: partitions whose plain sessions, and those whose sessions of any sort, have been ended.
        self._plain: dict[str, set[int]] = {}
        self._all: dict[str, set[int]] = {}
        self._looked: dict[str, int] = {}  # for how long it was lost when that began
        self._open: dict[str, int] = {}  # a partition where somebody was listed there when it was last looked
        self._heard = asyncio.Event()

    def heard(self, lost: Mapping[str, int], held: set[int]) -> None:
        """These gateways are lost for so many milliseconds, and these partitions are the worker's."""
        for name in lost.keys() - self._lost.keys():
            log.warning("! a gateway is gone; sessions that cannot be taken up elsewhere end", gateway=name)
        self._lost = dict(lost)
        self._held = frozenset(held)
        known: tuple[dict[str, Any], ...] = (self._plain, self._all, self._looked, self._open)
        for of_gateways in known:
            for name in of_gateways.keys() - lost.keys():
                del of_gateways[name]
        for partitions in (*self._plain.values(), *self._all.values()):
            partitions &= held  # another worker may have had it meanwhile
        if lost:
            self._heard.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            try:
                await self.clean()
            except StoreError as error:
                log.warning("! sessions of a lost gateway end later", error=str(error))
                await asyncio.sleep(self._again_s)
            except Exception:
                # A fault of ours must not end it: nobody would end sessions in these partitions.
                log.exception("! cleaning failed")
                await asyncio.sleep(self._again_s)

    async def clean(self) -> None:
        """End what is to end by now. Raises `StoreError`; to do it again is safe."""
        for gateway, for_ms in list(self._lost.items()):
            is_over = for_ms * MILLISECOND >= self._resume_within
            done = (self._all if is_over else self._plain).setdefault(gateway, set())
            if is_over and for_ms - self._looked.setdefault(gateway, for_ms) >= LOOK_AGAIN_MS:
                self._looked[gateway] = for_ms
                done.clear()
            for partition in sorted(self._held - done):
                await self._end(gateway, partition, is_over=is_over)
                done.add(partition)
            if is_over and 0 in self._held:
                await self._strike(gateway)

    async def _end(self, gateway: str, partition: int, *, is_over: bool) -> None:
        sessions = await self._store.sessions_at(gateway, partition)
        ending = [
            (user, session)
            for user, names in sessions.items()
            for session in names
            if is_over or not is_resumable(session)
        ]
        for start in range(0, len(ending), ENDED_AT_ONCE):
            some = ending[start : start + ENDED_AT_ONCE]
            gone = [Presence(user, name, is_there=False) for user, name in some]
            await self._store.ingest([end_of(user, name) for user, name in some], gone, gateway)

    async def _strike(self, gateway: str) -> None:
        """The worker of the first partition takes the gateway off the roll once nobody is listed there any more."""
        count = self._store.partition_count
        first = self._open.get(gateway, 0)  # nearly always somebody is still there where somebody was
        for partition in (*range(first, count), *range(first)):
            if await self._store.sessions_at(gateway, partition):
                self._open[gateway] = partition
                self._all.get(gateway, set()).discard(partition)
                return
        await self._store.leave("gateway", gateway)


def end_of(user: str, session: str) -> Entry:
    """As its gateway would have said it, so that it happens once whoever says it."""
    event = Event("session.end", user, 0, {}, derive_id("session.end", user, session), session)
    return Entry("event", 0, user, event, once=True)
