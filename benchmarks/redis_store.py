"""What an event costs in the store on Redis: processor time of Redis and of the worker, at batches of 50 and 500.

    python benchmarks/redis_store.py [--events 40000]

It starts a redis-server of its own (appendfsync everysec) and ends it. A batch is what one turn takes of one partition:
`append` of the events, `poll`, `commit` of a state each, a decision for each tenth and a message for each fiftieth. The
worker's time is that of the process less what making the commits takes where there is no store. Ratios hold on another
machine, absolutes do not.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisError

from engine.core.model import Event, Message
from engine.storage.base import Commit, Entry, OutboxMessage, partition_of
from engine.storage.codec import encode_entry
from engine.storage.redis import RedisStore
from engine.storage.redis_link import Address, Link
from engine.storage.redis_opening import ask

PARTITIONS = 16
USERS = 20_000
STATE = b"s" * 380  # bytes, as a state of a few rules has


def batches_of(events: int, size: int) -> list[list[Entry]]:
    """Each of one partition, in turn."""
    users: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for number in range(USERS):
        users[partition_of(f"user{number}", PARTITIONS)].append(f"user{number}")
    found = []
    start = time.time_ns() // 1000  # later than all that was there before
    for batch in range(events // size):
        mine = users[batch % PARTITIONS]
        entries = []
        for number in range(size):
            user, at = mine[(batch * 37 + number * 11) % len(mine)], start + batch
            event = Event("edit", user, at, {"file": "main.py", "line": number}, f"{batch}/{number}")
            entries.append(Entry("event", at, user, event, once=True))
        found.append(entries)
    return found


def commit_of(partition: int, version: int, cursor: int, entries: list[Entry]) -> Commit:
    commit = Commit(partition, version, cursor + len(entries))
    for number, entry in enumerate(entries):
        commit.states[entry.user] = STATE
        commit.wakes[entry.user] = entry.at + 300_000_000
        commit.present[entry.user] = True
        if number % 10 == 0:
            commit.decisions.append((entry.user, entry.at, b'{"rule":"idle","outcome":"cooldown"}' + b" " * 150))
        if number % 50 == 0:
            message = Message(f"m{entry.at}-{partition}-{number}", "question", "Do you want a hint?")
            commit.outbox.append(OutboxMessage(entry.user, message, entry.at, "idle"))
    return commit


async def redis_seconds(link: Link) -> float:
    info = dict(line.split(":", 1) for line in (await ask(link, "INFO", "cpu")).decode().split("\r\n") if ":" in line)
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def measure(
    store: RedisStore, link: Link, events: int, size: int, together: int, *, at_once: bool = False
) -> tuple[float, float, float]:
    """Microseconds of an event: of Redis' processor, of the worker's, by the clock.

    ``together``: partitions in one go. ``at_once``: events are appended by the commit that evaluates them, as a server
    that is alone does it.
    """
    batches = batches_of(events, size)
    await redis_seconds(link)
    redis_before, worker_before, clock_before = await redis_seconds(link), time.process_time(), time.perf_counter()
    for start in range(0, len(batches), together):
        some = batches[start : start + together]
        partitions = [(start + place) % PARTITIONS for place in range(len(some))]
        if at_once:
            stands = await store.poll(partitions, 0, entries_max=0)
            commits = []
            for each, entries in zip(stands, some, strict=True):
                commits.append(commit_of(each.partition, each.version, each.cursor, entries))
                commits[-1].appended = entries
            await store.commit(commits)
        else:
            await store.append([entry for entries in some for entry in entries])
            polled = await store.poll(partitions, 0, entries_max=size)
            await store.commit([commit_of(each.partition, each.version, each.cursor, each.entries) for each in polled])
        await store.next_wake()
    worker, clock = time.process_time() - worker_before, time.perf_counter() - clock_before
    redis = await redis_seconds(link) - redis_before
    count = len(batches) * size
    return redis / count * 1e6, worker / count * 1e6, clock / count * 1e6


def idle_worker(events: int, size: int) -> float:
    """Microseconds of an event that making commits of it takes where there is no store."""
    batches = batches_of(events, size)
    before = time.process_time()
    for number, entries in enumerate(batches):
        commit_of(number % PARTITIONS, 0, 0, entries)
    return (time.process_time() - before) / (len(batches) * size) * 1e6


async def plain(link: Link, events: int) -> float:
    """Microseconds of Redis' processor that it takes to put an event's line into a stream, and no more: what to
    compare the rest with."""
    line = encode_entry(batches_of(50, 50)[0][0])
    before = await redis_seconds(link)
    for _ in range(events // 500):
        await link.exchange([("XADD", "plain", "*", "u", "user1", "e", line)] * 500)
    used = await redis_seconds(link) - before
    await ask(link, "DEL", "plain")
    return used / events * 1e6


@asynccontextmanager
async def a_redis(port: int, program: str = "redis-server") -> AsyncIterator[Link]:
    with tempfile.TemporaryDirectory() as folder:
        words = ["--port", str(port), "--dir", folder, "--save", "", "--appendonly", "yes"]
        server = await asyncio.create_subprocess_exec(program, *words, stdout=asyncio.subprocess.DEVNULL)
        link = Link(Address("127.0.0.1", port, 0, shown=f'"redis://127.0.0.1:{port}/0"'))
        try:
            for _ in range(100):
                with suppress(RedisError, OSError):
                    await ask(link, "PING")
                    break
                await asyncio.sleep(0.05)
            yield link
            await link.close()
        finally:
            server.terminate()
            await server.wait()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--port", type=int, default=6397)
    options = parser.parse_args()
    async with a_redis(options.port) as link:
        store = await RedisStore.open(link.address, partition_count=PARTITIONS)
        await measure(store, link, options.events // 4, 50, PARTITIONS)  # until users and their keys are there
        print("microseconds per event; XADD alone is what Redis takes to put a line into a stream, 500 in one go")
        print("batch  partitions in one go                    Redis  as often as XADD alone  worker  by the clock")
        for size, together, at_once in itertools.product((50, 500), (1, PARTITIONS), (False, True)):
            alone = await plain(link, options.events)
            redis, worker, clock = await measure(store, link, options.events, size, together, at_once=at_once)
            worker -= idle_worker(options.events, size)
            how = "commit alone" if at_once else "append and commit"
            print(
                f"{size:5}  {together:20}  {how:17}  {redis:5.1f}  {redis / alone:22.1f}  {worker:6.1f}  {clock:12.1f}"
            )
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
