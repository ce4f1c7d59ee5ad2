"""``proactive store``: a store moved into another one, a look at what one is, an archive mended. Arguments only.

It calls no server; see `store_migrate` and `store_inspect`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.archive import forget
from engine.cli.progress import progress_bar
from engine.cli.stopping import stop, stop_refused
from engine.cli.store_inspect import inspect
from engine.cli.store_migrate import migrate
from engine.loading.diagnostic import RuleErrors
from engine.settings_file import store_password
from engine.storage.base import StoreError


class Action(StrEnum):
    MIGRATE = "migrate"
    INSPECT = "inspect"
    FORGET = "forget"


def store(
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)],
    name: Annotated[
        str,
        typer.Argument(
            metavar="STORE", help="sqlite:PATH or redis://HOST:PORT/DB; with forget an archive.", show_default=False
        ),
    ],
    target: Annotated[
        str | None, typer.Argument(metavar="[TARGET]", help="With migrate: the store that is made.")
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1, max=4096, help="With migrate: into how many parts its users are shared.  [default: 8, on Redis 256]"
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="With forget: whom.", show_default=False)] = None,
    as_data: Annotated[bool, typer.Option("--json", help="With inspect: print it as JSON.")] = False,
) -> None:
    """Move all of a store into another one, say what one is and how full, or take a user out of an archive.

    migrate copies everything from STORE into TARGET, in which nothing is yet, and compares both; nobody may use either
    meanwhile, and STORE stays as it is. inspect only reads, also while servers run. forget rewrites the
    files of an archive that have a user; a server does so itself where it can reach them. Exit codes: 0 all is well, 1
    it could not be done.
    """
    _refuse_given(action, {"TARGET": target, "--partitions": partitions, "--user": user, "--json": as_data or None})
    if action is Action.FORGET:
        if user is None:
            stop("expected whom: proactive store forget ARCHIVE --user NAME")
        _forget(Path(name), user)
        return
    try:
        password = store_password(os.environ)
    except RuleErrors as errors:
        stop_refused(errors)
    if action is Action.MIGRATE:
        if target is None:
            stop("expected where all of it goes: proactive store migrate STORE TARGET")
        migrate(name, target, partitions, password)
    else:
        inspect(name, password, as_data=as_data)


_FOR = {
    "TARGET": Action.MIGRATE,
    "--partitions": Action.MIGRATE,
    "--user": Action.FORGET,
    "--json": Action.INSPECT,
}


def _refuse_given(action: Action, given: dict[str, object]) -> None:
    for name, value in given.items():
        if value is not None and _FOR[name] is not action:
            stop(f'{name} is for "{_FOR[name]}"; leave it out')


def _forget(folder: Path, user: str) -> None:
    try:
        with progress_bar("looking", None, "bytes") as progress:
            count = forget(folder, user, progress)
    except StoreError as error:
        stop(str(error), 1)
    except OSError as error:
        stop(f"{error.filename or folder}: {(error.strerror or str(error)).lower()}", 1)
    entries = "1 entry" if count == 1 else f"{count:,} entries"
    typer.echo(f"{folder}: {entries} of {user} taken out")
