"""A replica whose clock is behind takes the place of the primary: moments stand still until it has caught up.

Every moment of a store comes from its Redis, so this is the one clock that matters.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from engine.core.units import SECOND
from tests.scale import storms
from tests.scale.network import Proxy
from tests.scale.oracle import History
from tests.scale.places import a_server, follow
from tests.scale.storms import CALM_BEFORE_S, calm
from tests.scale.world import Outcome, Plan, World
from tests.storage.redis_server import RedisServer

BEHIND_S = 20
SOURCE = Path(__file__).parent / "set_back.c"


def set_back(server: RedisServer, seconds: int, folder: Path) -> None:
    """Its clock is so far behind from its next start on. Raises `RuntimeError` where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("to set a clock back needs a C compiler: cc")
    library = folder / "set_back.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    server.before = ("env", f"LD_PRELOAD={library}", f"CLOCK_IS_OFF_S=-{seconds}")


class LosePrimaryToSlowClock:
    """The primary and a worker are lost at once; then rules are published while moments stand still."""

    def __init__(self, primary: RedisServer, replica: RedisServer, door: Proxy) -> None:
        self._primary = primary
        self._replica = replica
        self._door = door
        self.was_at = self.is_at = 0

    async def __call__(self, world: World) -> None:
        await calm(world, 2 * CALM_BEFORE_S)
        victim = world.rng.choice(world.alive("worker"))
        held_by = _owners(self._primary)
        self.was_at = _clock(self._primary)
        self._primary.kill()
        world.counted["primaries lost"] += 1
        await storms.kill(world, victim)
        self._replica.ask("REPLICAOF", "NO", "ONE")
        self.is_at = _clock(self._replica)
        self._door.lead_to(self._replica.port)
        await asyncio.to_thread(self._primary.start)
        await follow(self._primary, self._replica)
        began = time.monotonic()

        async def have_changed_hands() -> bool:
            now = _owners(self._replica)
            return len(set(now.values()) - {""}) < len(set(held_by.values()) - {""})

        await world.wait_for("the partitions of a worker that was lost", have_changed_hands)
        world.counted["seconds until others had its partitions"] += round(time.monotonic() - began)
        victim.seating = replace(victim.seating, rules=storms.write_edition(world, 1))
        moments = await world.store.rule_moments()
        await storms.respawn(victim)

        async def is_published() -> bool:
            return await world.store.rule_moments() != moments

        await world.wait_for("rules that a new worker brought", is_published)
        world.counted["rule sets rolled out"] += 1
        while not world.is_over:
            await calm(world, 1.0)


def _owners(server: RedisServer) -> dict[str, str]:
    """By partition, who holds it, "" for nobody."""
    with server.speak() as asked:
        return {str(key): str(asked.hget(key, "own") or "") for key in asked.scan_iter("proactive:*}:m")}


def _clock(server: RedisServer) -> int:
    """Microseconds."""
    with server.speak() as asked:
        seconds, microseconds = asked.time()
    return int(seconds) * SECOND + int(microseconds)


def at_a_standstill(history: History) -> int:
    """Entries of the moment that most entries of one partition have."""
    moments = (Counter(entry.at for _, entry in entries) for entries in history.entries)
    return sum(max(times.values(), default=0) for times in moments)


async def clock_back(plan: Plan, folder: Path) -> Outcome:
    primary, replica = a_server(folder, "primary"), a_server(folder, "replica")
    set_back(replica, BEHIND_S, folder)
    async with AsyncExitStack() as stack:
        for server in (primary, replica):
            await asyncio.to_thread(server.start)
            stack.callback(_end, server)
        door = Proxy(primary.port)
        await door.open()
        stack.push_async_callback(door.close)
        await follow(replica, primary)
        async with World(plan, folder, f"redis://127.0.0.1:{door.store_port}/0") as world:
            storm = LosePrimaryToSlowClock(primary, replica, door)
            await world.open()
            await world.blow(storm)
            await world.settle()
            await world.end()
            outcome = await world.outcome()
    outcome.prove("the clock went back by, s", (storm.was_at - storm.is_at) / SECOND, BEHIND_S / 2)
    outcome.prove("entries while moments stood still", at_a_standstill(world.history), 1000)
    for what in ("primaries lost", "rule sets rolled out"):
        outcome.prove(what, world.counted[what])
    return outcome


def _end(server: RedisServer) -> None:
    if server.process is not None and server.process.poll() is None:
        server.kill()
