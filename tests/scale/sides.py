"""A primary that is cut off with some of those who work on it, or from its replica alone, and comes back.

Nothing of what is done here is known to the processes: a name that leads elsewhere is all that they are told of a
failover, as by an operator who changes an address.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.scale.fleet import Seating
from tests.scale.load import StandIn
from tests.scale.network import Cable, Proxy
from tests.scale.places import ANYWHERE, a_server, follow, info, until
from tests.scale.storms import CALM_BEFORE_S, calm
from tests.scale.world import Outcome, Plan, World
from tests.storage.redis_server import RedisServer

GRACE_S = 1.5  # after a cut, for what was answered before it
CUT_S = 12.0  # longer than a lease, and than a write waits for a replica
READY_S = 20.0  # until a gateway knows that it is not
AT_ONCE = ("--repl-diskless-sync-delay", "0")
# An event that was lost and is said again stands behind what was said after it.
LOST = ("acknowledged events that are not in the log", "messages that were not decided", "events out of order")


@dataclass
class Sides:
    """``old`` is the primary, which has a side of its own; the others are where most are.

    ``most`` and ``few`` are the ways to the store of those on either side; ``link`` is what is cut. From the side of
    most ``old`` is reached at ``there``, and they from its side at ``back``.
    """

    old: RedisServer
    others: list[RedisServer]
    most: Proxy
    few: Proxy
    link: Cable | Proxy
    there: tuple[str, int]
    back: str

    @classmethod
    async def make(cls, folder: Path, stack: AsyncExitStack) -> Sides:
        """Everybody follows ``old``, and nothing is cut. In a network of its own, where there can be one."""
        old, *others = [a_server(folder, name, *ANYWHERE, *AT_ONCE) for name in ("old", "first", "second")]
        link: Cable | Proxy
        try:
            link = Cable(old.port)
            stack.push_async_callback(link.close)
            stay = Cable(old.port, beside=link)
            stack.push_async_callback(stay.close)
            old.before, old.host = link.seating.words, stay.host_inside
            there, back = (link.host_inside, old.port), link.store_host
        except (OSError, subprocess.CalledProcessError):
            link = Proxy(old.port)
            await link.open()
            stack.push_async_callback(link.close)
            there, back = ("127.0.0.1", link.store_port), "127.0.0.1"
        for server in (old, *others):
            await asyncio.to_thread(server.start)
            stack.callback(_end, server)
        most, few = Proxy(there[1], there[0]), Proxy(old.port, old.host)
        for proxy in (most, few):
            await proxy.open()
            stack.push_async_callback(proxy.close)
        for server in others:
            await follow(server, old, there[1], there[0])
        return cls(old, others, most, few, link, there, back)

    async def promote(self) -> tuple[RedisServer, dict[str, int]]:
        """The replica that has most takes the place of the primary, for those who are on its side; how far it is."""
        had = {server.port: int(info(server, "replication")["slave_repl_offset"]) for server in self.others}
        new, other = sorted(self.others, key=lambda server: had[server.port], reverse=True)
        stand = stand_of(new)
        new.ask("REPLICAOF", "NO", "ONE")
        other.ask("REPLICAOF", "127.0.0.1", str(new.port))
        self.most.lead_to(new.port)
        return new, stand

    async def join(self, new: RedisServer) -> None:
        """The former primary is on the net again, and becomes a replica; those at its side are led to the new one."""
        await asyncio.to_thread(self.link.mend)
        await follow(self.old, new, by_host=self.back)
        self.few.lead_to(new.port)


class SidesWorld(World):
    """The last stand-in, a worker and a gateway are on the side of the old primary."""

    def __init__(self, plan: Plan, folder: Path, sides: Sides) -> None:
        super().__init__(plan, folder, _url(sides.most))
        self._few = _url(sides.few)
        self.seatings = [("worker", Seating(store=self._few)), ("gateway", Seating(store=self._few))]

    def url_of(self, number: int) -> str:
        return self._few if number == self.plan.stand_ins - 1 else self.url

    async def _unrest(self) -> str:
        """With what is lost it may be forgotten that a message has reached its user: it waits until it expires."""
        found = await super()._unrest()
        is_forgotten = self.plan.settings["durability"] == "local" and found.endswith("in the outbox")
        return "" if is_forgotten else found


class Split:
    """The cut, a failover on one side, and the end of both."""

    def __init__(self, sides: Sides, *, may_lose: bool) -> None:
        self._sides = sides
        self._may_lose = may_lose

    async def __call__(self, world: World) -> None:
        sides, few = self._sides, world.stand_ins[-1]
        await calm(world, 2 * CALM_BEFORE_S)
        await asyncio.to_thread(sides.link.cut)
        world.counted["splits"] += 1
        await asyncio.sleep(GRACE_S)
        seen = Seen(few)
        new, stand = await sides.promote()
        many = Seen(*world.stand_ins[:-1])
        await asyncio.sleep(CUT_S)
        waiting = [] if world.crowd is None else [one for one in world.crowd.devices if one.client.unacknowledged]
        world.counted["devices at whom nothing was acknowledged"] += len(waiting)
        world.counted["refused on the minority side"] += seen.refused
        world.counted["acknowledged by the minority side"] += seen.acknowledged
        world.counted["shown on the minority side"] += seen.shown
        world.counted["acknowledged by the majority side"] += many.acknowledged
        world.counted["shown on the majority side"] += many.shown
        at = stand_of(sides.old)
        for name, there in at.items():
            world.counted[f"{name} on the minority side"] += there - stand[name]
        if not self._may_lose and (seen.acknowledged or seen.shown):
            world.unexpected.append(f"the minority side acknowledged {seen.acknowledged}, and told {seen.shown}")
        await sides.join(new)
        after = Seen(few)
        await until("an acknowledgement on the side that was cut off", lambda: after.acknowledged > 0)
        while not world.is_over:
            await calm(world, 1.0)


class Seen:
    """What these stand-ins have come to since then."""

    def __init__(self, *stand_ins: StandIn) -> None:
        self._stand_ins = stand_ins
        self._before = self._now()

    def _now(self) -> tuple[int, int, int]:
        return (
            sum(one.acknowledged for one in self._stand_ins),
            sum(one.shown for one in self._stand_ins),
            sum(sum(one.troubles.values()) for one in self._stand_ins),
        )

    @property
    def acknowledged(self) -> int:
        return self._now()[0] - self._before[0]

    @property
    def shown(self) -> int:
        return self._now()[1] - self._before[1]

    @property
    def refused(self) -> int:
        return self._now()[2] - self._before[2]


def stand_of(server: RedisServer) -> dict[str, int]:
    """How far all partitions of a store have come, by the server itself."""
    with server.speak() as asked:
        stands = [asked.hmget(key, "last", "cur", "dseq") for key in asked.scan_iter("proactive:*}:m")]
    entries, evaluated, decided = (sum(int(stand[place] or 0) for stand in stands) for place in range(3))
    return {"entries written": entries, "entries evaluated": evaluated, "decisions made": decided}


async def split_brain(plan: Plan, folder: Path) -> Outcome:
    is_local = plan.settings["durability"] == "local"
    async with AsyncExitStack() as stack:
        sides = await Sides.make(folder, stack)
        async with SidesWorld(plan, folder, sides) as world:
            await world.open()
            await world.blow(Split(sides, may_lose=is_local))
            await world.settle()
            await world.end()
            outcome = await world.outcome()
    outcome.figures["the cut"] = sides.link.kind
    if is_local:
        lost, shown, _ = (outcome.verdict.violations.pop(kind, []) for kind in LOST)
        outcome.prove("acknowledged events lost, as expected", len(lost))
        outcome.prove("messages shown and lost, as expected", len(shown))
    else:
        for what in ("refused on the minority side", "devices at whom nothing was acknowledged"):
            outcome.prove(what, world.counted[what], 2)
        for what in ("entries written", "entries evaluated", "decisions made"):
            outcome.prove(f"{what} on the minority side", world.counted[f"{what} on the minority side"])
    outcome.prove("acknowledged by the majority side", world.counted["acknowledged by the majority side"], 100)
    outcome.prove("shown on the majority side", world.counted["shown on the majority side"], 20)
    return outcome


class CutReplica:
    """The replica alone is cut off, for shorter than a write waits for it and for longer."""

    def __init__(self, link: Cable | Proxy, *, degrades: bool) -> None:
        self._link = link
        self._degrades = degrades

    async def __call__(self, world: World) -> None:
        for seconds in (1.0, CUT_S):
            await calm(world, 2 * CALM_BEFORE_S)
            await asyncio.to_thread(self._link.cut)
            world.counted["cuts"] += 1
            await asyncio.sleep(min(GRACE_S, seconds))
            seen = Seen(*world.stand_ins)
            await asyncio.sleep(max(seconds - GRACE_S, 0.0))
            if seconds > GRACE_S:
                await self._judge(world, seen)
            await asyncio.to_thread(self._link.mend)
            after = Seen(*world.stand_ins)
            await until("an acknowledgement after the cut", lambda after=after: after.acknowledged > 0)
        await world.wait_for("gateways that have a replica again", lambda: _all_say(world, degraded=False))
        while not world.is_over:
            await calm(world, 1.0)

    async def _judge(self, world: World, seen: Seen) -> None:
        """At the end of the long cut."""
        world.counted["acknowledged meanwhile"] += seen.acknowledged
        world.counted["shown meanwhile"] += seen.shown
        world.counted["refused meanwhile"] += seen.refused
        if self._degrades:
            await world.wait_for("gateways that say what is the matter", lambda: _all_say(world, degraded=True))
            return
        if seen.acknowledged or seen.shown:
            world.unexpected.append(f"without a replica {seen.acknowledged} were acknowledged, {seen.shown} told")
        try:
            await world.wait_for("gateways that are not ready", lambda: _are_ready(world, False), READY_S)
        except TimeoutError as error:
            world.unexpected.append(str(error))


async def _all_say(world: World, *, degraded: bool) -> bool:
    """Whether all gateways are ready, and list the primary as one without replicas, or do not."""
    if not await _are_ready(world, True):
        return False
    for member in world.alive("gateway"):
        _, health = await _get(f"http://{member.host}:{member.http_port}/healthz")
        if bool(json.loads(health)["store"]["without_replicas"]) is not degraded:
            return False
    return True


async def _are_ready(world: World, ready: bool) -> bool:
    for member in world.alive("gateway"):
        status, _ = await _get(f"http://{member.host}:{member.http_port}/readyz")
        if (status == 200) is not ready:
            return False
    return True


async def _get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def replica_cut(plan: Plan, folder: Path) -> Outcome:
    degrades = plan.settings["on_replica_loss"] == "degrade"
    primary, replica = (a_server(folder, name, *ANYWHERE, *AT_ONCE) for name in ("primary", "replica"))
    link: Cable | Proxy
    async with AsyncExitStack() as stack:
        try:
            link = Cable(primary.port)
            replica.before, replica.host = link.seating.words, link.host_inside
        except (OSError, subprocess.CalledProcessError):
            link = Proxy(primary.port)
            await link.open()
        stack.push_async_callback(link.close)
        for server in (primary, replica):
            await asyncio.to_thread(server.start)
            stack.callback(_end, server)
        await follow(replica, primary, link.store_port, link.store_host)
        async with World(plan, folder, primary.url) as world:
            await world.open()
            await world.blow(CutReplica(link, degrades=degrades))
            await world.settle()
            await world.end()
            outcome = await world.outcome()
    outcome.figures["the cut"] = link.kind
    outcome.prove("cuts", world.counted["cuts"], 2)
    outcome.prove(*_proof(world, "acknowledged meanwhile" if degrades else "refused meanwhile"))
    return outcome


def _proof(world: World, what: str) -> tuple[str, int]:
    return what, world.counted[what]


def _url(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.store_port}/0"


def _end(server: RedisServer) -> None:
    if server.process is not None and server.process.poll() is None:
        server.kill()
