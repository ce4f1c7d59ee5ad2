"""What is the store's on Redis alone: what it can be opened on, what it says of trouble, how its keys lie."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from redis import exceptions
from redis_server import RedisServer
from samples_for_stores import ANN, BOB, PARTITION_COUNT, event, full_commit, outgoing, with_states

from engine.storage.base import Commit, Conflict, Entry, Fold, Folded, StoreError, StoreUnusable, Trouble
from engine.storage.opening import open_store
from engine.storage.redis import RedisStore
from engine.storage.redis_keys import SLOTS, slot_of, spread_tags
from engine.storage.redis_lease import Lease
from engine.storage.redis_link import Link, trouble_of
from engine.storage.redis_opening import LIBRARY, PARTITIONS_DEFAULT, check_server

CONFIG = {"maxmemory": "0", "maxmemory-policy": "noeviction", "appendonly": "yes", "requirepass": ""}


async def opened(server: RedisServer, timeout_s: float = 5.0) -> RedisStore:
    return await RedisStore.open(server.address, partition_count=PARTITION_COUNT, timeout_s=timeout_s)


# Opening


async def test_a_store_on_redis_is_opened_by_its_word_and_made_once(server: RedisServer) -> None:
    store = await open_store(server.url)
    assert isinstance(store, RedisStore)
    assert store.partition_count == PARTITIONS_DEFAULT
    await store.append([event(ANN, 1)])
    reader = await open_store(server.url, read_only=True)
    assert (await reader.describe())["entries"] == 1
    told = await store.describe()
    assert (told["durability"], told["appendfsync"]) == ("local", "no")
    for call in (reader.append([event(ANN, 1)]), reader.commit([]), reader.erase(ANN), reader.probe()):
        with pytest.raises(StoreError, match="was opened to be read only") as refused:
            await call
        assert refused.value.state == "read_only"
    await store.close()
    await reader.close()


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("maxmemory-policy", "allkeys-lru", "throws keys away when its memory is full (maxmemory-policy allkeys-lru)"),
        ("appendonly", "no", "would forget on a restart what it has acknowledged (appendonly no)"),
        ("requirepass", "hunter2", "set PROACTIVE_STORE_PASSWORD"),
    ],
)
async def test_a_redis_that_would_lose_or_refuse_is_refused(
    server: RedisServer, setting: str, value: str, said: str
) -> None:
    server.ask("CONFIG", "SET", setting, value)
    try:
        with pytest.raises(StoreUnusable) as refused:
            await opened(server)
        if setting == "requirepass":
            store = await RedisStore.open(replace(server.address, password=value), partition_count=PARTITION_COUNT)
            await store.close()
    finally:
        server.ask_all([["AUTH", value], ["CONFIG", "SET", setting, CONFIG[setting]]])
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"redis_version": "6.2.14"}, "is Redis 6.2.14: expected Redis 7.0 or later, or Valkey"),
        ({"redis_version": "7.2.4", "cluster_enabled": "1"}, "is a node of a cluster: name it as one"),
        ({"redis_version": "7.2.4", "role": "slave", "master_host": "h", "master_port": "1"}, "is a replica of h:1"),
    ],
)
def test_a_redis_that_cannot_be_a_store_is_refused(info: dict[str, str], said: str) -> None:
    with pytest.raises(StoreUnusable) as refused:
        check_server(info, "it", read_only=False)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["SET", "cache:1", "x"], "holds 1 keys of another program: name another database"),
        (["SET", "proactive:{store}:meta", "x"], '"proactive:{store}:meta" of "redis://'),
        (
            ["HSET", "proactive:{store}:meta", "format", "2"],
            "another version of proactive (format 2, this one knows 1)",
        ),
        (["HSET", "proactive:{store}:meta", "format", "1"], "does not say how many partitions it has: it is damaged"),
    ],
)
async def test_a_database_that_is_not_ours_is_left_as_it_is(server: RedisServer, command: list[str], said: str) -> None:
    server.ask(*command)
    with pytest.raises(StoreUnusable) as refused:
        await opened(server)
    assert said in str(refused.value)
    assert server.ask("DBSIZE") == ":1\r\n"


async def test_the_number_of_partitions_is_fixed_when_a_store_is_made(server: RedisServer) -> None:
    await (await opened(server)).close()
    with pytest.raises(StoreUnusable, match="was made with 4 partitions, not 8"):
        await RedisStore.open(server.address, partition_count=8)


async def test_where_nobody_answers_that_is_said(server: RedisServer) -> None:
    with pytest.raises(StoreUnusable, match="cannot be reached"):
        await RedisStore.open(replace(server.address, port=1))
    with pytest.raises(StoreUnusable, match="there is no store in"):
        await RedisStore.open(server.address, read_only=True)


# Trouble


async def test_a_redis_that_is_full_keeps_what_it_has_and_goes_on_when_there_is_room(server: RedisServer) -> None:
    store = await opened(server)
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)], outbox=[outgoing(ANN, 1)])])
    server.ask("CONFIG", "SET", "maxmemory", "1")
    for call in (store.append([event(ANN, 2)]), store.commit([Commit(0, 1, 2, [event(ANN, 2)])]), store.probe()):
        with pytest.raises(StoreError, match="what was acknowledged is kept") as refused:
            await call
        assert refused.value.state == "full"
    # What makes room is done all the same, and what is there can be read.
    assert await store.log(0, 0, 9) == [event(ANN, 1)]
    await store.relayed([f"{ANN}-1"], 0)
    assert await store.erase(ANN) == 1
    server.ask("CONFIG", "SET", "maxmemory", "0")
    await store.append([event(BOB, 2)])
    await store.close()


async def test_a_primary_that_has_become_a_replica_is_read_only_until_it_is_not(server: RedisServer) -> None:
    store = await opened(server)
    server.ask("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreError, match="name the primary if this is a replica") as refused:
        await store.append([event(ANN, 1)])
    assert refused.value.state == "read_only"
    server.ask("REPLICAOF", "NO", "ONE")
    await store.append([event(ANN, 1)])
    await store.close()


async def test_functions_that_are_gone_are_put_there_again(server: RedisServer) -> None:
    store = await opened(server)
    server.ask("FUNCTION", "FLUSH")
    await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    assert await store.log(0, 0, 9) == [event(ANN, 1)]
    await store.close()


async def test_once_a_commit_had_no_answer_it_is_not_made_later(server: RedisServer) -> None:
    store = await opened(server, timeout_s=0.2)
    server.ask("CLIENT", "PAUSE", "60000", "WRITE")
    commit = Commit(0, 0, 1, [event(ANN, 1)])
    with pytest.raises(StoreError, match="no answer in time") as refused:
        await store.commit([commit])
    assert refused.value.state == "io"
    with pytest.raises(StoreError):  # nothing is said of the log before it is certain
        await store.log(0, 0, 9)
    server.ask("CLIENT", "UNPAUSE")
    assert await store.log(0, 0, 9) == []
    with pytest.raises(Conflict):  # as one would be that is on its way yet
        await store.commit([commit])
    [batch] = await store.poll([0], 0)
    await store.commit([replace(commit, version=batch.version)])
    await store.close()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "busy"),
        (exceptions.OutOfMemoryError("command not allowed"), "full"),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "io"),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), "corrupt"),
        (exceptions.ResponseError("ERR what we got wrong"), None),
        (exceptions.ConnectionError("Connection refused"), "io"),
        (TimeoutError(), "io"),
    ],
)
def test_what_redis_says_tells_what_is_the_matter(error: Exception, state: Trouble | None) -> None:
    assert trouble_of(error) == state


# Keys


def test_slots_are_those_of_a_cluster() -> None:
    assert slot_of("123456789") == 12739  # 0x31C3, the check value of the cluster specification


@pytest.mark.parametrize("count", [1, 4, 256, 1000])
def test_the_tags_of_partitions_are_spread_evenly_over_the_slots(count: int) -> None:
    tags = spread_tags(count)
    assert [slot_of(tag) * count // SLOTS for tag in tags] == list(range(count))


async def test_all_keys_of_a_partition_have_its_tag(server: RedisServer) -> None:
    store = await opened(server)
    await store.save_rules("h", {"a": "b"})
    await store.append([event(ANN, 1)])
    await store.commit([full_commit(0)])
    await store.commit([with_states(Commit(0, 1, 4, [event(ANN, 9)], reworded=[(f"{ANN}-1", "x")]), {ANN: None})])
    keys = {line for line in server.ask("KEYS", "*").split("\r\n") if not line.startswith(("*", "$"))} - {""}
    tags = set(spread_tags(PARTITION_COUNT)) | {"store"}
    assert all(key.startswith("proactive:{") for key in keys)
    assert {key.partition("{")[2].partition("}")[0] for key in keys} <= tags
    assert f"proactive:{{{spread_tags(PARTITION_COUNT)[0]}}}:in" in keys
    assert LIBRARY in server.ask("FUNCTION", "LIST")
    await store.close()


async def test_when_all_of_a_user_is_erased_no_key_names_them(server: RedisServer) -> None:
    store = await opened(server)
    name = "somebody-to-forget"
    await store.append([event(name, 1)])
    [batch] = [batch for batch in await store.poll([0, 1, 2, 3], 0) if batch.entries]
    number = batch.partition
    commit = with_states(
        Commit(number, 0, 1, decisions=[(name, 1, b"{}")], outbox=[outgoing(name, 1)]), {name: 5}, [name]
    )
    await store.commit([commit])
    assert name in server.dump()
    assert await store.erase(name) == 4
    assert name not in server.dump()
    await store.close()


async def test_what_is_folded_takes_no_room_any_more(server: RedisServer) -> None:
    store = await opened(server)
    before = server.ask("DBSIZE")
    await store.commit([Commit(0, 0, 301, [event(ANN, n, n=n) for n in range(300)] + [Entry("tick", 300)])])
    await store.fold(Fold(0, Folded(), 301, 300, []))
    assert await store.numbered(0, 0, 9) == []
    assert server.ask("XLEN", f"proactive:{{{spread_tags(PARTITION_COUNT)[0]}}}:in") == ":0\r\n"
    assert int(server.ask("DBSIZE")[1:]) <= int(before[1:]) + 2  # where the partition stands, and the empty stream
    await store.close()


# The lease


async def test_one_server_has_the_store_and_another_comes_after_it(server: RedisServer) -> None:
    link, other = Link(server.address), Link(server.address)
    first, second = Lease(link, lasts_ms=3_000), Lease(other, lasts_ms=3_000)
    await first.take()
    with pytest.raises(StoreUnusable, match="is in use by another server"):
        await second.take()
    await first.release()
    await second.take()
    await second.release()
    assert server.ask("EXISTS", "proactive:{store}:lease") == ":0\r\n"
    await asyncio.gather(link.close(), other.close())


async def test_the_lease_of_a_server_that_was_killed_is_waited_for(server: RedisServer) -> None:
    link = Link(server.address)
    server.ask("SET", "proactive:{store}:lease", "of one that is gone", "PX", "300")
    lease = Lease(link)
    await lease.take()
    await lease.release()
    await link.close()
