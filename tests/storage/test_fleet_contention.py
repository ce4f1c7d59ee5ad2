"""Workers on one real Redis with nothing between them but versions, and a Redis that is killed while they work.

The oracle: what the log comes to when one thread goes through it is what the store has, byte for byte, and every entry
and every wake-up was decided once.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from redis_server import SERVER, RedisServer, running

from engine.core.model import Event
from engine.storage.base import Commit, Conflict, Entry, StoreError, partition_of
from engine.storage.fleet import FleetStore, Presence, Share
from engine.storage.redis_fleet import RedisFleetStore

PARTITIONS = 8
EVERYWHERE = list(range(PARTITIONS))
USERS = [f"user{number}" for number in range(40)]
PATIENCE = 2_000  # microseconds from an event of a user to the wake-up, unless another comes first
EVENTS = 1_200


def step(state: list[str], wake: int | None, entry_at: int, event_id: str = "") -> tuple[list[str], int | None]:
    """Time comes to the moment, and then the event happens, where there is one: the new state and wake-up."""
    if wake is not None and wake <= entry_at:
        state, wake = [*state, f"woken at {wake}"], None
    return ([*state, event_id], entry_at + PATIENCE) if event_id else (state, wake)


@dataclass
class Worker:
    """Evaluates what it takes, remembers states as long as nobody else commits, and sometimes dies on the way."""

    store: FleetStore
    name: str
    lease_ms: int
    chance: Random
    mortality: float = 0.0
    refused: int = 0
    made: int = 0
    rounds: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    states: dict[int, dict[str, bytes]] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    async def round(self) -> bool:
        """Whether there was anything to do."""
        mine = self.chance.sample(EVERYWHERE, self.chance.randint(1, PARTITIONS))
        shares = await self.store.take(
            self.name, mine, lease_ms=self.lease_ms, entries_max=self.chance.choice((3, 20)), due_max=3
        )
        shares = [share for share in shares if share.batch.entries or share.batch.due]
        for share in shares:
            number = share.batch.partition
            if share.is_new or self.versions.get(number) != share.batch.version:
                self.states[number] = {}
        if self.chance.random() < self.mortality:
            return self.die()
        commits = [await self.evaluated(share) for share in shares]
        refused: frozenset[int] | None = frozenset()
        try:
            await self.store.commit(commits)
        except Conflict as conflict:
            self.refused += 1
            refused = conflict.refused
        for commit in commits:
            if refused is None or commit.partition in refused:
                del self.states[commit.partition]
                self.versions.pop(commit.partition, None)
            else:
                self.states[commit.partition].update(commit.states)
                self.versions[commit.partition] = commit.version + 1
                self.made += 1
        self.rounds.release()
        if self.chance.random() < self.mortality:
            return self.die()
        return bool(shares)

    def die(self) -> bool:
        """Another comes in its place, which remembers nothing; what it held is held until the lease ends."""
        self.name += "'"
        self.states, self.versions = {}, {}
        return True

    async def evaluated(self, share: Share) -> Commit:
        batch = share.batch
        remembered = self.states[batch.partition]
        events = [entry for entry in batch.entries if entry.event is not None]
        users = dict.fromkeys([*(entry.user for entry in events), *batch.due])
        found = await self.store.load([user for user in users if user not in remembered])
        commit = Commit(batch.partition, batch.version, batch.cursor + len(batch.entries))
        for user in users:
            raw = remembered.get(user, found.get(user))
            before, wake = json.loads(raw) if raw else ([], None)
            state = before
            for entry in events:
                if entry.user == user and entry.event is not None:
                    state, wake = step(state, wake, entry.at, entry.event.id)
            if user in batch.due or share.is_complete:
                state, wake = step(state, wake, share.horizon)
            commit.states[user] = json.dumps((state, wake)).encode()
            commit.wakes[user], commit.present[user] = wake, False
            commit.decisions += [(user, share.horizon, line.encode()) for line in state[len(before) :]]
        return commit


async def gateway(store: FleetStore, name: str, chance: Random, is_done: asyncio.Event, events: int = EVENTS) -> None:
    """Tells of events, of some of them twice; after a failure of all of them again."""
    told = 0
    while told < events:
        count = chance.randint(1, 30)
        entries = []
        for number in range(max(told - chance.randint(0, 3), 0), told + count):
            user = USERS[number * 7 % len(USERS)]
            entries.append(Entry("event", 0, user, Event("edit", user, 0, {}, f"{name}/{number}"), once=True))
        presence = [Presence(chance.choice(USERS), "s", is_there=chance.random() < 0.5)]
        try:
            await store.ingest(entries, presence, name)
        except StoreError:
            await asyncio.sleep(0.01)
            continue
        told += count
        await asyncio.sleep(0)
    is_done.set()


async def work(worker: Worker, is_done: asyncio.Event) -> None:
    idle = 0
    while idle < 5:  # in a row, so that each partition has been looked at
        try:
            idle = 0 if await worker.round() or not is_done.is_set() else idle + 1
        except StoreError:
            worker.states, worker.versions = {}, {}
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)


async def check(store: FleetStore) -> int:
    """How many events there are."""
    count = 0
    for number in EVERYWHERE:
        users: dict[str, tuple[list[str], int | None]] = {}
        entries = await store.log(number, 0, 10**6)
        for entry in entries:
            if entry.event is not None:
                users[entry.user] = step(*users.get(entry.user, ([], None)), entry.at, entry.event.id)
            else:
                users = {user: step(*known, entry.at) for user, known in users.items()}
        states = await store.load(list(users))
        assert {user: tuple(json.loads(states[user])) for user in users} == users
        assert sorted(await store.decisions(number)) == sorted(
            line.encode() for state, _ in users.values() for line in state
        )
        told = [entry.once_id for entry in entries if entry.once]
        assert len(set(told)) == len(told)
        assert all(partition_of(user, PARTITIONS) == number for user in users)
        count += len(told)
    return count


async def drain(worker: Worker) -> None:
    """Alone, until nothing is left that could be due."""
    worker.mortality = 0.0
    while any(batch.entries or batch.due for batch in await worker.store.poll(EVERYWHERE, 10**16)):
        await worker.round()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lease_ms", [0, 20])
async def test_workers_who_contend_and_die_do_nothing_twice_and_lose_nothing(
    server: RedisServer, seed: int, lease_ms: int
) -> None:
    stores = [await RedisFleetStore.open(server.address, partition_count=PARTITIONS) for _ in range(3)]
    is_done = asyncio.Event()
    workers = [
        Worker(store, f"w{place}", lease_ms, Random(f"{seed}/{place}"), mortality=0.02)
        for place, store in enumerate(stores[:2])
    ]
    async with asyncio.TaskGroup() as tasks:
        for worker in workers:
            tasks.create_task(work(worker, is_done))
        tasks.create_task(gateway(stores[2], "g", Random(seed), is_done))
    await drain(workers[0])
    assert await check(stores[2]) >= EVENTS
    if lease_ms == 0:  # with leases, the one who was first may have had them all until nothing was left
        assert all(worker.made > 0 for worker in workers)
        assert sum(worker.refused for worker in workers) > 0
    for store in stores:
        await store.close()


async def test_when_redis_is_killed_under_them_what_was_acknowledged_is_there_and_done_once(tmp_path: Path) -> None:
    with running(tmp_path, SERVER, "--appendfsync", "always") as server:
        stores = [await RedisFleetStore.open(server.address, partition_count=PARTITIONS) for _ in range(3)]
        is_done = asyncio.Event()
        workers = [Worker(store, f"w{place}", 20, Random(place)) for place, store in enumerate(stores[:2])]
        async with asyncio.TaskGroup() as tasks:
            for worker in workers:
                tasks.create_task(work(worker, is_done))
            tasks.create_task(gateway(stores[2], "g", Random(7), is_done, 20 * EVENTS))
            for _ in range(3):
                for _ in range(20):
                    await workers[0].rounds.acquire()
                assert not is_done.is_set()
                server.kill()
                await asyncio.to_thread(server.start)
        await drain(workers[0])
        assert await check(stores[2]) >= 20 * EVENTS
        for store in stores:
            await store.close()
