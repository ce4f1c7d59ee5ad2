"""What holds of a write that the disks of the primary and of a replica have (WAITAOF): asked of a real pair.

What is the same with every durability stands in `test_redis_durability`; and of the contract, `strict` is one of the
stores that `test_fleet_conformance` is run on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import hiredis
import pytest
from redis_pairs import Pair, Teller, freeze, once, thaw
from redis_server import LATER_SERVER, SERVER, RedisServer, knows_disks, replicated
from samples_for_stores import ANN, DAN, PARTITION_COUNT, event
from structlog.testing import capture_logs

from engine.storage.base import Commit, StoreError, StoreUnusable
from engine.storage.opening import notes_of, open_store
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_replicas import LOCAL, OnLoss, Promise

PATIENCE_MS = 1_500  # also where a machine is busy
STRICT = Promise("strict", patience_ms=PATIENCE_MS)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with replicated(tmp_path, "--appendfsync", "always", program=LATER_SERVER) as made:
        made[0].waits_for_disks()
        yield made


async def opened(server: RedisServer, promise: Promise = STRICT) -> RedisFleetStore:
    return await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT, promise=promise)


def without_its_file(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "appendonly", "no")


def with_its_file(server: RedisServer) -> None:
    """Returns when it has written what it holds, and goes on from there."""
    server.ask("CONFIG", "SET", "appendonly", "yes")
    server.waits_for("persistence", "aof_rewrite_in_progress:0")
    server.waits_for("persistence", "aof_rewrite_scheduled:0")


async def until_it_is_back(store: RedisFleetStore) -> None:
    while notes_of(store):
        await store.append([event(ANN, 2)])
        await store.confirm()


async def ids_of(store: RedisFleetStore) -> set[str | None]:
    return {entry.event.id for entry in await store.log(0, 0, 10**6) if entry.event is not None}


async def test_what_was_acknowledged_is_on_the_disk_of_the_replica_when_both_were_killed(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary)
    tellers = [Teller(store, f"n{number}") for number in range(4)]
    for teller in tellers:
        await teller.reached[20].wait()
    primary.kill()
    replica.kill()
    refused = await asyncio.gather(*[teller.telling for teller in tellers], return_exceptions=True)
    assert {type(error) for error in refused} == {StoreError}
    await asyncio.to_thread(replica.start)
    replica.ask("REPLICAOF", "NO", "ONE")
    promoted = await opened(replica, LOCAL)
    assert {told for teller in tellers for told in teller.promised} <= await ids_of(promoted)
    await store.close()
    await promoted.close()


async def test_a_promoted_replica_acknowledges_when_it_has_a_replica_with_a_disk_of_its_own(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary)
    await store.ingest([once(ANN, "before")])
    await asyncio.to_thread(primary.kill)
    replica.ask("REPLICAOF", "NO", "ONE")
    with pytest.raises(StoreUnusable, match="has no replica that is in step with it, so with durability strict"):
        await open_store(replica.url, durability="strict")
    await asyncio.to_thread(primary.start)
    primary.ask("REPLICAOF", "127.0.0.1", str(replica.port))
    await asyncio.to_thread(replica.waits_for_disks)
    promoted = await opened(replica)
    await promoted.ingest([once(ANN, "after")])
    assert await ids_of(promoted) == {"before", "after"}
    await store.close()
    await promoted.close()


async def test_where_the_replica_writes_no_file_nothing_is_acknowledged_until_it_does(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary)
    await store.append([event(ANN, 1)])
    without_its_file(replica)
    for call in (store.append([event(ANN, 2)]), store.commit([Commit(1, 0, 1, [event(DAN, 1)])]), store.probe()):
        with pytest.raises(StoreError) as refused:
            await call
        assert refused.value.state == "read_only"
        assert "not on the disks of the primary and a replica within 1.5 s (durability strict)" in str(refused.value)
    assert "the primary's has it, so look whether a replica has appendonly yes" in str(refused.value)
    await asyncio.to_thread(with_its_file, replica)
    assert await store.log(0, 0, 9) == [event(ANN, 1), event(ANN, 2)]
    await store.append([event(ANN, 3)])
    await store.close()


async def test_a_replica_without_a_file_is_refused_at_the_start(pair: Pair) -> None:
    primary, replica = pair
    without_its_file(replica)
    with pytest.raises(StoreUnusable, match="not on the disks of the primary and a replica"):
        await opened(primary)


@pytest.mark.parametrize("on_loss", ["stop", "degrade"])
async def test_where_the_primary_stops_writing_its_file_that_is_as_if_there_were_no_replica(
    pair: Pair, on_loss: OnLoss
) -> None:
    primary, _ = pair
    store = await opened(primary, Promise("strict", on_loss, PATIENCE_MS))
    without_its_file(primary)
    if on_loss == "stop":
        with pytest.raises(StoreError, match=r"replicas cannot be waited for \(durability strict\): .*WAITAOF"):
            await store.append([event(ANN, 1)])
    else:
        await store.append([event(ANN, 1)])
        assert len(notes_of(store)) == 1
    await store.close()


async def test_who_goes_on_without_the_disk_of_a_replica_says_so_until_it_is_back(pair: Pair) -> None:
    primary, replica = pair
    store = await opened(primary, Promise("strict", "degrade", patience_ms=300))
    await until_it_is_back(store)
    without_its_file(replica)
    with capture_logs() as logs:
        await store.append([event(ANN, 1), event(DAN, 1)])
        assert notes_of(store) == [
            f"no replica has what is written to 127.0.0.1:{primary.port}: it goes on as with durability local, not "
            "strict"
        ]
        await asyncio.to_thread(with_its_file, replica)
        await until_it_is_back(store)
    assert [line["event"] for line in logs] == [
        "! no replica has what is written",
        "= replicas have what is written again",
    ]
    await store.close()


async def test_files_that_are_always_synced_are_not_waited_for_until_a_replica_speaks_by_itself(pair: Pair) -> None:
    store = await opened(pair[0], Promise("strict", patience_ms=900))  # it does so each second
    for at in (1, 2, 3):
        await store.append([event(ANN, at)])
    await store.close()


async def test_files_that_are_synced_each_second_are_waited_for_that_long(tmp_path: Path) -> None:
    with replicated(tmp_path, "--appendfsync", "everysec", program=LATER_SERVER) as (primary, _):
        primary.waits_for_disks()
        store = await opened(primary, Promise("strict"))
        await store.append([event(ANN, 1)])
        assert (await store.describe())["durability"] == "strict"
        await store.close()


async def test_a_disk_that_is_never_asked_for_is_refused(tmp_path: Path) -> None:
    with replicated(tmp_path, "--appendfsync", "no", program=LATER_SERVER) as (primary, _):
        with pytest.raises(StoreUnusable, match="appendfsync no"):
            await open_store(primary.url, durability="strict")
        store = await open_store(primary.url, durability="replicated")
        await store.append([event(ANN, 1)])
        await store.close()


# For machines without one that can be asked so


@asynccontextmanager
async def later_redis(server: RedisServer) -> AsyncIterator[tuple[int, list[list[bytes]]]]:
    """A port on which it passes for Redis 7.2, with WAITAOF as WAIT; and what was asked of that.

    Each command is passed on alone, so all that comes back until a reply is whole is that reply.
    """
    asked: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", server.port)
        commands = hiredis.Reader()
        try:
            while received := await reader.read(65536):
                commands.feed(received)
                while (command := commands.gets()) is not False:
                    is_strict = command[0] == b"WAITAOF"
                    if is_strict:
                        asked.append(command)
                        command = [b"WAIT", command[2], command[3]]
                    to.write(hiredis.pack_command(tuple(command)))
                    replies, raw = hiredis.Reader(), b""
                    while (reply := replies.gets()) is False:
                        part = await there.read(65536)
                        raw += part
                        replies.feed(part)
                    raw = b"*2\r\n:1\r\n:%d\r\n" % reply if is_strict else raw
                    writer.write(raw.replace(b"redis_version:7.0.15", b"redis_version:7.2.15"))
        finally:
            to.close()
            writer.close()

    door = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield door.sockets[0].getsockname()[1], asked
    finally:
        door.close()


async def test_the_disks_of_both_are_waited_for_where_that_is_asked(tmp_path: Path) -> None:
    with replicated(tmp_path, "--appendfsync", "everysec") as (primary, replica):
        if not knows_disks(SERVER):
            with pytest.raises(StoreUnusable, match=r"is Redis 7.0.* needs Redis 7.2 or later"):
                await open_store(primary.url, durability="strict")
        async with later_redis(primary) as (port, asked):
            store = await open_store(f"redis://127.0.0.1:{port}", durability="strict")
            await store.append([event(ANN, 1)])
            assert asked[-1] == [b"WAITAOF", b"1", b"1", b"8"]
            assert (await store.describe())["durability"] == "strict"
            freeze(replica)
            with pytest.raises(StoreError, match="not on the disks of the primary and a replica within 3"):
                await store.append([event(ANN, 2)])
            thaw(replica)
            await store.append([event(ANN, 3)])
            await store.close()
