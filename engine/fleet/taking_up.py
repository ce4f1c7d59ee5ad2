"""Sessions that clients bring to a gateway from another. It opens none itself, and hands nobody anything.

A client that goes away meanwhile does not stop the store: what has been asked is carried to its end, and a session to
which nobody comes then is to end like any other that was left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from engine.inbox import Overloaded
from engine.stale import StaleSessions
from engine.storage.base import StoreError
from engine.storage.fleet import SESSIONS_LISTED_MAX, FleetStore, Notice

AT_ONCE_MAX = 100_000  # sessions that are being taken up at this moment


@dataclass(slots=True)
class _Taking:
    """``waiting`` clients that have asked for the session; ``is_over``: one has it, or it is to be forgotten."""

    task: asyncio.Task[bool]
    waiting: int = 0
    is_over: bool = False


class TakingUp:
    """``name`` says how the gateway is called, which may change meanwhile; ``alive`` sees to its being known so.

    ``take_back`` is awaited with a user before a session of theirs comes, and ``ended`` with both: an end of it that is
    on its way would else come after it. ``stale`` ends what nobody came for.
    """

    def __init__(
        self, store: FleetStore, stale: StaleSessions, *, name: Callable[[], str], now: Callable[[], int],
        alive: Callable[[], Awaitable[None]], take_back: Callable[[str], Awaitable[None]],
        ended: Callable[[str, str], Awaitable[None]], wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._stale = stale
        self._name = name
        self._now = now
        self._alive = alive
        self._take_back = take_back
        self._ended = ended
        self._wake = wake
        self._takings: dict[tuple[str, str], _Taking] = {}
        self._arriving: dict[str, int] = {}  # users, and how many sessions of theirs may lack what others have

    def __contains__(self, user: str) -> bool:
        """Whether a session of the user comes at this moment."""
        return user in self._arriving

    async def take_up(self, user: str, session: str) -> bool:
        """Whether it could be: then say `has_arrived` when the session has what waits for its user.

        Raises `Overloaded` and `StoreError`.
        """
        taking = self._taking(user, session)
        taking.waiting += 1
        self._arriving[user] = self._arriving.get(user, 0) + 1
        is_here = False
        try:
            is_here = await asyncio.shield(taking.task)
            if is_here:
                taking.is_over = True
                self._stale.resume(user, session)
        finally:
            taking.waiting -= 1
            if not is_here:
                self.has_arrived(user)
            self._settle(user, session, taking)
        return is_here

    def has_arrived(self, user: str) -> None:
        left = self._arriving.pop(user, 0) - 1
        if left > 0:
            self._arriving[user] = left

    def forget(self, user: str) -> None:
        """Nothing of the user is to end, for nothing is to be known of them."""
        for (whose, _), taking in self._takings.items():
            if whose == user:
                taking.is_over = True

    def stop(self) -> list[asyncio.Task[bool]]:
        """What is still asked, given up."""
        tasks = [taking.task for taking in self._takings.values()]
        for task in tasks:
            task.cancel()
        return tasks

    # Inside.

    def _taking(self, user: str, session: str) -> _Taking:
        taking = self._takings.get((user, session))
        if taking is not None:
            return taking
        if len(self._takings) >= AT_ONCE_MAX:
            raise Overloaded(f"{AT_ONCE_MAX} sessions are being taken up already")
        task = asyncio.get_running_loop().create_task(self._ask(user, session), name="taking up")
        taking = self._takings[user, session] = _Taking(task)
        self._arriving[user] = self._arriving.get(user, 0) + 1
        task.add_done_callback(lambda _: self._done(user, session, taking))
        return taking

    async def _ask(self, user: str, session: str) -> bool:
        await self._alive()
        await self._ended(user, session)
        # Whether its end was noted where no answer came, the store knows.
        self._stale.resume(user, session)
        await self._take_back(user)
        while True:
            name = self._name()
            former = await self._store.resume(name, user, session)
            if former is None or name == self._name():
                break  # or else it is where nobody is any more
        if former:
            with suppress(StoreError):  # they find out as soon as they look for what they missed
                await self._store.tell({gateway: [Notice(user=user, replaced=session)] for gateway in former})
        return former is not None

    def _done(self, user: str, session: str, taking: _Taking) -> None:
        del self._takings[user, session]
        self.has_arrived(user)
        self._settle(user, session, taking)

    def _settle(self, user: str, session: str, taking: _Taking) -> None:
        """Whoever is the last to look: a session that is here, or may be, and that nobody has, ends in a while."""
        if not taking.task.done() or taking.waiting or taking.is_over:
            return
        taking.is_over = True
        is_known = not taking.task.cancelled() and taking.task.exception() is None
        if is_known and not taking.task.result():
            return
        # More of one user are not listed by the store either.
        if len(self._stale.resumable(user)) < SESSIONS_LISTED_MAX:
            self._stale.add({user: [session]}, self._now())
            self._wake()
