"""What is a shared store's on Redis alone: what it writes, who dies while publishing rules, a lost connection."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis_server import SERVER, RedisServer, running
from samples_for_fleets import put, taken_up, told, until, wake_at
from samples_for_stores import ANN, BOB, DAN, PARTITION_COUNT, outgoing, with_states
from structlog.testing import capture_logs

from engine.fleet.relay import Relay
from engine.storage.base import Commit, Entry, StoreError
from engine.storage.fleet import Notice, Presence
from engine.storage.opening import open_store
from engine.storage.redis_entries import ingested_arguments
from engine.storage.redis_fleet import MARGINS_MS, RedisFleetStore
from engine.storage.redis_keys import GATEWAYS, queue_of, spread_tags

STAND = f"proactive:{{{spread_tags(PARTITION_COUNT)[0]}}}:m"


async def opened(server: RedisServer, timeout_s: float = 5.0) -> RedisFleetStore:
    return await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT, timeout_s=timeout_s)


async def test_a_store_on_redis_that_is_opened_by_its_word_can_be_shared(server: RedisServer) -> None:
    store = await open_store(server.url)
    assert isinstance(store, RedisFleetStore)
    await store.beat("worker", "w", 60_000)
    reader = await open_store(server.url, read_only=True)
    assert isinstance(reader, RedisFleetStore)
    assert (await reader.beat("worker", "asks", 0)).workers == ["w"]
    for call in (
        reader.beat("worker", "w", 1),
        reader.ingest([told(ANN, 1)]),
        reader.take("w", [0], lease_ms=1),
        reader.tell({"g": [Notice(user=ANN)]}),
        reader.publish_rules("h"),
    ):
        with pytest.raises(StoreError, match="was opened to be read only"):
            await call
    await store.close()
    await reader.close()


async def test_a_lease_is_written_when_less_than_half_of_it_is_left_and_not_before(server: RedisServer) -> None:
    store = await opened(server)
    await store.take("w", [0], lease_ms=60_000)
    written = server.ask("HGET", STAND, "till")
    await store.take("w", [0], lease_ms=60_000)
    await store.take("w", [0], lease_ms=119_000)
    assert server.ask("HGET", STAND, "till") == written
    await store.take("w", [0], lease_ms=122_000)
    assert server.ask("HGET", STAND, "till") > written
    await store.close()


async def test_a_gateway_that_was_lost_long_ago_is_lost_until_somebody_says_farewell_for_it(
    server: RedisServer,
) -> None:
    store = await opened(server)
    await store.beat("gateway", "g1", 10_000)
    server.ask("ZADD", GATEWAYS, str(await store.clock() - 40 * 24 * 3_600_000_000), "g1")
    for _ in range(2):
        roll = await store.beat("worker", "w1", 10_000)
        assert (list(roll.lost), roll.gateways) == (["g1"], [])
    await store.leave("gateway", "g1")
    assert (await store.beat("worker", "w1", 10_000)).lost == {}
    await store.close()


@pytest.mark.parametrize(
    "rubbish", ["", "?", "\x98\xc0", "[" * 100_000], ids=["nothing", "text", "another type", "deep"]
)
async def test_a_notice_that_cannot_be_read_is_a_gap_and_makes_no_gateway_deaf(
    server: RedisServer, rubbish: str
) -> None:
    store = await opened(server)
    begun = await store.listen("g", None, 0)
    await store.tell({"g": [Notice(user=ANN)]})
    server.ask("FCALL", "proactive_v1_tell", "1", queue_of("g").decode(), "9", rubbish)
    await store.tell({"g": [Notice(user=BOB)]})
    with capture_logs() as logs:
        heard = await store.listen("g", begun.last, 0)
    assert (heard.notices, heard.last) == ([Notice(user=ANN), Notice(user=BOB)], begun.last + 3)
    assert heard.has_gap
    assert [(line["event"], line["number"]) for line in logs] == [("! a notice is passed over", begun.last + 2)]
    assert (await store.listen("g", begun.last + 2, 0)).has_gap is False
    alone = asyncio.create_task(store.listen("g", heard.last, 30))
    await until_blocked(server, 1)
    server.ask("FCALL", "proactive_v1_tell", "1", queue_of("g").decode(), "9", rubbish)
    waited = await alone
    assert (waited.notices, waited.last, waited.has_gap) == ([], heard.last + 1, True)
    await store.close()


async def test_a_partition_with_an_entry_that_cannot_be_read_holds_up_no_other_and_is_told_of_once(
    server: RedisServer,
) -> None:
    store = await opened(server)
    await store.ingest([told(ANN, 1), told(DAN, 2)])
    log = f"{STAND[:-1]}in"
    assert server.ask("DEL", log) == ":1\r\n"
    server.ask("XADD", log, "1-0", "e", "rubbish")
    with capture_logs() as logs:
        for _ in range(3):
            [share] = await store.take("w", [0, 1], lease_ms=60_000)
            assert (share.batch.partition, len(share.batch.entries)) == (1, 1)
    [line] = logs
    assert (line["event"], line["partition"], line["log_level"]) == ("! a partition cannot be evaluated", 0, "error")
    assert "an entry of partition 0" in line["error"]
    await store.close()


async def test_a_take_of_nothing_writes_nothing(server: RedisServer) -> None:
    store = await opened(server)
    await wake_at(store, {ANN: await store.clock() + 60_000_000})
    await store.take("w", [0], lease_ms=60_000)
    before = server.ask("INFO", "persistence").partition("rdb_changes_since_last_save:")[2].split()[0]
    for _ in range(3):
        await store.take("w1", [0], lease_ms=60_000)
    assert server.ask("INFO", "persistence").partition("rdb_changes_since_last_save:")[2].split()[0] == before
    await store.close()


async def test_a_wake_up_that_a_commit_puts_off_or_an_erasure_takes_away_is_looked_up_anew(server: RedisServer) -> None:
    store = await opened(server)
    now = await store.clock()
    await wake_at(store, {ANN: now, BOB: now + 60_000_000})
    commit = await taken_up(store)
    await store.commit([with_states(commit, {ANN: now + 60_000_000})])
    [share] = await store.take("w1", [0], lease_ms=60_000)
    assert (share.batch.due, share.batch.entries) == ([], [])
    await store.commit([with_states(Commit(0, share.batch.version, 1), {ANN: now})])
    await store.erase_everywhere(ANN)
    [share] = await store.take("w1", [0], lease_ms=60_000)
    assert (share.batch.due, share.batch.entries) == ([], [])
    await store.close()


async def test_when_all_of_a_user_who_is_there_is_erased_no_key_names_them(server: RedisServer) -> None:
    store = await opened(server)
    name = "somebody-to-forget"
    await store.ingest([told(name, 1)], [Presence(name, "a")], "g1")
    await store.ingest([], [Presence(name, "b")], "g2")
    [share] = [share for share in await store.take("w", [0, 1, 2, 3], lease_ms=1) if share.batch.entries]
    commit = Commit(share.batch.partition, share.batch.version, 1, outbox=[outgoing(name, 1)])
    await store.commit([with_states(commit, {name: 5}, [name])])
    await store.reached("g1", [(name, f"{name}-1")])
    assert name in server.dump()
    assert await store.erase_everywhere(name) == 3
    assert name not in server.dump()
    await store.close()


async def test_the_queue_of_a_gateway_lives_as_long_as_it_is_heard_of(server: RedisServer) -> None:
    store = await opened(server)
    await store.beat("gateway", "g}1", 1_000)
    await store.tell({"g}1": [Notice(user=ANN)]})
    for key in ("proactive:{gw:g}1}:n", "proactive:{gw:g}1}:q"):
        assert 0 < int(server.ask("PTTL", key)[1:]) <= 61_000
    await store.beat("gateway", "g}1", 100_000)
    for key in ("proactive:{gw:g}1}:n", "proactive:{gw:g}1}:q"):
        assert 61_000 < int(server.ask("PTTL", key)[1:]) <= 160_000
    await store.leave("gateway", "g}1")
    assert server.ask("KEYS", "proactive:{gw:*") == "*0\r\n"
    await store.close()


# Rules


async def put_rules(store: RedisFleetStore, at: int, partitions: list[int]) -> None:
    """As far as somebody comes who publishes them and dies."""
    *_, packed = ingested_arguments(Entry("rules", 0, rules_hash="h"))
    await store._ask([store._call(partition, "put_rules", at, packed) for partition in partitions])


async def test_rules_of_somebody_who_died_before_they_were_decided_never_hold(server: RedisServer) -> None:
    store = await opened(server)
    at = await store.clock() + 1_000
    await put_rules(store, at, [0, 1])
    [share] = await store.take("w", [0], lease_ms=1000)
    assert share.batch.entries == [Entry("rules", at, rules_hash="h")]
    assert await store.rule_moments() == []
    assert await store.are_decided(at, give_up=False) is None
    assert await store.are_decided(at, give_up=True) is False
    assert await store.rule_moments() == []
    again = await store.publish_rules("h")
    assert await store.rule_moments() == [(again, "h")]
    assert await store.are_decided(at, give_up=False) is False
    await store.close()


async def test_rules_that_one_partition_is_behind_already_are_tried_at_a_later_moment(server: RedisServer) -> None:
    store = await opened(server)
    ahead = await store.clock() + 10 * MARGINS_MS[-1] * 1000
    await put_rules(store, ahead, [2])
    at = await store.publish_rules("h")
    assert at > ahead
    assert await store.rule_moments() == [(at, "h")]
    tried = [entry.at for entry in await store.log(0, 0, 9)]
    assert [await store.are_decided(moment, give_up=False) for moment in tried] == [False, True]
    await store.close()


# Trouble


async def until_blocked(server: RedisServer, count: int) -> None:
    while f"blocked_clients:{count}" not in await asyncio.to_thread(server.ask, "INFO", "clients"):
        pass


async def test_a_gateway_that_listens_to_a_redis_that_dies_is_told_and_hears_on_when_it_is_back(tmp_path: Path) -> None:
    with running(tmp_path, SERVER, "--appendfsync", "always") as server:
        store = await opened(server)
        begun = await store.listen("g", None, 0)
        listening = asyncio.create_task(store.listen("g", begun.last, 30))
        await store.tell({"g": [Notice(user=ANN)]})
        assert (await listening).notices == [Notice(user=ANN)]
        listening = asyncio.create_task(store.listen("g", begun.last + 1, 30))
        await until_blocked(server, 1)
        server.kill()
        with pytest.raises(StoreError) as refused:
            await listening
        assert refused.value.state == "io"
        server.start()
        await store.tell({"g": [Notice(user=BOB)]})
        heard = await store.listen("g", begun.last + 1, 30)
        assert (heard.notices, heard.has_gap) == ([Notice(user=BOB)], False)
        await store.close()


async def test_one_who_listens_holds_up_nobody_and_can_be_stopped(server: RedisServer) -> None:
    store = await opened(server, timeout_s=1.0)
    begun = await store.listen("g", None, 0)
    listening = [asyncio.create_task(store.listen("g", begun.last, 30)) for _ in range(3)]
    await until_blocked(server, 3)
    await put(store, outgoing(ANN, 1))
    for task in listening[:2]:
        task.cancel()
    await asyncio.wait(listening[:2])
    await store.tell({"g": [Notice(user=ANN)]})
    assert (await listening[2]).notices == [Notice(user=ANN)]
    await store.close()


async def test_a_redis_that_is_full_takes_nothing_in_and_lets_what_is_there_go(server: RedisServer) -> None:
    store = await opened(server)
    await put(store, outgoing(ANN, 1), outgoing(ANN, 2))
    server.ask("CONFIG", "SET", "maxmemory", "1")
    for call in (store.ingest([told(ANN, 1)]), store.tell({"g": [Notice(user=ANN)]}), store.publish_rules("h")):
        with pytest.raises(StoreError, match="what was acknowledged is kept") as refused:
            await call
        assert refused.value.state == "full"
    await store.withdraw([(ANN, f"{ANN}-1")])
    await store.reached("g", [(ANN, f"{ANN}-2")])
    assert await store.pending(ANN, 0) == []
    await store.release("w1", [0])
    server.ask("CONFIG", "SET", "maxmemory", "0")
    await store.ingest([told(ANN, 1)])
    await store.close()


async def test_functions_that_are_gone_are_put_there_again_for_those_who_share_it(server: RedisServer) -> None:
    store = await opened(server)
    server.ask("FUNCTION", "FLUSH")
    [taken] = await store.ingest([told(ANN, 1)])
    server.ask("FUNCTION", "FLUSH")
    [share] = await store.take("w", [0], lease_ms=1000)
    assert share.batch.entries == [taken.entry]
    await store.close()


async def test_a_worker_whose_answer_was_lost_takes_what_it_would_have_taken(server: RedisServer) -> None:
    store = await opened(server, timeout_s=0.5)
    await wake_at(store, {ANN: await store.clock()})
    server.ask("CLIENT", "PAUSE", "60000", "WRITE")
    with pytest.raises(StoreError, match="no answer in time"):
        await store.take("w1", [0], lease_ms=60_000)
    server.ask("CLIENT", "UNPAUSE")
    await until(store, await store.clock() + 1_000)
    [share] = await store.take("w1", [0], lease_ms=60_000)
    assert (share.batch.due, [entry.kind for entry in share.batch.entries]) == ([ANN], ["tick"])
    assert await store.log(0, 0, 9) == share.batch.entries
    await store.commit([with_states(Commit(0, share.batch.version, 1), {ANN: None})])
    await store.close()


async def test_a_message_that_cannot_be_read_holds_up_no_other(server: RedisServer) -> None:
    store = await opened(server)
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, number) for number in (1, 2, 3)])])
    place = f"{STAND[:-1]}om"
    spoil = f"local m = cmsgpack.unpack(redis.call('HGET', '{place}', '{ANN}-2')); m[4] = 'rubbish'; "
    server.ask("EVAL", f"{spoil}return redis.call('HSET', '{place}', '{ANN}-2', cmsgpack.pack(m))", "0")
    with capture_logs() as logs:
        assert [each.message.id for each in await store.pending(ANN, 0)] == [f"{ANN}-1", f"{ANN}-3"]
    assert [(line["event"], line["user"]) for line in logs] == [("! a message cannot be read", ANN)]
    assert [(number, each and each.message.id) for number, each in (await store.unsent({0: 0}, 2))[0]] == [
        (1, f"{ANN}-1"),
        (2, None),
    ]
    await store.beat("gateway", "g1", 60_000)
    after = (await store.listen("g1", None, 0)).last
    await store.ingest([], [Presence(ANN, "s_1")], "g1")
    relay = Relay(store, anew_max=2)  # so that a page ends with that one
    relay.hold({0})
    relay.tell_anew({0})
    while relay.is_busy:
        await relay.tell()
    heard = await store.listen("g1", after, 0)
    assert [each.message.message.id for each in heard.notices if each.message] == [f"{ANN}-1", f"{ANN}-3"]
    await store.close()
