"""A cluster of which one primary is gone: users of the others do not notice, its own have all when it is back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fleet_world import compiled
from gateways import Fleet, Gate, Person, until
from storage.redis_server import RedisCluster, RedisServer, cluster

from engine.fleet.cleaning import Cleaning
from engine.fleet.relay import Relay
from engine.fleet.rounds import Rounds
from engine.fleet.worker import Worker
from engine.storage.base import StoreError, partition_of
from engine.storage.opening import notes_of
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_keys import META, queue_of, slot_of_key
from engine.storage.redis_replicas import LOCAL, Promise

PARTITIONS = 12
EACH = 2  # users of each primary
ROUNDS = {"partitions alone": 10, "the roll": 10, "the queue": 2}  # of words; the last are told once in a second
RULES = """
version: 1
rules:
  - {id: echo, trigger: {event: say}, message: {type: suggestion, text: "{{ event.n }}"}}
"""


def now() -> int:
    return time.time_ns() // 1_000


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """None is taken for lost by the others, so that nothing but the engine has to bear it."""
    options = ("--appendfsync", "always", "--cluster-node-timeout", "600000")
    with cluster(tmp_path_factory.mktemp("cluster"), *options) as three:
        yield three


class Trio:
    """A worker and a gateway, each with a store of its own, and some users of each primary who are at the gateway."""

    def __init__(self, nodes: RedisCluster, stores: list[RedisFleetStore]) -> None:
        self.nodes = nodes
        self.stores = stores
        self.primaries = [nodes.owner(slot_of_key(key)) for key in stores[0]._keys.stand]
        store = stores[0]
        name = "w1"
        self.worker = Worker(
            store, name, rounds=Rounds(store, name), relay=Relay(store), cleaning=Cleaning(store), clock=now
        )
        self.gate = self.a_gate()
        while self.primary(queue_of(self.gate.name)) is self.primary(META.encode()):
            self.gate = self.a_gate()
        self.people: dict[str, Person] = {}
        self.said: dict[str, list[str]] = {}

    def a_gate(self) -> Gate:
        gate = Gate(Fleet(), self.stores[1])
        gate.front._clock = gate.front._beating._clock = now
        return gate

    def primary(self, key: bytes) -> RedisServer:
        return self.nodes.owner(slot_of_key(key))

    def primary_of(self, user: str) -> RedisServer:
        return self.primaries[partition_of(user, PARTITIONS)]

    async def come(self) -> None:
        """The users, until there are enough of each primary."""
        number = 0
        counts = {server.port: 0 for server in self.nodes.servers}
        while min(counts.values()) < EACH:
            user = f"user{number}"
            number += 1
            port = self.primary_of(user).port
            if counts[port] < EACH:
                counts[port] += 1
                self.people[user] = await self.gate.open("c", user)

    def which(self, role: str) -> RedisServer:
        """That has the roll, or what the gateway is told, or neither."""
        roll, queue = self.primary(META.encode()), self.primary(queue_of(self.gate.name))
        if role == "the roll":
            return roll
        if role == "the queue":
            return queue
        return next(server for server in self.nodes.servers if server not in (roll, queue))

    def there(self, lost: RedisServer) -> list[str]:
        return [user for user in self.people if self.primary_of(user) is not lost]

    async def say(self, user: str, text: str) -> None:
        """Again until it is taken in, as a client does."""
        self.said.setdefault(user, []).append(text)
        while True:
            try:
                await self.people[user].say("say", text, n=text)
                return
            except StoreError:
                await asyncio.sleep(0.01)

    async def is_whole(self, saying: list[asyncio.Task[None]]) -> None:
        """After trouble: whoever was there, or was not, is shown all they are owed, and nothing twice."""
        await asyncio.gather(*saying)
        for user in self.people:
            await self.say(user, f"after {len(self.said[user])}")
        await self.shows([*self.people])
        for user, person in self.people.items():
            assert sorted(person.shown()) == sorted(self.said[user])

    async def shows(self, users: list[str], within_s: float = 30.0) -> None:
        await until(lambda: all(set(self.said[user]) <= set(self.people[user].shown()) for user in users), within_s)


@asynccontextmanager
async def a_trio(nodes: RedisCluster, promise: Promise = LOCAL) -> AsyncIterator[Trio]:
    await asyncio.to_thread(nodes.ask, "FLUSHALL")
    stores = [await RedisFleetStore.open(nodes.address, partition_count=PARTITIONS, promise=promise) for _ in range(2)]
    rules = compiled(RULES)
    await stores[0].save_rules(rules.hash, rules.sources)
    await stores[0].publish_rules(rules.hash)
    trio = Trio(nodes, stores)
    await trio.gate.front.start()
    working = asyncio.create_task(trio.worker.run())
    try:
        await trio.come()
        yield trio
    finally:
        await trio.gate.desk.close()
        await trio.gate.front.stop()
        trio.worker.stop()
        await working
        for store in stores:
            await store.close()


def pid_of(server: RedisServer) -> int:
    assert server.process is not None
    return server.process.pid


def lose(server: RedisServer, how: str) -> None:
    if how == "frozen":
        os.kill(pid_of(server), signal.SIGSTOP)
    else:
        server.kill()


def bring_back(server: RedisServer, how: str) -> None:
    if how == "frozen":
        os.kill(pid_of(server), signal.SIGCONT)
    else:
        server.start()


@pytest.mark.parametrize(
    ("how", "role"), [("frozen", "partitions alone"), ("frozen", "the queue"), ("killed", "the roll")]
)
async def test_while_a_primary_is_gone_the_users_of_the_others_are_told_and_its_own_when_it_is_back(
    nodes: RedisCluster, how: str, role: str
) -> None:
    async with a_trio(nodes) as trio:
        lost = trio.which(role)
        there = trio.there(lost)
        gone = [user for user in trio.people if user not in there]
        for user in trio.people:
            await trio.say(user, "before")
        await trio.shows([*trio.people])
        lose(lost, how)
        try:
            saying = [asyncio.create_task(trio.say(user, "meanwhile")) for user in gone]
            for number in range(ROUNDS[role]):
                await asyncio.gather(*(trio.say(user, f"n{number}") for user in there))
                await trio.shows(there)
            assert {partition_of(user, PARTITIONS) for user in gone} <= trio.worker.held_up.keys()
            own = trio.primaries.count(lost)
            for store in trio.stores:
                assert (await store.describe())["out_of_reach"] == store.figures()["partitions_out_of_reach"] == own
                assert notes_of(store)[0].startswith(f"{own} of {PARTITIONS} partitions are at a primary that does not")
                await store.probe()
            assert not any(task.done() for task in saying)
        finally:
            await asyncio.to_thread(bring_back, lost, how)
        await trio.is_whole(saying)


async def test_the_users_of_a_primary_whose_replica_is_lost_wait_alone_and_go_on_when_it_is_lost_and_replaced(
    tmp_path: Path,
) -> None:
    options = ("--appendfsync", "no", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
    with cluster(tmp_path, *options, "--cluster-require-full-coverage", "no", with_replicas=True) as six:
        async with a_trio(six, Promise("replicated", "stop", patience_ms=1500)) as trio:
            lost = trio.which("partitions alone")
            there = trio.there(lost)
            gone = [user for user in trio.people if user not in there]
            replica = six.replicas[six.servers.index(lost)]
            replica.kill()
            saying = [asyncio.create_task(trio.say(user, "meanwhile")) for user in gone]
            for number in range(5):
                await asyncio.gather(*(trio.say(user, f"n{number}") for user in there))
                await trio.shows(there)
            assert not any(task.done() for task in saying)
            await asyncio.to_thread(replica.start)
            await trio.is_whole(saying)
            lost.kill()
            saying = [asyncio.create_task(trio.say(user, "again")) for user in gone]
            for number in range(5, 10):
                await asyncio.gather(*(trio.say(user, f"n{number}") for user in there))
                await trio.shows(there)
            replica.waits_for("replication", "role:master")
            await asyncio.to_thread(lost.start)  # as the replica of what was its own
            await trio.is_whole(saying)
