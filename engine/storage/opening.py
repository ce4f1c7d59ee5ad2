"""From the word for a store (``memory:``, ``sqlite:PATH``, ``redis://HOST``) to the store. Nothing else knows every
kind, and nothing of Redis is imported unless a store is there."""

from __future__ import annotations

from contextlib import AsyncExitStack

from engine.storage.base import Store, StoreUnusable
from engine.storage.lock import FileLock
from engine.storage.memory import MemoryStore
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_schema import Durability

SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_EXPECTED = (
    'expected "memory:", "sqlite:PATH", "redis://HOST:PORT/DB", "rediss://HOST:PORT/DB" or a path that ends in .db, '
    ".sqlite or .sqlite3"
)


async def open_store(
    url: str, *, read_only: bool = False, durability: Durability = "full", password: str | None = None
) -> Store:
    """The store that ``url`` names; made if there is none, unless ``read_only``.

    ``read_only`` looks at the store of a server, running or not; every call that writes raises `StoreError`.
    ``durability`` is SQLite's, ``password`` Redis'. Raises `StoreUnusable`.
    """
    if url == "memory:":
        if read_only:
            raise StoreUnusable('"memory:" is empty when it is opened, so there is nothing to read')
        return MemoryStore()
    scheme, colon, path = url.partition(":")
    if scheme == "sqlite" and colon:
        if not path or path.startswith("//") or path == ":memory:":
            raise StoreUnusable(f'expected "sqlite:PATH" with the path of a file, got "{url}"')
        return await SqliteStore.open(path, read_only=read_only, durability=durability)
    if url.startswith(("redis://", "rediss://")):
        return await _open_redis(url, password, read_only=read_only)
    if url.startswith(("unix://", "valkey://", "valkeys://")):
        raise StoreUnusable(
            f'a store on Redis or Valkey is named "redis://HOST:PORT/DB", or "rediss://…" for TLS; got "{url}"'
        )
    if "://" not in url and url.endswith(SQLITE_SUFFIXES):
        return await SqliteStore.open(url, read_only=read_only, durability=durability)
    raise StoreUnusable(f'{_EXPECTED}, got "{url}"')


async def serve_alone(store: Store, opened: AsyncExitStack) -> None:
    """No other server may have the store until ``opened`` is closed. Raises `StoreUnusable` where one has."""
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


async def _open_redis(url: str, password: str | None, *, read_only: bool) -> Store:
    try:
        from engine.storage.redis import RedisStore
        from engine.storage.redis_opening import address_of
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise StoreUnusable(
            f'a store on Redis needs the package {package}: pip install "proactive-engine[redis]"'
        ) from None
    return await RedisStore.open(address_of(url, password), read_only=read_only)
