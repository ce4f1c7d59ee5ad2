"""Gateways that stand in for real ones where more is to be said than real connections carry: users in one process.

Each does what a gateway does at the store (`FleetStore`): it puts in what its users say, again and again until that is
stored, hears what it is told, and says what has reached them. All of it goes into the journal.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from engine.core.model import Event, Message
from engine.storage.base import Entry, OutboxMessage, StoreError
from engine.storage.fleet import FleetStore, Presence, Taken
from tests.scale.journal import Journal

KINDS = {"asked": 6, "failed": 20, "saved": 15, "drafted": 5, "dropped": 2, "edited": 52}
BEAT_S, LASTS_MS = 2.0, 60_000  # nobody is to take a stand-in for dead because this machine is slow
TICK_S = 0.02
AT_ONCE = 500  # entries of one ingest
BACKLOG_MAX = 20_000  # behind that the load waits for the store
AGAIN_S = 0.05
REPEATABLE = 5_000  # of what was said last, that may be said again


@dataclass(frozen=True)
class Load:
    """``rate``: events a second. ``repeats``: the share of them that is said once more later on.

    ``sends``: the share that are messages of the application. ``hot``: the share that is of the first user.
    """

    rate: float = 1500.0
    repeats: float = 0.0
    batches_again: float = 0.0
    sends: float = 0.01
    hot: float = 0.0
    answers: float = 0.1  # of questions
    text: str = ""  # carried along by every event
    told_again: float = 0.0  # of what is heard, that is told once more
    kinds: Mapping[str, int] = field(default_factory=lambda: KINDS)  # how often each is said


class StandIn:
    """``users`` have their session here from `open` on."""

    def __init__(
        self, name: str, store: FleetStore, users: list[str], journal: Journal, load: Load, rng: random.Random
    ):
        self.name = name
        self.users = users
        self.gaps = 0
        self.ingests = 0
        self.acknowledged = 0
        self.troubles: dict[str, int] = {}
        self._store = store
        self._journal = journal
        self._load = load
        self._rng = rng
        self._numbers = itertools.count(1)
        self._kinds, self._weights = list(load.kinds), list(load.kinds.values())
        self._last: deque[Entry] = deque(maxlen=REPEATABLE)
        self._backlog: deque[Entry] = deque()
        self._answers: deque[Entry] = deque()
        self._reached: dict[tuple[str, str], None] = {}
        self._asked_at: dict[str, float] = {}
        self._said_up_to = 0.0
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Everybody arrives; then it listens. Who has arrived is owed all that is decided."""
        self._after: int | None = (await self._store.listen(self.name, None, 0.0)).last
        await self._store.beat("gateway", self.name, LASTS_MS)
        for start in range(0, len(self.users), AT_ONCE):
            some = self.users[start : start + AT_ONCE]
            for user in some:
                self._journal.sit(self.seat(user), user)
            entries = [self.arrival(user) for user in some]
            await self._ingest(entries, [Presence(user, self._session(user)) for user in some])
        loops = {"hear": self._hear(), "beat": self._beat(), "tell reached": self._tell_reached()}
        self._tasks += [asyncio.create_task(loop, name=f"{self.name}: {name}") for name, loop in loops.items()]
        self._saying = asyncio.create_task(self._say(), name=f"{self.name}: say")
        self._tasks.append(self._saying)

    def start(self) -> None:
        """They begin to say things."""
        self._said_up_to = time.monotonic()

    async def end(self) -> None:
        """Nothing new is said from here on; returns when all that was said is stored."""
        self._over.set()
        await self._saying

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task, result in zip(self._tasks, await asyncio.gather(*self._tasks, return_exceptions=True), strict=True):
            if isinstance(result, Exception):
                raise RuntimeError(f"{task.get_name()} fell over") from result

    @property
    def is_calm(self) -> bool:
        return not self._reached and not self._backlog and not self._answers

    @property
    def shown(self) -> int:
        return sum(self._journal.seats[self.seat(user)].times.total() for user in self.users)

    def seat(self, user: str) -> str:
        return f"{user} at {self.name}"

    def _session(self, user: str) -> str:
        return f"{user}-{self.name}"

    def arrival(self, user: str) -> Entry:
        """What a user says first."""
        return self._entry("session.start", user, session=self._session(user))

    # What is said.

    def _entry(self, kind: str, user: str, session: str | None = None, **data: object) -> Entry:
        event_id = f"{self.name}-{next(self._numbers)}"
        if self._load.text:
            data["text"] = self._load.text
        event = Event(kind, user, 0, {"n": event_id, **data}, event_id, session)
        return Entry("event", 0, user, event, once=True)

    def _something(self) -> Entry:
        rng = self._rng
        user = self.users[0] if rng.random() < self._load.hot else rng.choice(self.users)
        if rng.random() < self._load.sends:
            message_id = f"told-{self.name}-{next(self._numbers)}"
            return Entry("send", 0, user, message=Message(message_id, "notification", "told"), once=True)
        kind = rng.choices(self._kinds, self._weights)[0]
        if kind == "failed":
            return self._entry(kind, user, test=f"t{rng.randint(1, 2)}")
        entry = self._entry(kind, user)
        if kind == "asked" and entry.event is not None:
            self._asked_at[f"asked {entry.event.id}"] = time.monotonic()
        return entry

    async def _say(self) -> None:
        """As much as the rate asks for, in order, one ingest at a time."""
        while True:
            is_over = self._over.is_set()
            if not is_over:
                self._backlog.extend(self._due())
            self._backlog.extend(self._answers)
            self._answers.clear()
            while self._backlog:
                batch = [self._backlog.popleft() for _ in range(min(AT_ONCE, len(self._backlog)))]
                await self._ingest(batch)
                if self._rng.random() < self._load.batches_again:
                    self._journal.again += len(batch)
                    await self._ingest(batch)
            if is_over and not self._answers:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._over.wait()

    def _due(self) -> Iterator[Entry]:
        if not self._said_up_to or not self._load.rate:
            return
        now = time.monotonic()
        count = min(int((now - self._said_up_to) * self._load.rate), BACKLOG_MAX)
        self._said_up_to += count / self._load.rate
        self._said_up_to = max(self._said_up_to, now - BACKLOG_MAX / self._load.rate)
        for _ in range(count):
            if self._last and self._rng.random() < self._load.repeats:
                self._journal.again += 1
                yield self._rng.choice(self._last)
            entry = self._something()
            if self._load.repeats:
                self._last.append(entry)
            yield entry

    async def _ingest(self, entries: list[Entry], presence: list[Presence] | None = None) -> list[Taken]:
        """Until it is stored, as a client does it that keeps what nobody has acknowledged."""
        for entry in entries:
            if entry.event is not None:
                self._journal.say(entry.user, entry.event.id)
        while True:
            try:
                self.ingests += 1
                taken = await self._store.ingest(entries, presence or [], self.name)
                break
            except StoreError as error:
                self._trouble(error)
                await asyncio.sleep(AGAIN_S)
        self.acknowledged += len(entries)
        for entry in entries:
            if entry.event is not None:
                self._journal.acknowledge(entry.user, entry.event.id)
        return taken

    def _trouble(self, error: StoreError) -> None:
        self._journal.refused += 1
        kind = error.state or "unknown"
        self.troubles[kind] = self.troubles.get(kind, 0) + 1

    # What is heard.

    async def _hear(self) -> None:
        was_deaf = False
        while True:
            try:
                heard = await self._store.listen(self.name, self._after, 0.0 if was_deaf else 1.0)
                if heard.has_gap or was_deaf:
                    # As `engine.fleet.listening` does it: a store that was away may have forgotten what it told.
                    self.gaps += heard.has_gap
                    await self._look_for_all()
                was_deaf = False
            except StoreError as error:
                self._trouble(error)
                was_deaf = True
                await asyncio.sleep(AGAIN_S)
                continue
            self._after = heard.last
            for notice in heard.notices:
                if notice.message is not None:
                    self._show(notice.message)
            if self._rng.random() < self._load.told_again:
                with suppress(StoreError):
                    await self._store.tell({self.name: heard.notices})

    async def _look_for_all(self) -> None:
        now = await self._store.clock()
        for user in self.users:
            for outgoing in await self._store.pending(user, now):
                self._show(outgoing)

    def _show(self, outgoing: OutboxMessage) -> None:
        message, user = outgoing.message, outgoing.user
        self._reached[user, message.id] = None
        if not self._journal.show(self.seat(user), message.id, message.text):
            return
        if (asked := self._asked_at.pop(message.text, None)) is not None:
            self._journal.delays.append(time.monotonic() - asked)
        if outgoing.rule and not self._over.is_set():
            self._answers.append(self._entry("message.delivered", user, message_id=message.id))
            if message.type == "question" and self._rng.random() < self._load.answers:
                self._answers.append(self._entry("message.answered", user, message_id=message.id, response="Not now"))

    async def _tell_reached(self) -> None:
        while True:
            some = list(itertools.islice(self._reached, AT_ONCE))
            try:
                if some:
                    await self._store.reached(self.name, some)
            except StoreError as error:
                self._trouble(error)
                some = []
            for each in some:
                self._reached.pop(each, None)
            await asyncio.sleep(TICK_S if some else AGAIN_S)

    async def _beat(self) -> None:
        while True:
            try:
                await self._store.beat("gateway", self.name, LASTS_MS)
            except StoreError as error:
                self._trouble(error)
            await asyncio.sleep(BEAT_S)
