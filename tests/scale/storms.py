"""What is done to a fleet under load, again and again until the time is over. Each storm leaves everything mended."""

from __future__ import annotations

import asyncio
import itertools
import signal
from contextlib import suppress
from dataclasses import replace

from tests.scale.fleet import Member
from tests.scale.network import Proxy, Way
from tests.scale.places import Cluster, follow
from tests.scale.world import World
from tests.storage.redis_server import RedisServer

KILL_EVERY_S = 3.0
CALM_BEFORE_S = 2.0  # of load before anything is broken


async def calm(world: World, seconds: float) -> None:
    """Let so much time pass, or less where the storm is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await world.over.wait()


def goes_on(world: World, what: str, least: int = 1) -> bool:
    """Until the time is over, and longer where it has not happened often enough to prove anything."""
    return not world.is_over or world.counted[what] < least


async def respawn(member: Member) -> None:
    await member.start()
    member.is_meant_to_be = True


async def kill(world: World, member: Member) -> None:
    member.is_meant_to_be = False
    await member.kill()
    world.counted[f"kill -9 of a {member.role}"] += 1


async def kill_workers(world: World) -> None:
    while goes_on(world, "kill -9 of a worker"):
        await calm(world, KILL_EVERY_S * world.rng.uniform(0.5, 1.5))
        victim = world.rng.choice(world.alive("worker"))
        await kill(world, victim)
        await calm(world, world.rng.choice((0.0, 0.0, 1.0, 4.0)))
        await respawn(victim)


async def freeze_workers(world: World) -> None:
    """One at a time freezes by itself between evaluating and committing, see `entry`; here it is thawed, when others
    have done meanwhile what it was about to do."""
    wanted = world.folder / "freeze"
    try:
        while goes_on(world, "SIGSTOP", 2):
            wanted.touch()
            frozen = [member for member in world.alive("worker") if member.is_frozen]
            if not frozen:
                await asyncio.sleep(0.1)
                continue
            wanted.unlink(missing_ok=True)
            world.counted["SIGSTOP"] += 1
            await asyncio.sleep(world.rng.uniform(4.0, 6.0))  # longer than a lease, and until another has noticed
            frozen[0].send(signal.SIGCONT)
    finally:
        wanted.unlink(missing_ok=True)
        for member in world.alive("worker"):
            member.send(signal.SIGCONT)


async def just_load(world: World) -> None:
    """Nothing is broken but what was broken from the start."""
    while not world.is_over:
        await calm(world, 1.0)


class LosePrimary:
    """Its replica lags behind, then the primary dies and the replica takes its place, as an operator does it.

    ``door`` is the way that all processes take to the primary, ``link`` that of the replica.
    """

    def __init__(self, primary: RedisServer, replica: RedisServer, door: Proxy, link: Proxy) -> None:
        self._primary = primary
        self._replica = replica
        self._door = door
        self._link = link

    async def __call__(self, world: World) -> None:
        await calm(world, 2 * CALM_BEFORE_S)
        self._link.cut()
        await calm(world, 1.5)
        self._primary.kill()
        world.counted["primaries lost"] += 1
        self._link.drop()
        self._replica.ask("REPLICAOF", "NO", "ONE")
        self._door.lead_to(self._replica.port)
        # The former primary comes back as a replica, so that there is one again to wait for.
        await asyncio.to_thread(self._primary.start)
        await follow(self._primary, self._replica)
        while not world.is_over:
            await calm(world, 1.0)


class KillRedis:
    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def __call__(self, world: World) -> None:
        while goes_on(world, "kill -9 of Redis"):
            await calm(world, 4 * world.rng.uniform(0.5, 1.5))
            self._server.kill()
            world.counted["kill -9 of Redis"] += 1
            await asyncio.sleep(world.rng.choice((0.0, 0.5, 1.5)))
            await asyncio.to_thread(self._server.start)


async def kill_gateways(world: World) -> None:
    """One at a time; the others have all its clients before it is there again."""
    while goes_on(world, "kill -9 of a gateway"):
        await calm(world, 2 * KILL_EVERY_S * world.rng.uniform(0.5, 1.5))
        victim = world.rng.choice(world.alive("gateway"))
        await kill(world, victim)
        assert world.crowd is not None
        await world.wait_for("connections of nearly all devices", world.are_nearly_connected)
        await respawn(victim)


class MoveSlots:
    """Those of partitions, back and forth among the nodes."""

    def __init__(self, cluster: Cluster, slots: dict[int, int]) -> None:
        self._cluster = cluster
        self._owner = slots  # by slot, the place of the node that has it

    async def __call__(self, world: World) -> None:
        nodes = self._cluster.nodes
        while goes_on(world, "slots moved", 5):
            await calm(world, 0.3)
            slot = world.rng.choice(sorted(self._owner))
            place = self._owner[slot]
            target = world.rng.choice([other for other in range(len(nodes)) if other != place])
            await self._cluster.move(slot, nodes[place], nodes[target])
            self._owner[slot] = target
            world.counted["slots moved"] += 1


class CutNetwork:
    """One way at a time, for less and for more than a lease."""

    def __init__(self, ways: list[Way]) -> None:
        self._ways = ways

    async def __call__(self, world: World) -> None:
        while goes_on(world, "cuts", 2):
            await calm(world, world.rng.uniform(1.0, 3.0))
            way = world.rng.choice(self._ways)
            await asyncio.to_thread(way.cut)
            world.counted["cuts"] += 1
            try:
                await calm(world, world.rng.choice((0.5, 3.0, 6.0)))
            finally:
                await asyncio.to_thread(way.mend)


class FillRedis:
    """Until nothing more is taken, and then room again."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def __call__(self, world: World) -> None:
        while goes_on(world, "times full"):
            await calm(world, CALM_BEFORE_S)
            refused = world.journal.refused
            self._server.ask("CONFIG", "SET", "maxmemory", "1mb")
            await asyncio.sleep(3.0)
            world.counted["times full"] += world.journal.refused > refused
            self._server.ask("CONFIG", "SET", "maxmemory", "0")


