"""A worker's loop: say that it is alive, see which partitions are its share, make rounds of them, tell what came of it.

It decides nothing. No clock matters but the store's; how long it sleeps is all that its own says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import structlog

from engine.account import Counters, tell
from engine.core.model import Json
from engine.core.units import SECOND
from engine.fleet.assignment import shares
from engine.fleet.cleaning import Cleaning
from engine.fleet.relay import Relay
from engine.fleet.rounds import LEASE_MS, Round, Rounds
from engine.observer import SILENT, Observer, TurnTold
from engine.storage.base import StoreError
from engine.storage.fleet import FleetStore, Roll
from engine.turn_work import TurnResult

TICK_S = 0.01  # between rounds while there is something to do
IDLE_S = 0.05  # between rounds while there is nothing: a look at a partition costs the store some 10 us
QUIET_S, QUIET_AFTER_S = 0.25, 30.0  # between rounds after so long a time in which there was nothing
RETRY_S = (0.05, 0.2, 0.5, 1.0)  # after a round that the store refused
CLOCK_OFF_MAX = 5 * SECOND
SHOWN_MAX = 20  # partitions that are held up, in what is said of its health

log = structlog.get_logger("worker")


@dataclass(slots=True)
class Done:
    """What a worker has done since it started."""

    rounds: int = 0
    entries: int = 0
    refused: int = 0


class Worker:
    """Works for the store under ``name`` until it is told to stop.

    ``clock``: microseconds UTC, only to be compared with the store's; ``seconds`` only go forward.
    """

    def __init__(
        self,
        store: FleetStore,
        name: str,
        *,
        rounds: Rounds,
        relay: Relay,
        cleaning: Cleaning,
        clock: Callable[[], int],
        observer: Observer = SILENT,
        lease_ms: int = LEASE_MS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._store = store
        self.rounds = rounds
        self.relay = relay
        self._cleaning = cleaning
        self._clock = clock
        self._observer = observer
        self._lease_ms = lease_ms
        self._seconds = seconds
        self._stop = asyncio.Event()
        self._looking: asyncio.Task[None]
        self._roll: Roll | None = None  # who is there, where the share has not been seen to since
        self._is_heard = True
        self._share: list[int] = []
        self._workers: list[str] = []
        self._beaten: float | None = None  # when the store last took a sign of life
        self._busy_at = seconds()
        self._oldest: int | None = None
        self._is_running = False
        self._told_held_up: frozenset[str] = frozenset()
        self.clock_off = 0  # microseconds by which the store's clock is ahead of ours
        self.trouble = ""
        self.counters = Counters()
        self.done = Done()

    @property
    def share(self) -> list[int]:
        """The partitions that are to be its own, by the workers that are alive."""
        return self._share

    @property
    def lag(self) -> float:
        """Seconds for which the oldest entry of its partitions that it knows of has waited to be evaluated."""
        if self._oldest is None:
            return 0.0
        return max(0, self.store_clock() - self._oldest) / SECOND

    def store_clock(self) -> int:
        """The moment by the clock of the store, about: as of the last beat."""
        return self._clock() + self.clock_off

    @property
    def held_up(self) -> Mapping[int, str]:
        """Partitions of its share that cannot be evaluated, and why: see `FleetStore.held_up`."""
        return self._store.held_up

    @property
    def is_running(self) -> bool:
        return self._is_running

    async def join(self) -> None:
        """Be counted among the workers. Raises `StoreError`."""
        await self._beat()

    def stop(self) -> None:
        """Finish the round, give the partitions back, say farewell."""
        self._stop.set()

    async def run(self) -> None:
        """Until it is told to stop, whatever the store refuses meanwhile."""
        self._is_running = True
        beating = asyncio.create_task(self._go_on_beating(), name="beats")
        self._looking = asyncio.create_task(self._look(), name="adoption")
        try:
            await self._work()
        finally:
            # Whatever ends it: one who is heard of and does not work would keep its partitions from all others.
            self._is_running = False
            beating.cancel()
            self._looking.cancel()
            await asyncio.wait([beating, self._looking])
        await self._leave()

    async def adopt(self, users: list[str]) -> None:
        """Let these users of its partitions adopt the latest rules, and write down how far time has come in each.

        Raises `StoreError`, also where one of them is another worker's.
        """
        await self.rounds.adopting.adopt(users, self.rounds.held)

    def trouble_over(self) -> None:
        """The store can be written to, somebody has found out."""
        if self.trouble:
            self.trouble = ""
            self._observer.store_trouble(None)
            log.info("= the store is there again")

    def health(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "running": self._is_running,
            "workers": len(self._workers),
            "partitions": len(self.rounds.held),
            "held_up": {str(number): why for number, why in islice(sorted(self.held_up.items()), SHOWN_MAX)},
            "lag_seconds": round(self.lag, 3),
            "rounds": self.done.rounds,
            "refused": self.done.refused,
            "relayed": self.relay.told,
            "clock_ahead_seconds": round(self.clock_off / SECOND, 3),
            **self.counters.shown(),
        }

    async def step(self) -> Round:
        """One round, and what belongs to it. Raises `StoreError`; the next one goes on where this one failed."""
        # Nearly always the beats of their own have done it.
        if self._beaten is None or self._seconds() - self._beaten >= self._lease_ms / 2000:
            try:
                await self._beat()
            except StoreError:
                # Leases are renewed where the partitions are: where these can be had, they are worked on.
                if self._beaten is None or not self._store.out_of_reach():
                    raise
        await self._take_share()
        made = await self.rounds.make(self._share, self.relay.untold)
        self._tell_held_up()
        self.relay.hold(made.held)
        self.relay.tell_anew(made.anew & made.held)  # a round that failed may have found some that are lost by now
        # First of all: who stops behind this for whatever reason leaves it to be told.
        for number in sorted(made.done):
            for result in made.done[number]:
                self.relay.note(result)
        for number in sorted(made.done):
            for result in made.done[number]:
                self._finished(result)
        self._oldest = made.oldest
        self.done.rounds += 1
        self.done.entries += made.entries
        self.done.refused += made.refused
        await self.relay.tell()
        return made

    # Inside.

    async def _work(self) -> None:
        failed = 0
        idle = TICK_S
        while not self._stop.is_set():
            try:
                made = await self.step()
                self.trouble_over()
                failed = 0
            except Exception as error:
                # A fault of ours must not end the loop either: nobody would evaluate these partitions.
                self._failed(error)
                idle = RETRY_S[min(failed, len(RETRY_S) - 1)]
                failed += 1
            else:
                idle = self._pause(made, idle)
            if self.rounds.adopting.is_to_look and self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="adoption")
            with suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._stop.wait()

    async def _go_on_beating(self) -> None:
        """Until cancelled. Beside the rounds: whoever is not heard of for a lease loses its partitions to others."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                await self._beat()
                self._is_heard = True
            except StoreError as error:
                if self._is_heard:
                    log.error("! not heard of", error=str(error))
                self._is_heard = False
            except Exception:
                log.exception("! beat failed")

    async def _beat(self) -> None:
        before = self._clock()
        roll = await self._store.beat("worker", self.name, self._lease_ms)
        self._beaten = self._seconds()
        self._roll = roll
        self._compare_clocks(await self._store.clock(), before)
        self._cleaning.heard(roll.lost, self.rounds.held)

    async def _take_share(self) -> None:
        """Between rounds, for a partition is not to be given up in the middle of one."""
        roll, self._roll = self._roll, None
        if roll is None:
            return
        workers = sorted({*roll.workers, self.name})
        if workers == self._workers:
            return
        share = shares(workers, self._store.partition_count)[self.name]
        given_up = sorted(self.rounds.held - set(share))
        self.rounds.drop(given_up)
        self._workers, self._share = workers, share
        log.info("= share", partitions=len(share), workers=len(workers))
        if given_up:
            await self._store.release(self.name, given_up)

    def _compare_clocks(self, store: int, before: int) -> None:
        was_off = abs(self.clock_off) > CLOCK_OFF_MAX
        after = self._clock()
        self.clock_off = store - after if store > after else min(store - before, 0)
        if abs(self.clock_off) > CLOCK_OFF_MAX and not was_off:
            log.warning("! the clock of this machine is not that of the store", seconds=self.clock_off / SECOND)

    def _pause(self, made: Round, last: float) -> float:
        """Seconds until the next round; ``last`` is what was waited before this one."""
        if made.is_behind:
            return 0
        if made.done or made.entries or self.relay.is_busy:
            self._busy_at = self._seconds()
            return TICK_S
        is_quiet = self._seconds() - self._busy_at > QUIET_AFTER_S
        return QUIET_S if is_quiet else min(max(2 * last, TICK_S), IDLE_S)

    async def _look(self) -> None:
        """Find out who has yet to adopt the latest rules, beside the rounds: there may be many."""
        try:
            await self.rounds.adopting.look()
        except StoreError as error:
            log.warning("! users adopt rules later", error=str(error))
            await asyncio.sleep(RETRY_S[-1])
        except Exception:
            log.exception("! adoption failed")
            await asyncio.sleep(RETRY_S[-1])

    def _finished(self, result: TurnResult) -> None:
        """It is durable: count it, and write it down."""
        due_at = None if result.due_at is None else result.due_at - self.clock_off  # as the clock here has it
        told = TurnTold(result.entries, result.decisions, result.faults, result.outbox, due_at=due_at)
        self._observer.turn_done(told)
        self.counters.count(result)
        tell(result)

    def _tell_held_up(self) -> None:
        """Once, until it is for other reasons: the rest goes on, so nobody notices otherwise."""
        why = frozenset(self.held_up.values())
        if why == self._told_held_up:
            return
        self._told_held_up = why
        if why:
            log.error("! partitions cannot be evaluated", partitions=len(self.held_up), why=min(why))
        else:
            log.warning("= all partitions can be evaluated again")

    def _failed(self, error: Exception) -> None:
        told, self.trouble = self.trouble, str(error) or type(error).__name__
        if not isinstance(error, StoreError):
            log.exception("! round failed")
        elif told != self.trouble:
            self._observer.store_trouble(self.trouble)
            log.error("! store", error=self.trouble)

    async def _leave(self) -> None:
        with suppress(StoreError):  # then the leases end by themselves
            await self.relay.tell()
            await self._store.release(self.name, sorted(self.rounds.held))
            await self._store.leave("worker", self.name)
