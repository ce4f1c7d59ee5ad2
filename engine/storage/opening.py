"""From the word for a store (``memory:``, ``sqlite:PATH``) to the store. Nothing else knows every kind."""

from __future__ import annotations

from engine.storage.base import Store, StoreUnusable
from engine.storage.memory import MemoryStore
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_schema import Durability

SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_EXPECTED = 'expected "memory:", "sqlite:PATH" or a path that ends in .db, .sqlite or .sqlite3'


async def open_store(url: str, *, read_only: bool = False, durability: Durability = "full") -> Store:
    """The store that ``url`` names; a SQLite file is made if there is none, unless ``read_only``.

    ``read_only`` looks at the file of a server, running or not; every call that writes raises `StoreError`.
    Raises `StoreUnusable`.
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
    if url.startswith(("redis://", "rediss://", "unix://", "valkey://")):
        raise StoreUnusable(f'stores on Redis are not supported yet: {_EXPECTED}, got "{url}"')
    if "://" not in url and url.endswith(SQLITE_SUFFIXES):
        return await SqliteStore.open(url, read_only=read_only, durability=durability)
    raise StoreUnusable(f'{_EXPECTED}, got "{url}"')
