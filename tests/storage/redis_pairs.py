"""Stores on a primary and its replica, what may happen to the two, and somebody who is promised things meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal

from redis_server import RedisServer
from samples_for_stores import ANN, PARTITION_COUNT

from engine.core.model import Event
from engine.storage.base import Entry, StoreError
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_replicas import Promise

STOP = Promise("replicated", "stop", patience_ms=800)
DEGRADE = Promise("replicated", "degrade", patience_ms=800)
Pair = tuple[RedisServer, RedisServer]


async def opened(server: RedisServer, promise: Promise) -> RedisFleetStore:
    return await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT, promise=promise)


def once(user: str, name: str) -> Entry:
    return Entry("event", 0, user, Event("edit", user, 0, {}, name), once=True)


def freeze(server: RedisServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)


def thaw(server: RedisServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGCONT)


async def tell_until_taken(store: RedisFleetStore, entry: Entry, within_s: float = 20.0) -> None:
    """As whoever is refused does: again, until it is taken. Fails with the last refusal."""
    until = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            await store.append([entry])
            return
        except StoreError:
            if asyncio.get_running_loop().time() > until:
                raise
        await asyncio.sleep(0.05)


class Teller:
    """Tells one thing after the other until one is refused; ``promised`` are those that were acknowledged."""

    def __init__(self, store: RedisFleetStore, name: str) -> None:
        self.promised: list[str] = []
        self.reached = {count: asyncio.Event() for count in (20, 60)}
        self.telling = asyncio.create_task(self._tell(store, name))

    async def _tell(self, store: RedisFleetStore, name: str) -> None:
        while len(self.promised) < 10_000:
            told = f"{name}/{len(self.promised)}"
            await store.ingest([once(ANN, told)])
            self.promised.append(told)
            if reached := self.reached.get(len(self.promised)):
                reached.set()
