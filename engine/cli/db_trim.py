"""``proactive db trim``: fold what is older than is kept, where no server does. Arguments are read by `db`."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import typer

from engine.archive import Archive
from engine.cli.stopping import refused_as, stop, stop_refused
from engine.cli.store_migrate import sqlite_path
from engine.core.units import DAY, format_at, parse_duration
from engine.loading.diagnostic import RuleErrors, counted
from engine.retention import Retention, Trimmed
from engine.settings_file import read_settings
from engine.storage.base import StoreError
from engine.storage.lock import FileLock
from engine.storage.sqlite import SqliteStore
from engine.turn import Turns


def trim(path: Path, keep: str, archive: Path | None = None) -> None:
    """Fold what happened longer ago than ``keep``, and say what went. Stops where a server runs on the file.

    ``archive``: the folder to which it goes before; whole days (UTC) then, as a server does it.
    """
    with refused_as("--keep"):
        before = time.time_ns() // 1000 - parse_duration(keep)
    if not path.is_file():
        stop(f"{path}: there is no such file")
    if archive is not None:
        before -= before % DAY
    try:
        trimmed, ends = asyncio.run(_trim(path, before, archive))
    except StoreError as error:
        stop(f"{path}: {error}", code=1)
    if not trimmed.entries:
        typer.echo(f"nothing to fold: no tick before {format_at(before)} has anything later behind it")
        return
    sets = f", and {counted(trimmed.rule_sets, 'moment')} of rules" if trimmed.rule_sets else ""
    entries = "1 entry" if trimmed.entries == 1 else f"{trimmed.entries:,} entries"
    where = "" if archive is None else f", what was before it is in {archive}"
    typer.echo(f"folded {entries}{sets}; the log begins at {format_at(min(ends))}{where}")


def archive_of(path: Path, config: Path | None) -> Path | None:
    """The folder that the settings name whose store it is, None where they name none. Stops where it is another's."""
    try:
        settings = read_settings(config, os.environ, to_serve=False)
    except RuleErrors as errors:
        stop_refused(errors)
    own = sqlite_path(settings.store)
    if own is None or not path.exists() or not own.exists() or not own.samefile(path):
        stop(
            f"{path} is not the store of the settings ({settings.store}), so they do not say whether what is folded is "
            "archived: name its settings with --config, its archive with --archive FOLDER, or say --no-archive and it "
            "is gone"
        )
    return settings.archive


async def _trim(path: Path, before: int, archive: Path | None) -> tuple[Trimmed, list[int]]:
    """What was folded, and up to which moment each partition is."""
    lock = FileLock(path)
    lock.take()
    try:
        store = await SqliteStore.open(path)
        try:
            turns = Turns(store)
            await turns.recover()
            to = None if archive is None else Archive(archive, store.partition_count)
            trimmed = await Retention(store, turns.catch_up, archive=to).trim(before)
            return trimmed, [(await store.folded(number)).at for number in range(store.partition_count)]
        finally:
            await store.close()
    finally:
        lock.release()
