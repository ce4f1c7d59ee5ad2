"""A fleet under load: its processes, who speaks to them, and how it comes to rest. What is broken `storms` say."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.units import SECOND
from engine.storage.base import StoreError, partition_of
from engine.storage.fleet import FleetStore
from engine.storage.opening import open_store
from tests.chaos.verdict import Verdict
from tests.scale.crowd import Crowd, Doors
from tests.scale.fleet import RULES, Member, Role, Seating, settings
from tests.scale.journal import Journal
from tests.scale.load import Load, StandIn
from tests.scale.oracle import History, judge, read_history
from tests.scale.stores import a_store, make_store

CALM_S = 300.0  # for what waits to be done when the storm is over, at most
QUIET_S = 1.5  # without anything new
LATER = 60 * SECOND  # a wake-up further away than this is none that is waited for
LOOK_S = 0.2
TROUBLED_S = 120.0  # for the store to answer again


@dataclass(frozen=True)
class Plan:
    """``users`` are those of the stand-ins, ``devices`` real clients that say something every ``pause_s``."""

    seed: int = 1
    seconds: float = 60.0
    workers: int = 2
    gateways: int = 0
    stand_ins: int = 2
    users: int = 4000
    devices: int = 0
    pause_s: float = 0.5
    partitions: int = 16
    load: Load = field(default_factory=Load)
    settings: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()  # of the workers, see `entry`
    is_one_partition: bool = False  # whether all users of the stand-ins are of one


@dataclass
class Outcome:
    verdict: Verdict
    figures: dict[str, int | float | str] = field(default_factory=dict)

    def prove(self, what: str, count: float, least: float = 1) -> None:
        """A storm that did not blow proves nothing."""
        self.figures[what] = count
        if count < least:
            self.verdict.blame("it proves nothing", f"{what}: {count:g}, expected at least {least:g}")


class World:
    """``url`` names the store, which may be another later on: a replica that was promoted, say."""

    def __init__(self, plan: Plan, folder: Path, url: str) -> None:
        self.plan = plan
        self.folder = folder
        self.url = url
        self.rng = random.Random(plan.seed)
        self.journal = Journal()
        self.members: list[Member] = []
        self.stand_ins: list[StandIn] = []
        self.crowd: Crowd | None = None
        self.counted: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.unrest = ""
        self.over = asyncio.Event()
        self.seatings: list[tuple[Role, Seating]] = []  # of processes besides those of the plan
        self.over_at = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> World:
        shutil.copytree(RULES.parent, self.folder / "rules")
        self.write_settings()
        await make_store(self.url, self.plan.partitions)
        self.store = await self._stack.enter_async_context(a_store(self.url, self.plan.settings))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.crowd is not None:
            await self.crowd.close()
        for member in self.members:
            await member.close()
        await self._stack.aclose()

    def write_settings(self) -> None:
        (self.folder / "config.yaml").write_text(settings(self.url, **self.plan.settings), encoding="utf-8")

    async def open(self) -> None:
        """Rules hold, everybody is there, and nobody has said anything."""
        for _ in range(self.plan.workers):
            await self.add("worker", Seating(options=self.plan.options))
        await self.wait_for("rules that hold", self._have_rules)
        for number in range(self.plan.stand_ins):
            store = await self._stack.enter_async_context(a_store(self.url_of(number), self.plan.settings))
            share = self.plan.users // self.plan.stand_ins
            users = self.users()[number * share : (number + 1) * share]
            name = f"stand-in-{number + 1}"
            self.stand_ins.append(self.stand_in(name, store, users, self.journal, self.plan.load))
            await self.stand_ins[-1].open()
            self._stack.push_async_callback(self.stand_ins[-1].close)
        for _ in range(self.plan.gateways):
            await self.add("gateway")
        for role, seating in self.seatings:
            await self.add(role, seating)
        if self.plan.devices:
            doors = Doors(lambda: self.alive("gateway"), self.plan.pause_s, random.Random(self.rng.random()))
            self.crowd = self.make_crowd(doors)
            self.crowd.open()
            await self.wait_for("connections of all devices", self.are_connected)

    def make_crowd(self, doors: Doors) -> Crowd:
        return Crowd(self.plan.devices, self.journal, doors, self.rng)

    def url_of(self, _: int) -> str:
        """By which way that stand-in goes to the store."""
        return self.url

    def users(self) -> list[str]:
        """Names of as many as are wanted; all of one partition where the load is to be."""
        names = (f"user{number}" for number in itertools.count())
        if self.plan.is_one_partition:
            names = (name for name in names if partition_of(name, self.plan.partitions) == 0)
        return list(itertools.islice(names, self.plan.users))

    def stand_in(self, name: str, store: FleetStore, users: list[str], journal: Journal, load: Load) -> StandIn:
        return StandIn(name, store, users, journal, load, random.Random(self.rng.random()))

    async def _have_rules(self) -> bool:
        return bool(await self.store.rule_moments())

    async def are_connected(self) -> bool:
        return self.crowd is not None and self.crowd.connected == len(self.crowd.devices)

    async def are_nearly_connected(self) -> bool:
        """Who says things switches off now and then, so that on a busy machine there is no moment with all of them."""
        return self.crowd is not None and self.crowd.connected >= 0.9 * len(self.crowd.devices)

    async def add(self, role: Role, seating: Seating | None = None) -> Member:
        number = sum(member.role == role for member in self.members) + 1
        member = Member(role, f"{role}-{number}", self.folder, seating or Seating())
        self.members.append(member)
        await member.start()
        return member

    @property
    def is_over(self) -> bool:
        return self.over.is_set()

    def alive(self, role: Role) -> list[Member]:
        return [member for member in self.members if member.role == role and member.is_alive]

    def start(self) -> None:
        for stand_in in self.stand_ins:
            stand_in.start()
        if self.crowd is not None:
            self.crowd.start()

    async def wait_for(self, what: str, holds: Callable[[], Awaitable[bool]], wait_s: float = TROUBLED_S) -> None:
        """Raises `TimeoutError` that says what was waited for. While the store is troubled it does not hold."""
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    with suppress(StoreError):
                        if await holds():
                            return
                    self.check_members()
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise TimeoutError(f"waited {wait_s:g} s in vain for {what}") from None

    async def blow(self, storm: Callable[[World], Awaitable[None]]) -> None:
        """Load, and the storm, until the time is over; then nobody says anything new."""
        self.start()
        blowing = asyncio.create_task(storm(self))
        until = time.monotonic() + self.plan.seconds
        try:
            while time.monotonic() < until and not blowing.done():
                await asyncio.sleep(LOOK_S)
                self.check_members()
            # A storm ends by itself where it has something to mend; else it goes on until it is told.
            self.over.set()
            await blowing
        finally:
            blowing.cancel()
        for stand_in in self.stand_ins:
            await stand_in.end()
        if self.crowd is not None:
            await self.crowd.end()

    def check_members(self) -> None:
        for member in self.members:
            if member.is_meant_to_be and member.process is not None and not member.is_alive:
                self.unexpected.append(f"{member.name} ended by itself with {member.process.returncode}")
                member.is_meant_to_be = False

    async def settle(self) -> None:
        """Until everything that was said is evaluated, all that is due has run, and everybody has what is theirs."""
        until = time.monotonic() + CALM_S
        last, since = -1, time.monotonic()
        while time.monotonic() < until:
            shown = sum(stand_in.shown for stand_in in self.stand_ins) + (self.crowd.shown if self.crowd else 0)
            self.unrest = await self._unrest()
            if self.unrest or shown != last:
                last, since = shown, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                return
            await asyncio.sleep(LOOK_S)
        self.unrest = self.unrest or "messages keep coming"

    async def _unrest(self) -> str:
        """What is not at rest yet."""
        if not all(stand_in.is_calm for stand_in in self.stand_ins):
            return "what stand-ins have to say"
        if self.crowd is not None and not self.crowd.is_calm:
            return "what devices have to say"
        try:
            described = await self.store.describe()
            wake, now = await self.store.next_wake(), await self.store.clock()
        except StoreError as error:
            return f"the store: {error}"
        if described["unevaluated"]:
            return f"{described['unevaluated']} entries not evaluated"
        if wake is not None and wake < now + LATER:
            return f"a wake-up in {(wake - now) / SECOND:.1f} s"
        return f"{described['outbox']} messages in the outbox" if described["outbox"] else ""

    async def end(self) -> None:
        """Everybody is stopped as an operator does it."""
        self.over_at = time.time_ns() // 1000
        if self.crowd is not None:
            await self.crowd.close()
        for member in self.members:
            if member.is_alive:
                member.is_meant_to_be = False
                code = await member.stop()
                if code:
                    self.unexpected.append(f"{member.name} ended with {code} after SIGTERM")

    async def outcome(self, whole: Callable[[History], History] = lambda left: left) -> Outcome:
        """What the oracle says, by a look of its own at the store; ``whole`` adds what the store has let go."""
        store = await open_store(self.url, read_only=True)
        try:
            self.history = await read_history(store)
            verdict = judge(whole(self.history), self.journal, over_at=self.over_at)
        finally:
            await store.close()
        for what in self.unexpected:
            verdict.blame("what was not to be expected", what)
        for what in self.crowd.complaints() if self.crowd is not None else ():
            verdict.blame("what no gateway may do", what)
        if self.unrest:
            verdict.blame("it did not come to rest", self.unrest)
        outcome = Outcome(verdict)
        outcome.figures |= dict(self.counted)
        outcome.figures |= {"not stored at once": self.journal.refused, "said again": self.journal.again}
        outcome.figures["gaps in what was heard"] = sum(stand_in.gaps for stand_in in self.stand_ins)
        if self.journal.delays:
            delays = sorted(self.journal.delays)
            for name, share in (("median", 0.5), ("p99", 0.99)):
                shown = delays[min(int(share * len(delays)), len(delays) - 1)] * 1000
                outcome.figures[f"event to message, {name} ms"] = round(shown, 1)
        outcome.prove("events acknowledged", self.journal.acknowledged, 100)
        outcome.prove("messages shown", verdict.figures["messages shown"], 20)
        return outcome
