"""One server per store on Redis: a lease that is renewed while the server runs, and ends soon after it.

The commits of two servers on one store would be safe; their sessions would not, as in `lock`. It is a courtesy to those
who start two by mistake: nothing relies on it, so a clock that jumps does no harm.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from contextlib import suppress

from redis.exceptions import RedisError

from engine.storage.base import StoreUnusable
from engine.storage.redis_keys import LEASE
from engine.storage.redis_link import Way
from engine.storage.redis_opening import ask

LASTS_MS = 6_000
RENEW_S = 2.0
LOOK_S = 0.25

_RENEW = """
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return redis.call('GET', KEYS[1])
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Lease:
    def __init__(self, link: Way, lasts_ms: int = LASTS_MS) -> None:
        self._link = link
        self._lasts_ms = lasts_ms
        self._mark = f"{socket.gethostname()} process {os.getpid()} {secrets.token_hex(8)}"
        self._renewing: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Waits for that of a server that was killed to end. Raises `StoreUnusable` where another server runs."""
        shown = self._link.address.shown
        left = self._lasts_ms
        try:
            while (holder := await self._renew()) != self._mark:
                now_left = await ask(self._link, "PTTL", LEASE)
                if now_left > left:  # somebody has renewed it
                    who = holder.rpartition(" ")[0]
                    raise StoreUnusable(f"{shown} is in use by another server ({who}): stop it, or name another store")
                left = now_left
                await asyncio.sleep(LOOK_S)
        except (RedisError, OSError) as error:
            raise StoreUnusable(f"{shown} cannot be reached: {error}") from error
        self._renewing = asyncio.create_task(self._keep(), name="lease")

    async def release(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
            self._renewing = None
            with suppress(RedisError, OSError):  # then it ends by itself
                await ask(self._link, "EVAL", _RELEASE, 1, LEASE, self._mark)

    async def held_by(self) -> str:
        """Which server has it, "" where none does. Raises `StoreUnusable`."""
        try:
            holder: bytes | None = await ask(self._link, "GET", LEASE)
        except (RedisError, OSError) as error:
            raise StoreUnusable(f"{self._link.address.shown} cannot be reached: {error}") from error
        return "" if holder is None else holder.decode("utf-8", "replace").rpartition(" ")[0]

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(RedisError, OSError):
                await self._renew()

    async def _renew(self) -> str:
        """Who has it now."""
        holder: bytes = await ask(self._link, "EVAL", _RENEW, 1, LEASE, self._mark, self._lasts_ms)
        return holder.decode("utf-8", "replace")
