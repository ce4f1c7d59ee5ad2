"""The state of one user is damaged in the store: that user alone is affected, and nothing of it is reset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from live_world import START, World, compiled
from websockets.asyncio.client import connect

from engine.core.units import MINUTE
from engine.intake import Input
from engine.retention import Retention
from engine.states import TOLD_MAX, Damage
from engine.storage.base import Commit, Store, StoreError, partition_of
from engine.storage.opening import open_store
from engine.transport.timeline import FIRST, timeline_of

LATER = b"\x93\xcd\x03\xe7\xa3ann\x01"  # version 999


async def damage(store: Store, user: str, encoded: bytes, wake: int | None = None) -> None:
    """What is stored of the user are these bytes from now on; the user is there, and due at ``wake``."""
    number = partition_of(user, store.partition_count)
    [batch] = await store.poll([number], -1)
    commit = Commit(number, batch.version, batch.cursor)
    commit.states[user], commit.wakes[user], commit.present[user] = encoded, wake, True
    await store.commit([commit])


async def damaged(encoded: bytes = b"junk", wake: int | None = None) -> World:
    """A new process on a store in which bob's state can be read and ann's cannot."""
    world = await World().start()
    await world.say(Input("ann", "edit", {}), Input("bob", "edit", {}))
    await damage(world.store, "ann", encoded, wake)
    return await world.restart()


async def stored(world: World, user: str) -> bytes:
    return (await world.store.load([user]))[user]


@pytest.mark.parametrize("encoded", [b"junk", b"\x90", LATER])
async def test_their_inputs_are_recorded_and_set_aside_and_those_of_others_happen(encoded: bytes) -> None:
    world = await damaged(encoded)
    made = await world.say(Input("ann", "hello", {}), Input("bob", "hello", {}), Input("ann", "hello", {}))
    assert all(isinstance(ids, list) for ids in made), "all are acknowledged"
    assert world.texts() == [("bob", "hi")]
    assert await stored(world, "ann") == encoded
    number = partition_of("ann", world.store.partition_count)
    logged = [entry for entry in await world.store.log(number, 0, 99) if entry.kind == "event" and entry.user == "ann"]
    assert [entry.event.type for entry in logged if entry.event is not None] == ["edit", "hello", "hello"]
    assert (await world.store.describe())["faults"] == 2
    assert world.live.counters.faults == 2


async def test_time_goes_on_for_others_and_is_not_tried_for_ever() -> None:
    world = await damaged(wake=START + MINUTE)
    await world.come_to(START + 5 * MINUTE)
    assert world.texts() == [("bob", "idle after edit")]
    assert (await world.store.describe())["faults"] == 1
    assert await stored(world, "ann") == b"junk"
    await world.come_to(START + 50 * MINUTE)
    assert (await world.store.describe())["faults"] == 1
    again = await world.restart()
    await again.come_to(START + 60 * MINUTE)
    assert (await world.store.describe())["faults"] == 1


async def test_an_operator_hears_of_it_once_and_not_for_each_input() -> None:
    with structlog.testing.capture_logs() as lines:
        world = await damaged()
        for _ in range(3):
            await world.say(Input("ann", "hello", {}))
    errors = [line for line in lines if line["log_level"] == "error"]
    assert [(line["event"], line["user_id"]) for line in errors] == [("! state cannot be read", "ann")]
    assert "4 bytes that are stored as a state are none" in errors[0]["why"]


def test_whom_it_was_told_of_is_remembered_up_to_a_bound() -> None:
    told = Damage()
    with structlog.testing.capture_logs() as lines:
        for number in range(TOLD_MAX + 1):
            told.tell(f"u{number}", ValueError("x"))
        told.tell("u1", ValueError("x"))
        assert len(lines) == TOLD_MAX + 1
        told.tell("u0", ValueError("x"))
        assert len(lines) == TOLD_MAX + 2


async def test_rules_change_for_others_and_old_entries_are_folded() -> None:
    world = await damaged()
    await world.live.change_rules(compiled("version: 1\nrules: []\n"))
    assert [state.user async for state in world.live.present_users()] == ["bob"]
    assert await stored(world, "ann") == b"junk"
    await world.live.adopt([])
    await world.come_to(START + 50 * MINUTE)
    await world.live.adopt([])
    assert (await Retention(world.store, world.live.adopt).trim(START + 40 * MINUTE)).entries > 0
    assert await stored(world, "ann") == b"junk"


async def test_who_asks_for_what_is_in_it_is_told_that_it_cannot_be_read() -> None:
    world = await damaged()
    with pytest.raises(StoreError, match="are none"):
        await world.live.preferences("ann")
    with pytest.raises(StoreError, match="the state of the user cannot be read"):
        await timeline_of(world.store, "ann", FIRST, 10, START)


async def test_erased_the_user_begins_anew() -> None:
    world = await damaged()
    await world.say(Input("ann", "hello", {}))
    await world.live.erase("ann")
    assert world.texts() == []
    await world.say(Input("ann", "hello", {}))
    assert world.texts() == [("ann", "hi")]


async def test_a_server_starts_and_serves_them_and_everybody_else(start_server: Any, tmp_path: Path) -> None:
    server = await start_server()
    await server.record_event("ann", {"type": "edit"})
    await server.stop()
    store = await open_store(f"sqlite:{tmp_path / 'test.db'}")
    await damage(store, "ann", b"junk", 1)
    await store.close()
    server = await start_server()
    async with connect(server.ws_url) as socket:
        await socket.send(json.dumps({"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann"}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        await socket.send(json.dumps({"type": "test.failed", "test": "t1", "id": "e1"}))
        assert json.loads(await socket.recv()) == {"type": "ack", "ids": ["e1"]}
    async with aiohttp.ClientSession(server.http_url) as http, http.get("/users/ann/timeline") as reply:
        assert reply.status == 503
    await server.record_event("bob", {"type": "test.failed", "test": "t2"})
    assert (await server.health())["live"]["outcomes"] == {"sent": 1}
