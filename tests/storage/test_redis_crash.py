"""A Redis that is killed while it is written to, and two who write to all partitions at once with nothing between them.

The oracle of both: what the log comes to when one thread replays it is what the store has, byte for byte.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from redis_server import SERVER, RedisServer, running
from replay_oracle import RULES, START, check_replay

from engine.core.model import Event, Message
from engine.core.units import SECOND
from engine.loading.load import load
from engine.storage.base import Commit, Conflict, Entry, OutboxMessage, Store, StoreError, partition_of
from engine.storage.redis import RedisStore
from engine.triggers import KINDS
from engine.turn import Turns

PARTITIONS = 16


# Killed


async def write(store: Store, promises: list[list[int]], count: int, enough: asyncio.Event) -> None:
    """Commits whose states, decisions and messages say to which cursor they belong, until the store fails.

    A promise: the versions of all partitions that are durable. ``count`` of them are ``enough``.
    """
    users = [[f"u{n}" for n in range(200) if partition_of(f"u{n}", 4) == number][:10] for number in range(4)]
    turn = 0
    while True:
        turn += 1
        commits = []
        for batch in await store.poll([0, 1, 2, 3], 0):
            mine = users[batch.partition]
            at = max(batch.last_at, 0) + 1
            appended = [
                Entry("event", at, user, Event("x", user, at, {"pad": "p" * 100})) for user in mine[: turn % 10]
            ]
            cursor = batch.cursor + len(batch.entries) + len(appended)
            stamp = str(cursor).encode()
            commit = Commit(batch.partition, batch.version, cursor, appended)
            commit.states, commit.wakes = dict.fromkeys(mine, stamp), dict.fromkeys(mine, cursor)
            commit.present = dict.fromkeys(mine, True)
            commit.decisions = [(user, at, stamp) for user in mine]
            message = Message(f"{batch.partition}-{cursor}-{turn}", "question", "?")
            commit.outbox = [OutboxMessage(mine[0], message, at)]
            commits.append(commit)
        await store.commit(commits)
        promises.append([commit.version + 1 for commit in commits])
        if len(promises) == count:
            enough.set()


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
async def test_after_a_kill_of_redis_each_partition_agrees_with_its_cursor(tmp_path: Path, appendfsync: str) -> None:
    with running(tmp_path, SERVER, "--appendfsync", appendfsync) as server:
        for attempt in range(4):
            store = await RedisStore.open(server.address, partition_count=4)
            promises: list[list[int]] = []
            enough = asyncio.Event()
            writing = asyncio.create_task(write(store, promises, 3 + 4 * attempt, enough))
            await enough.wait()
            server.kill()
            with pytest.raises(StoreError) as refused:
                await writing
            assert refused.value.state == "io"
            server.start()
            again = await RedisStore.open(server.address)
            for number, (batch, promised) in enumerate(
                zip(await again.poll([0, 1, 2, 3], 10**15), promises[-1], strict=True)
            ):
                # With "everysec" Redis may answer before the system has what it wrote, where the disk is slow.
                assert batch.version in (promised, promised + 1) or appendfsync == "everysec"
                entries = await again.log(number, 0, 10**6)
                assert len(entries) == batch.cursor
                assert all(one.at <= other.at for one, other in pairwise(entries))
                assert set(batch.states.values()) == {str(batch.cursor).encode()}
                assert len(batch.due) == len(batch.states) == 10
                assert (await again.decisions(number))[-10:] == [str(batch.cursor).encode()] * 10
                waiting = await again.pending(min(batch.states, key=lambda user: int(user[1:])), 0)
                assert waiting[-1].message.id.startswith(f"{number}-{batch.cursor}-")
            # The one that was interrupted goes on as well, and takes no commit for made that is not.
            [batch, *_] = await store.poll([0, 1, 2, 3], 0)
            await store.commit([Commit(0, batch.version, batch.cursor)])
            await store.close()
            await again.close()


# Contending


async def work(turns: Turns, is_done: asyncio.Event, refused: list[Conflict]) -> None:
    """Evaluate whatever stands in any partition, and let time come as far as the log."""
    while True:
        last = is_done.is_set()
        try:
            await turns.recover()
            await turns.make([], turns.latest, due=True, tick=last)
            if last:
                return
        except Conflict as conflict:
            refused.append(conflict)


async def tell(store: Store, is_done: asyncio.Event) -> None:
    """Events of forty users, fifteen seconds apart, a few at a time."""
    number = 0
    for _ in range(60):
        entries = []
        for _ in range(5):
            number += 1
            user, at = f"u{number * 7 % 40}", START + number * 15 * SECOND
            event = Event("fail" if number % 3 else "edit", user, at, {"n": number}, f"e{number}")
            entries.append(Entry("event", at, user, event, once=True))
        await store.append(entries)
        await asyncio.sleep(0)
    is_done.set()


async def test_two_who_contend_for_all_partitions_do_nothing_twice_and_lose_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        stores = [await RedisStore.open(server.address, partition_count=PARTITIONS) for _ in range(3)]
        rules = load({"rules.yaml": RULES}, KINDS)
        first = Turns(stores[0])
        await stores[0].save_rules(rules.hash, rules.sources)
        await first.change_rules(rules, START)
        refused: list[Conflict] = []
        is_done = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work(first, is_done, refused))
            tasks.create_task(work(Turns(stores[1]), is_done, refused))
            tasks.create_task(tell(stores[2], is_done))
        assert len(refused) > 0
        assert any(conflict.refused and len(conflict.refused) < PARTITIONS for conflict in refused)
        assert await check_replay(stores[2]) > 50
        assert sum([len(await stores[2].log(number, 0, 10**6)) for number in range(PARTITIONS)]) > 300
        for store in stores:
            await store.close()


async def kill_and_start(server: RedisServer, later: int) -> None:
    for _ in range(later):  # so that it meets a turn in another phase
        await asyncio.sleep(0)
    server.kill()
    await asyncio.to_thread(server.start)


async def test_a_driver_under_load_goes_on_whenever_redis_comes_back(tmp_path: Path) -> None:
    with running(tmp_path, SERVER, "--appendfsync", "always") as server:
        store = await RedisStore.open(server.address, partition_count=4)
        rules = load({"rules.yaml": RULES}, KINDS)
        await store.save_rules(rules.hash, rules.sources)
        turns = Turns(store)
        await turns.change_rules(rules, START)
        happened: list[tuple[str, object]] = []
        failed = 0
        for number in range(1, 101):
            at = START + number * 20 * SECOND
            users = ("ann", "bob", "cem", "dan")
            asked = [Entry("event", at, user, Event("fail", user, at, {"n": number})) for user in users]
            killing = asyncio.create_task(kill_and_start(server, number // 10)) if number % 20 == 0 else None
            while True:  # the same turn until it is made, as the live driver does
                try:
                    made = await turns.make(asked, at, due=True)
                    break
                except StoreError:
                    failed += 1
                    await asyncio.sleep(0.01)
            if killing is not None:
                await killing
            happened += [(entry.user, entry.event.data["n"]) for entry in made.entries if entry.event is not None]
        assert failed > 0
        await turns.make([], turns.latest, due=True, tick=True)
        logged = [entry.event for part in range(4) for entry in await store.log(part, 0, 10**6) if entry.event]
        assert sorted(happened) == sorted((event.user, event.data["n"]) for event in logged)
        assert len(happened) == 400
        assert await check_replay(store) > 10
        await store.close()
