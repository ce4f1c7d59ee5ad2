"""A fleet in one process on the model store, in which everything that can go wrong does, by the chance of a seed.

The time is the store's own and goes when somebody lets it. Who runs when, which call fails and how, who crashes: all of
it follows from the seed, so a schedule that goes wrong goes wrong again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flaky_store import Chance, Crash, Flaky, SlowRules
from fleet_oracle import check

from engine.core.model import Event, Message
from engine.core.rules import RuleSet
from engine.core.units import MINUTE, SECOND
from engine.fleet.cleaning import Cleaning
from engine.fleet.relay import Relay
from engine.fleet.rounds import DUE_MAX, TOGETHER, Rounds
from engine.fleet.worker import Worker
from engine.loading.load import load
from engine.rule_history import RuleHistory
from engine.storage.base import Entry, StoreError
from engine.storage.fleet import Presence
from engine.triggers import KINDS

RULES = """
version: 1
policy:
  session_timeout: 9m
  simultaneous: 3
  budgets: {patience: {limits: [{max: 6, per: 11m}], charged_by: [{event: message.dismissed}]}}
rules:
  - id: idle
    trigger: {inactivity: 2m}
    cooldown: 3m
    message: {type: question, text: "idle {{ trigger.idle }} after {{ event.type }}"}
  - id: often
    trigger: {count: {event: fail, at_least: 2, within: 7m}}
    cooldown: 1m
    message: {type: suggestion, text: "{{ trigger.count }}"}
  - id: fail
    trigger: {event: {event: fail, where: event.n > 1}}
    message: {type: suggestion, text: "{{ event.n }} {{ event.id }}"}
  - id: offer
    trigger: {event: edit}
    cooldown: 1m
    deliver: {quiet_for: 1m, within: 4m, cancel_on: [fail]}
    message: {type: question, text: "offer", options: ["Yes", "No"], expires: 5m}
  - id: arrived
    trigger: {event: message.delivered}
    cooldown: 2m
    message: {type: notification, text: "{{ event.rule|default('gone') }}"}
  - id: bye
    trigger: {session: end}
    offline: keep
    deliver: {cancel_on: [edit]}
    message: {type: question, text: "bye after {{ trigger.lasted }}", expires: 11m}
