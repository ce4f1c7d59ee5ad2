"""Sessions that a client has left at other gateways when it begins or takes up one here: their gateways are told.

It ends none itself: the gateway that has one does. What it does not come to say is found out by a heartbeat, later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

import structlog

from engine.storage.base import StoreError, partition_of
from engine.storage.fleet import FleetStore, Notice

WAITING_MAX = 10_000  # sessions for which it is to be looked; of more the oldest are not looked for
AT_ONCE = 50
AGAIN_S = 0.5  # after a look that came to nothing
OUT_OF_REACH = "a primary of the cluster does not answer"

_Session = tuple[str, str]  # a user, and the name of a session

log = structlog.get_logger("gateway")


class Former:
    """``name`` says how the gateway is called, which may change meanwhile."""

    def __init__(self, store: FleetStore, name: Callable[[], str]) -> None:
        self._store = store
        self._name = name
        self._waiting: dict[_Session, None] = {}
        self._later: dict[_Session, None] = {}  # of which nothing came: behind all others, so that these hold up nobody
        self._is_in_trouble = False
        self._why = OUT_OF_REACH
        self._task: asyncio.Task[None] | None = None

    def look(self, sessions: Iterable[tuple[str, str]]) -> None:
        """``(user, session)`` are here now, as the store knows."""
        self._waiting.update(dict.fromkeys(sessions))
        self._forget_oldest()
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run(), name="former sessions")

    def stop(self) -> list[asyncio.Task[None]]:
        """What is still under way, given up."""
        if self._task is None:
            return []
        self._task.cancel()
        return [self._task]

    # Inside.

    def _forget_oldest(self) -> None:
        while len(self._later) + len(self._waiting) > WAITING_MAX:
            oldest = self._later or self._waiting
            del oldest[next(iter(oldest))]

    async def _run(self) -> None:
        """Until nothing waits."""
        came_to_something = True
        while self._waiting or self._later:
            some = self._within_reach(self._waiting)
            if not some:
                if not came_to_something:
                    await asyncio.sleep(AGAIN_S)
                some = self._within_reach(self._later)
            for each in some:
                self._waiting.pop(each, None)
                self._later.pop(each, None)
            failed = await self._tell(some)
            self._later.update(dict.fromkeys(failed))
            self._forget_oldest()
            came_to_something = len(failed) < len(some)
            if failed or not came_to_something:
                self._tell_trouble()
        self._is_in_trouble, self._why = False, OUT_OF_REACH

    def _within_reach(self, sessions: Iterable[_Session]) -> list[_Session]:
        """Some of those whose users' partitions answer."""
        gone, count = self._store.out_of_reach(), self._store.partition_count
        there = (each for each in sessions if not gone or partition_of(each[0], count) not in gone)
        return list(islice(there, AT_ONCE))

    async def _tell(self, sessions: list[_Session]) -> set[_Session]:
        """Those of whose former sessions it is not known where they are, or which could not be told."""
        found = await asyncio.gather(*(self._store.former(*each) for each in sessions), return_exceptions=True)
        failed: set[_Session] = set()
        told: dict[str, list[tuple[_Session, Notice]]] = {}  # by gateway
        for each, former in zip(sessions, found, strict=True):
            if isinstance(former, BaseException):
                failed |= self._refused({each}, former)
                continue
            for session, gateway in former:
                if gateway != self._name():
                    told.setdefault(gateway, []).append((each, Notice(user=each[0], ended=session)))
        for gateway in self._store.cannot_be_told(told):
            failed.update(each for each, _ in told.pop(gateway))
        # Each by itself: one whose queue cannot be reached is nothing to the others.
        calls = [self._store.tell({gateway: [notice for _, notice in of]}) for gateway, of in told.items()]
        for of, answer in zip(told.values(), await asyncio.gather(*calls, return_exceptions=True), strict=True):
            if isinstance(answer, BaseException):
                failed |= self._refused({each for each, _ in of}, answer)
        return failed

    def _refused(self, sessions: set[_Session], error: BaseException) -> set[_Session]:
        """Those of them with which it is tried again."""
        if isinstance(error, StoreError):
            self._why = str(error)
            return sessions
        log.error("! former sessions not looked for", sessions=len(sessions), exc_info=error)
        return set()

    def _tell_trouble(self) -> None:
        """Once, until nothing waits any more."""
        if not self._is_in_trouble:
            self._is_in_trouble = True
            waiting = len(self._waiting) + len(self._later)
            log.warning("! former sessions end later", error=self._why, sessions=waiting)
