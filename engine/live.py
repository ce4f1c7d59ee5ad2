"""The live driver: stamp, load, evaluate, commit, send; a timer set to the next due moment. It decides nothing.

Inputs of many users are taken in turns. A turn evaluates all that waits and commits it in one transaction;
nothing is acknowledged or sent before that. If the commit fails the turn is made again from the states that
the store has, and what came of the failed one is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from engine.core.model import Decision, Event, Json
from engine.core.reasons import explain
from engine.core.rules import RuleSet
from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND, format_at
from engine.inbox import DELIVERED, Inbox, Overloaded
from engine.stale import StaleSessions
from engine.storage.base import Conflict, Entry, OutboxMessage, Store, StoreError
from engine.turn import TurnResult, Turns

log = structlog.get_logger("live")

RETRY_SECONDS = (0.02, 0.1, 0.5, 2.0)  # between the tries of one turn; then its inputs are refused
WAIT_SECONDS_MAX = 60.0
CLOCK_BEHIND_MAX = MINUTE  # a clock is set back by so much only where something is wrong

Made = TypeVar("Made")
Clock = Callable[[], int]  # the time in microseconds
Deliver = Callable[[list[OutboxMessage]], list[str]]  # hands messages to clients; returns the ids of those handed over


class Input(msgspec.Struct, frozen=True):
    """What a client says happened. The driver stamps it; the client's own stamp is ``at_reported``, if it gave one."""

    user: str
    type: str
    data: dict[str, Json]
    id: str = ""
    session: str | None = None
    at_reported: int | None = None


@dataclass(slots=True)
class Counters:
    """What the driver has done since it started, for `/healthz`."""

    events: int = 0
    decisions: int = 0
    commits: int = 0
    retries: int = 0
    faults: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