"""
TEXTS = (
    RULES,
    RULES.replace("inactivity: 2m", "inactivity: 1m").replace("id: often", "id: again\n    was: often"),
    RULES.replace("at_least: 2, within: 7m", "at_least: 3, within: 9m").replace("quiet_for: 1m", "quiet_for: 2m"),
    RULES[: RULES.index("  - id: arrived")]
    + '  - {id: new, trigger: {count: {event: edit, at_least: 2, within: 5m}}, message: {type: suggestion, text: N}}\n',
)  # fmt: skip
SPANS = (0, 1, SECOND, MINUTE, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE)
PARTITIONS = 3
USERS = ("ann", "bob", "cem", "dan", "eve")
ALWAYS = "ann"  # sits at the first gateway all the time, so has to be told everything
LEASE_MS = 2_000
START = 1_774_605_600 * SECOND


@cache
def compiled(text: str) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


KNOWN = {compiled(text).hash: compiled(text) for text in TEXTS}


@dataclass
class World:
    """One schedule: who is there, and what gateways were promised and told."""

    seed: int
    now: int = START
    over: bool = False
    acknowledged: list[int] = field(default_factory=list)
    told: dict[str, set[str]] = field(default_factory=lambda: {user: set() for user in USERS})
    heard: set[str] = field(default_factory=set)  # ids that came by themselves, without anybody asking what waits
    serial: int = 0
    names: int = 0
    takeovers: int = 0
    refused: int = 0
    taken_back: set[str] = field(default_factory=set)  # ids of messages of which a gateway was told that
    settled: set[int] = field(default_factory=set)  # serials of what users did with messages, where one was told it

    def __post_init__(self) -> None:
        self.chance = Chance(self.seed)
        self.store = SlowRules(lambda: self.now, PARTITIONS)
        self.store.chance = self.chance
        self.where = {user: "g0" if user == ALWAYS else self.chance.random.choice(("g0", "g1", "")) for user in USERS}
        self.after: dict[str, int] = {}
        self.due_max = self.chance.random.choice((1, 2, DUE_MAX, DUE_MAX))
        self.loses_gateway = self.chance.random.random() < 0.3

    def flaky(self, *, may_crash: bool = True) -> Any:
        return Flaky(self.store, self.chance, may_crash=may_crash)

    def worker(self, *, lease_ms: int = LEASE_MS) -> Worker:
        self.names += 1
        store = self.flaky()
        name = f"w{self.names}"
        rounds = Rounds(
            store,
            name,
            lease_ms=lease_ms,
            entries_max=self.chance.random.choice((1, 3, 500)),
            due_max=self.due_max,
            together=self.chance.random.choice((1, 4, TOGETHER)),
            seconds=lambda: self.now / SECOND,
            rules=RuleHistory(store, known=KNOWN),
        )
        relay = Relay(store)
        return Worker(
            store,
            name,
            rounds=rounds,
            relay=relay,
            cleaning=Cleaning(store, resume_within=MINUTE),
            clock=lambda: self.now,
            lease_ms=LEASE_MS,
            seconds=lambda: self.now / SECOND,
        )

    # Those who take part.

    async def work(self, *, lease_ms: int = LEASE_MS) -> None:
        """A worker, and after it has crashed another one."""
        while not self.over:
            worker = self.worker(lease_ms=lease_ms)
            try:
                while not self.over:
                    await self.round(worker, everything=lease_ms == 0)
                    await self.chance.pause()
                    await asyncio.sleep(0)
            except Crash:
                self.takeovers += 1

    async def round(self, worker: Worker, *, everything: bool = False) -> None:
        try:
            if everything:
                worker._share = list(range(PARTITIONS))
                worker._beaten = worker._seconds()
            made = await worker.step()
            self.refused += made.refused
            await worker.rounds.adopting.look()
            await worker._cleaning.clean()
        except StoreError:
            await asyncio.sleep(0)

    async def publish(self) -> None:
        """The first rules are there when the first worker is, others come later."""
        store = self.flaky(may_crash=False)
        for number in range(self.chance.random.choice((1, 2, 4))):
            rules = compiled(TEXTS[0] if number == 0 else self.chance.random.choice(TEXTS))
            while True:
                try:
                    await store.save_rules(rules.hash, rules.sources)
                    await store.publish_rules(rules.hash)
                    break
                except StoreError:
                    await asyncio.sleep(0)
            for _ in range(self.chance.random.randrange(60)):
                await asyncio.sleep(0)

    async def go_on(self) -> None:
        """Time."""
        while not self.over:
            span = self.chance.random.choice((1, 1000, 20_000, SECOND, *SPANS))
            self.now += max(0, span + self.chance.random.choice((-1, 0, 0, 1)))
            for _ in range(self.chance.random.choice((1, 2, 5, 20))):
                await asyncio.sleep(0)

    async def gateway(self, name: str, pieces: int) -> None:
        """Says what its users do, until each of it is acknowledged, and hears what they are told."""
        store = self.flaky(may_crash=False)
        chance = self.chance.random
        await store_until(lambda: store.beat("gateway", name, 3_600_000 * 24))
        for user in USERS:
            if self.where[user] == name:
                await self.say(store, name, user, "session.start", {}, session=self.session(name, user))
        for _ in range(pieces):
            here = [user for user in USERS if self.where[user] == name]
            if here:
                user = chance.choice(here)
                kind = chance.choice(("edit", "fail", "fail", "chat_message", "seen", "leave", "send", "settle"))
                if kind == "leave" and user != ALWAYS:
                    await self.say(store, name, user, "session.end", {}, session=self.session(name, user))
                    self.where[user] = chance.choice(("g0", "g1"))
                    other = self.where[user]
                    await self.say(store, other, user, "session.start", {}, session=self.session(other, user))
                    await self.fetch(store, user)
                elif kind == "seen":
                    for message_id in sorted(self.told[user])[:1]:
                        await self.say(store, name, user, "message.delivered", {"message_id": message_id})
                        await store_until(lambda m=message_id, u=user: store.reached(name, [(u, m)]))  # type: ignore[misc]
                elif kind == "send":
                    await self.send(store, user)
                elif kind == "settle":
                    what = chance.choice(("message.dismissed", "message.answered", "user.preferences"))
                    await self.say(store, name, user, what, {"message_id": min(self.told[user], default="none")})
                else:
                    await self.say(store, name, user, "edit" if kind == "leave" else kind, {"n": chance.randrange(4)})
            await self.hear(store, name)
            await self.chance.pause()

    def session(self, gateway: str, user: str) -> str:
        """At the second gateway, one that its client may take up elsewhere when the gateway is gone."""
        return f"s_{gateway}-{user}" if gateway == "g1" else f"{gateway}-{user}"

    async def say(
        self, store: Any, gateway: str, user: str, kind: str, data: dict[str, Any], session: str | None = None
    ) -> None:
        """With an id of its own, so that it may be said again until it is acknowledged."""
        self.serial += 1
        serial = self.serial
        event = Event(kind, user, 0, {**data, "serial": serial}, f"e{serial}", session)
        presence = []
        if session is not None:
            presence = [Presence(user, session, is_there=kind == "session.start")]
        entry = Entry("event", 0, user, event, once=True)
        await store_until(lambda: store.ingest([entry], presence, gateway))
        self.acknowledged.append(serial)

    async def send(self, store: Any, user: str) -> None:
        self.serial += 1
        message = Message(f"m{self.serial}", "notification", "from the application")
        entry = Entry("send", 0, user, message=message, once=True)
        await store_until(lambda: store.ingest([entry]))

    async def fetch(self, store: Any, user: str) -> None:
        async def pending() -> None:
            self.told[user] |= {outgoing.message.id for outgoing in await store.pending(user, self.now)}

        await store_until(pending)

    async def hear(self, store: Any, name: str) -> None:
        try:
            heard = await store.listen(name, self.after.get(name, -1), 0)
        except StoreError:
            return
        assert not heard.has_gap or name not in self.after
        self.after[name] = heard.last
        for notice in heard.notices:
            if notice.message is not None:
                self.told[notice.user].add(notice.message.message.id)
                self.heard.add(notice.message.message.id)
            if notice.cancelled:
                self.taken_back.add(notice.cancelled)
            if notice.entry is not None and notice.entry.event is not None:
                self.settled.add(notice.entry.event.data["serial"])

    # The schedule.

    async def play(self) -> None:
        pieces = self.chance.random.choice((3, 8, 15))
        workers = [self.work() for _ in range(self.chance.random.choice((1, 2, 3)))]
        if self.chance.random.random() < 0.5:
            workers += [self.work(lease_ms=0) for _ in range(self.chance.random.choice((1, 2)))]
        for name in ("g0", "g1"):
            await self.store.beat("gateway", name, 3_600_000 * 24)
            self.after[name] = (await self.store.listen(name, None, 0)).last
        at_work = [asyncio.ensure_future(each) for each in (*workers, self.go_on())]
        await asyncio.gather(self.publish(), self.gateway("g0", pieces), self.gateway("g1", pieces))
        if self.loses_gateway:
            await self.store.beat("gateway", "g1", 1)
        self.over = True
        await asyncio.gather(*at_work)
        await self.settle()

    async def settle(self) -> None:
        """Nothing goes wrong any more, and one worker is left that has time to do all there is to do."""
        self.chance.calm = True
        self.now += 10 * SECOND
        worker = self.worker()
        for number in range(500):
            await self.round(worker)
            self.now += 30 * SECOND if number < 5 else SECOND
            batches = await self.store.poll(list(range(PARTITIONS)), self.now)
            is_done = not any(batch.entries or batch.due for batch in batches)
            if number > 7 and is_done and not worker.relay.is_busy and not worker.rounds.adopting.count:
                break
        else:
            raise AssertionError(f"seed {self.seed}: no end of work")
        for name in ("g0",) if self.loses_gateway else ("g0", "g1"):
            await self.hear(self.store, name)
        if self.loses_gateway:
            assert (await self.store.beat("worker", worker.name, 1)).lost == {}
            assert [await self.store.sessions_at("g1", number) for number in range(PARTITIONS)] == [{}] * PARTITIONS
        await check(self, KNOWN, ALWAYS)


async def store_until(call: Callable[[], Awaitable[Any]]) -> Any:
    """The same again until the store takes it."""
    while True:
        try:
            return await call()
        except StoreError:
            await asyncio.sleep(0)
