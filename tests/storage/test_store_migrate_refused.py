"""What ``proactive store migrate`` does not begin: where somebody is at work, or nothing can be read or written."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from click.testing import Result
from migrated_stores import known_of, make, open_one, run
from recorded_store import START
from redis_server import RedisServer

from engine.core.model import Event
from engine.core.units import MINUTE
from engine.storage.base import Entry
from engine.storage.opening import serve_alone
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.sqlite import SqliteStore


@pytest.mark.parametrize(("source", "target"), [("sqlite", "redis"), ("redis", "sqlite")])
def test_a_store_that_a_server_has_is_left_alone(source: str, target: str, names: dict[str, str]) -> None:
    asyncio.run(make(names[source]))

    async def beside(name: str) -> Result:
        async with AsyncExitStack() as stack:
            store = await open_one(name)
            stack.push_async_callback(store.close)
            await serve_alone(store, stack)
            return await asyncio.to_thread(run, "store", "migrate", names[source], names[target])

    for name in (names[source], names[target]):
        if name.startswith("sqlite:") and name == names[target]:
            continue  # it would be there, and so refused anyway
        result = asyncio.run(beside(name))
        assert result.exit_code == 1
        assert "is in use by another server" in result.stderr
        assert "stop it" in result.stderr


def test_entries_that_wait_to_be_evaluated_stop_it(names: dict[str, str]) -> None:
    async def waiting() -> None:
        store = await open_one(names["redis"])
        at = START + 99 * MINUTE
        await store.append([Entry("event", at, "ann", Event("edit", "ann", at, {}))])
        await store.close()

    asyncio.run(make(names["redis"]))
    asyncio.run(waiting())
    result = run("store", "migrate", names["redis"], names["sqlite"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{names['redis']}: 1 entry waits to be evaluated: start the server")
    assert not Path(names["sqlite"].removeprefix("sqlite:")).exists()


def test_a_store_in_which_something_is_is_not_written_to(names: dict[str, str]) -> None:
    asyncio.run(make(names["sqlite"]))
    asyncio.run(make(names["redis"]))
    before = asyncio.run(known_of(names["redis"]))
    result = run("store", "migrate", names["sqlite"], names["redis"])
    assert result.exit_code == 1
    assert f"{names['redis']}: expected a store in which nothing is, and it has entries" in result.stderr
    assert asyncio.run(known_of(names["redis"])) == before
    again = run("store", "migrate", names["redis"], names["sqlite"])
    assert again.exit_code == 1
    assert "exists: name a file that does not" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["migrate", "sqlite:a.db"], "expected where all of it goes"),
        (["migrate", "sqlite:a.db", "sqlite:a.db"], "cannot be moved into itself"),
        (["migrate", "memory:", "sqlite:a.db"], '"memory:" is gone when its server stops'),
        (["migrate", "sqlite:a.db", "sqlite:b.db", "--json"], '--json is for "inspect"'),
        (["inspect", "sqlite:a.db", "sqlite:b.db"], 'TARGET is for "migrate"'),
        (["inspect", "sqlite:a.db", "--partitions", "2"], '--partitions is for "migrate"'),
        (["migrate", "a.db", "b.db", "--user", "ann"], '--user is for "forget"'),
        (["forget", "archive"], "expected whom"),
    ],
)
def test_what_is_not_meant_is_told(words: list[str], said: str) -> None:
    result = run("store", *words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("sqlite:none.db", "sqlite:b.db", 'there is no file "none.db" to read'),
        ("redis://127.0.0.1:1/0", "sqlite:b.db", "cannot be reached"),
        ("{redis}", "sqlite:b.db", "there is no store in"),
        ("{sqlite}", "redis://127.0.0.1:1/0", "cannot be reached"),
        ("{sqlite}", "sqlite:/nowhere/b.db", 'the directory "/nowhere" does not exist'),
        ("{sqlite}", "b.txt", "expected"),
        ("{sqlite}", "redis://:secret@127.0.0.1/0", "PROACTIVE_STORE_PASSWORD"),
    ],
)
def test_a_store_that_cannot_be_used_is_told(source: str, target: str, said: str, names: dict[str, str]) -> None:
    if source == "{sqlite}":
        asyncio.run(make(names["sqlite"]))
    result = run("store", "migrate", source.format(**names), target)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "secret" not in result.stderr


async def test_a_store_of_the_other_kind_is_not_made_by_a_refusal(names: dict[str, str], server: RedisServer) -> None:
    store = await SqliteStore.open(Path(names["sqlite"].removeprefix("sqlite:")))
    await store.close()
    refused = await asyncio.to_thread(run, "store", "migrate", names["sqlite"], names["redis"])
    assert refused.exit_code == 0
    assert "0 users" in refused.stdout


@pytest.mark.parametrize(("source", "target"), [("sqlite", "redis"), ("redis", "sqlite")])
def test_a_store_on_which_a_fleet_is_at_work_is_left_alone(source: str, target: str, names: dict[str, str]) -> None:
    asyncio.run(make(names[source]))

    async def beside() -> Result:
        store = await open_one(names["redis"])
        assert isinstance(store, RedisFleetStore)
        await store.beat("worker", "w1", 60_000)
        try:
            return await asyncio.to_thread(run, "store", "migrate", names[source], names[target])
        finally:
            await store.leave("worker", "w1")
            await store.close()

    result = asyncio.run(beside())
    assert result.exit_code == 1
    assert result.stderr == f'"{names["redis"]}" is in use by the worker w1: stop them first\n'
