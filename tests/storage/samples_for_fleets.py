"""What the tests of stores are made of that gateways and workers share, besides `samples_for_stores`."""

from __future__ import annotations

from redis_server import RedisCluster, RedisServer
from samples_for_stores import KINDS, PARTITION_COUNT, with_states

from engine.core.model import Event
from engine.storage.base import Commit, Entry, OutboxMessage
from engine.storage.fleet import FleetStore
from engine.storage.memory_fleet import MemoryFleetStore
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_replicas import LOCAL, Promise

# The last: a primary and a replica that are asked what is on the disks of both.
FLEET_KINDS = [*[kind for kind in KINDS if kind != "sqlite"], "strict"]


class Clock:
    """Of the model. Each look is a moment later, as it is on a real one."""

    def __init__(self) -> None:
        self.now = 1_774_605_600_000_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


async def make_fleet_store(kind: str, server: RedisServer | RedisCluster | None) -> FleetStore:
    """``server``: an empty one, for the kinds that need it."""
    if server is None:
        return MemoryFleetStore(Clock(), PARTITION_COUNT)
    promise = Promise("strict") if kind == "strict" else LOCAL
    return await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT, promise=promise)


def told(user: str, number: int) -> Entry:
    """An event that its teller has not stamped, and that happens once."""
    return Entry("event", 0, user, Event("test.failed", user, 0, {"n": number}, f"told/{number}"), once=True)


def nameless(user: str) -> Entry:
    return Entry("event", 0, user, Event("edit", user, 0, {}))


def end_of(user: str, session: str, *, once: bool = True) -> Entry:
    return Entry("event", 0, user, Event("session.end", user, 0, {}, f"end/{session}", session), once=once)


async def taken_up(store: FleetStore, worker: str = "w1", partition: int = 0, **limits: int) -> Commit:
    """The commit of all that a take hands out, with nothing in it yet."""
    [share] = await store.take(worker, [partition], lease_ms=60_000, **limits)
    return Commit(partition, share.batch.version, share.batch.cursor + len(share.batch.entries))


async def wake_at(store: FleetStore, wakes: dict[str, int | None], partition: int = 0) -> None:
    await store.commit([with_states(await taken_up(store, partition=partition), wakes)])


async def until(store: FleetStore, moment: int) -> None:
    while await store.clock() < moment:
        pass


async def put(store: FleetStore, *messages: OutboxMessage) -> None:
    commit = await taken_up(store)
    commit.outbox = list(messages)
    await store.commit([commit])


async def ids(store: FleetStore, user: str) -> list[str]:
    return [each.message.id for each in await store.pending(user, 0)]
