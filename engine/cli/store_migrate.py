"""``proactive store migrate``: both stores held, so that nobody else has them, and what comes of it told.

Arguments are read by `store`; what goes where is `engine.migration`'s.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import typer

from engine.cli.logs import without_password
from engine.cli.progress import progress_bar
from engine.cli.stopping import stop
from engine.loading.diagnostic import counted
from engine.migrated import NotAlike, compare
from engine.migration import check_at_rest, check_empty, copy
from engine.regrouping import Moved, Side
from engine.storage.base import Store, StoreError, StoreUnusable
from engine.storage.loading import Contents, Loading
from engine.storage.lock import FileLock
from engine.storage.opening import SQLITE_SUFFIXES, open_store, serve_alone
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_care import name_whole
from engine.storage.sqlite_loading import SqliteContents, SqliteLoading


def migrate(source: str, target: str, partitions: int | None, password: str | None) -> None:
    """Stops where it cannot be done, and says then what is left of it."""
    shown = without_password(target)
    if "memory:" in (source, target):
        stop('"memory:" is gone when its server stops, so nothing can be moved from it or into it')
    if source == target:
        stop(f"{shown}: it cannot be moved into itself")
    path = sqlite_path(target)
    try:
        moved, read = asyncio.run(_migrate(source, target, partitions, password))
    except _Broken as broken:
        left = (
            "nothing of it is left"
            if path is not None
            else f"what was written into {shown} is not whole: {_emptied(target)} before you migrate again"
        )
        why = _NO_HOPE.sub("", str(broken.__cause__)) or "interrupted"
        is_interrupted = isinstance(broken.__cause__, asyncio.CancelledError)
        stop(f"{why}\n{without_password(source)} is as it was; {left}", 130 if is_interrupted else 1)
    except KeyboardInterrupt:
        stop("interrupted", 130)
    except StoreError as error:
        stop(str(error), 1)
    except OSError as error:
        stop(f"{error.filename or shown}: {(error.strerror or str(error)).lower()}", 1)
    figures = [
        counted(moved.users, "user"),
        "1 event or send" if read.entries == 1 else f"{read.entries:,} events and sends",
        counted(read.decisions, "decision"),
        f"{counted(moved.outbox, 'message')} on their way",
        counted(moved.rule_sets, "rule set"),
    ]
    if moved.bases:
        figures.append(f"{counted(moved.bases, 'user')} of whom the log is folded")
    if moved.faults:
        figures.append(f"{counted(moved.faults, 'event')} set aside")
    typer.echo(f"{shown} has all of {without_password(source)}, compared: {', '.join(figures)}")


def _emptied(target: str) -> str:
    from engine.storage.redis_opening import address_of, emptied

    return emptied(address_of(target))


# What a store says of its trouble goes on with what a server does then; this command does not go on.
_NO_HOPE = re.compile("(, and|;|:) it goes on by itself.*")


class _Broken(Exception):
    """It was broken off when something had been written."""


def sqlite_path(name: str) -> Path | None:
    """The file of a store in one; None for any other."""
    scheme, colon, path = name.partition(":")
    if scheme == "sqlite" and colon:
        return Path(path)
    return Path(name) if "://" not in name and name.endswith(SQLITE_SUFFIXES) else None


def contents_of(store: Store) -> Contents:
    if isinstance(store, SqliteStore):
        return SqliteContents(store)
    from engine.storage.redis import RedisStore
    from engine.storage.redis_loading import RedisContents

    assert isinstance(store, RedisStore)  # `memory:` was refused
    return RedisContents(store)


async def _migrate(source: str, target: str, partitions: int | None, password: str | None) -> tuple[Moved, Moved]:
    async with AsyncExitStack() as held:
        before = await open_store(source, read_only=True, password=password)
        held.push_async_callback(before.close)
        if sqlite_path(source) is None:
            # Who has a Redis is found out by writing there; a file is not even brought to the layout of this version.
            # That is all that is written, and of use only meanwhile: so no replica is needed, and none is waited for.
            before = await open_store(source, durability="local", password=password)
            held.push_async_callback(before.close)
        await serve_alone(before, held, ": stop them first")
        side = Side(before, contents_of(before))
        with _told_of(source):
            await check_at_rest(side)
        path = sqlite_path(target)
        opening = _redis(target, partitions, password, held) if path is None else _file(path, partitions, held)
        async with opening as (after, loading):
            try:
                described = await before.describe()
                total = sum(int(str(described[name])) for name in ("entries", "decisions", "users"))
                with progress_bar("copying", total, "rows") as progress:
                    moved = await copy(side, after, loading, progress)
                with progress_bar("comparing", total, "rows") as progress:
                    read = await compare(side, Side(after, contents_of(after)), moved, progress)
                await loading.end()
            except (StoreError, NotAlike, OSError, ValueError, asyncio.CancelledError) as error:
                raise _Broken from error
        return moved, read


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{without_password(name)}: {error}", error.state) from error


def _check_new(path: Path) -> None:
    if path.exists():
        raise StoreUnusable(f'"{path}" exists: name a file that does not')
    if not path.parent.is_dir():
        raise StoreUnusable(f'the directory "{path.parent}" does not exist: make it, or name a file elsewhere')


@asynccontextmanager
async def _file(path: Path, partitions: int | None, held: AsyncExitStack) -> AsyncIterator[tuple[Store, Loading]]:
    """A new file, which gets its name when it is whole and on the disk."""
    await asyncio.to_thread(_check_new, path)
    lock = FileLock(path)
    lock.take()
    held.callback(lock.release)
    rests = re.compile(re.escape(path.name) + r"\.[0-9]+\.part(-wal|-shm)?")
    for rest in list(path.parent.iterdir()):
        if rests.fullmatch(rest.name):
            rest.unlink(missing_ok=True)  # of one that was killed, or it would hold the lock
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        store = await SqliteStore.open(partial, partition_count=partitions, durability="normal")
        try:
            yield store, SqliteLoading(store)
        finally:
            await store.close()
        name_whole(partial, path)
    finally:
        for rest in (partial, *(partial.with_name(partial.name + suffix) for suffix in ("-wal", "-shm"))):
            rest.unlink(missing_ok=True)


@asynccontextmanager
async def _redis(
    target: str, partitions: int | None, password: str | None, held: AsyncExitStack
) -> AsyncIterator[tuple[Store, Loading]]:
    """A store that is empty, or a database in which there is none.

    No replica is waited for: meanwhile the source has all of it, and a server that promises one waits when it starts.
    """
    if not target.startswith(("redis", "valkey", "unix")):
        await open_store(target)  # says what is expected
    try:
        from engine.storage.redis_fleet import RedisFleetStore
        from engine.storage.redis_loading import RedisLoading
        from engine.storage.redis_opening import address_of
    except ModuleNotFoundError:
        await open_store(target, password=password)  # says what is missing
        raise
    store = await RedisFleetStore.open(address_of(target, password), partition_count=partitions)
    held.push_async_callback(store.close)
    await serve_alone(store, held, ": stop them first")
    with _told_of(target):
        await check_empty(store)
    yield store, RedisLoading(store)
