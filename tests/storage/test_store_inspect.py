"""``proactive store inspect``: what is in a store, and who is at work on it, read beside them."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from recorded_store import START, record_into
from redis_server import RedisServer
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.core.model import Event
from engine.core.units import MINUTE
from engine.storage.base import Entry, Store
from engine.storage.fleet import Presence
from engine.storage.opening import serve_alone
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.sqlite import SqliteStore


def run(*words: str | Path) -> Result:
    strings = [str(word) for word in words]
    return CliRunner().invoke(app_for(strings), strings)


async def opened(place: Path | RedisServer) -> Store:
    if isinstance(place, Path):
        return await SqliteStore.open(place, partition_count=8)
    return await RedisFleetStore.open(place.address, partition_count=8)


async def filled(place: Path | RedisServer, *, waiting: bool = False) -> None:
    store = await opened(place)
    await record_into(store)
    if waiting:
        at = START + 50 * MINUTE
        await store.append([Entry("event", at, user, Event("edit", user, at, {})) for user in ("ann", "ann", "bob")])
    await store.close()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_it_says_what_there_is(kind: str, tmp_path: Path, server: RedisServer) -> None:
    path = tmp_path / "proactive.db"
    asyncio.run(filled(path if kind == "sqlite" else server))
    name = f"sqlite:{path}" if kind == "sqlite" else server.url
    result = run("store", "inspect", name)
    assert result.exit_code == 0, result.output
    shown = dict(line.split(None, 1) for line in result.stdout.splitlines())
    room = shown.pop("room")
    rules = shown.pop("rules")
    program = "SQLite" if kind == "sqlite" else "(redis|valkey) [0-9]+[.]"
    assert re.match(f"{name}: {program}", shown.pop("store"))
    assert shown.pop("at", "work    nobody") == "work    nobody"
    assert shown == {
        "log": "39 entries, 2026-03-27T10:00:00.000001Z to 2026-03-27T10:40:00.000000Z",
        "folded": "nothing",
        "users": "2",
        "decisions": "24",
        "outbox": "24 messages",
        "faults": "0 events set aside",
    }
    assert room.endswith("bytes on the disk" if kind == "sqlite" else "bytes of memory, with all else in that Redis")
    assert rules.endswith(" from 2026-03-27T10:00:00.000001Z")


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_programs_are_told_the_same_as_json_with_what_waits(kind: str, tmp_path: Path, server: RedisServer) -> None:
    path = tmp_path / "proactive.db"
    asyncio.run(filled(path if kind == "sqlite" else server, waiting=True))
    found: dict[str, Any] = json.loads(
        run("store", "inspect", str(path) if kind == "sqlite" else server.url, "--json").stdout
    )
    assert (found["store"], found["partitions"], found["entries"], found["unevaluated"]) == (kind, 8, 42, 3)
    assert (found["users"], found["outbox"], found["folded_to"]) == (2, 24, None)
    assert found["newest"] == "2026-03-27T10:50:00.000000Z"
    assert sorted(found["behind"].values()) == [1, 2]
    assert found["lag"] > 0
    assert len(found["rules"]) == 1
    assert ("workers" in found) == (kind == "redis")


def test_of_a_fleet_it_says_who_is_at_work_and_holds_what(server: RedisServer) -> None:
    async def look() -> tuple[Result, dict[str, Any]]:
        store = await opened(server)
        assert isinstance(store, RedisFleetStore)
        await record_into(store)
        await store.beat("worker", "w1", 60_000)
        await store.beat("gateway", "g1", 60_000)
        await store.take("w1", [0, 1, 2], lease_ms=60_000)
        await store.ingest([], [Presence("ann", "s1")], "g1")
        shown = await asyncio.to_thread(run, "store", "inspect", server.url)
        found = json.loads((await asyncio.to_thread(run, "store", "inspect", server.url, "--json")).stdout)
        await store.close()
        return shown, found

    shown, found = asyncio.run(look())
    assert "worker     w1 holds 3 partitions\n" in shown.stdout
    assert "gateway    g1\n" in shown.stdout
    assert (found["workers"], found["gateways"], found["served_by"]) == ({"w1": [0, 1, 2]}, ["g1"], None)


def test_it_says_which_server_has_it_alone_and_leaves_it_alone(server: RedisServer) -> None:
    async def look() -> Result:
        async with AsyncExitStack() as stack:
            store = await opened(server)
            stack.push_async_callback(store.close)
            await serve_alone(store, stack)
            before = server.ask("DBSIZE")
            shown = await asyncio.to_thread(run, "store", "inspect", server.url)
            assert server.ask("DBSIZE") == before
            return shown

    assert "server     " in asyncio.run(look()).stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("redis://127.0.0.1:1/0", "cannot be reached"),
        ("sqlite:none.db", "to read"),
        ("memory:", "nothing to read"),
        ("x.txt", "expected"),
    ],
)
def test_a_store_that_cannot_be_read_is_told(name: str, said: str) -> None:
    result = run("store", "inspect", name)
    assert result.exit_code == 1
    assert said in result.stderr
