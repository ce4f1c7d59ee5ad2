"""A dry run is production: whatever happens to the live driver, its log replayed gives its decisions, byte for byte.

Hypothesis drives the real driver on the model store: events of several users, timers that run late or not at all,
reloads, commits that fail, whose answer is lost, or that somebody else was faster with, crashes and restarts. Times
are drawn from the rules' own constants and one microsecond to either side of them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.core.evaluate import advance, run
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND
from engine.live import Input, Live
from engine.loading.load import load
from engine.recorded import recorded_timeline
from engine.storage.base import Commit, OutboxMessage, StoreError
from engine.storage.codec import encode_decision
from engine.storage.memory import MemoryStore
from engine.triggers import KINDS

BASE = """
version: 1
policy: {session_timeout: 9m}
rules:
  - id: idle
    trigger: {inactivity: 5m}
    cooldown: 7m
    message: {type: question, text: "idle {{ trigger.idle }} after {{ event.type }}"}
  - id: idle-after-fail
    trigger: {inactivity: {for: 2m, after: {event: fail, where: event.n > 1}}}
    max: [{max: 2, per: session}]
    priority: 3
    message: {type: suggestion, text: "{{ event.n }} {{ session.events }}"}
  - id: stuck
    trigger: {keywords: {any: [stuck, "help*"]}}
    warmup: 1m
    max: [{max: 2, per: 11m}]
    condition: default(user.level, 1) < 3
    message: {type: question, text: "{{ trigger.keyword }}?"}
  - id: break
    trigger: {schedule: {every: 4m}}
    message: {type: notification, text: "{{ session.age }}"}
  - id: fail
    trigger: {event: {event: fail, where: event.n > 1}}
    cooldown: 3m
    message: {type: suggestion, text: "{{ event.n }} {{ event.id }}"}
"""
RULE_TEXTS = (
    BASE,
    BASE + "# the same, said again\n",
    BASE.replace("cooldown: 7m", "cooldown: 1m")
    .replace("idle {{", "IDLE {{")
    .replace("{max: 2, per: 11m}", "{max: 3, per: user}"),
    BASE.replace("inactivity: 5m", "inactivity: 3m")
    .replace("{for: 2m, after: {event: fail, where: event.n > 1}}", "{for: 2m, after: fail}")
    .replace("every: 4m", "every: 90s")
    .replace("session_timeout: 9m", "session_timeout: 4m"),
    BASE[: BASE.index("  - id: break")],
)  # fmt: skip
SPANS = (0, SECOND, MINUTE, 90 * SECOND, *(MINUTE * n for n in (2, 3, 4, 5, 7, 9, 11)))
USERS = ("ann", "bob", "cem")


def compiled(which: int) -> RuleSet:
    return load({"rules.yaml": RULE_TEXTS[which]}, KINDS)


class Crash(BaseException):
    """The process is gone."""


class TryingStore:
    """The model store, on which the commits that were told to go wrong do so, each in its own way."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.troubles: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def commit(self, commits: list[Commit]) -> None:
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "crash before":
            raise Crash
        if trouble == "fails":
            raise StoreError("the disk said no")
        if trouble == "somebody else was faster":
            number = commits[0].partition
            batch = (await self.inner.poll([number], -1))[0]
            await self.inner.commit([Commit(number, batch.version, batch.cursor)])
        await self.inner.commit(commits)
        if trouble == "crash after":
            raise Crash
        if trouble == "the answer is lost":
            raise StoreError("no answer")


@dataclass
class World:
    """The live driver with its own time, and what clients were promised."""

    store: TryingStore = field(default_factory=lambda: TryingStore(MemoryStore(partition_count=2)))
    now: int = 1_700_000_000 * SECOND
    which: int = 0
    acknowledged: list[int] = field(default_factory=list)
    serial: int = 0
    delivered: list[str] = field(default_factory=list)
    live: Live = field(init=False)

    async def start(self) -> None:
        # A new process has the rules of the files as they are now.
        while True:
            self.live = Live(
                self.store,
                compiled(self.which),
                clock=lambda: self.now,
                deliver=self.deliver,
                retry_seconds=(0, 0, 0),
            )
            try:
                await self.live.recover()
                return
            except (Crash, StoreError):
                continue

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        self.delivered += [message.message.id for message in messages]
        return [message.message.id for message in messages]

    async def do(self, action: tuple[Any, ...]) -> None:
        kind, *rest = action
        if kind == "wait":
            self.now += rest[0]
        elif kind == "trouble":
            self.store.troubles.append(rest[0])
        elif kind == "restart":
            await self.start()
        else:
            try:
                if kind == "events":
                    await self.submit(rest[0])
                elif kind == "turn":
                    await self.live.take_turn(self.now)
                elif kind == "rules":
                    self.which = rest[0]
                    await self.live.change_rules(compiled(self.which))
            except StoreError:
                pass
            except Crash:
                await self.start()

    async def submit(self, inputs: list[Input]) -> None:
        tasks = []
        first = self.serial
        for item in inputs:
            # Whatever id it gets: by its serial number it is seen how often it happened.
            item = structs.replace(item, data={**item.data, "serial": self.serial})
            self.serial += 1
            tasks.append(asyncio.ensure_future(self.live.submit([item])))
            await asyncio.sleep(0)
            self.now += 1
        try:
            await self.live.take_turn(self.now)
        finally:
            done = await asyncio.gather(*tasks, return_exceptions=True)
            self.acknowledged += [first + place for place, ids in enumerate(done) if isinstance(ids, list)]


