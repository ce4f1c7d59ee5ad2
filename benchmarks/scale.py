"""What a fleet on Redis costs: ``python benchmarks/scale.py``, or `make bench-scale`. It takes some five minutes.

1. Of an event, evaluated in batches of 50 a partition: processor time of the worker beyond what the rules themselves
   take, and of Redis, taking in and telling the gateways included.
2. Two workers against one, on a log that waits for them.
3. From an event to the message at a gateway, at a steady rate.

Real `proactive worker` processes on a redis-server of its own (appendfsync everysec); the gateways are those of
`tests.scale.load`. Processor time is that which the system counts. Ratios hold on another machine, absolutes do not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.peers.run import machine  # noqa: E402
from benchmarks.redis_store import plain  # noqa: E402
from engine.core.model import Event  # noqa: E402
from engine.core.state import UserState  # noqa: E402
from engine.replay.driver import run_users  # noqa: E402
from engine.replay.recording import recorded_rules, recording_of  # noqa: E402
from engine.storage.base import Entry  # noqa: E402
from engine.storage.fleet import FleetStore, Presence  # noqa: E402
from engine.storage.redis_link import Link  # noqa: E402
from tests.scale.fleet import Member  # noqa: E402
from tests.scale.load import Load  # noqa: E402
from tests.scale.places import a_server, cpu_s  # noqa: E402
from tests.scale.world import Plan, World  # noqa: E402
from tests.storage.redis_server import RedisServer  # noqa: E402

PARTITIONS = 16
USERS = 4_000
BATCH = 50
AT_ONCE = 500  # entries of one ingest, as a gateway puts in what waits
RATE = 4_000.0
TARGET_US, TARGET_RATIO, TARGET_MS = 25.0, 1.7, 60.0
GATEWAY = "gateway"

# One event in ten makes a decision, one in fifty a message: as few speak as in life.
RULES = """\
version: 1
policy: {simultaneous: 9}
rules:
  - id: asked
    trigger: {event: asked}
    message: {type: question, text: "asked {{ event.n }}", options: [Yes, No], expires: 1h}
  - id: failing
    trigger: {count: {event: failed, at_least: 3, within: 10m, group_by: test}}
    cooldown: 30m
    message: {type: suggestion, text: "{{ trigger.count }} failures", expires: 1h}
  - id: mended
    trigger: {sequence: {steps: [failed, saved], within: 10m}}
    cooldown: 30m
    message: {type: suggestion, text: "failed and saved", expires: 1h}
  - id: quiet
    trigger: {inactivity: 5m}
    message: {type: question, text: "quiet for {{ trigger.idle }}", expires: 1h}
