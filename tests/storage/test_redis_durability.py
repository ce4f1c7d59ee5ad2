"""What holds of a write to Redis that was acknowledged: with a real replica that is killed, cut off, and promoted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_pairs import DEGRADE, STOP, Pair, Teller, freeze, once, opened, tell_until_taken, thaw
from redis_server import RedisCluster, cluster, replicated
from samples_for_stores import ANN, DAN, PARTITION_COUNT, event, outgoing
from structlog.testing import capture_logs

from engine.storage.base import Commit, StoreError, StoreUnusable, partition_of
from engine.storage.opening import notes_of, open_store
from engine.storage.redis_cluster import ClusterLink
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_keys import slot_of, spread_tags
from engine.storage.redis_replicas import Promise


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with replicated(tmp_path, "--appendfsync", "no") as made:
        yield made


# With a replica


async def test_what_a_replica_has_is_acknowledged(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, STOP)
    await store.append([event(ANN, 1)])
    await store.commit([Commit(0, 0, 1, outbox=[outgoing(ANN, 1)])])
    await store.confirm()
    await store.probe()
    reader = await RedisFleetStore.open(replica.address, read_only=True)
    assert await reader.log(0, 0, 9) == [event(ANN, 1)]
    told = await store.describe()
    assert (told["durability"], told["without_replicas"], notes_of(store)) == ("replicated", [], [])
    await store.close()
    await reader.close()


async def test_where_no_replica_has_it_nothing_is_acknowledged_until_one_has(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, STOP)
    await store.append([event(ANN, 1)])
    replica.kill()
    for call in (store.append([event(ANN, 2)]), store.probe(), store.confirm()):
        with pytest.raises(StoreError) as refused:
            await call
        assert refused.value.state == "read_only"
        assert "not on a replica within 0.8 s (durability replicated)" in str(refused.value)
        assert "set on_replica_loss: degrade to go on without one" in str(refused.value)
    with pytest.raises(StoreError):  # what may be lost is not shown either
        await store.log(0, 0, 9)
    await asyncio.to_thread(replica.start)
    primary.waits_for_replica()
    # It goes on by itself; of what was refused nobody knew, and it is there.
    assert await store.log(0, 0, 9) == [event(ANN, 1), event(ANN, 2)]
    await store.append([event(ANN, 3)])
    await store.close()


async def test_a_commit_that_no_replica_has_is_settled_when_one_has(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, STOP)
    freeze(replica)
    with pytest.raises(StoreError):
        await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])
    with pytest.raises(StoreError):
        await store.poll([0], 0)
    thaw(replica)
    [batch] = await store.poll([0], 0)
    assert batch.cursor == 1
    await store.commit([Commit(0, batch.version, 2, [event(ANN, 2)])])
    await store.close()


async def test_what_somebody_else_was_refused_is_confirmed_before_it_is_called_known(pair: Pair) -> None:
    primary, replica = pair
    first, second = await opened(primary, STOP), await opened(primary, STOP)
    freeze(replica)
    for gateway in (first, second):
        with pytest.raises(StoreError):  # the second time there is nothing left to write
            await gateway.ingest([once(ANN, "e1")])
        assert (await gateway.beat("gateway", "g", 10_000)).gateways == ["g"]  # it is alive all the same
    thaw(replica)
    assert (first.figures()["primaries_without_replica"], first.figures()["writes_not_replicated"]) == (0, 1)
    [taken] = await second.ingest([once(ANN, "e1")])
    assert taken.is_repeated
    await first.close()
    await second.close()


async def test_what_makes_room_is_done_where_memory_is_full_and_something_is_owed(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, STOP)
    place = partition_of(DAN, PARTITION_COUNT)
    await store.append([event(DAN, 1)])
    await store.commit([Commit(place, 0, 1, outbox=[outgoing(DAN, 1), outgoing(DAN, 2)])])
    freeze(replica)
    with pytest.raises(StoreError, match="not on a replica"):
        await store.commit([Commit(0, 0, 1, [event(ANN, 1)])])  # nobody knows whether it was made
    primary.ask("CONFIG", "SET", "maxmemory", "1mb")
    thaw(replica)
    assert await store.where([DAN]) == {}
    await store.reached("g", [(DAN, f"{DAN}-1")])
    assert [waiting.message.id for waiting in await store.pending(DAN, 0)] == [f"{DAN}-2"]
    await store.withdraw([(DAN, f"{DAN}-2")])
    await store.release("w", [place])
    assert await store.erase(DAN) > 0
    with pytest.raises(StoreError) as full:
        await store.append([event(ANN, 2)])
    assert full.value.state == "full"
    await store.close()


async def test_a_node_of_a_cluster_is_marked_where_its_memory_is_full(three: RedisCluster) -> None:
    """Or it would be left out for as long, and what makes room with it."""
    link = ClusterLink(three.address, promise=Promise("replicated", "degrade", patience_ms=50))
    three.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        with capture_logs() as logs:
            await link.confirm()
    finally:
        three.ask("CONFIG", "SET", "maxmemory", "0")
        await link.close()
    assert [line["event"] for line in logs] == ["! no replica has what is written"] * 3


async def test_marks_are_no_writes_of_anybody(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, STOP)
    freeze(replica)
    with pytest.raises(StoreError):
        await store.append([event(ANN, 1)])
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.confirm()
    assert store.figures()["writes_not_replicated"] == 1
    await store.close()


async def test_who_goes_on_without_a_replica_says_so_once_and_once_that_it_is_over(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, DEGRADE)
    replica.kill()
    with capture_logs() as logs:
        for at in (1, 2, 3):
            await store.append([event(ANN, at)])
        assert [line["event"] for line in logs] == ["! no replica has what is written"]
        name = f"127.0.0.1:{primary.port}"
        assert (await store.describe())["without_replicas"] == [name]
        assert (store.figures()["primaries_without_replica"], store.figures()["writes_not_replicated"]) == (1, 0)
        assert notes_of(store) == [
            f"no replica has what is written to {name}: it goes on as with durability local, not replicated"
        ]
        await asyncio.to_thread(replica.start)
        primary.waits_for_replica()
        while notes_of(store):
            await store.append([event(ANN, 4)])
            await store.confirm()
    assert [line["event"] for line in logs][1:] == ["= replicas have what is written again"]
    assert (await store.describe())["without_replicas"] == []
    await store.close()


# The primary is lost, and the replica takes its place


@pytest.mark.parametrize("promise", [STOP, Promise("local")], ids=["replicated", "local"])
async def test_what_was_acknowledged_outlives_the_primary_where_a_replica_was_waited_for(
    pair: Pair, promise: Promise
) -> None:
    primary, replica = pair
    store = await opened(primary, promise)
    tellers = [Teller(store, f"n{number}") for number in range(4)]
    for teller in tellers:
        await teller.reached[20].wait()
    # The replica keeps what it has, and gets no more.
    await asyncio.to_thread(replica.ask, "REPLICAOF", "127.0.0.1", "1")
    if promise is not STOP:
        for teller in tellers:
            await teller.reached[60].wait()
        primary.kill()
    refused = await asyncio.gather(*[teller.telling for teller in tellers], return_exceptions=True)
    assert {type(error) for error in refused} == {StoreError}
    if promise is STOP:
        primary.kill()
    replica.ask("REPLICAOF", "NO", "ONE")
    promoted = await opened(replica, Promise("local"))
    kept = {entry.event.id for entry in await promoted.log(0, 0, 10**6) if entry.event is not None}
    lost = {told for teller in tellers for told in teller.promised} - kept
    assert bool(lost) == (promise is not STOP)
    await store.close()
    await promoted.close()


async def test_a_cluster_goes_on_when_the_replica_of_a_lost_primary_has_taken_its_place(tmp_path: Path) -> None:
    options = ["--cluster-node-timeout", "700", "--repl-diskless-sync-delay", "0", "--appendfsync", "no"]
    with cluster(tmp_path, *options, with_replicas=True) as six:
        store = await RedisFleetStore.open(six.address, partition_count=PARTITION_COUNT, promise=STOP)
        promised = Teller(store, "before")
        await promised.reached[20].wait()
        lost = six.owner(slot_of(spread_tags(PARTITION_COUNT)[0]))
        await asyncio.to_thread(lost.kill)
        with pytest.raises(StoreError):
            await promised.telling
        promoted = six.replicas[six.servers.index(lost)]
        await asyncio.to_thread(promoted.waits_for, "replication", "role:master")
        with pytest.raises(StoreError):  # it has no replica yet
            await store.append([event(ANN, 1)])
        await asyncio.to_thread(lost.start)
        await asyncio.to_thread(promoted.waits_for_replica)
        for user in (ANN, DAN):
            await tell_until_taken(store, event(user, 2))
        kept = {entry.event.id for entry in await store.log(0, 0, 10**6) if entry.event is not None}
        assert set(promised.promised) <= kept
        await store.close()


async def test_a_cluster_without_replicas_is_refused_unless_that_is_wished(three: RedisCluster) -> None:
    with pytest.raises(StoreUnusable, match=r"127.0.0.1:\d+ of .* has no replica that is in step"):
        await open_store(three.url)
    store = await open_store(three.url, on_replica_loss="degrade")
    await store.append([event(ANN, 1), event(DAN, 1)])
    await store.probe()
    assert isinstance(store, RedisFleetStore)
    await store.confirm()
    assert len(notes_of(store)) == len((await store.describe())["without_replicas"]) == 3
    await store.close()
