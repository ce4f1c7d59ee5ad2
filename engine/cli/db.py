"""``proactive db``: the file of a store, checked, packed and copied beside the server that runs on it; and trimmed.

It opens no door and calls no server; whatever a server does meanwhile, neither loses anything.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.db_trim import archive_of, trim
from engine.cli.stopping import stop
from engine.loading.diagnostic import counted
from engine.replay.driver import run_users
from engine.replay.recording import RecordingUnusable, read_recording, recorded_rules
from engine.replay.verify import Verification, verified
from engine.storage.base import StoreError
from engine.storage.sqlite_care import backup, vacuum
from engine.storage.sqlite_check import PROBLEMS_MAX, check_file


class Action(StrEnum):
    CHECK = "check"
    VACUUM = "vacuum"
    BACKUP = "backup"
    TRIM = "trim"


def db(
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)],
    path: Annotated[Path, typer.Argument(help="The SQLite file of a server, running or not.", show_default=False)],
    to: Annotated[Path | None, typer.Option(help="With backup: the new file. Nothing is written over.")] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="SPAN", help="With trim: how much of the log is kept, such as 90d.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="With trim: where it goes before.  [default: of the settings]")
    ] = None,
    no_archive: Annotated[
        bool, typer.Option("--no-archive", help="With trim: what is folded is kept nowhere, whatever the settings say.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="With trim: the settings with this store and its archive.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="With check: replay the log and compare every decision.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="With vacuum: write all of the file anew, packed.")] = False,
) -> None:
    """Check, pack, copy and trim the file of a store; all but trim also while a server runs on it.

    check looks for damage; vacuum gives free room back to the disk; backup makes a copy as of one moment; trim folds
    what is older than is kept, as a server with the setting "keep" does by itself every hour, and as such a one puts
    it into the archive first. Exit codes: 0 all is well, 1 damage was found or it could not be done.
    """
    if str(path).startswith(("redis:/", "rediss:/")):
        stop(f"a store on Redis is no file: {_ON_REDIS[action]}", 1)
    of_trim = {"keep": keep, "archive": archive, "no-archive": no_archive or None, "config": config}
    _refuse_given(action, {"to": to, "verify": verify or None, "full": full or None, **of_trim})
    try:
        if action is Action.CHECK:
            _check(path, verify=verify)
        elif action is Action.VACUUM:
            _vacuum(path, full=full)
        elif action is Action.BACKUP:
            _backup(path, to)
        else:
            if keep is None:
                stop("expected how much is kept: proactive db trim PATH --keep 90d")
            if sum([archive is not None, no_archive, config is not None]) > 1:
                stop("expected one of --archive, --no-archive and --config, got several")
            trim(path, keep, archive if archive or no_archive else archive_of(path, config))
    except (StoreError, RecordingUnusable, OSError) as error:
        stop(str(error), 1)


_FOR = {"verify": Action.CHECK, "full": Action.VACUUM, "to": Action.BACKUP}  # the others are for trim


_ON_REDIS = {
    Action.CHECK: "redis-check-aof looks through its append-only file, and replay --verify compares every decision",
    Action.VACUUM: "Redis gives back what is free by itself; BGREWRITEAOF packs its append-only file",
    Action.BACKUP: "copy its folder appendonlydir, or what BGSAVE writes, as docs/operating.md says",
    Action.TRIM: 'a server with the setting "keep" does it',
}


def _refuse_given(action: Action, given: dict[str, object]) -> None:
    for name, value in given.items():
        whose = _FOR.get(name, Action.TRIM)
        if value is not None and whose is not action:
            stop(f'--{name} is for "{whose}"; leave it out')


def _check(path: Path, *, verify: bool) -> None:
    problems = check_file(path)
    for problem in problems:
        typer.echo(f"{path}: {problem}")
    if problems:
        more = " or more" if len(problems) >= PROBLEMS_MAX else ""
        stop(f"{counted(len(problems), 'problem')}{more}: put back a backup, or keep the file and ask", 1)
    typer.echo(f"{path} is whole")
    if verify:
        _verify(path)


def _verify(path: Path) -> None:
    recording = asyncio.run(read_recording(str(path)))
    verification = Verification(recording.decisions)
    if recording.events or recording.bases:
        for ran in run_users(recording.activity(), [recorded_rules(recording)], came_to=recording.time_came_to):
            verification.see(ran)
    difference = verification.difference()
    if difference is not None:
        typer.echo(str(difference))
        raise typer.Exit(1)
    typer.echo(verified(recording.decisions))


def _vacuum(path: Path, *, full: bool) -> None:
    if not path.is_file():
        stop(f'there is no file "{path}"', 1)
    before, after = vacuum(path, full=full)
    typer.echo(f"{path}: {_bytes(before)} before, {_bytes(after)} after, {_bytes(max(before - after, 0))} freed")


def _backup(path: Path, to: Path | None) -> None:
    if to is None:
        stop("expected where the copy goes: proactive db backup PATH --to NEW")
    size = backup(path, to)
    typer.echo(f"{to}: {_bytes(size)}, checked")


def _bytes(count: int) -> str:
    return f"{count:,} bytes"
