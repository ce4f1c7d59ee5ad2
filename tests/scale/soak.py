"""An hour of modest load, in which processes come and go and rules change, and after which nothing may have grown.

The log is kept for minutes only, so that all that has a bound reaches it within the first quarter. Two things are then
judged: the memory and the open files of all, by the second quarter and the last; and everything that ever was in the
log, of which `tail` has what the store has folded meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.core.units import SECOND
from engine.storage.base import StoreError
from tests.scale import storms
from tests.scale.fleet import Member
from tests.scale.oracle import judge_store
from tests.scale.places import a_server, info
from tests.scale.tail import Tail
from tests.scale.world import Outcome, Plan, World
from tests.storage.redis_server import RedisServer

KEEP_S = 300.0  # of an hour
KEEP_LEAST_S = 180.0  # longer than any `within` of the rules, and than anybody says again what was said before
FOLD_EVERY_S = 60
SAMPLE_S = 5.0
LOOK_EVERY = 12  # samples, at how far the log is folded
TROUBLE_EVERY_S = 45.0
EDITIONS = 10  # in all of the time

# What a median of the last quarter may be above that of the second: half the time lies between them.
GROWTH, ROOM_BYTES = 0.05, 2 * 1024 * 1024
# Peaks, also of processes that were started anew, are those of one moment.
PEAK_GROWTH, PEAK_ROOM_BYTES = 0.15, 8 * 1024 * 1024
FILES_ROOM = 8
SETTLED = 8  # times what the log is kept for: twice that in a quarter
FOLDS_LATE = 4  # that the log may be behind what it is kept for


@dataclass
class Samples:
    """``values`` by what was measured: when, as a share of the whole time, and how much."""

    seconds: float
    values: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def add(self, what: str, value: float) -> None:
        share = (time.monotonic() - self.began) / self.seconds
        self.values.setdefault(what, []).append((share, value))

    def quarter(self, what: str, number: int) -> list[float]:
        """Of the quarters 0 to 3; what came after the time is of the last."""
        return [value for share, value in self.values.get(what, ()) if min(int(share * 4), 3) == number]

    def medians(self, what: str) -> tuple[float, float]:
        """Of the second and of the last quarter. Raises `StatisticsError` where there is nothing of one."""
        return statistics.median(self.quarter(what, 1)), statistics.median(self.quarter(what, 3))

    def peaks(self, what: str) -> tuple[float, float]:
        """Of the first half and of the second."""
        halves = [[*self.quarter(what, half), *self.quarter(what, half + 1)] for half in (0, 2)]
        return max(halves[0]), max(halves[1])

    def write(self, path: Path) -> None:
        lines = [f"{share:.5f},{what},{value:.0f}" for what, some in self.values.items() for share, value in some]
        path.write_text("\n".join(["share,what,value", *lines, ""]))


def rss_of(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class Watch:
    """Measures everybody, again and again. The first worker and the first gateway are never started anew."""

    def __init__(self, world: World, server: RedisServer, samples: Samples) -> None:
        self._world = world
        self._server = server
        self.samples = samples

    async def look(self) -> None:
        number = 0
        while True:
            if number % LOOK_EVERY == 0:
                with suppress(StoreError):
                    await self._look_at_log()
            self._look_at_members()
            memory = await asyncio.to_thread(info, self._server, "memory")
            self.samples.add("used_memory of redis", float(memory["used_memory"]))
            number += 1
            await asyncio.sleep(SAMPLE_S)

    def _look_at_members(self) -> None:
        for member in self._world.members:
            if not member.is_alive:
                continue
            with suppress(OSError):  # it ends just now
                whose = member.name if is_kept(member) else f"{member.role}s started anew"
                self.samples.add(f"memory of {whose}", rss_of(member.pid))
                self.samples.add(f"open files of {whose}", files_of(member.pid))

    async def _look_at_log(self) -> None:
        store = self._world.store
        described = await store.describe()
        self.samples.add("entries in the log", float(str(described["entries"])))
        now = await store.clock()
        oldest = [now - (await store.folded(number)).at for number in range(store.partition_count)]
        self.samples.add("age of the log, s", max(oldest) / SECOND if max(oldest) < now else float("inf"))


def is_kept(member: Member) -> bool:
    return member.name.endswith("-1")


async def come_and_go(world: World) -> None:
    """Somebody is stopped or killed, and is there again after a while; now and then the rules are edited."""
    began, edition = time.monotonic(), 0
    pause_s = min(TROUBLE_EVERY_S, world.plan.seconds / 10)
    while not world.is_over:
        await storms.calm(world, pause_s * world.rng.uniform(0.5, 1.5))
        if (time.monotonic() - began) * EDITIONS / world.plan.seconds > edition + 0.5:
            edition += 1
            edit_rules(world, edition)
        role = world.rng.choice(("worker", "worker", "gateway"))
        victim = world.rng.choice([one for one in world.alive(role) if not is_kept(one)])
        victim.is_meant_to_be = False
        if world.rng.random() < 0.5:
            await storms.kill(world, victim)
        else:
            world.counted[f"SIGTERM of a {role}"] += 1
            if code := await victim.stop():
                world.unexpected.append(f"{victim.name} ended with {code} after SIGTERM")
        await storms.calm(world, world.rng.choice((0.0, 1.0, 5.0, 15.0)))
        await storms.respawn(victim)


def edit_rules(world: World, edition: int) -> None:
    """The file that all workers watch gets other rules."""
    path = world.folder / "rules" / "rules.yaml"
    text = (Path(__file__).parent / "rules" / "rules.yaml").read_text("utf-8")
    text = text.replace("cooldown: 5s", f"cooldown: {5 + edition % 3}s")
    text = text.replace('text: "failed and saved"', f'text: "failed and saved, edition {edition}"')
    new = world.folder / "rules.new"
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    world.counted["rules edited"] += 1


async def soak(plan: Plan, folder: Path) -> Outcome:
    keep_s = max(KEEP_LEAST_S, KEEP_S * min(plan.seconds / 3600, 1.0))
    plan = replace(plan, settings={**plan.settings, "keep": f"{keep_s:.0f}s"})
    server = a_server(folder, "redis")
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(server.start)
        stack.callback(_kill, server)
        async with World(plan, folder, server.url) as world:
            tail = Tail(server.url, world.store)
            stack.push_async_callback(tail.close)
            following = asyncio.create_task(tail.follow())
            watch = Watch(world, server, Samples(plan.seconds))
            await world.open()
            watch.samples.began = time.monotonic()
            looking = asyncio.create_task(watch.look())
            try:
                await world.blow(come_and_go)
            finally:
                await _end(looking)
                watch.samples.write(folder / "samples.csv")
            await world.settle()
            await world.end()
            await _end(following)
            await tail.read()
            outcome = await world.outcome(tail.whole)
    for kind, all_of_them in judge_store(world.history).violations.items():
        for each in all_of_them:
            outcome.verdict.blame(kind, f"by what is kept of the log: {each}")
    judge_samples(watch.samples, keep_s, outcome)
    for what in ("kill -9 of a worker", "kill -9 of a gateway", "SIGTERM of a worker", "SIGTERM of a gateway"):
        outcome.prove(what, world.counted[what])
    outcome.prove("rules edited", world.counted["rules edited"], 2)
    return outcome


def judge_samples(samples: Samples, keep_s: float, outcome: Outcome) -> None:
    """That nothing grows which has come to its bound. A time too short for that proves nothing."""
    if samples.seconds < SETTLED * keep_s:
        short = f"in {samples.seconds:g} s nothing comes to its bound by the second quarter"
        outcome.verdict.blame("it proves nothing", short)
        return
    for what in sorted(samples.values):
        if what.startswith("open files"):
            _judge_files(samples, what, outcome)
        elif what.startswith(("memory", "used_memory")):
            _judge_memory(samples, what, outcome)
    ages = samples.quarter("age of the log, s", 3)
    outcome.figures["age of the log at most, s"] = round(max(ages, default=math.inf), 1)
    late = keep_s + FOLDS_LATE * FOLD_EVERY_S
    if not ages or max(ages) > late:
        outcome.verdict.blame(
            "the log is not trimmed", f"it goes back {max(ages, default=math.inf):.0f} s of {late:.0f}"
        )


def _judge_memory(samples: Samples, what: str, outcome: Outcome) -> None:
    if "anew" not in what:
        try:
            second, last = samples.medians(what)
        except statistics.StatisticsError:
            outcome.verdict.blame("it proves nothing", f"{what} was measured too seldom")
            return
        outcome.figures[f"{what}, MiB, median of quarters 2 and 4"] = f"{_mib(second)}, {_mib(last)}"
        if last > second * (1 + GROWTH) + ROOM_BYTES:
            outcome.verdict.blame("memory that grows", f"{what}: {_mib(second)} MiB, later {_mib(last)} MiB")
    first, later = samples.peaks(what)
    outcome.figures[f"{what}, MiB, peaks of the halves"] = f"{_mib(first)}, {_mib(later)}"
    if later > first * (1 + PEAK_GROWTH) + PEAK_ROOM_BYTES:
        outcome.verdict.blame("memory that grows", f"peak of {what}: {_mib(first)} MiB, later {_mib(later)} MiB")


def _judge_files(samples: Samples, what: str, outcome: Outcome) -> None:
    first, later = samples.peaks(what)
    outcome.figures[f"{what}, peaks of the halves"] = f"{first:.0f}, {later:.0f}"
    if later > first + FILES_ROOM:
        outcome.verdict.blame("open files that grow", f"{what}: {first:.0f}, later {later:.0f}")


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f}"


async def _end(task: asyncio.Task[None]) -> None:
    """Raises what it fell over."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _kill(server: RedisServer) -> None:
    if server.process is not None and server.process.poll() is None:
        server.kill()
