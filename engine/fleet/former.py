"""Sessions that a client has left at other gateways when it begins or takes up one here: their gateways are told.

It ends none itself: the gateway that has one does. What it does not come to say is found out by a heartbeat, later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from engine.storage.base import StoreError
from engine.storage.fleet import FleetStore, Notice

WAITING_MAX = 10_000  # sessions for which it is to be looked; of more the oldest are not looked for
AT_ONCE = 50
AGAIN_S = 0.5  # after the store refused it

log = structlog.get_logger("gateway")


class Former:
    """``name`` says how the gateway is called, which may change meanwhile."""

    def __init__(self, store: FleetStore, name: Callable[[], str]) -> None:
        self._store = store
        self._name = name
        self._waiting: dict[tuple[str, str], None] = {}
        self._task: asyncio.Task[None] | None = None

    def look(self, sessions: Iterable[tuple[str, str]]) -> None:
        """``(user, session)`` are here now, as the store knows."""
        self._waiting.update(dict.fromkeys(sessions))
        while len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run(), name="former sessions")

    def stop(self) -> list[asyncio.Task[None]]:
        """What is still under way, given up."""
        if self._task is None:
            return []
        self._task.cancel()
        return [self._task]

    # Inside.

    async def _run(self) -> None:
        """Until nothing waits."""
        while self._waiting:
            some = list(self._waiting)[:AT_ONCE]
            try:
                await self._tell(some)
            except StoreError as error:
                log.warning("! former sessions end later", error=str(error), sessions=len(self._waiting))
                await asyncio.sleep(AGAIN_S)
                continue
            for pair in some:
                self._waiting.pop(pair, None)

    async def _tell(self, sessions: list[tuple[str, str]]) -> None:
        found = await asyncio.gather(*(self._store.former(user, session) for user, session in sessions))
        notices: dict[str, list[Notice]] = {}
        for (user, _), former in zip(sessions, found, strict=True):
            for session, gateway in former:
                if gateway != self._name():
                    notices.setdefault(gateway, []).append(Notice(user=user, ended=session))
        if notices:
            await self._store.tell(notices)