async def roll_rules(world: World) -> None:
    """Workers are replaced one after the other by such as come with other rules, and now and then by such as come with
    former ones. The others have to fetch what they have no files of, and nobody may bring back what held before."""
    former = ""
    for edition in itertools.count(1):
        if not goes_on(world, "rule sets rolled out", 2):
            break
        await calm(world, 2 * CALM_BEFORE_S)
        before = len(await world.store.rule_moments())
        victim = world.rng.choice(world.alive("worker"))
        brings = write_edition(world, edition)
        await replace_worker(world, victim, brings, politely=edition % 2 == 0)

        async def is_published(before: int = before) -> bool:
            return len(await world.store.rule_moments()) > before

        await world.wait_for("rules that a new worker brought", is_published)
        world.counted["rule sets rolled out"] += 1
        if former:
            await calm(world, CALM_BEFORE_S)
            moments = await world.store.rule_moments()
            await replace_worker(world, world.rng.choice(world.alive("worker")), former, politely=True)
            if await world.store.rule_moments() != moments:
                world.unexpected.append(f"a worker that came with former rules ({former}) brought them back")
            world.counted["workers with former rules"] += 1
        former = brings


def write_edition(world: World, edition: int) -> str:
    """The folder of rules that differ from the first ones, and from those of every other edition."""
    text = (world.folder / "rules" / "rules.yaml").read_text("utf-8")
    text = text.replace("cooldown: 5s", f"cooldown: {5 + edition}s")
    text = text.replace('text: "failed and saved"', f'text: "failed and saved, edition {edition}"')
    folder = world.folder / f"rules-{edition}"
    folder.mkdir()
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    return folder.name


async def replace_worker(world: World, member: Member, rules: str, *, politely: bool) -> None:
    member.is_meant_to_be = False
    if not politely:
        await kill(world, member)
    elif code := await member.stop():
        world.unexpected.append(f"{member.name} ended with {code} after SIGTERM")
    member.seating = replace(member.seating, rules=rules)
    await respawn(member)
