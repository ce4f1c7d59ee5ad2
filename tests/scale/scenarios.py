"""The scenarios by name: which Redis, which processes, which load, which storm; and what of it has to have happened.

The oracle is the same for all. Each takes a folder of its own and leaves there whatever may tell what went wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from engine.storage.redis_keys import SLOTS, slot_of, spread_tags
from tests.scale import storms
from tests.scale.big import big_events
from tests.scale.clocks import BEHIND_S, clock_back
from tests.scale.fleet import Seating
from tests.scale.load import Load
from tests.scale.network import Proxy, Way, a_way
from tests.scale.places import ANYWHERE, Cluster, a_server, follow
from tests.scale.sides import replica_cut, split_brain
from tests.scale.soak import FOLD_EVERY_S, soak
from tests.scale.timers import timers
from tests.scale.world import Outcome, Plan, World
from tests.storage.redis_server import LATER_SERVER, SERVER, RedisServer, knows_disks

Storm = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    about: str
    plan: Plan
    run: Callable[[Plan, Path], Awaitable[Outcome]]


async def through(plan: Plan, folder: Path, url: str, storm: Storm, proofs: dict[str, int]) -> Outcome:
    """Load, storm, rest, verdict."""
    async with World(plan, folder, url) as world:
        return await under(world, storm, proofs)


async def under(world: World, storm: Storm, proofs: dict[str, int]) -> Outcome:
    await world.open()
    await world.blow(storm)
    await world.settle()
    await world.end()
    outcome = await world.outcome()
    for what, least in proofs.items():
        outcome.prove(what, world.counted[what], least)
    return outcome


async def on_one_redis(
    plan: Plan, folder: Path, storm: Callable[[RedisServer], Storm], proofs: dict[str, int], *options: str
) -> Outcome:
    server = a_server(folder, "redis", *options)
    await asyncio.to_thread(server.start)
    try:
        return await through(plan, folder, server.url, storm(server), proofs)
    finally:
        stop(server)


def stop(server: RedisServer) -> None:
    if server.process is not None and server.process.poll() is None:
        server.kill()


def simple(about: str, plan: Plan, storm: Storm, *, proofs: dict[str, int] | None = None, again: int = 0) -> Scenario:
    """On one Redis. ``again``: so much at least has to have been said more than once."""

    async def run(plan: Plan, folder: Path) -> Outcome:
        outcome = await on_one_redis(plan, folder, lambda _: storm, proofs or {})
        outcome.prove("said again", int(outcome.figures["said again"]), again)
        return outcome

    return Scenario(about, plan, run)


async def no_leases(plan: Plan, folder: Path) -> Outcome:
    outcome = await on_one_redis(plan, folder, lambda _: storms.just_load, {})
    refused = refused_commits(folder)
    outcome.prove("commits refused", refused)
    return outcome


def refused_commits(folder: Path) -> int:
    """As the workers have counted them, see `entry`."""
    return sum(int(path.read_text()) for path in folder.glob("*.refused"))


async def zombies(plan: Plan, folder: Path) -> Outcome:
    outcome = await on_one_redis(plan, folder, lambda _: storms.freeze_workers, {"SIGSTOP": 2})
    outcome.prove("commits refused", refused_commits(folder))
    return outcome


def redis_killed(appendfsync: str) -> Scenario:
    async def run(plan: Plan, folder: Path) -> Outcome:
        return await on_one_redis(plan, folder, storms.KillRedis, {"kill -9 of Redis": 1}, "--appendfsync", appendfsync)

    return Scenario(f"kill -9 of Redis, which writes its file {appendfsync}", DIRECT, run)


def together(outcomes: list[Outcome], names: tuple[str, ...]) -> Outcome:
    """The figures of all; what is wrong with any is wrong with all of it."""
    first = outcomes[0]
    whole = Outcome(type(first.verdict)())
    for name, outcome in zip(names, outcomes, strict=True):
        figures = {**outcome.verdict.figures, **outcome.figures}
        whole.figures |= {f"{name}: {what}": value for what, value in figures.items()}
        for kind, all_of_them in outcome.verdict.violations.items():
            for each in all_of_them:
                whole.verdict.blame(kind, f"{name}: {each}")
    return whole


async def slot_moves(plan: Plan, folder: Path) -> Outcome:
    cluster = Cluster(folder)
    try:
        await cluster.start()
        share = -(-SLOTS // len(cluster.nodes))
        slots = {slot_of(tag): slot_of(tag) // share for tag in spread_tags(plan.partitions)}
        storm = storms.MoveSlots(cluster, slots)
        return await through(plan, folder, cluster.url, storm, {"slots moved": 5})
    finally:
        for node in cluster.nodes:
            stop(node)


async def network_cut(plan: Plan, folder: Path) -> Outcome:
    """Two workers, each on a way of its own, and one that nothing happens to; a gateway on a way of its own as well."""
    server = a_server(folder, "redis", *ANYWHERE)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(server.start)
        stack.callback(stop, server)
        ways: list[Way] = []
        for cable in (True, True, False):  # a gateway has to be reached by its clients from here
            ways.append(await a_way(server.port, cable=cable))
            stack.push_async_callback(ways[-1].close)
        async with World(plan, folder, server.url) as world:
            for way, role in zip(ways, ("worker", "worker", "gateway"), strict=True):
                store = f"redis://{way.store_host}:{way.store_port}/0"
                world.seatings.append((role, Seating(way.seating.words, store=store)))
            outcome = await under(world, storms.CutNetwork(ways), {"cuts": 2})
        outcome.figures["ways that were cut"] = ", ".join(way.kind for way in ways)
        return outcome


async def primary_lost(plan: Plan, folder: Path, *options: str, program: str = SERVER) -> Outcome:
    primary, replica = [a_server(folder, name, *options, program=program) for name in ("primary", "replica")]
    async with AsyncExitStack() as stack:
        for server in (primary, replica):
            await asyncio.to_thread(server.start)
            stack.callback(stop, server)
        door, link = Proxy(primary.port), Proxy(primary.port)
        for proxy in (door, link):
            await proxy.open()
            stack.push_async_callback(proxy.close)
        await follow(replica, primary, link.store_port)
        if knows_disks(program):
            await asyncio.to_thread(primary.waits_for_disks)
        async with World(plan, folder, f"redis://127.0.0.1:{door.store_port}/0") as world:
            storm = storms.LosePrimary(primary, replica, door, link)
            return await under(world, storm, {"primaries lost": 1})


async def primary_lost_strict(plan: Plan, folder: Path) -> Outcome:
    """On a Valkey where the Redis of this machine cannot be asked what is on a disk."""
    return await primary_lost(plan, folder, "--appendfsync", "always", program=LATER_SERVER)


LOSSES = ("acknowledged events that are not in the log", "messages that were not decided")


async def primary_lost_without(plan: Plan, folder: Path) -> Outcome:
    """It has to show what is lost without waiting for a replica, or the scenario with it proves nothing."""
    outcome = await primary_lost(plan, folder)
    lost = outcome.verdict.violations.pop(LOSSES[0], [])
    outcome.figures["messages shown and lost"] = len(outcome.verdict.violations.pop(LOSSES[1], []))
    outcome.prove("acknowledged events lost, as expected", len(lost))
    return outcome


async def hot(plan: Plan, folder: Path) -> Outcome:
    """A third of all that happens is of one user; then all is of users of one partition."""
    half = replace(plan, seconds=plan.seconds / 2)
    plans = {
        "hot user": replace(half, load=replace(plan.load, hot=0.3)),
        "hot partition": replace(half, is_one_partition=True),
    }
    outcomes = []
    for name, one in plans.items():
        mine = folder / name.replace(" ", "-")
        mine.mkdir(parents=True)
        outcomes.append(await on_one_redis(one, mine, lambda _: storms.just_load, {}))
    return together(outcomes, tuple(plans))


async def redis_full(plan: Plan, folder: Path) -> Outcome:
    options = ("--maxmemory-policy", "noeviction")
    return await on_one_redis(plan, folder, storms.FillRedis, {"times full": 1}, *options)


DIRECT = Plan()
STOPS = {"durability": "replicated", "on_replica_loss": "stop"}
DEGRADES = {"durability": "replicated", "on_replica_loss": "degrade"}
SPLIT = Plan(workers=1, gateways=1, stand_ins=2, users=1000, devices=60, load=Load(rate=300))
MIXED = Plan(workers=2, gateways=2, stand_ins=1, users=1000, devices=100, load=Load(rate=500))

SCENARIOS: dict[str, Scenario] = {
    "workers-killed": simple(
        "kill -9 of a worker every 3 s, and a new one", DIRECT, storms.kill_workers, proofs={"kill -9 of a worker": 1}
    ),
    "zombies": Scenario(
        "workers are stopped between evaluating and committing, and go on later",
        replace(DIRECT, options=("--freeze",)),
        zombies,
    ),
    "no-leases": Scenario(
        "three workers take every partition, whoever has it",
        replace(DIRECT, workers=3, options=("--no-leases",), load=Load(rate=600), users=2000),
        no_leases,
    ),
    "redis-killed-everysec": redis_killed("everysec"),
    "redis-killed-always": redis_killed("always"),
    "primary-lost-with-wait": Scenario(
        "the primary is lost while its replica lags behind; durability: replicated",
        replace(DIRECT, settings=STOPS),
        primary_lost,
    ),
    "primary-lost-strict": Scenario(
        "the same with durability: strict, on a Redis of 7.2 or later, or Valkey",
        replace(DIRECT, settings=STOPS | {"durability": "strict"}),
        primary_lost_strict,
    ),
    "primary-lost-without": Scenario(
        "the same with durability: local, which has to show the loss",
        replace(DIRECT, settings={"durability": "local"}),
        primary_lost_without,
    ),
    "gateway-killed": simple(
        "kill -9 of a gateway, whose clients all come to the other at once",
        Plan(workers=2, gateways=2, stand_ins=0, users=0, devices=300),
        storms.kill_gateways,
        proofs={"kill -9 of a gateway": 1},
    ),
    "slot-moves": Scenario(
        "slots move among three nodes of a cluster",
        replace(DIRECT, settings={"durability": "local"}, load=Load(rate=1000)),
        slot_moves,
    ),
    "network-cut": Scenario(
        "two workers and a gateway lose the way to Redis, one at a time",
        replace(MIXED, workers=1, gateways=1),
        network_cut,
    ),
    "duplicates": simple(
        "what was said is said again, also by whole batches; what was told is told again",
        replace(DIRECT, load=Load(repeats=0.05, batches_again=0.2, told_again=0.2)),
        storms.just_load,
        again=100,
    ),
    "timers": Scenario(
        "200,000 timers due within 10 s, and a worker killed in the middle",
        Plan(stand_ins=25, users=200_000, seconds=600, load=Load(rate=0)),
        timers,
    ),
    "rolling-rules": simple(
        "workers come with other rules, and with former ones",
        DIRECT,
        storms.roll_rules,
        proofs={"rule sets rolled out": 2, "workers with former rules": 1},
    ),
    "hot": Scenario("a user who does a third of everything; users of one partition alone", DIRECT, hot),
    "redis-full": Scenario("Redis takes nothing more for a while (maxmemory, noeviction)", DIRECT, redis_full),
    "split-brain": Scenario(
        "the primary is cut off with a worker and a gateway, and a replica takes its place; durability: replicated",
        replace(SPLIT, settings=STOPS),
        split_brain,
    ),
    "split-brain-local": Scenario(
        "the same with durability: local, which has to show the loss",
        replace(SPLIT, settings={"durability": "local"}),
        split_brain,
    ),
    "replica-cut-stop": Scenario(
        "the replica alone is cut off; on_replica_loss: stop", replace(MIXED, settings=STOPS), replica_cut
    ),
    "replica-cut-degrade": Scenario("the same with degrade", replace(MIXED, settings=DEGRADES), replica_cut),
    "big-events": Scenario(
        "events of 1 MiB, and a byte more; 150 of one user wait while no worker is there",
        replace(MIXED, gateways=1, devices=30, pause_s=2.0, load=Load(rate=100)),
        big_events,
    ),
    "clock-back": Scenario(
        f"the primary and a worker are lost, and the clock of the replica is {BEHIND_S} s behind",
        replace(DIRECT, workers=3, settings=STOPS, load=Load(rate=500)),
        clock_back,
    ),
    "soak": Scenario(
        "an hour in which processes come and go, after which nothing may have grown",
        replace(
            MIXED,
            seconds=3600,
            workers=3,
            users=3000,
            devices=60,
            pause_s=3.0,
            load=Load(rate=120),
            options=("--fold-every", str(FOLD_EVERY_S)),
        ),
        soak,
    ),
}
