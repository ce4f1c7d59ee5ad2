"""Users who are to be forgotten: by this gateway, which erases them, or by another, which is about to.

What a user said last may not be evaluated yet, and until it is nobody can erase it: so an erasure waits for workers,
and meanwhile no gateway takes in anything of the user. Who is to be forgotten is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from engine.fleet.beating import Beating
from engine.fleet.here import Here
from engine.inbox import Behind
from engine.storage.base import StoreError, Unevaluated, partition_of
from engine.storage.fleet import FleetStore, Notice, Presence

LOOK_S = 0.02  # between looks whether other gateways have let go of a user
LOOKS_MAX = 100
LET_GO_S = 2.0  # for which nothing is taken in of a user whom another gateway erases
WITHIN_S = 30.0  # for which an erasure waits for workers
WITHOUT_WORKERS_S = 3.0  # where there are none: one may be about to start
PAUSES_S = (0.02, 0.5)  # between looks whether they are done: the first, and the longest; each is twice the former
NOBODY_WORKS = "what this user said last is not evaluated, for no worker is there: start one, then ask again"
TOO_SLOW = "what this user said last is not evaluated yet, for the workers have much to do: ask again"

log = structlog.get_logger("gateway")


class Forgetting:
    """``one_at_a_time`` is held while the store is told anything; ``settled`` waits for what is to be told it.

    ``forget`` what waits of a user. ``within_s``: seconds, `WITHIN_S` and `WITHOUT_WORKERS_S`.
    """

    def __init__(
        self, store: FleetStore, here: Here, beating: Beating, one_at_a_time: asyncio.Lock, *,
        settled: Callable[[], Awaitable[None]], forget: Callable[[str], None], retry_seconds: Sequence[float],
        within_s: tuple[float, float] = (WITHIN_S, WITHOUT_WORKERS_S),
    ) -> None:  # fmt: skip
        self._store = store
        self._here = here
        self._beating = beating
        self._one_at_a_time = one_at_a_time
        self._settled = settled
        self._forget = forget
        self._retry_seconds = retry_seconds
        self._within_s = within_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def erase(self, user: str) -> int:
        """Of how many rows. Raises `Behind` where workers do not come to it in time, and `StoreError`."""
        seconds = asyncio.get_running_loop().time
        began = seconds()
        pause, longest = PAUSES_S
        while True:
            await self._have_let_go(user)
            told = seconds()
            while seconds() - told < LET_GO_S / 2:  # then they are told again, before they take in anything
                try:
                    async with self._one_at_a_time:
                        erased = await self._erase(user)
                        self._forget(user)
                except Unevaluated:
                    await self._check_time(seconds() - began)
                else:
                    log.info("= erased", rows=erased)
                    return erased
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)

    def let_go(self, user: str) -> None:
        """Another gateway is about to erase the user."""
        task = asyncio.get_running_loop().create_task(self._let_go(user), name="letting go")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> list[asyncio.Task[None]]:
        """What is still under way, given up."""
        for task in self._tasks:
            task.cancel()
        return list(self._tasks)

    # Inside.

    async def _have_let_go(self, user: str) -> None:
        """All others let go of the user, and take in nothing of theirs, wherever they come meanwhile."""
        name = self._beating.name
        others = {*self._beating.roll.gateways, *await self._others(user)} - {name}
        if not others:
            return
        await self._store.tell({other: [Notice(user=user, erased=True)] for other in others})
        for _ in range(LOOKS_MAX):
            if not await self._others(user):
                return
            await asyncio.sleep(LOOK_S)

    async def _others(self, user: str) -> list[str]:
        roll = self._beating.roll
        where = (await self._store.where([user])).get(user, [])
        return [name for name in where if name != self._beating.name and name not in roll.lost]

    async def _check_time(self, waited_s: float) -> None:
        within_s, without_workers_s = self._within_s
        if waited_s >= within_s:
            raise Behind(TOO_SLOW)
        if waited_s >= without_workers_s:
            await self._beating.beat()
            if not self._beating.roll.workers:
                raise Behind(NOBODY_WORKS)

    async def _erase(self, user: str) -> int:
        for seconds in (*self._retry_seconds, None):
            try:
                return await self._store.erase_everywhere(user)
            except Unevaluated:
                raise
            except StoreError:
                if seconds is None:
                    raise
                await asyncio.sleep(seconds)
        raise AssertionError("the last try returns or raises")

    async def _let_go(self, user: str) -> None:
        """The other gateway goes on when nobody of them is here any more."""
        with self._here.erasing(user):
            self._here.forget(user)
            try:
                with suppress(StoreError):  # what could not be told is refused, and not waited for any more
                    await self._settled()
                async with self._one_at_a_time:
                    self._forget(user)
                    name, partition = self._beating.name, partition_of(user, self._store.partition_count)
                    sessions = (await self._store.sessions_at(name, partition)).get(user, [])
                    gone = [Presence(user, session, is_there=False) for session in sessions]
                    if gone:
                        await self._store.ingest([], gone, name)
            except StoreError as error:
                log.error("! an erased user is still listed", error=str(error))
            except Exception:
                # A fault of ours must not let anything be taken in of them before their time.
                log.exception("! letting go of an erased user failed")
            await asyncio.sleep(LET_GO_S)
