"""The live driver: stamp, load, evaluate, commit, send; a timer set to the next due moment. It decides nothing.

Inputs of many users are taken in turns. A turn evaluates all that waits and commits it in one transaction;
nothing is acknowledged or sent before that. If the commit fails the turn is made again from the states that
the store has, and what came of the failed one is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from engine.account import Counters, tell, tell_if_behind
from engine.core.model import Json
from engine.core.remembered import Preferences
from engine.core.rules import RuleSet
from engine.core.state import UserState
from engine.core.units import SECOND, format_at
from engine.driver import Driver
from engine.inbox import Inbox
from engine.intake import Input, Intake
from engine.observer import SILENT, Observer, Trace, TurnTold
from engine.pending import Pending
from engine.stale import GRACE
from engine.storage.base import Conflict, Entry, OutboxMessage, Store, StoreError
from engine.turn import Turns
from engine.turn_work import NOTHING_RELAYED, TurnResult, caused_by_receipts

log = structlog.get_logger("live")

RETRY_SECONDS = (0.02, 0.1, 0.5, 2.0)  # between the tries of one turn; then its inputs are refused
WAIT_SECONDS_MAX = 60.0

Made = TypeVar("Made")
Clock = Callable[[], int]  # the time in microseconds
# Hands messages to clients; returns the ids of those that have reached all whom they are for.
Deliver = Callable[[list[OutboxMessage]], list[str]]
AfterTurn = Callable[[TurnResult], None]
Compose = Callable[[list[OutboxMessage]], None]


class Live(Driver):
    """Runs the rules for all users of a store, which it alone writes to: it takes open sessions that are not its own
    for those of a process that is gone, and commits of another would conflict with its own.

    ``after_turn`` is called with what a durable turn did, before its messages are delivered. ``compose`` takes the
    messages that a responder is to write, and brings them to `hand_over`; without it they say their plain text.
    ``resume_within``: how long, in microseconds, a client of an earlier process may take up its session again.
    """

    def __init__(
        self,
        store: Store,
        rules: RuleSet,
        *,
        clock: Clock,
        deliver: Deliver,
        after_turn: AfterTurn | None = None,
        compose: Compose | None = None,
        resume_within: int = GRACE,
        observer: Observer = SILENT,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._deliver = deliver
        self._after_turn = after_turn
        self._compose = compose
        self.observer = observer
        self._retry_seconds = retry_seconds
        self._turns = Turns(store, observer)
        self._one_at_a_time = asyncio.Lock()
        self._inbox = Inbox()
        self._wake_up = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._next_wake: int | None = None
        self._intake = Intake(self._inbox, clock, self._wake_up.set, resume_within)
        self._behind = False  # whether somebody may not have adopted the latest rules
        self._trouble = ""
        self.counters = Counters()

    # What the rest of the server calls.

    async def start(self) -> None:
        """Recover from the store, make the rules hold, and begin to take turns."""
        await self.recover()
        self._intake.stopping = False
        self._loop = asyncio.create_task(self._run(), name="live")

    async def recover(self) -> None:
        """Take up where the store stands. `start` does it; tests that take turns by hand call it themselves."""
        await self._turns.recover()
        timeline = self._turns.timeline
        if timeline is None or timeline.latest.hash != self._rules.hash:
            await self.change_rules(self._rules)
        else:
            self.observer.rules_hold([rule.id for rule in self._rules.rules])
        await self._catch_up()
        tell_if_behind(self._clock(), self._turns.latest)
        left_open = {user: names for user, names in await self._turns.open_sessions() if names}
        self._intake.stale.add(left_open, self._clock())
        if self._intake.stale:
            log.info("= sessions of an earlier process stay open for now", users=len(self._intake.stale))
        self._next_wake = await self._store.next_wake()

    async def stop(self) -> None:
        """Finish what waits, then stop. Open sessions stay open in the store: their clients will come back."""
        self._intake.stopping = True
        self._wake_up.set()
        if self._loop is not None:
            await self._loop

    async def submit(self, inputs: list[Input]) -> list[str]:
        """Let these happen now, in order. When it returns they are durable and evaluated; the ids are the events'.

        Raises `Overloaded`, or `StoreError` where they could not be made durable: then they did not happen.
        """
        return await self.begin(inputs)

    def begin(self, inputs: list[Input], trace: Trace = None) -> Pending[list[str]]:
        return self._intake.begin(inputs, trace)

    def note(self, inputs: list[Input]) -> None:  # as `begin`, for what nobody waits for
        self._intake.note(inputs)

    def end(self, ends: list[Input]) -> None:
        self._intake.end(ends)

    async def resume(self, user: str, session: str) -> bool:
        """A client of an earlier process takes up its session again: whether it can."""
        return self._intake.stale.resume(user, session)

    def on_abandoned(self, call: Callable[[str, list[str]], None]) -> None:
        """Call this with a user and the user's sessions to which nobody came back."""
        self._intake.on_abandoned = call

    def leave(self, user: str, session: str) -> None:
        self._intake.leave(user, session)

    def resumable(self, user: str) -> list[str]:
        """Sessions of the user that clients of an earlier process may yet take up again."""
        return self._intake.stale.resumable(user)

    def abandon(self, user: str) -> None:
        self._intake.stale.forget(user)

    def send(self, messages: list[OutboxMessage], *, once: bool = False) -> Pending[list[Entry]]:
        """The application's own messages: logged, put into the outbox, delivered. They pass no rule and no gate.

        ``once``: one that has been logged by its id is not sent again. Raises `Overloaded` and `StoreError`.
        """
        return self._intake.send(messages, once=once)

    async def waiting(self, user: str) -> list[OutboxMessage]:
        """What waits for the user and has not expired, oldest first."""
        waiting = await self._store.pending(user, self._clock())
        return [outgoing for outgoing in waiting if outgoing.message.id not in self._inbox.relayed]

    async def preferences(self, user: str) -> Preferences:
        """What the user wishes. Raises `StoreError`."""
        state = await self._turns.state_of(user)
        return (None if state is None else state.preferences) or Preferences()

    def hand_over(self, messages: list[OutboxMessage]) -> None:
        """Let messages of the outbox go to whoever is there."""
        if messages:
            reached = set(self._deliver(messages))
            self.relayed([outgoing for outgoing in messages if outgoing.message.id in reached])

    def received(self, messages: list[OutboxMessage]) -> None:
        """These have reached a client of theirs: rules come to know of it, of each message once."""
        if messages:
            self._inbox.put_receipts(messages, self._clock())
            self._wake_up.set()

    def relayed(self, messages: list[OutboxMessage]) -> None:
        """These have reached all: they leave the outbox with the next turn. Until then rather twice than never."""
        if messages:
            self._inbox.put_relayed(messages)
            self.received(messages)

    def withdraw(self, messages: list[OutboxMessage]) -> None:
        """Nobody needs to be shown these any more, received or not: they leave the outbox with the next turn."""
        if messages:
            self._inbox.put_relayed(messages)
            self._wake_up.set()

    async def change_rules(self, rules: RuleSet) -> int:
        """Let ``rules`` hold from the next moment on, for everybody at once, and say which moment that is."""
        async with self._one_at_a_time:
            await self._store.save_rules(rules.hash, rules.sources)
            moment = await self._try(lambda: self._turns.change_rules(rules, self._clock()))
            self._rules = rules
        self.observer.rules_hold([rule.id for rule in rules.rules])
        try:
            await self._catch_up()
        except StoreError as error:
            # The rules hold. Whose timers they bring nearer is seen to as soon as the store lets us.
            self._behind = True
            log.error("! store", error=str(error))
        self._wake_up.set()
        return moment

    async def erase(self, user: str) -> int:
        """Forget the user: nothing of what was known, done, decided or said is left; of how many rows the store had.

        Raises `StoreError`. What still waits for its turn happens afterwards, to somebody of whom nothing is known:
        stop it before.
        """
        async with self._one_at_a_time:
            self._turns.forget_user(user)  # before, for without an answer they may be erased all the same
            erased = await self._try(lambda: self._store.erase(user))
            self._intake.stale.forget(user)
            self._inbox.forget(user)
            self._next_wake = await self._store.next_wake()
        log.info("= erased", rows=erased)
        return erased

    def present_users(self) -> AsyncIterator[UserState]:
        """The state of every present user, to be looked at and not changed. Raises `StoreError` on the way."""
        return self._turns.present_users()

    def trouble_over(self) -> None:
        """The store can be written to: a server that is not ready may be given nothing by which it would find out."""
        if self._trouble:
            self._trouble = ""
            self.observer.store_trouble(None)

    async def settled(self) -> None:
        """Returns when all that had been taken in by now has been made durable, or could not be."""
        await self._intake.settled()

    async def mend(self) -> None:
        """Let those adopt the latest rules who could not at the time. Raises `StoreError` where they still cannot."""
        if self._behind and not self._intake.stopping:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Let everybody present adopt the latest rules, for a timer may be due sooner by these than by the former."""
        await self.adopt(await self._turns.users_behind())
        self._behind = False

    async def adopt(self, users: list[str]) -> None:
        """Let these adopt the latest rules, and then write down in every part of the log how far time has come."""
        pace = self._turns.catch_up_pace()
        seconds = asyncio.get_running_loop().time
        start = 0
        while some := users[start : start + pace.size]:
            async with self._one_at_a_time:
                began = seconds()
                await self._finish(await self._try(lambda some=some: self._turns.catch_up(some)))  # type: ignore[misc]
                start += len(some)
                pace.took(seconds() - began)
        async with self._one_at_a_time:
            await self._finish(await self._try_turn([], self._clock(), due=True, tick=True))

    @property
    def rules(self) -> RuleSet:
        return self._rules

    @property
    def inbox(self) -> Inbox:
        """To be looked at."""
        return self._inbox

    def health(self) -> dict[str, Json]:
        return {
            "running": self._loop is not None and not self._loop.done(),
            "trouble": self._trouble or None,
            "waiting": self._inbox.count,
            "next_wake": None if self._next_wake is None else format_at(self._next_wake),
            **self.counters.shown(),
        }

    # The loop.

    async def _run(self) -> None:
        while self._inbox or not self._intake.stopping:
            if not self._inbox and not self._behind:
                await self._sleep()
            try:
                await self.take_turn(self._clock())
                await self.mend()
            except Exception as error:
                # Inputs have been answered through their futures. Timers that were due stay due.
                self._trouble = str(error)
                if isinstance(error, StoreError):
                    self.observer.store_trouble(self._trouble)
                    log.error("! store", error=str(error))
                else:
                    # A fault of ours must not end the loop: nobody would get an answer any more.
                    log.exception("! turn failed")
                if not self._intake.stopping:
                    await asyncio.sleep(RETRY_SECONDS[-1])
                elif not self._inbox.has_requests and not self._inbox.receipts:
                    # Nobody waits. What is to leave the outbox stays in it: rather twice than never.
                    return

    async def _sleep(self) -> None:
        self._wake_up.clear()
        moments = [at for at in (self._next_wake, self._intake.stale.until) if at is not None]
        seconds = (min(moments) - self._clock()) / SECOND if moments else WAIT_SECONDS_MAX
        if seconds > 0 and not self._inbox and not self._intake.stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, WAIT_SECONDS_MAX)):
                    await self._wake_up.wait()

    async def take_turn(self, now: int) -> None:
        """Take what waits, let time come to ``now`` (or to the last input taken, if more wait), commit, deliver.

        For the loop, and for tests that bring their own time. Raises `StoreError` when it could not be made; then
        its inputs have been told, and have not happened.
        """
        self._intake.end_stale(now)
        async with self._one_at_a_time:
            taken = self._inbox.take(timers_due=self._next_wake is not None and self._next_wake <= now)
            entries = [entry for request in taken for entry in request.entries]
            horizon = entries[-1].at if self._inbox.has_requests and entries else now
            due = self._next_wake is not None and self._next_wake <= horizon
            relayed = dict(self._inbox.relayed)
            if not entries and not due and not relayed:
                for request in taken:
                    request.succeed([])
                return
            due_at = self._next_wake if due else None
            self.observer.turn_taken(len(entries))
            try:
                result = await self._try_turn(entries, horizon, due=due, relayed=relayed)
            except BaseException as error:
                why = error if isinstance(error, StoreError) else StoreError(f"the turn was given up: {error!r}")
                for request in taken:
                    request.fail(why)
                raise
            self._inbox.drop_relayed(relayed)
            place = 0
            traces: list[tuple[Trace, list[str]]] = []
            for request in taken:
                after = place + len(request.entries)
                made = result.entries[place:after]
                request.succeed(made)
                if request.trace is not None:
                    traces.append((request.trace, [entry.event.id for entry in made if entry.event is not None]))
                place = after
            await self._finish(result, requests=len(taken), due_at=due_at, traces=traces)

    async def _try_turn(
        self, entries: list[Entry], horizon: int, *, due: bool, tick: bool = False,
        relayed: Mapping[str, str] = NOTHING_RELAYED,
    ) -> TurnResult:  # fmt: skip
        return await self._try(lambda: self._turns.make(entries, horizon, due=due, tick=tick, relayed=relayed))

    async def _try(self, attempt: Callable[[], Awaitable[Made]]) -> Made:
        for seconds in (*self._retry_seconds, None):
            try:
                return await attempt()
            except StoreError as error:
                self.counters.retries += 1
                self.observer.commit_failed(again=seconds is not None)
                log.warning("! commit failed", error=str(error), again=seconds is not None)
                if seconds is None:
                    raise
                await asyncio.sleep(0 if isinstance(error, Conflict) else seconds)
        raise AssertionError("the last try returns or raises")

    async def _finish(
        self,
        result: TurnResult,
        *,
        requests: int = 0,
        due_at: int | None = None,
        traces: Sequence[tuple[Trace, Sequence[str]]] = (),
    ) -> None:
        """The turn is durable: count it, set the timer, hand its messages over."""
        told = TurnTold(result.entries, result.decisions, result.faults, result.outbox, requests, due_at, traces)
        self.observer.turn_done(told)
        if result.repeated:
            self.observer.repeated(len(result.repeated))
        self.trouble_over()
        self.counters.count(result)
        tell(result)
        try:
            self._next_wake = await self._store.next_wake()
        except StoreError as error:
            # Not knowing when the next timer is due, look at once.
            self._next_wake = self._clock()
            log.warning("! wake-ups", error=str(error))
        self._inbox.note_causes(caused_by_receipts(result))
        if self._after_turn is not None:
            self._after_turn(result)
        prompted = [outgoing for outgoing in result.outbox if outgoing.message.prompt]
        if self._compose is not None and prompted:
            self.hand_over([outgoing for outgoing in result.outbox if not outgoing.message.prompt])
            self._compose(prompted)
        else:
            self.hand_over(result.outbox)
