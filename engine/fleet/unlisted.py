"""Sessions that are open in the states of their users and at no gateway: a server that had the store alone left them.

Nobody can take them up, for a gateway knows those of gateways alone; so they would stay open for ever. A worker looks
for them once, when their clients have had the time to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from engine.fleet.cleaning import AGAIN_S, ENDED_AT_ONCE, end_of
from engine.states import readable
from engine.storage.base import StoreError
from engine.storage.fleet import FleetStore

log = structlog.get_logger("worker")


async def end_unlisted_once(
    store: FleetStore, held: Callable[[], Collection[int]], after_s: float, again_s: float = AGAIN_S
) -> None:
    """When ``after_s`` are over, end those of the partitions that are ``held`` then, however often it takes."""
    await asyncio.sleep(after_s)
    while True:
        try:
            ended = await end_unlisted(store, held())
        except StoreError as error:
            log.warning("! sessions of a former server end later", error=str(error))
            await asyncio.sleep(again_s)
        except Exception:
            # A fault of ours must not end it: these sessions would be open for ever.
            log.exception("! cleaning failed")
            await asyncio.sleep(again_s)
        else:
            if ended:
                log.info("= sessions of a former server have ended", sessions=ended)
            return


async def end_unlisted(store: FleetStore, held: Collection[int]) -> int:
    """How many of these partitions have ended. Raises `StoreError`; to do it again is safe."""
    open_ones: set[tuple[str, str]] = set()
    # Before it is asked who is where: a session that begins meanwhile is not among these.
    present = await store.present_users(held)
    # Whoever comes next to a user whose state cannot be read tells of it.
    async for state in readable(present, lambda user, error: None):
        open_ones.update((state.user, session) for session in state.sessions)
    if not open_ones:
        return 0
    roll = await store.beat("worker", "nobody", 0)
    for gateway in (*roll.gateways, *roll.lost):
        for partition in held:
            for user, sessions in (await store.sessions_at(gateway, partition)).items():
                open_ones.difference_update((user, session) for session in sessions)
    ending = sorted(open_ones)
    for start in range(0, len(ending), ENDED_AT_ONCE):
        await store.ingest([end_of(user, session) for user, session in ending[start : start + ENDED_AT_ONCE]])
    return len(ending)
