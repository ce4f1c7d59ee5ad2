"""``proactive store migrate`` between files and a real Redis: nothing is lost, and what is broken off is told."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from migrated_stores import known_of, make, open_one, run
from recorded_store import START, record_into
from redis_server import RedisCluster, RedisServer

from engine.archive import Archive
from engine.core.model import Event, Message
from engine.core.units import MINUTE
from engine.retention import Retention
from engine.storage.base import Commit, Entry, OutboxMessage, partition_of
from engine.storage.loading import PAGE
from engine.storage.redis import RedisStore
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_loading import RedisLoading
from engine.storage.sqlite import SqliteStore
from engine.turn import Turns

WAYS = [("sqlite", "redis"), ("redis", "sqlite"), ("sqlite", "other"), ("sqlite", "cluster"), ("cluster", "other")]


@pytest.fixture
def with_cluster(names: dict[str, str], request: pytest.FixtureRequest, source: str, target: str) -> None:
    """Of three primaries, none of which has a replica."""
    if "cluster" in (source, target):
        names["cluster"] = request.getfixturevalue("three").url


@pytest.mark.usefixtures("with_cluster")
@pytest.mark.parametrize(("source", "target"), WAYS)
def test_all_of_a_store_goes_over_and_verifies_there(source: str, target: str, names: dict[str, str]) -> None:
    asyncio.run(make(names[source]))
    before = asyncio.run(known_of(names[source]))
    verified = run("replay", names[source], "--verify")
    assert verified.exit_code == 0
    result = run("store", "migrate", names[source], names[target])
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        f"{names[target]} has all of {names[source]}, compared: 2 users, 10 events and sends, 14 decisions, "
        "26 messages on their way, 1 rule set, 2 users of whom the log is folded\n"
    )
    assert asyncio.run(known_of(names[target])) == before == asyncio.run(known_of(names[source]))
    assert run("replay", names[target], "--verify").stdout == verified.stdout
    if target in ("sqlite", "other"):
        assert run("db", "check", names[target].removeprefix("sqlite:"), "--verify").exit_code == 0


def test_what_goes_over_and_back_is_what_it_was(names: dict[str, str]) -> None:
    asyncio.run(make(names["sqlite"]))
    assert run("store", "migrate", names["sqlite"], names["redis"]).exit_code == 0
    assert run("store", "migrate", names["redis"], names["other"]).exit_code == 0
    assert asyncio.run(known_of(names["other"])) == asyncio.run(known_of(names["sqlite"]))


async def goes_on(name: str) -> None:
    store = await open_one(name)
    turns = Turns(store)
    await turns.recover()
    now = START + 90 * MINUTE
    data = {"message": "stuck"}
    await turns.make([Entry("event", now, "ann", Event("chat_message", "ann", now, data))], now, due=True)
    await turns.make([], now + MINUTE, due=True, tick=True)
    await turns.make([], now + 9 * MINUTE, due=True, tick=True)
    await Retention(store, turns.catch_up).trim(now + 2 * MINUTE)
    assert all([(await store.folded(number)).at == now + MINUTE for number in range(store.partition_count)])
    await store.close()


async def fill_pages(path: Path, rows: int) -> None:
    """So many entries, decisions and messages that wait, of a few people in one partition."""
    store = await SqliteStore.open(path, partition_count=1, durability="normal")
    users = [f"user{number}" for number in range(7)]
    entries, decisions, outbox = [], [], []
    for number in range(rows):
        at, user = START + number, users[number * len(users) // rows]
        entries.append(Entry("event", at, user, Event("edit", user, at, {"n": number})))
        line = b'{"at":"2026-03-27T10:00:00.%06dZ","user":"%b"}' % (number, user.encode())
        decisions.append((user, at, line))
        outbox.append(OutboxMessage(user, Message(f"m{number}", "note", "said"), START))
    await store.append(entries)
    await store.commit([Commit(0, 0, rows, decisions=decisions, outbox=outbox)])
    await store.close()


async def count(name: str) -> tuple[object, ...]:
    store = await open_one(name)
    described = await store.describe()
    await store.close()
    return tuple(described[what] for what in ("entries", "decisions", "outbox"))


@pytest.mark.parametrize("rows", [2 * PAGE - 1, 2 * PAGE, 2 * PAGE + 1])
def test_what_fills_pages_goes_over_to_the_last_row(rows: int, names: dict[str, str]) -> None:
    asyncio.run(fill_pages(Path(names["sqlite"].removeprefix("sqlite:")), rows))
    for source, target in (("sqlite", "redis"), ("redis", "other")):
        result = run("store", "migrate", names[source], names[target], "--partitions", "1")
        assert result.exit_code == 0, result.output
        assert f"{rows:,} events and sends, {rows:,} decisions, {rows:,} messages on their way" in result.stdout
        assert asyncio.run(count(names[target])) == (rows, rows, rows)


@pytest.mark.parametrize("target", ["redis", "other"])
def test_a_server_goes_on_where_it_was_and_folds_what_came_along(target: str, names: dict[str, str]) -> None:
    asyncio.run(make(names["sqlite"]))
    assert run("store", "migrate", names["sqlite"], names[target]).exit_code == 0
    asyncio.run(goes_on(names[target]))
    result = run("replay", names[target], "--verify")
    assert result.exit_code == 0, result.output
    assert "verified: 1 decision of 1 user" in result.stdout


def test_as_many_partitions_as_wished_are_made(names: dict[str, str], server: RedisServer) -> None:
    asyncio.run(make(names["sqlite"]))
    assert run("store", "migrate", names["sqlite"], names["redis"], "--partitions", "16").exit_code == 0

    async def count() -> int:
        store = await RedisStore.open(server.address)
        await store.close()
        return store.partition_count

    assert asyncio.run(count()) == 16


def test_what_is_broken_off_is_told_and_never_taken_for_a_store(names: dict[str, str], server: RedisServer) -> None:
    asyncio.run(make(names["sqlite"]))
    before = asyncio.run(known_of(names["sqlite"]))
    used = server.ask("INFO", "memory").partition("used_memory:")[2].partition("\r")[0]
    server.ask("CONFIG", "SET", "maxmemory", str(int(used) + 150_000))
    try:
        result = run("store", "migrate", names["sqlite"], names["redis"])
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0")
    assert result.exit_code == 1
    assert "raise its maxmemory" in result.stderr
    assert "goes on by itself" not in result.stderr
    assert f"{names['sqlite']} is as it was; what was written into {names['redis']} is not whole" in result.stderr
    for words in (("replay", names["redis"]), ("store", "migrate", names["sqlite"], names["redis"])):
        refused = run(*words)
        assert refused.exit_code in (1, 2)
        assert "is being filled by proactive store migrate, or that was broken off" in refused.stderr
    do_as_told(result.stderr)
    assert run("store", "migrate", names["sqlite"], names["redis"]).exit_code == 0
    assert asyncio.run(known_of(names["sqlite"])) == before


def do_as_told(message: str) -> None:
    """Run the command that stands in it in parentheses."""
    _, _, rest = message.partition("(redis-cli ")
    words, closed, _ = rest.partition(")")
    assert closed
    subprocess.run(["redis-cli", *words.split()], check=True, capture_output=True, timeout=30)


def test_a_cluster_that_was_filled_in_part_is_emptied_as_the_message_says(
    names: dict[str, str], three: RedisCluster
) -> None:
    async def begin() -> None:
        store = await RedisStore.open(three.address)
        await RedisLoading(store).put_rules([(START, "hash")])
        await RedisLoading(store).begin()
        await store.close()

    asyncio.run(begin())
    asyncio.run(make(names["sqlite"]))
    refused = run("store", "migrate", names["sqlite"], three.url)
    assert refused.exit_code == 1
    assert "is being filled by proactive store migrate, or that was broken off" in refused.stderr
    do_as_told(refused.stderr)
    assert run("store", "migrate", names["sqlite"], three.url).exit_code == 0


def test_of_a_file_that_was_broken_off_nothing_is_left(
    names: dict[str, str], tmp_path: Path, server: RedisServer
) -> None:
    asyncio.run(make(names["redis"]))
    before = {path.name for path in tmp_path.iterdir()}
    result = run("store", "migrate", names["redis"], names["sqlite"], "--partitions", "0")
    assert result.exit_code == 2

    async def spoil() -> None:
        store = await RedisStore.open(
            __import__("engine.storage.redis_opening", fromlist=["x"]).address_of(names["redis"])
        )
        [key] = [store._keys.of(partition_of("ann", store.partition_count), b"fx")]
        await store._ask([("RPUSH", key, "1 0ann")])  # a fault of which there is no record
        await store.close()

    asyncio.run(spoil())
    killed = [tmp_path / f"proactive.db.1.part{suffix}" for suffix in ("", "-wal", "-shm")]  # by one that was killed
    for path in killed:
        path.write_bytes(b"half")
    others = {"proactive.db.backup", "proactive.db.copy.partial", "proactive.db.copy.part", "proactive.db.1.partial"}
    for name in others:
        (tmp_path / name).write_bytes(b"of somebody")
    result = run("store", "migrate", names["redis"], names["sqlite"])
    assert result.exit_code == 1
    left = {path.name for path in tmp_path.iterdir()} - before
    assert left == {"proactive.db.lock", *others}


def test_what_gateways_have_taken_in_goes_over_as_it_stands_in_the_log(names: dict[str, str]) -> None:
    async def ingest() -> None:
        store = await open_one(names["redis"])
        assert isinstance(store, RedisFleetStore)
        events = [Event("edit", user, 0, {"n": number}) for number, user in enumerate(["ann", "bob", "ann"])]
        await store.ingest([Entry("event", 0, event.user, event) for event in events])
        for number in range(store.partition_count):
            [batch] = await store.poll([number], 0)
            if batch.entries:
                await store.commit([Commit(number, batch.version, batch.cursor + len(batch.entries))])
        await store.close()

    asyncio.run(ingest())
    before = asyncio.run(known_of(names["redis"]))
    assert run("store", "migrate", names["redis"], names["sqlite"]).exit_code == 0
    assert asyncio.run(known_of(names["sqlite"])) == before


async def test_a_store_on_redis_is_archived_as_a_file_is(server: RedisServer, tmp_path: Path) -> None:
    found = []
    for number, store in enumerate(
        [
            await SqliteStore.open(tmp_path / "proactive.db", partition_count=4),
            await RedisStore.open(server.address, partition_count=4),
        ]
    ):
        await record_into(store)
        turns = Turns(store)
        await turns.recover()
        await turns.make([], START + 50 * MINUTE, due=True, tick=True)
        await turns.make([], START + 51 * MINUTE, due=True, tick=True)
        folder = tmp_path / str(number)
        trimmed = await Retention(store, turns.catch_up, archive=Archive(folder, 4)).trim(START + 60 * MINUTE)
        assert trimmed.entries > 30
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found.append([(path.relative_to(folder), path.read_bytes()) for path in files])
        await store.close()
    assert found[0] == found[1]
    assert sum(path.suffix == ".zst" for path, _ in found[0]) == 2