"""
KINDS = {"asked": 2, "failed": 10, "saved": 10, "edited": 78}


@dataclass(frozen=True)
class Costs:
    """Microseconds of an event.

    ``rules``: what they take for the same events where there is no store. ``state``: to read a user's state and to
    write it. ``xadd``: what Redis takes to put a line into a stream, and no more.
    """

    worker: float
    rules: float
    state: float
    redis_in: float
    redis_out: float
    xadd: float

    @property
    def redis(self) -> float:
        return self.redis_in + self.redis_out


class Bench(World):
    def write_settings(self) -> None:
        (self.folder / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
        super().write_settings()


@asynccontextmanager
async def a_world(plan: Plan) -> AsyncIterator[tuple[Bench, RedisServer]]:
    with tempfile.TemporaryDirectory() as name:
        server = a_server(Path(name), "redis")
        await asyncio.to_thread(server.start)
        try:
            async with Bench(plan, Path(name), server.url) as world:
                await world.open()
                yield world, server
                await world.end()
        finally:
            server.kill()


def entries_of(count: int, first: int, rng: random.Random) -> list[Entry]:
    kinds, weights = list(KINDS), list(KINDS.values())
    found = []
    for number in range(first, first + count):
        user, kind = f"user{rng.randrange(USERS)}", rng.choices(kinds, weights)[0]
        event = Event(kind, user, 0, {"n": number, "test": "t1", "file": "main.py"}, f"e{number}")
        found.append(Entry("event", 0, user, event, once=True))
    return found


async def arrive(store: FleetStore) -> None:
    users = [f"user{number}" for number in range(USERS)]
    for start in range(0, USERS, AT_ONCE):
        some = users[start : start + AT_ONCE]
        entries = [
            Entry("event", 0, user, Event("session.start", user, 0, {}, f"s-{user}", user), once=True) for user in some
        ]
        await store.ingest(entries, [Presence(user, user) for user in some], GATEWAY)


async def put_in(store: FleetStore, entries: list[Entry]) -> None:
    for start in range(0, len(entries), AT_ONCE):
        await store.ingest(entries[start : start + AT_ONCE], [], GATEWAY)


async def listen(store: FleetStore, after: int) -> None:
    """As a gateway does it whose clients have everything at once; for ever."""
    while True:
        heard = await store.listen(GATEWAY, after, 1.0)
        after = heard.last
        reached = [(notice.user, notice.message.message.id) for notice in heard.notices if notice.message is not None]
        if reached:
            await store.reached(GATEWAY, reached)


async def all_evaluated(world: Bench, listening: asyncio.Task[None]) -> None:
    """And all that was told is with the gateway."""

    async def are_evaluated() -> bool:
        if listening.done():
            await listening  # raises what ended it
        described = await world.store.describe()
        return not described["unevaluated"] and not described["outbox"]

    await world.wait_for("the end of the log", are_evaluated, 600)


async def waiting_log(world: Bench, workers: list[Member], events: int, first: int) -> None:
    """The workers are stopped while it fills."""
    for worker in workers:
        worker.send(signal.SIGSTOP)
    await put_in(world.store, entries_of(events, first, random.Random(first)))


async def measure_costs(events: int, rounds: int, profile: Path | None = None) -> Costs:
    """Of each the least of so many rounds: whatever else the machine does makes it more, and nothing makes it less.

    ``profile``: the absolute name of a file in which the worker says where its time went.
    """
    more = () if profile is None else ("--profile", str(profile))
    plan = Plan(workers=1, stand_ins=0, partitions=PARTITIONS, options=("--batch", str(BATCH), *more))
    found = []
    async with a_world(plan) as (world, server):
        after = (await world.store.listen(GATEWAY, None, 0.0)).last
        await world.store.beat("gateway", GATEWAY, 3_600_000)
        await arrive(world.store)
        listening = asyncio.create_task(listen(world.store, after))
        link = Link(server.address)
        for number in range(rounds + 1):
            used = await one_round(world, server, listening, events, number * events)
            # In the first one users get their states, and everything is done for the first time.
            if number:
                rules, state = await alone(world.store)
                found.append((*used, rules, state, await plain(link, events)))
        listening.cancel()
        await link.close()
    redis_in, worker, redis_out, rules, state, xadd = (min(values) for values in zip(*found, strict=True))
    return Costs(worker, rules, state, redis_in, redis_out, xadd)


async def one_round(
    world: Bench, server: RedisServer, listening: asyncio.Task[None], events: int, first: int
) -> tuple[float, float, float]:
    """Microseconds of an event: of Redis to take it in, of the worker, and of Redis until gateways have all."""
    [worker] = world.members
    entries = entries_of(events, first, random.Random(first))
    worker.send(signal.SIGSTOP)
    before = cpu_s(server)
    await put_in(world.store, entries)
    between, worker_before = cpu_s(server), worker.cpu_s()
    worker.send(signal.SIGCONT)
    await all_evaluated(world, listening)
    each = 1e6 / events
    return (between - before) * each, (worker.cpu_s() - worker_before) * each, (cpu_s(server) - between) * each


async def alone(store: FleetStore) -> tuple[float, float]:
    """Microseconds of an event that the rules take, and those that it takes to read a state and to write it."""
    recording = await recording_of(store)
    timeline = recorded_rules(recording)
    activity = recording.activity()
    began = time.process_time()
    count = sum(len(ran.events) for ran in run_users(activity, [timeline], came_to=recording.time_came_to))
    rules = (time.process_time() - began) / count * 1e6
    encoded = [state for number in range(PARTITIONS) for _, _, state in await store.states(number, 0, USERS)]
    began = time.process_time()
    for each in encoded:
        UserState.decode(each).encode()
    return rules, (time.process_time() - began) / len(encoded) * 1e6


async def drain(events: int, workers: int) -> tuple[float, float]:
    """Events a second of so many workers, and the share of the machine's processors that had nothing to do."""
    async with a_world(Plan(workers=workers, stand_ins=0, partitions=PARTITIONS)) as (world, _):
        await arrive(world.store)
        await waiting_log(world, world.members, events // 4, 0)
        for worker in world.members:
            worker.send(signal.SIGCONT)
        await world.wait_for("the end of the log", lambda: _is_evaluated(world), 600)
        await waiting_log(world, world.members, events, events)
        idle, began = _idle_s(), time.monotonic()
        for worker in world.members:
            worker.send(signal.SIGCONT)
        await world.wait_for("the end of the log", lambda: _is_evaluated(world), 600)
        took = time.monotonic() - began
        return events / took, (_idle_s() - idle) / took / (os.cpu_count() or 1)


async def _is_evaluated(world: Bench) -> bool:
    return not (await world.store.describe())["unevaluated"]


def _idle_s() -> float:
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")


async def latency(seconds: float, workers: int) -> tuple[list[float], float]:
    """Milliseconds from the moment at which a gateway has the event to that at which it has the message; the rate."""
    load = Load(rate=RATE, sends=0.0, answers=0.0, kinds=KINDS)
    plan = Plan(workers=workers, stand_ins=1, users=USERS, partitions=PARTITIONS, seconds=seconds, load=load)
    async with a_world(plan) as (world, _):

        async def storm(world: World) -> None:
            await world.over.wait()

        before, arrived = time.monotonic(), world.journal.acknowledged
        await world.blow(storm)
        rate = (world.journal.acknowledged - arrived) / (time.monotonic() - before)
        await world.settle()
        delays = world.journal.delays
        return sorted(1000 * delay for delay in delays[len(delays) // 5 :]), rate


def say(what: str, value: float, unit: str, target: str) -> None:
    print(f"| {what} | {value:,.1f} {unit} | {target} |", flush=True)


def say_costs(costs: Costs) -> None:
    say(f"worker, of an event at batches of {BATCH}", costs.worker, "us", "")
    say("of that the rules' own, evaluated without a store", costs.rules, "us", "")
    beyond = costs.worker - costs.rules
    say("worker beyond the rules' own", beyond, "us", f"at most {TARGET_US:g} us")
    say("to read a state and to write it, and no more", costs.state, "us", "")
    say("worker beyond the rules', against that", beyond / costs.state, "times", "")
    say("Redis, to take an event in", costs.redis_in, "us", "")
    say("Redis, to have it evaluated and gateways told", costs.redis_out, "us", "")
    say("Redis, all told", costs.redis, "us", f"at most {TARGET_US:g} us")
    say("Redis, to put a line into a stream, and no more", costs.xadd, "us", "")
    say("Redis, all told, against that", costs.redis / costs.xadd, "times", "")


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the steady rate")
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="of what is measured: the least of processor times is told, the median of others",
    )
    parser.add_argument("--profile", type=Path, help="only say where a worker's time goes, and write it there")
    options = parser.parse_args()
    if options.profile is not None:
        await measure_costs(options.events, 1, options.profile.absolute())
        print(options.profile.read_text())
        return
    free = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {machine()}; load before: {free:.1f}\n")
    print("| what | found | wanted |\n|---|---:|---:|")
    say_costs(await measure_costs(options.events, options.rounds))
    one, two = [], []
    for _ in range(options.rounds):
        one.append(await drain(4 * options.events, 1))
        two.append(await drain(4 * options.events, 2))
    alone, both = median(rate for rate, _ in one), median(rate for rate, _ in two)
    say("one worker", alone, "events/s", "")
    say("two workers", both, "events/s", "")
    say("two against one", both / alone, "times", f"at least {TARGET_RATIO:g} where cores are free")
    say("processors free beside one worker", 100 * median(idle for _, idle in one), "%", "")
    for workers in (1, 2):
        delays, rate = await latency(options.seconds, workers)
        shown = f"event to message at {rate:,.0f} events/s, {workers} worker{'s' * (workers > 1)}"
        say(f"{shown}, median", median(delays), "ms", f"under {TARGET_MS:g} ms")
        say(f"{shown}, p99", delays[int(0.99 * len(delays))], "ms", "")
    cores = len(os.sched_getaffinity(0))
    if cores < 4:
        print(f"\nRedis, two workers and the load want four cores; here are {cores}, so that two cannot be twice one.")


if __name__ == "__main__":
    asyncio.run(main())
