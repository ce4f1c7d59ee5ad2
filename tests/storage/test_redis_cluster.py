"""A store on a cluster: where commands go, slots that move while it is written to, nodes that know nothing of us."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisCluster, RedisServer, cluster
from replay_oracle import RULES, START, check_replay
from samples_for_stores import ANN, PARTITION_COUNT, event, users_of

from engine.core.model import Event
from engine.core.units import SECOND
from engine.loading.load import load
from engine.storage.base import Commit, Entry, StoreError, StoreUnusable
from engine.storage.fleet import Presence
from engine.storage.opening import open_store
from engine.storage.redis import RedisStore
from engine.storage.redis_cluster import ClusterLink, guarded, key_of
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_keys import META, slot_of, slot_of_key, spread_tags
from engine.storage.redis_lease import Lease
from engine.storage.redis_link import Command
from engine.storage.redis_opening import LIBRARY, address_of, ask
from engine.storage.redis_replicas import Promise
from engine.triggers import KINDS
from engine.turn import Turns

PARTITIONS = 16
[EVE] = users_of(3, 1)
SLOTS_OF_US = [*map(slot_of, spread_tags(PARTITIONS)), slot_of("store")]


async def opened(three: RedisCluster, partition_count: int = PARTITION_COUNT, timeout_s: float = 5.0) -> RedisStore:
    return await RedisStore.open(three.address, partition_count=partition_count, timeout_s=timeout_s)


# What it is called


@pytest.mark.parametrize(
    ("url", "seeds", "user", "tls"),
    [
        ("redis+cluster://a", [("a", 6379)], None, False),
        ("redis+cluster://a:1,b,[::1]:3/", [("a", 1), ("b", 6379), ("::1", 3)], None, False),
        ("rediss+cluster://me%40x@a:1,b:2/0", [("a", 1), ("b", 2)], "me@x", True),
    ],
)
def test_a_cluster_is_named_by_some_of_its_nodes(url: str, seeds: list[Any], user: str | None, tls: bool) -> None:
    address = address_of(url, "hunter2")
    assert (list(address.seeds), address.user, address.tls) == (seeds, user, tls)
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+cluster://", 'expected a store such as "redis+cluster://HOST:PORT,HOST:PORT"'),
        ("redis+cluster://a,,b", 'got "redis+cluster://a,,b"'),
        ("redis+cluster://a:x,b", "got one with another port"),
        ("redis+cluster://a,b/1", "a cluster has one database alone"),
        ("redis+cluster://a,me@b/0", 'expected a store such as "redis+cluster://HOST:PORT'),
        ("redis+cluster://a,b?x=1", 'got "redis+cluster://a,b?x=1"'),
        ("valkey+cluster://a", '"redis+cluster://HOST:PORT,HOST:PORT"; got "valkey+cluster://a"'),
        ("redis+cluster://me:hunter2@a,b", "set PROACTIVE_STORE_PASSWORD"),
    ],
)
async def test_a_word_for_no_cluster_is_refused_with_what_is_expected(url: str, said: str) -> None:
    with pytest.raises(StoreUnusable) as refused:
        await open_store(url)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_node_of_a_cluster_and_a_redis_that_is_none_say_how_they_are_to_be_named(
    three: RedisCluster, server: RedisServer
) -> None:
    with pytest.raises(StoreUnusable, match="is a node of a cluster: name it as one"):
        await open_store(three.servers[0].url)
    with pytest.raises(StoreUnusable, match="is no cluster: name it"):
        await open_store(f"redis+cluster://127.0.0.1:{server.port}", durability="local")


async def test_one_node_that_answers_is_enough_to_find_the_others(three: RedisCluster) -> None:
    url = f"redis+cluster://127.0.0.1:1,127.0.0.1:{three.servers[1].port}"
    store = await open_store(url, durability="local")
    reader = await open_store(three.url, read_only=True, durability="local")
    await store.append([event(ANN, 1)])
    told = await reader.describe()
    assert (told["entries"], told["durability"], told["appendfsync"]) == (1, "local", "no")
    await store.close()
    await reader.close()
    with pytest.raises(StoreUnusable, match="cannot be reached"):
        await open_store("redis+cluster://127.0.0.1:1")


async def test_what_fails_while_something_is_confirmed_is_confirmed_anew(three: RedisCluster) -> None:
    link = ClusterLink(three.address, promise=Promise("replicated", "degrade", patience_ms=50))
    await link.primaries()
    confirming = asyncio.create_task(link.confirm())
    failing = asyncio.create_task(link.exchange([("SET", "a", "b")], durable=True))
    await asyncio.sleep(0)  # both are under way
    failing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await failing
    assert not confirming.done()
    await confirming
    assert link.owes
    await link.confirm()
    assert not link.owes
    await link.close()


# Where commands go


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "a"), b"a"),
        (("HSET", b"b", "f", "v"), b"b"),
        (("FCALL", "f", 1, b"c", "x"), b"c"),
        (("EVAL", "return 1", 2, "d", "e"), b"d"),
        (("XREAD", "COUNT", 5, "BLOCK", 0, "STREAMS", b"f", "$"), b"f"),
    ],
)
def test_a_command_goes_where_its_key_is(command: Command, key: bytes) -> None:
    assert key_of(command) == key


@pytest.mark.parametrize("command", [("PING",), ("FCALL", "f", 0, "x"), ("EVAL", "return 1", 0)])
def test_a_command_without_a_key_is_for_no_node(command: Command) -> None:
    with pytest.raises(ValueError, match="without a key"):
        key_of(command)


@pytest.mark.parametrize(
    ("key", "slot"),
    [(b"123456789", 12739), (b"a{123456789}b", 12739), (b"{}123", slot_of("{}123")), (b"a{b", slot_of("a{b")),
     (b"{a}{b}", slot_of("a")), (b"{{a}}", slot_of("{a"))],
)  # fmt: skip
def test_the_slot_of_a_key_is_that_of_its_tag(key: bytes, slot: int) -> None:
    assert slot_of_key(key) == slot


def test_a_function_is_guarded_by_a_key_of_its_slot_that_is_never_there() -> None:
    assert guarded(("FCALL", "f", 1, b"{a}:m", "x", 5)) == ("FCALL", "f", 2, b"{a}:m", b"{a}:m!", "x", 5)
    assert guarded(("GET", b"{a}:m")) == ("GET", b"{a}:m")


async def test_replies_come_in_the_order_of_the_commands_from_whichever_node(three: RedisCluster) -> None:
    link = ClusterLink(three.address)
    keys = [f"key{number}" for number in range(100)]
    assert await link.exchange([("SET", key, number) for number, key in enumerate(keys)]) == [b"OK"] * 100
    await asyncio.gather(*(link.exchange([("INCR", "together")]) for _ in range(50)))
    replies = await link.exchange([*(("GET", key) for key in keys), ("LPUSH", "key1", "x"), ("GET", "together")])
    assert replies[:100] == [b"%d" % number for number in range(100)]
    assert "WRONGTYPE" in str(replies[100])
    assert replies[101] == b"50"
    assert await link.exchange([]) == []
    assert {link.address.port for link in await link.primaries()} == {server.port for server in three.servers}
    await link.close()


# Slots that move


@pytest.mark.parametrize("endpoint", ["ip", "unknown-endpoint"])
async def test_what_was_moved_is_found_where_it_is_now(three: RedisCluster, endpoint: str) -> None:
    # The second: nodes do not say where another is, but for its port.
    three.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", endpoint)
    link = ClusterLink(three.address)
    await link.exchange([("SET", "{a}1", 1), ("SET", "{a}2", 2)])
    slot = slot_of("a")
    source = three.owner(slot)
    target = next(server for server in three.servers if server is not source)
    await asyncio.to_thread(three.move, slot, source, target)
    try:
        assert await link.exchange([("GET", "{a}1"), ("GET", "b"), ("GET", "{a}2")]) == [b"1", None, b"2"]
    finally:
        await asyncio.to_thread(three.move, slot, target, source)
        three.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")
    assert await link.exchange([("GET", "{a}1")]) == [b"1"]
    await link.close()


async def test_while_a_slot_moves_single_keys_are_found_and_functions_wait_until_it_has(three: RedisCluster) -> None:
    store = await opened(three, timeout_s=0.5)
    await store.append([event(ANN, 1)])
    slot = slot_of(spread_tags(PARTITION_COUNT)[0])
    source = three.owner(slot)
    target = next(server for server in three.servers if server is not source)
    with source.speak() as old, target.speak() as new:
        old_name, new_name = (who.execute_command("CLUSTER MYID") for who in (old, new))
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_name)
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_name)
        while keys := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 1):
            # Some keys are here and some there: of none of them anything is made.
            with pytest.raises(StoreError) as refused:
                await store.append([event(ANN, 2)])
            assert refused.value.state == "busy"
            with pytest.raises(StoreError):
                await store.poll([0], 0)
            assert await store.log(0, 0, 9) == [event(ANN, 1)]
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        assert await store.log(0, 0, 9) == [event(ANN, 1)]
        with pytest.raises(StoreError):
            await store.append([event(ANN, 2)])
        await store.append([event(users_of(1, 1)[0], 2)])  # other slots do not notice
        waiting = asyncio.create_task(store.append([event(ANN, 3)]))
        await asyncio.sleep(0)
        for who in (new, old):
            who.execute_command("CLUSTER SETSLOT", slot, "NODE", new_name)
        await waiting
    assert await store.log(0, 0, 9) == [event(ANN, 1), event(ANN, 3)]
    await store.close()
    await asyncio.to_thread(three.move, slot, target, source)


async def test_a_node_without_our_functions_gets_them_when_a_slot_comes_to_it(three: RedisCluster) -> None:
    store = await opened(three)
    slot = slot_of(spread_tags(PARTITION_COUNT)[0])
    source = three.owner(slot)
    target = next(server for server in three.servers if server is not source)
    target.ask("FUNCTION", "FLUSH")
    await asyncio.to_thread(three.move, slot, source, target)
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    assert await store.log(0, 0, 9) == [event(ANN, 1)]
    assert LIBRARY in target.ask("FUNCTION", "LIST")
    await store.close()
    await asyncio.to_thread(three.move, slot, target, source)


async def keep_moving(three: RedisCluster, is_done: asyncio.Event) -> int:
    """Every slot of ours to the next node and on, key by key, until nobody writes any more; how many were moved."""
    moved = 0
    while not is_done.is_set():
        for slot in SLOTS_OF_US:
            source = three.owner(slot)
            target = three.servers[(three.servers.index(source) + 1) % len(three.servers)]
            await asyncio.to_thread(three.move, slot, source, target, 0.0005)
            moved += 1
            if is_done.is_set():
                break
    return moved


async def test_under_load_slots_move_and_nothing_is_lost_or_done_twice(three: RedisCluster) -> None:
    store = await opened(three, PARTITIONS)
    rules = load({"rules.yaml": RULES}, KINDS)
    await store.save_rules(rules.hash, rules.sources)
    turns = Turns(store)
    await turns.change_rules(rules, START)
    is_done = asyncio.Event()
    moving = asyncio.create_task(keep_moving(three, is_done))
    users = [f"user{number}" for number in range(40)]
    happened: list[tuple[str, object]] = []
    for number in range(1, 71):
        at = START + number * 20 * SECOND
        asked = [Entry("event", at, user, Event("fail", user, at, {"n": number})) for user in users[number % 4 :: 4]]
        while True:  # the same turn until it is made, as the live driver does
            try:
                made = await turns.make(asked, at, due=True)
                break
            except StoreError:
                await asyncio.sleep(0.01)
        happened += [(entry.user, entry.event.data["n"]) for entry in made.entries if entry.event is not None]
    is_done.set()
    assert await moving > len(SLOTS_OF_US)
    await turns.make([], turns.latest, due=True, tick=True)
    logged = [entry.event for part in range(PARTITIONS) for entry in await store.log(part, 0, 10**6) if entry.event]
    assert sorted(happened) == sorted((event.user, event.data["n"]) for event in logged)
    assert len(happened) == 700
    assert await check_replay(store) > 50
    await store.close()


async def evaluate(store: RedisFleetStore, name: str, is_done: asyncio.Event, counted: dict[int, int]) -> None:
    """Take whatever there is and commit it, whoever else does; ``counted`` are the entries of each partition."""
    while True:
        last = is_done.is_set()
        left = False
        try:
            for share in await store.take(name, list(range(PARTITIONS)), lease_ms=0):
                batch = share.batch
                if batch.entries:
                    left = True
                    await store.commit([Commit(batch.partition, batch.version, batch.cursor + len(batch.entries))])
                    counted[batch.partition] = counted.get(batch.partition, 0) + len(batch.entries)
        except StoreError:
            left = True
            await asyncio.sleep(0.01)
        if last and not left:
            return


async def test_gateways_and_a_worker_go_on_while_slots_move(three: RedisCluster) -> None:
    stores = [await RedisFleetStore.open(three.address, partition_count=PARTITIONS) for _ in range(3)]
    is_done = asyncio.Event()
    moving = asyncio.create_task(keep_moving(three, is_done))
    counted: dict[int, int] = {}
    working = asyncio.create_task(evaluate(stores[2], "w", is_done, counted))

    async def tell(store: RedisFleetStore, name: str) -> None:
        for number in range(100):
            users = [f"user{(number * 7 + n) % 40}" for n in range(5)]
            entries = [Entry("event", 0, u, Event("x", u, 0, {}, f"{name}/{number}/{u}"), once=True) for u in users]
            while True:  # the same again until it is acknowledged, as a client does
                try:
                    await store.ingest(entries, [Presence(users[0], name)], name)
                    break
                except StoreError:
                    await asyncio.sleep(0.01)

    await asyncio.gather(tell(stores[0], "g1"), tell(stores[1], "g2"))
    is_done.set()
    assert await moving > 0
    await working
    logs = [await stores[0].log(number, 0, 10**6) for number in range(PARTITIONS)]
    happened = [entry.event.id for log in logs for entry in log if entry.event is not None]
    assert len(happened) == len(set(happened)) == 1000
    described = await stores[0].describe()
    assert (described["entries"], described["unevaluated"]) == (1000, 0)
    assert sum(counted.values()) <= 1000  # of a commit without an answer nobody counted
    for store in stores:
        await store.close()


# Nodes that go


async def test_a_node_that_is_gone_is_told_and_all_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with cluster(tmp_path, "--cluster-node-timeout", "700", "--appendfsync", "always") as three:
        store = await opened(three, timeout_s=1.0)
        await store.append([event(ANN, 1)])
        gone = three.owner(slot_of(spread_tags(PARTITION_COUNT)[0]))
        gone.kill()
        with pytest.raises(StoreError) as refused:
            await store.append([event(ANN, 2)])
        assert refused.value.state == "io"
        assert (await store.poll([3], 0))[0].entries == []  # that is elsewhere
        await asyncio.to_thread(three.servers[2].waits_for_cluster, "cluster_state:fail")
        with pytest.raises(StoreError) as refused:  # a cluster that lacks slots answers for none
            await store.append([event(EVE, 2)])
        assert refused.value.state == "busy"
        gone.start()
        await asyncio.to_thread(three.servers[2].waits_for_cluster, "cluster_state:ok")
        while True:
            try:
                await store.append([event(ANN, 3), event(EVE, 3)])
                break
            except StoreError:
                await asyncio.sleep(0.05)
        assert {entry.at for entry in await store.log(0, 0, 9)} == {1, 3}
        assert {entry.at for entry in await store.log(3, 0, 9)} == {3}
        await store.close()


# The whole of it


async def test_a_cluster_of_another_program_and_one_that_would_forget_are_left_as_they_are(three: RedisCluster) -> None:
    link = ClusterLink(three.address)
    await link.exchange([("SET", "cache:1", "x"), ("SET", "cache:22", "x")])
    with pytest.raises(StoreUnusable, match="holds 2 keys of another program: name a cluster of its own"):
        await opened(three)
    three.ask("FLUSHALL")
    careless = three.servers[2]
    careless.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreUnusable, match=f"127.0.0.1:{careless.port} of .* throws keys away"):
            await opened(three)
    finally:
        careless.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert await link.exchange([("EXISTS", META)]) == [0]
    await link.close()


async def test_one_server_has_the_store_on_a_cluster(three: RedisCluster) -> None:
    link, other = ClusterLink(three.address), ClusterLink(three.address)
    first, second = Lease(link, lasts_ms=3_000), Lease(other, lasts_ms=3_000)
    await first.take()
    with pytest.raises(StoreUnusable, match="is in use by another server"):
        await second.take()
    await first.release()
    await second.take()
    await second.release()
    assert await ask(link, "EXISTS", "proactive:{store}:lease") == 0
    await asyncio.gather(link.close(), other.close())
