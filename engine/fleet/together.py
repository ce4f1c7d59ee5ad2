"""Who may share a store: gateways and workers with each other, and a server that is alone with nobody.

Each says that it is there before it looks who else is, so of two that start at once one sees the other. It is a
courtesy to those who start both by mistake, as `redis_lease` is: nothing relies on it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from engine.storage.base import Store, StoreUnusable
from engine.storage.fleet import FleetStore, Role


class _Lease(Protocol):
    async def held_by(self) -> str: ...


@runtime_checkable
class _Leased(Protocol):
    """A store that one server may have for itself."""

    def lease(self) -> _Lease: ...


@runtime_checkable
class _Shared(Protocol):
    """What a store has that gateways and workers can share."""

    ingest: object
    take: object
    listen: object


def as_fleet_store(store: Store, role: Role) -> FleetStore:
    """The store, where several processes may share it. Raises `StoreUnusable`."""
    if isinstance(store, _Shared):
        return store  # type: ignore[return-value]
    raise StoreUnusable(
        f"a {role} needs a store on Redis: set store to redis://HOST:PORT/0, or run proactive serve, which does it all "
        "in one process"
    )


async def check_no_server(store: FleetStore, role: Role, name: str) -> None:
    """To be called after the first beat of ``name``, which leaves again where it raises.

    Raises `StoreUnusable` where a server has the store for itself, and `StoreError`.
    """
    if not isinstance(store, _Leased):
        return
    holder = await store.lease().held_by()
    if holder:
        await store.leave(role, name)
        raise StoreUnusable(
            f"the store is in use by proactive serve ({holder}), which shares it with nobody: stop that first, or name "
            "another store"
        )
