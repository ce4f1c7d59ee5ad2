"""That a gateway is alive, said again and again; and whether it was silent for so long that others took it for dead.

Moments are those of the store's clock. It closes nothing itself: whoever it tells does.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable

import structlog

from engine.core.units import MILLISECOND
from engine.storage.base import StoreError
from engine.storage.fleet import FleetStore, Role, Roll

BEAT_S = 2.0
LASTS_MS = 10_000  # without a beat; then workers end its sessions, those at once that nobody could take up again
CLOCK_OFF_MAX = 5_000_000  # microseconds between the clocks of the store and of this machine that nobody is told of

log = structlog.get_logger("gateway")


def new_name() -> str:
    """Of this process, and of it for as long as nobody takes it for dead."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Beating:
    """``roll`` is who else was there at the last beat. ``ahead``: by how much the store's clock is before ``clock``.

    ``begin_anew`` is awaited with a new name when the gateway was taken for dead; it raises `StoreError`.
    """

    def __init__(
        self, store: FleetStore, clock: Callable[[], int], begin_anew: Callable[[str], Awaitable[None]], *,
        role: Role = "gateway", lasts_ms: int = LASTS_MS, every_s: float = BEAT_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._begin_anew = begin_anew
        self._role = role
        self._lasts_ms = lasts_ms
        self._every_s = every_s
        self._one_at_a_time = asyncio.Lock()
        self._heard_of: int | None = None  # by the store's clock, no later than the last beat
        self._is_told = False
        self.name = new_name()
        self.roll = Roll()
        self.ahead = 0

    async def beat(self) -> None:
        """Raises `StoreError`."""
        async with self._one_at_a_time:
            await self._beat()

    @property
    def is_silent(self) -> bool:
        """Whether it has not been heard of for so long that others may have taken it for dead."""
        if self._heard_of is None:
            return True
        # A clock that was put back says nothing about how long it was.
        return abs(self._clock() + self.ahead - self._heard_of) > self._lasts_ms * MILLISECOND

    async def see_to_it(self) -> None:
        """Beat where it is silent: then ``name`` is one by which others know it. Raises `StoreError`."""
        if self.is_silent:
            async with self._one_at_a_time:
                if self.is_silent:
                    await self._beat()

    async def _beat(self) -> None:
        before = await self._moment()
        if self._was_silent_until(before):
            await self._anew()
            before = await self._moment()
        roll = await self._store.beat(self._role, self.name, self._lasts_ms)
        if self._was_silent_until(await self._moment()):
            await self._anew()
            before = await self._moment()
            roll = await self._store.beat(self._role, self.name, self._lasts_ms)
        self._heard_of, self.roll = before, roll

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.beat()
            except StoreError as error:
                log.error("! not heard of", error=str(error))
            except Exception:
                log.exception("! beating failed")

    async def fall_silent(self) -> None:
        """From now on it is lost: its sessions may be taken up elsewhere, and are over if nobody does."""
        try:
            await self._store.beat(self._role, self.name, 1)
        except StoreError as error:
            log.warning("! no farewell", error=str(error))

    async def _moment(self) -> int:
        moment = await self._store.clock()
        self.ahead = moment - self._clock()
        is_off = abs(self.ahead) > CLOCK_OFF_MAX
        if is_off and not self._is_told:
            log.warning("! the clock of this machine is not that of the store", seconds=self.ahead // 1_000_000)
        self._is_told = is_off
        return moment

    def _was_silent_until(self, moment: int) -> bool:
        return self._heard_of is not None and moment - self._heard_of > self._lasts_ms * MILLISECOND

    async def _anew(self) -> None:
        name = new_name()
        log.warning("! taken for dead, beginning anew", was=self.name, name=name)
        await self._begin_anew(name)
        self.name = name
        self._heard_of = None
