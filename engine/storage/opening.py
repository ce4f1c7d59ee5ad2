"""From the word for a store (``memory:``, ``sqlite:PATH``, ``redis://HOST``) to the store. Nothing else knows every
kind, and nothing of Redis is imported unless a store is there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Literal, cast

from engine.storage.base import Store, StoreUnusable
from engine.storage.lock import FileLock
from engine.storage.memory import MemoryStore
from engine.storage.redis_replicas import Level, OnLoss, Promise
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_schema import Durability

DurabilityName = Literal[Durability, Level]  # of a file, and of a Redis
FILE_LEVELS = ("full", "normal")
REDIS_LEVELS = ("local", "replicated", "strict")
REDIS_STORES = ("redis://", "rediss://")
CLUSTER_STORES = ("redis+cluster://", "rediss+cluster://")
SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_EXPECTED = (
    'expected "memory:", "sqlite:PATH", "redis://HOST:PORT/DB", "rediss://HOST:PORT/DB", '
    '"redis+cluster://HOST:PORT,HOST:PORT" or a path that ends in .db, .sqlite or .sqlite3'
)


async def open_store(
    url: str,
    *,
    read_only: bool = False,
    durability: DurabilityName | None = None,
    on_replica_loss: OnLoss = "stop",
    password: str | None = None,
) -> Store:
    """The store that ``url`` names; made if there is none, unless ``read_only``.

    ``read_only`` looks at the store of a server, running or not; every call that writes raises `StoreError`.
    ``durability`` is None for what such a store has by itself: ``full`` of a file, ``local`` of a Redis, ``replicated``
    of a cluster. ``password`` is Redis'. Raises `StoreUnusable`.
    """
    is_redis = url.startswith((*REDIS_STORES, *CLUSTER_STORES))
    if durability is not None and durability not in (REDIS_LEVELS if is_redis else FILE_LEVELS):
        raise StoreUnusable(wrong_durability(durability, is_redis=is_redis))
    if is_redis:
        level = durability or ("replicated" if url.startswith(CLUSTER_STORES) else "local")
        return await _open_redis(url, password, Promise(cast(Level, level), on_replica_loss), read_only=read_only)
    if url == "memory:":
        if read_only:
            raise StoreUnusable('"memory:" is empty when it is opened, so there is nothing to read')
        return MemoryStore()
    of_file = cast(Durability, durability or "full")
    scheme, colon, path = url.partition(":")
    if scheme == "sqlite" and colon:
        if not path or path.startswith("//") or path == ":memory:":
            raise StoreUnusable(f'expected "sqlite:PATH" with the path of a file, got "{url}"')
        return await SqliteStore.open(path, read_only=read_only, durability=of_file)
    if url.startswith(("unix://", "valkey://", "valkeys://", "valkey+cluster://", "valkeys+cluster://")):
        raise StoreUnusable(
            'a store on Redis or Valkey is named "redis://HOST:PORT/DB", or "rediss://…" for TLS, or '
            f'"redis+cluster://HOST:PORT,HOST:PORT"; got "{url}"'
        )
    if "://" not in url and url.endswith(SQLITE_SUFFIXES):
        return await SqliteStore.open(url, read_only=read_only, durability=of_file)
    raise StoreUnusable(f'{_EXPECTED}, got "{url}"')


def wrong_durability(durability: str, *, is_redis: bool) -> str:
    """Why it is not what such a store can be told."""
    if is_redis:
        return f'expected local, replicated or strict with a store on Redis, got "{durability}", which is of a file'
    return f'expected full or normal with a store in a file, got "{durability}", which is of a store on Redis'


def notes_of(store: Store) -> list[str]:
    """What an operator should know of a store that works all the same, such as that no replica has what it writes."""
    if isinstance(store, MemoryStore | SqliteStore):
        return []
    from engine.storage.redis import RedisStore

    return store.notes() if isinstance(store, RedisStore) else []


def figures_of(store: Store) -> dict[str, float]:
    """What a store has to be watched for besides, by the names of `engine.metrics.figures`; nothing where it is one
    that cannot lose a part of it."""
    if isinstance(store, MemoryStore | SqliteStore):
        return {}
    from engine.storage.redis import RedisStore

    return store.figures() if isinstance(store, RedisStore) else {}


# To whoever would serve it alone.
TO_SERVE = ", and proactive serve shares it with nobody: stop them first, or run proactive gateway and worker instead"


async def serve_alone(store: Store, opened: AsyncExitStack, advice: str = TO_SERVE) -> None:
    """No other server may have the store until ``opened`` is closed. Raises `StoreUnusable` where one has.

    ``advice``: what is said where gateways or workers are at work on it.
    """
    if isinstance(store, SqliteStore):
        lock = FileLock(store.path)
        lock.take()
        opened.callback(lock.release)
    elif not isinstance(store, MemoryStore):
        from engine.storage.redis import RedisStore

        if isinstance(store, RedisStore):
            lease = store.lease()
            await lease.take()
            opened.push_async_callback(lease.release)
            await _check_not_shared(store, advice)


async def _check_not_shared(store: Store, advice: str) -> None:
    """After the lease is taken: gateways and workers look for it once they have been heard of."""
    from engine.storage.redis_fleet import RedisFleetStore

    if not isinstance(store, RedisFleetStore):
        return
    roll = await store.beat("worker", "serve", 0)
    there = [f"the gateway {name}" for name in roll.gateways] + [f"the worker {name}" for name in roll.workers]
    if there:
        others = f" and {len(there) - 1} others" if there[1:] else ""
        raise StoreUnusable(f"{store.address.shown} is in use by {there[0]}{others}{advice}")


async def _open_redis(url: str, password: str | None, promise: Promise, *, read_only: bool) -> Store:
    try:
        from engine.storage.redis_fleet import RedisFleetStore
        from engine.storage.redis_opening import address_of
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise StoreUnusable(
            f'a store on Redis needs the package {package}: pip install "proactive-engine[redis]"'
        ) from None
    return await RedisFleetStore.open(address_of(url, password), read_only=read_only, promise=promise)