def spans() -> st.SearchStrategy[int]:
    return st.builds(lambda span, off: max(span + off, 0), st.sampled_from(SPANS), st.sampled_from((-2, -1, 0, 1)))


def inputs() -> st.SearchStrategy[Input]:
    user = st.sampled_from(USERS)
    session = st.sampled_from((None, "s1", "s2"))
    return st.one_of(
        st.builds(Input, user, st.just("edit"), st.just({}), session=session),
        st.builds(Input, user, st.just("fail"), st.fixed_dictionaries({}, optional={"n": st.integers(0, 3)})),
        st.builds(
            Input,
            user,
            st.just("chat_message"),
            st.fixed_dictionaries({"message": st.sampled_from(("I am stuck", "helpless, help", "fine"))}),
        ),
        st.builds(Input, user, st.sampled_from(("session.start", "session.end")), st.just({}), session=session),
        st.builds(Input, user, st.just("user.identify"), st.fixed_dictionaries({"level": st.integers(1, 4)})),
    )


TROUBLES = ("fails", "the answer is lost", "somebody else was faster", "crash before", "crash after")
actions = st.lists(
    st.one_of(
        st.tuples(st.just("events"), st.lists(inputs(), min_size=1, max_size=3)),
        st.tuples(st.just("events"), st.lists(inputs(), min_size=1, max_size=3)),
        st.tuples(st.just("wait"), spans()),
        st.tuples(st.just("wait"), spans()),
        st.tuples(st.just("turn")),
        st.tuples(st.just("rules"), st.integers(0, len(RULE_TEXTS) - 1)),
        st.tuples(st.just("trouble"), st.sampled_from(TROUBLES)),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


async def recorded(store: MemoryStore) -> tuple[dict[str, list[Event]], dict[str, list[bytes]], dict[str, int]]:
    """By user: the events of the log, the recorded decisions, and how far the log says that time has come."""
    events: dict[str, list[Event]] = {}
    lines: dict[str, list[bytes]] = {}
    until: dict[str, int] = {}
    for number in range(store.partition_count):
        tick = -1
        users = []
        for entry in await store.log(number, 0, 100_000):
            if entry.kind == "tick":
                tick = entry.at
            elif entry.event is not None:
                events.setdefault(entry.user, []).append(entry.event)
                users.append(entry.user)
        until |= dict.fromkeys(users, tick)
    for user, line in await all_decisions(store):
        lines.setdefault(user, []).append(line)
    return events, lines, until


async def all_decisions(store: MemoryStore) -> list[tuple[str, bytes]]:
    found = []
    for number in range(store.partition_count):
        found += [(json.loads(line)["user"], line) for line in await store.decisions(number)]
    return found


async def check(world: World) -> None:
    store = world.store.inner
    timeline = await recorded_timeline(store)
    assert timeline is not None
    events, lines, until = await recorded(store)
    states = await store.load(list(events))
    for user, happened in events.items():
        decisions: list[Decision] = []
        state = UserState(user)
        run(timeline, state, happened, until[user], decisions)
        assert [encode_decision(decision) for decision in decisions] == lines.pop(user, [])
        assert state.encode() == caught_up(timeline, states[user], until[user])
    assert not lines
    happened_times = Counter(
        event.data["serial"] for mine in events.values() for event in mine if "serial" in event.data
    )
    assert [serial for serial in world.acknowledged if happened_times[serial] != 1] == []
    assert [serial for serial, times in happened_times.items() if times > 1] == []


def caught_up(timeline: Timeline, encoded: bytes, until: int) -> bytes:
    """The live state when it, too, has adopted every rule set: the absent do so only when they come back."""
    state = UserState.decode(encoded)
    late: list[Decision] = []
    advance(timeline, state, until, late)
    assert late == []
    return state.encode()


async def story(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    await world.start()
    for step in steps:
        await world.do(step)
    world.store.troubles.clear()
    await world.start()
    await world.live.take_turn(world.now)
    await check(world)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions)
def test_the_log_replayed_gives_the_decisions_of_the_live_driver(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(story(steps))


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_one_trouble_of_each_kind_loses_nothing_and_doubles_nothing(trouble: str) -> None:
    stuck = Input("ann", "chat_message", {"message": "I am stuck"})
    await story(
        [
            ("events", [Input("ann", "edit", {})]),
            ("wait", 2 * MINUTE),
            ("trouble", trouble),
            ("events", [stuck]),
            ("wait", 5 * MINUTE),
            ("trouble", trouble),
            ("turn",),
            ("events", [stuck]),
        ]
    )
