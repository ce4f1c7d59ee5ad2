"""What an event costs in the store on Redis when gateways and workers share it: processor time of Redis and of both.

    python benchmarks/fleet_store.py [--events 40000] [--batch 50] [--server redis-server]

It starts a redis-server of its own (appendfsync everysec) and ends it. A gateway ingests a batch of each partition, as
what happens once; a worker takes all partitions, loads the states of those it has not seen, commits a state each, a
decision for each tenth and a message for each fiftieth, asks where their users are and tells their gateways; the
gateway listens, and says that they have reached their users. Ratios hold on another machine, absolutes do not: *XADD
alone* is what Redis takes to put a line into a stream, 500 in one go.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from redis_store import PARTITIONS, a_redis, batches_of, commit_of, idle_worker, plain, redis_seconds

from engine.storage.base import Commit, OutboxMessage
from engine.storage.fleet import Notice, Presence
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_link import Link

LEASE_MS = 60_000
EVERYWHERE = list(range(PARTITIONS))


@dataclass
class Spent:
    """Seconds of processor time, by part of the way: Redis' and ours."""

    link: Link
    redis: dict[str, float] = field(default_factory=dict)
    own: dict[str, float] = field(default_factory=dict)

    async def on(self, part: str, work: Callable[[], Awaitable[Any]]) -> Any:
        redis, own = await redis_seconds(self.link), time.process_time()
        done = await work()
        self.own[part] = self.own.get(part, 0) + time.process_time() - own
        self.redis[part] = self.redis.get(part, 0) + await redis_seconds(self.link) - redis
        return done


async def measure(store: RedisFleetStore, spent: Spent, events: int, size: int) -> int:
    batches = batches_of(events, size)
    seen: set[str] = set()
    after = (await store.listen("gateway", None, 0)).last
    told = 0
    for start in range(0, len(batches), PARTITIONS):
        entries = [entry for batch in batches[start : start + PARTITIONS] for entry in batch]
        await spent.on("ingest", lambda entries=entries: store.ingest(entries, (), "gateway"))
        shares = await spent.on("take", lambda: store.take("worker", EVERYWHERE, lease_ms=LEASE_MS, entries_max=size))
        users = dict.fromkeys(entry.user for share in shares for entry in share.batch.entries)
        unseen = [user for user in users if user not in seen]
        seen.update(unseen)
        if unseen:
            await spent.on("load", lambda unseen=unseen: store.load(unseen))
        commits: list[Commit] = [
            commit_of(share.batch.partition, share.batch.version, share.batch.cursor, share.batch.entries)
            for share in shares
        ]
        await spent.on("commit", lambda commits=commits: store.commit(commits))
        outbox = [outgoing for commit in commits for outgoing in commit.outbox]
        after = await spent.on("where, tell, listen, reached", lambda box=outbox, n=after: hand_over(store, box, n))
        told += len(outbox)
    return len(batches) * size


async def hand_over(store: RedisFleetStore, outbox: list[OutboxMessage], after: int) -> int:
    where = await store.where([outgoing.user for outgoing in outbox])
    notices: dict[str, list[Notice]] = {}
    for outgoing in outbox:
        for gateway in where.get(outgoing.user, ()):
            notices.setdefault(gateway, []).append(Notice(user=outgoing.user, message=outgoing))
    await store.tell(notices)
    heard = await store.listen("gateway", after, 0)
    reached = [(notice.user, notice.message.message.id) for notice in heard.notices if notice.message is not None]
    await store.reached("gateway", reached)
    return heard.last


async def arrive(store: RedisFleetStore, spent: Spent, events: int, size: int) -> int:
    """All users come to one gateway; how many they are."""
    users = sorted({entry.user for batch in batches_of(events, size) for entry in batch})
    presence = [Presence(user, f"session-of-{user}") for user in users]
    for start in range(0, len(presence), 500):
        await spent.on("arrive", lambda start=start: store.ingest((), presence[start : start + 500], "gateway"))
    return len(users)


async def idle(store: RedisFleetStore, spent: Spent) -> int:
    async def looks() -> None:
        for _ in range(200):
            await store.take("worker", EVERYWHERE, lease_ms=LEASE_MS)

    await spent.on("idle", looks)
    return 200 * PARTITIONS


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--port", type=int, default=6396)
    parser.add_argument("--server", default="redis-server", help="another of the kind, such as valkey-server")
    options = parser.parse_args()
    async with a_redis(options.port, options.server) as link:
        store = await RedisFleetStore.open(link.address, partition_count=PARTITIONS)
        await store.beat("gateway", "gateway", 600_000)
        arrivals = Spent(link)
        users = await arrive(store, arrivals, options.events, options.batch)
        await measure(store, Spent(link), options.events // 4, options.batch)  # until users and their keys are there
        spent, idling = Spent(link), Spent(link)
        alone = await plain(link, options.events)
        count = await measure(store, spent, options.events, options.batch)
        polls = await idle(store, idling)
        making = idle_worker(options.events, options.batch)
        print(f"microseconds per event, {options.batch} of a partition in one go; XADD alone {alone:.2f} of Redis")
        print(f"{'':28}  Redis  as often as XADD alone  gateway, worker")
        for part, seconds in spent.redis.items():
            each = seconds / count * 1e6
            print(f"{part:28}  {each:5.2f}  {each / alone:22.2f}  {spent.own[part] / count * 1e6:15.2f}")
        redis, own = sum(spent.redis.values()) / count * 1e6, sum(spent.own.values()) / count * 1e6
        print(f"{'all':28}  {redis:5.2f}  {redis / alone:22.2f}  {own:15.2f}  (making commits besides {making:.2f})")
        each, mine = idling.redis["idle"] / polls * 1e6, idling.own["idle"] / polls * 1e6
        print(f"{'a take of nothing':28}  {each:5.2f}  {each / alone:22.2f}  {mine:15.2f}")
        each, mine = arrivals.redis["arrive"] / users * 1e6, arrivals.own["arrive"] / users * 1e6
        print(f"{'a session begins':28}  {each:5.2f}  {each / alone:22.2f}  {mine:15.2f}")
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
