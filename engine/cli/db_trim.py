"""``proactive db trim``: fold what is older than is kept, where no server does. Arguments are read by `db`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import typer

from engine.cli.stopping import refused_as, stop
from engine.core.units import format_at, parse_duration
from engine.loading.diagnostic import counted
from engine.retention import Retention, Trimmed
from engine.storage.base import StoreError
from engine.storage.lock import FileLock
from engine.storage.sqlite import SqliteStore
from engine.turn import Turns


def trim(path: Path, keep: str) -> None:
    """Fold what happened longer ago than ``keep``, and say what went. Stops where a server runs on the file."""
    with refused_as("--keep"):
        before = time.time_ns() // 1000 - parse_duration(keep)
    if not path.is_file():
        stop(f"{path}: there is no such file")
    try:
        trimmed, ends = asyncio.run(_trim(path, before))
    except StoreError as error:
        stop(f"{path}: {error}", code=1)
    if not trimmed.entries:
        typer.echo(f"nothing to fold: no tick before {format_at(before)} has anything later behind it")
        return
    sets = f", and {counted(trimmed.rule_sets, 'moment')} of rules" if trimmed.rule_sets else ""
    entries = "1 entry" if trimmed.entries == 1 else f"{trimmed.entries:,} entries"
    typer.echo(f"folded {entries}{sets}; the log begins at {format_at(min(ends))}")


async def _trim(path: Path, before: int) -> tuple[Trimmed, list[int]]:
    """What was folded, and up to which moment each partition is."""
    lock = FileLock(path)
    lock.take()
    try:
        store = await SqliteStore.open(path)
        try:
            turns = Turns(store)
            await turns.recover()
            trimmed = await Retention(store, turns.catch_up).trim(before)
            return trimmed, [(await store.folded(number)).at for number in range(store.partition_count)]
        finally:
            await store.close()
    finally:
        lock.release()
