"""The store as the harness has it open: that of the product."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from engine.storage.fleet import FleetStore
from engine.storage.opening import open_store
from engine.storage.redis import RedisStore
from engine.storage.redis_opening import address_of


async def make_store(url: str, partitions: int) -> None:
    """One with so many partitions, which processes that find it take over."""
    store = await RedisStore.open(address_of(url), partition_count=partitions)
    await store.close()


@asynccontextmanager
async def a_store(url: str, settings: dict[str, str]) -> AsyncIterator[FleetStore]:
    """As a process of the fleet with these settings has it."""
    durability: Any = settings.get("durability")
    on_loss: Any = settings.get("on_replica_loss", "stop")
    store = cast(FleetStore, await open_store(url, durability=durability, on_replica_loss=on_loss))
    try:
        yield store
    finally:
        await store.close()
