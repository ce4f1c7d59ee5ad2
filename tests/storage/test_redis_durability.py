"""What holds of a write to Redis that was acknowledged: with a real replica that is killed, cut off, and promoted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisCluster, RedisServer, cluster, replicated
from samples_for_stores import ANN, DAN, PARTITION_COUNT, event, outgoing
from structlog.testing import capture_logs

from engine.core.model import Event
from engine.storage.base import Commit, Entry, StoreError, StoreUnusable, partition_of
from engine.storage.opening import notes_of, open_store
from engine.storage.redis_cluster import ClusterLink
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_keys import slot_of, spread_tags
from engine.storage.redis_link import Address, told_of
from engine.storage.redis_opening import check_replicas
from engine.storage.redis_replicas import Level, NotReplicated, OnLoss, Promise, Replicas, asked

STOP = Promise("replicated", "stop", patience_ms=800)
DEGRADE = Promise("replicated", "degrade", patience_ms=800)
Pair = tuple[RedisServer, RedisServer]


async def opened(server: RedisServer, promise: Promise) -> RedisFleetStore:
    return await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT, promise=promise)


def once(user: str, name: str) -> Entry:
    return Entry("event", 0, user, Event("edit", user, 0, {}, name), once=True)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with replicated(tmp_path, "--appendfsync", "no") as made:
        yield made


def freeze(server: RedisServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)


def thaw(server: RedisServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGCONT)


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
        await store.append([event(ANN, 2)])
        await store.append([event(DAN, 2)])
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


# When it starts


async def test_without_a_replica_it_stops_at_the_start_or_warns(server: RedisServer) -> None:
    with pytest.raises(StoreUnusable) as refused:
        await open_store(server.url, durability="replicated")
    assert "has no replica that is in step with it" in str(refused.value)
    assert "set on_replica_loss: degrade, or durability: local" in str(refused.value)
    with capture_logs() as logs:
        store = await open_store(server.url, durability="replicated", on_replica_loss="degrade")
        await store.append([event(ANN, 1)])
    assert [line["event"] for line in logs] == [
        "! no replica yet",
        "! no replica has what is written",
    ]
    assert len(notes_of(store)) == 1
    await store.close()
    reader = await open_store(server.url, read_only=True, durability="replicated")
    assert (await reader.describe())["entries"] == 1
    await reader.close()


def test_a_redis_that_refuses_writes_without_replicas_cannot_go_on_without_one() -> None:
    info = {"redis_version": "7.0.15", "slave0": "ip=1,state=online", "min_slaves_good_slaves": "1"}
    with capture_logs() as logs:
        check_replicas(info, "it", STOP)
        assert logs == []
        check_replicas(info, "it", DEGRADE)
    assert [line["event"] for line in logs] == ["! writes stop without a replica all the same"]


@pytest.mark.parametrize(
    ("url", "durability", "said"),
    [
        ("redis://localhost", "full", "expected local, replicated or strict with a store on Redis"),
        ("redis+cluster://localhost", "normal", "expected local, replicated or strict with a store on Redis"),
        ("sqlite:a.db", "local", "expected full or normal with a store in a file"),
        ("memory:", "strict", "expected full or normal with a store in a file"),
    ],
)
async def test_a_durability_of_another_kind_of_store_is_refused(url: str, durability: Any, said: str) -> None:
    with pytest.raises(StoreUnusable, match=said):
        await open_store(url, durability=durability)


def test_a_redis_that_does_not_know_its_disk_is_refused_where_the_disk_matters() -> None:
    later = {"redis_version": "7.2.0", "slave0": "ip=1,state=online"}
    check_replicas(later, "it", Promise("strict"))
    with pytest.raises(StoreUnusable, match=r"it is Redis 7.0.15, .*durability strict needs Redis 7.2 or later"):
        check_replicas(later | {"redis_version": "7.0.15"}, "it", Promise("strict"))
    with pytest.raises(StoreUnusable, match="has no replica that is in step"):
        check_replicas(later | {"slave0": "ip=1,state=wait_bgsave"}, "it", Promise("strict"))
    with pytest.raises(StoreUnusable, match=r"^it never says .*\(appendfsync no\).*: CONFIG SET appendfsync always"):
        check_replicas(later | {"appendfsync": "no"}, "it", Promise("strict"))
    check_replicas(later | {"appendfsync": "no"}, "it", Promise("replicated"))


# What is asked, and what its answer means


@pytest.mark.parametrize(
    ("level", "answer", "is_enough"),
    [
        ("replicated", 0, False),
        ("replicated", 1, True),
        ("replicated", 2, True),
        ("replicated", RuntimeError("WAIT is not for replicas"), False),
        ("strict", [1, 1], True),
        ("strict", [0, 1], False),
        ("strict", [1, 0], False),
    ],
)
def test_an_answer_is_enough_where_all_have_it_who_have_to(level: Level, answer: Any, is_enough: bool) -> None:
    stopping, going_on = Replicas(Promise(level), "it"), Replicas(Promise(level, "degrade"), "it")
    if is_enough:
        stopping.heard(answer, 0.0)
    else:
        with pytest.raises(NotReplicated) as refused:
            stopping.heard(answer, 0.0)
        assert told_of(refused.value, Address("it", 1, 0)).state == "read_only"
    with capture_logs():
        going_on.heard(answer, 0.0)
    assert going_on.are_lost is not is_enough


@pytest.mark.parametrize(
    ("level", "question"), [("local", None), ("replicated", ("WAIT", 1, 2000)), ("strict", ("WAITAOF", 1, 1, 3500))]
)
def test_what_is_asked_is_what_was_promised(level: Level, question: Any) -> None:
    assert Replicas(Promise(level), "it").question(0.0) == question


@pytest.mark.parametrize("patience", [1, 7, 8, 9, 900, 3500])
def test_for_disks_is_asked_in_parts_behind_the_writes_and_as_long_in_all(patience: int) -> None:
    assert asked(("WAIT", 1, patience)) == ([("WAIT", 1, patience)], [])
    at_once, later = asked(("WAITAOF", 1, 1, patience))
    assert at_once == []
    assert {part[:-1] for part in later} == {("WAITAOF", 1, 1)}
    lengths = [int(part[-1]) for part in later]
    assert lengths[0] == min(8, patience)
    assert sum(lengths) == patience
    assert all(0 < length <= 512 for length in lengths)


@pytest.mark.parametrize("on_loss", ["stop", "degrade"])
@pytest.mark.parametrize(
    ("promised", "none", "one", "looks_after_s", "look", "question"),
    [
        (("replicated", None), 0, 1, 1.0, ("WAIT", 1, 100), ("WAIT", 1, 2000)),
        (("strict", None), [1, 0], [1, 1], 20.0, ("WAITAOF", 1, 1, 2000), ("WAITAOF", 1, 1, 3500)),
        (("strict", 300), [0, 0], [1, 1], 3.0, ("WAITAOF", 1, 1, 300), ("WAITAOF", 1, 1, 300)),
    ],
    ids=["replicated", "strict", "impatient"],
)
def test_who_goes_on_without_replicas_looks_for_them_once_in_a_while(
    on_loss: OnLoss, promised: Any, none: Any, one: Any, looks_after_s: float, look: Any, question: Any
) -> None:
    level, patience_ms = promised
    replicas = Replicas(Promise(level, on_loss, patience_ms), "it")
    with capture_logs():
        try:
            replicas.heard(none, 10.0)
        except NotReplicated:
            assert replicas.question(10.0) == question
            return
        for at in (10.0, 10.0 + looks_after_s):
            assert replicas.question(at + looks_after_s - 0.01) is None
            assert replicas.question(at + looks_after_s) == look
            assert replicas.question(at + looks_after_s) is None
        replicas.heard(one, 60.0)
    assert replicas.question(60.0) == question