class Live:
    """Runs the rules for all users of a store. One per store: it takes open sessions that are not its own for those of
    a process that is gone. Commits of another would only conflict with it."""

    def __init__(
        self,
        store: Store,
        rules: RuleSet,
        *,
        clock: Clock,
        deliver: Deliver,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._deliver = deliver
        self._retry_seconds = retry_seconds
        self._turns = Turns(store)
        self._one_at_a_time = asyncio.Lock()
        self._inbox = Inbox()
        self._wake_up = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False
        self._next_wake: int | None = None
        self._stale = StaleSessions()
        self._behind = False  # whether somebody may not have adopted the latest rules
        self._trouble = ""
        self.counters = Counters()

    # What the rest of the server calls.

    async def start(self) -> None:
        """Recover from the store, make the rules hold, and begin to take turns."""
        await self.recover()
        self._stopping = False
        self._loop = asyncio.create_task(self._run(), name="live")

    async def recover(self) -> None:
        """Take up where the store stands. `start` does it; tests that take turns by hand call it themselves."""
        await self._turns.recover()
        timeline = self._turns.timeline
        if timeline is None or timeline.latest.hash != self._rules.hash:
            await self.change_rules(self._rules)
        await self._catch_up()
        self._say_if_clock_is_behind()
        self._stale.add({user: names for user, names in await self._turns.open_sessions() if names}, self._clock())
        if self._stale:
            log.info("= sessions of an earlier process stay open for now", users=len(self._stale))
        self._next_wake = await self._store.next_wake()

    async def stop(self) -> None:
        """Finish what waits, then stop. Open sessions stay open in the store: their clients will come back."""
        self._stopping = True
        self._wake_up.set()
        if self._loop is not None:
            await self._loop

    async def submit(self, inputs: list[Input]) -> list[str]:
        """Let these happen now, in order. When it returns they are durable and evaluated; the ids are the events'.

        Raises `Overloaded`, or `StoreError` where they could not be made durable: then they did not happen.
        """
        entries: list[Entry] = []
        places: list[int] = []
        ended: dict[str, list[str]] = {}
        for item in inputs:
            places.append(len(entries))
            entries.append(self._entry(item))
            if item.type == "session.start":
                # The client is back: what its former connection left open has had its use.
                former = {item.user: self._stale.pop(item.user)}
                ended = {**former, **ended}
                entries += self._ends(former)
        try:
            done = await self._enqueue(entries)
        except (StoreError, Overloaded):
            self._stale.add(ended, self._clock())
            raise
        return [event.id for place in places if (event := done[place].event) is not None]

    async def end(self, ends: list[Input]) -> None:
        """These connections are gone: their sessions end now, or later where that cannot be made durable now."""
        try:
            await self.submit(ends)
        except (StoreError, Overloaded) as error:
            log.warning("! sessions end later", error=str(error), sessions=len(ends))
            for item in ends:
                self._stale.add({item.user: [item.session or ""]}, self._clock())
            self._wake_up.set()

    async def send(self, messages: list[OutboxMessage]) -> None:
        """The application's own messages: logged, put into the outbox, delivered. They pass no rule and no gate."""
        at = self._clock()
        await self._enqueue([Entry("send", at, message.user, message=message.message) for message in messages])

    async def waiting(self, user: str) -> list[OutboxMessage]:
        """What waits for the user and has not expired, oldest first."""
        return await self._store.pending(user, self._clock())

    async def relayed(self, messages: list[OutboxMessage], causes: Mapping[str, str] | None = None) -> None:
        """These have been handed to a client: they leave the outbox, and rules come to know of it.

        A store that refuses says so in the log: they stay in the outbox and may be shown again, rather twice than
        never. ``causes`` are those of `Inbox.put_receipts`.
        """
        if not messages:
            return
        self._inbox.put_receipts(messages, self._clock(), causes or {})
        self._wake_up.set()
        try:
            await self._store.relayed([outgoing.message.id for outgoing in messages], self._clock())
        except StoreError as error:
            log.warning("! outbox", error=str(error), messages=len(messages))

    async def change_rules(self, rules: RuleSet) -> int:
        """Let ``rules`` hold from the next moment on, for everybody at once, and say which moment that is."""
        async with self._one_at_a_time:
            await self._store.save_rules(rules.hash, rules.sources)
            moment = await self._try(lambda: self._turns.change_rules(rules, self._clock()))
            self._rules = rules
        try:
            await self._catch_up()
        except StoreError as error:
            # The rules hold. Whose timers they bring nearer is seen to as soon as the store lets us.
            self._behind = True
            log.error("! store", error=str(error))
        self._wake_up.set()
        return moment

    def present_users(self) -> AsyncIterator[UserState]:
        """The state of every present user, to be looked at and not changed. Raises `StoreError` on the way."""
        return self._turns.present_users()

    async def mend(self) -> None:
        """Let those adopt the latest rules who could not at the time. Raises `StoreError` where they still cannot."""
        if self._behind and not self._stopping:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Let everybody present adopt the latest rules: a timer may be due sooner by these than by the former.

        In pieces, so that inputs get their turns in between.
        """
        users = await self._turns.users_behind()
        piece = self._turns.catch_up_max
        for start in range(0, len(users), piece):
            async with self._one_at_a_time:
                some = users[start : start + piece]
                await self._finish(await self._try(lambda some=some: self._turns.catch_up(some)))  # type: ignore[misc]
        async with self._one_at_a_time:
            await self._finish(await self._try_turn([], self._clock(), due=True, tick=True))
        self._behind = False

    @property
    def rules(self) -> RuleSet:
        return self._rules

    def health(self) -> dict[str, Json]:
        counters = self.counters
        return {
            "running": self._loop is not None and not self._loop.done(),
            "trouble": self._trouble or None,
            "waiting": self._inbox.count,
            "next_wake": None if self._next_wake is None else format_at(self._next_wake),
            "events": counters.events,
            "decisions": counters.decisions,
            "outcomes": dict(sorted(counters.outcomes.items())),
            "commits": counters.commits,
            "retries": counters.retries,
            "faults": counters.faults,
        }

    # The loop.

    def _entry(self, item: Input) -> Entry:
        at = self._clock()
        event = Event(item.type, item.user, at, item.data, item.id, item.session, item.at_reported)
        return Entry("event", at, item.user, event)

    async def _enqueue(self, entries: list[Entry]) -> list[Entry]:
        if self._stopping:
            raise StoreError("the server is stopping")
        self._inbox.check_room(len(entries))
        done = self._inbox.put(entries)
        self._wake_up.set()
        return await done

    async def _run(self) -> None:
        while self._inbox or not self._stopping:
            if not self._inbox and not self._behind:
                await self._sleep()
            try:
                await self.take_turn(self._clock())
                await self.mend()
            except Exception as error:
                # Inputs have been answered through their futures. Timers that were due stay due.
                self._trouble = str(error)
                if isinstance(error, StoreError):
                    log.error("! store", error=str(error))
                else:
                    # A fault of ours must not end the loop: nobody would get an answer any more.
                    log.exception("! turn failed")
                if not self._stopping:
                    await asyncio.sleep(RETRY_SECONDS[-1])

    async def _sleep(self) -> None:
        self._wake_up.clear()
        moments = [at for at in (self._next_wake, self._stale.until) if at is not None]
        seconds = (min(moments) - self._clock()) / SECOND if moments else WAIT_SECONDS_MAX
        if seconds > 0 and not self._inbox and not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake_up.wait(), min(seconds, WAIT_SECONDS_MAX))

    async def take_turn(self, now: int) -> None:
        """Take what waits, let time come to ``now`` (or to the last input taken, if more wait), commit, deliver.

        Called by the loop, and by tests that bring their own time. Raises `StoreError` when the turn could not
        be made; the inputs of it have been told, and have not happened.
        """
        if self._stale.until is not None and now >= self._stale.until:
            self._end_stale_sessions()
        async with self._one_at_a_time:
            taken = self._inbox.take(timers_due=self._next_wake is not None and self._next_wake <= now)
            entries = [entry for request in taken for entry in request.entries]
            horizon = entries[-1].at if self._inbox.has_requests and entries else now
            due = self._next_wake is not None and self._next_wake <= horizon
            if not entries and not due:
                return
            try:
                result = await self._try_turn(entries, horizon, due=due)
            except BaseException as error:
                for request in taken:
                    request.fail(_as_store_error(error))
                raise
            place = 0
            for request in taken:
                after = place + len(request.entries)
                request.succeed(result.entries[place:after])
                place = after
            await self._finish(result)

    async def _try_turn(self, entries: list[Entry], horizon: int, *, due: bool, tick: bool = False) -> TurnResult:
        return await self._try(lambda: self._turns.make(entries, horizon, due=due, tick=tick))

    async def _try(self, attempt: Callable[[], Awaitable[Made]]) -> Made:
        for seconds in (*self._retry_seconds, None):
            try:
                return await attempt()
            except StoreError as error:
                self.counters.retries += 1
                log.warning("! commit failed", error=str(error), again=seconds is not None)
                if seconds is None:
                    raise
                await asyncio.sleep(0 if isinstance(error, Conflict) else seconds)
        raise AssertionError("the last try returns or raises")

    async def _finish(self, result: TurnResult) -> None:
        """The turn is durable: count it, set the timer, hand its messages over."""
        self._trouble = ""
        self._count(result)
        try:
            self._next_wake = await self._store.next_wake()
        except StoreError as error:
            # Not knowing when the next timer is due, look at once.
            self._next_wake = self._clock()
            log.warning("! wake-ups", error=str(error))
        if result.outbox:
            handed = set(self._deliver(result.outbox))
            messages = [outgoing for outgoing in result.outbox if outgoing.message.id in handed]
            await self.relayed(messages, _caused_by_receipts(result))

    def _count(self, result: TurnResult) -> None:
        counters = self.counters
        counters.commits += 1
        counters.events += sum(1 for entry in result.entries if entry.kind == "event")
        counters.decisions += len(result.decisions)
        counters.faults += len(result.faults)
        for decision in result.decisions:
            counters.outcomes[decision.outcome] = counters.outcomes.get(decision.outcome, 0) + 1
            if decision.was is not None and counters.outcomes.get(decision.was):
                counters.outcomes[decision.was] -= 1  # the same candidate, which has come further
            log.info(
                "> message" if decision.outcome == "sent" else "= decision",
                user_id=decision.user,
                rule_id=decision.rule,
                outcome=decision.outcome,
                at=format_at(decision.at),
                **_told(decision),
            )
        for fault in result.faults:
            log.error("! set aside", user_id=fault.user, at=format_at(fault.at), trace=fault.trace)

    def _end_stale_sessions(self) -> None:
        for some in self._stale.take():
            self._inbox.put(self._ends(some)).add_done_callback(partial(self._ended, some))

    def _ends(self, sessions: dict[str, list[str]]) -> list[Entry]:
        named = ((user, name) for user, names in sessions.items() for name in names)
        return [self._entry(Input(user, "session.end", {}, session=name)) for user, name in named]

    def _ended(self, sessions: dict[str, list[str]], done: asyncio.Future[list[Entry]]) -> None:
        if not done.cancelled() and done.exception() is not None:
            self._stale.add(sessions, self._clock())

    def _say_if_clock_is_behind(self) -> None:
        latest = self._turns.latest
        if latest > self._clock() + CLOCK_BEHIND_MAX:
            log.error(
                "! the clock is behind what was recorded: until it is there, no time passes and no timer fires",
                recorded=format_at(latest),
            )


def _told(decision: Decision) -> dict[str, str]:
    """What a decision has besides its outcome, as far as it has it: the line of the log has no empty fields."""
    reason = None if decision.reason is None else explain(decision.reason)
    told = {"reason": reason, "was": decision.was, "variant": decision.variant}
    return {name: value for name, value in told.items() if value is not None}


def _caused_by_receipts(result: TurnResult) -> dict[str, str]:
    """Of the messages of the turn that the arrival of another caused, by id, the id of that other."""
    events = [entry.event for entry in result.entries if entry.event is not None]
    receipts = {event.id: event.data["message_id"] for event in events if event.type == DELIVERED}
    caused = [made for made in result.decisions if made.message is not None and made.event_id in receipts]
    return {made.message.id: receipts[made.event_id] for made in caused if made.message is not None}


def _as_store_error(error: BaseException) -> Exception:
    return error if isinstance(error, StoreError) else StoreError(f"the turn was given up: {error!r}")
