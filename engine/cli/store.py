"""``proactive store``: all of a store moved into another one, and a look at what one is. Arguments only.

It calls no server; see `store_migrate` and `store_inspect`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from engine.cli.stopping import stop, stop_refused
from engine.cli.store_inspect import inspect
from engine.cli.store_migrate import migrate
from engine.loading.diagnostic import RuleErrors
from engine.settings_file import store_password


class Action(StrEnum):
    MIGRATE = "migrate"
    INSPECT = "inspect"


def store(
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="STORE", help="sqlite:PATH or redis://HOST:PORT/DB.", show_default=False)
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
    as_data: Annotated[bool, typer.Option("--json", help="With inspect: print it as JSON.")] = False,
) -> None:
    """Move all of a store into another one, or say what one is and how full.

    migrate copies everything from STORE into TARGET, in which nothing is yet, and compares both; nobody may use either
    meanwhile, and STORE stays as it is. inspect only reads, also while servers run. Exit codes: 0 all is well, 1 it
    could not be done.
    """
    try:
        password = store_password(os.environ)
    except RuleErrors as errors:
        stop_refused(errors)
    if action is Action.MIGRATE:
        if target is None:
            stop("expected where all of it goes: proactive store migrate STORE TARGET")
        if as_data:
            stop('--json is for "inspect"; leave it out')
        migrate(name, target, partitions, password)
        return
    if target is not None or partitions is not None:
        stop(f'{"--partitions" if target is None else target}: that is for "migrate"; leave it out')
    inspect(name, password, as_data=as_data)
