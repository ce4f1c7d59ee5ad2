"""A live driver with a time of its own, on a store whose commits go wrong as they are told to, and rules for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from msgspec import structs

from engine.core.rules import RuleSet
from engine.core.units import MINUTE, SECOND
from engine.intake import Input
from engine.live import Live
from engine.loading.load import load
from engine.storage.base import Commit, Conflict, OutboxMessage, StoreError
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
TALK = """
version: 1
policy:
  session_timeout: 9m
  simultaneous: 2
  budgets: {patience: {limits: [{max: 6, per: 11m}], charged_by: [{event: message.dismissed}]}}
rules:
  - id: offer
    trigger: {event: fail}
    topic: help
    level: less
    cooldown: 1m
    on_dismiss: {cooldown: x2, up_to: 7m}
    on_answer: reset
    deliver: {at: [edit], within: 90s, cancel_on: [chat_message]}
    message: {type: question, text: "offer {{ event.n|default(0) }}", options: ["Yes", "No"], expires: 5m}
  - id: yes
    trigger: {response: {to: offer, is: "Yes"}}
    message: {type: suggestion, text: "so {{ event.response }}"}
  - id: nothing
    trigger: [{response: {to: offer, is: [ignored, dismissed]}}, {response: {to: hint, is: ignored}}]
    topic: help
    message: {type: notification, text: "{{ event.type }}"}
  - id: hint
    trigger: {count: {event: fail, at_least: 2, within: 7m}}
    cooldown: 1m
    holdout: 20%
    message:
      type: question
      expires: 3m
      variants: [{id: one, text: "one {{ trigger.count }}"}, {id: two, weight: 2, text: two}]
  - id: quick
    trigger: {sequence: {steps: [fail, edit], within: 2m}}
    deliver: {quiet_for: 1m, within: 4m, otherwise: drop}
    message: {type: suggestion, text: quick}
  - id: silent
    trigger: {absence: {after: fail, no: edit, within: 3m}}
    message: {type: notification, text: silent}
  - id: arrived
    trigger: {event: message.delivered}
    cooldown: 4m
    message: {type: notification, text: "{{ event.rule|default('gone') }}"}
  - id: bye
    trigger: {session: end}
    offline: keep
    deliver: {cancel_on: [user.identify]}
    message: {type: question, text: "bye after {{ trigger.lasted }}", expires: 11m}
"""
TALKS = (
    TALK,
    TALK.replace("within: 7m", "within: 9m").replace("x2", "x3").replace("within: 2m}", "within: 3m}"),
    TALK.replace("id: hint", "id: tip\n    was: hint").replace("to: hint", "to: tip"),
    TALK[: TALK.index("  - id: arrived")].replace("offer {{", "OFFER {{").replace("topic: help", "topic: other"),
)  # fmt: skip
SPANS = (0, SECOND, MINUTE, 90 * SECOND, *(MINUTE * n for n in (2, 3, 4, 5, 7, 9, 11)))
USERS = ("ann", "bob", "cem")


@cache
def compiled(text: str) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


HALVES = (
    "the first is refused",
    "the last is refused",
    "no answer, and the first was not made",
    "no answer, and the last was not made",
    "crash before the first",
    "crash before the last",
)


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
        if trouble in HALVES and len(commits) > 1:
            # What a store does in one step it does to one partition.
            made = commits[:1] if "last" in trouble else commits[1:]
            await self.inner.commit(made)
            if "crash" in trouble:
                raise Crash
            refused = frozenset(commit.partition for commit in commits) - {commit.partition for commit in made}
            raise Conflict("somebody was faster", refused) if "refused" in trouble else StoreError("no answer")
        await self.inner.commit(commits)
        if trouble == "crash after":
            raise Crash
        if trouble == "the answer is lost":
            raise StoreError("no answer")


@dataclass
class World:
    """The live driver with its own time, what clients were promised, and what they were handed.

    ``away`` are those who have no connection that would take a message.
    """

    store: TryingStore = field(default_factory=lambda: TryingStore(MemoryStore(partition_count=2)))
    now: int = 1_700_000_000 * SECOND
    texts: tuple[str, ...] = RULE_TEXTS
    which: int = 0
    acknowledged: list[int] = field(default_factory=list)
    serial: int = 0
    handed: dict[str, list[str]] = field(default_factory=lambda: {user: [] for user in USERS})
    away: set[str] = field(default_factory=set)
    live: Live = field(init=False)

    async def start(self) -> None:
        # A new process has the rules of the files as they are now.
        while True:
            self.live = Live(
                self.store,
                compiled(self.texts[self.which]),
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
        taken = [message for message in messages if message.user not in self.away]
        for message in taken:
            self.handed[message.user].append(message.message.id)
        return [message.message.id for message in taken]

    async def fetch(self, user: str) -> None:
        """The user's client is back, and takes what waits for it."""
        self.away.discard(user)
        waiting = await self.live.waiting(user)
        self.deliver(waiting)
        self.live.relayed(waiting)

    async def do(self, action: tuple[Any, ...]) -> None:
        kind, *rest = action
        if kind == "wait":
            self.now += rest[0]
        elif kind == "trouble":
            self.store.troubles.append(rest[0])
        elif kind == "away":
            self.away.add(rest[0])
        elif kind == "fetch":
            await self.fetch(rest[0])
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
                    await self.live.change_rules(compiled(self.texts[self.which]))
            except StoreError:
                pass
            except Crash:
                await self.start()

    async def submit(self, inputs: list[Input]) -> None:
        tasks = []
        first = self.serial
        for item in inputs:
            # Whatever id it gets: by its serial number it is seen how often it happened.
            item = structs.replace(item, data={**self.resolved(item), "serial": self.serial})
            said = [item]
            if item.type == "user_response":
                said.append(structs.replace(item, type="message.answered", data=without(item.data, "serial")))
            self.serial += 1
            tasks.append(asyncio.ensure_future(self.live.submit(said)))
            await asyncio.sleep(0)
            self.now += 1
        try:
            await self.live.take_turn(self.now)
        finally:
            done = await asyncio.gather(*tasks, return_exceptions=True)
            self.acknowledged += [first + place for place, ids in enumerate(done) if isinstance(ids, list)]

    def resolved(self, item: Input) -> dict[str, Any]:
        """The data of an input, with the id of one of the latest messages that its user was handed for its number."""
        back = item.data.get("message_id")
        if back is None:
            return item.data
        latest = self.handed[item.user][::-1]
        return {**item.data, "message_id": latest[back] if back < len(latest) else "of nobody"}


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}
