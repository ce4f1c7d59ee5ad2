"""``proactive key``: the keys of backends, made, listed and revoked. It calls no server; that rereads the file."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.stopping import stop, stop_refused
from engine.core.refusal import Refused
from engine.core.units import SECOND, format_at, show_moments
from engine.loading.diagnostic import counted
from engine.loading.wording import did_you_mean, listed, with_hint
from engine.settings_file import SettingsErrors, read_settings
from engine.transport.keys import KEYS_MAX, NAME, SCOPES, BackendKey, new_key, read_key_file, write_keys

NOTE_LENGTH_MAX = 200


class Action(StrEnum):
    ADD = "add"
    LIST = "list"
    REVOKE = "revoke"


def key(
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)],
    name: Annotated[str | None, typer.Argument(help="Of the key; add and revoke need it.", show_default=False)] = None,
    scopes: Annotated[
        str | None, typer.Option(metavar="SCOPE,…", help=f"What a new key is for: {', '.join(SCOPES)}.")
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with a new key, for people.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings with auth.backend_keys, the file of keys.")] = None,
    file: Annotated[Path | None, typer.Option(help="The file of keys, whatever the settings name.")] = None,
) -> None:
    """Make, list and revoke the keys of backends.

    A new key is shown once, on standard output; the file has its hash alone. A running server takes up a change of
    the file by itself: a revoked key opens nothing from then on. A key is sent as "Authorization: Bearer pk_…".
    """
    path = file or _path_of_settings(config)
    try:
        if action is Action.LIST:
            _refuse_given(name=name, scopes=scopes, note=note)
            _show(read_key_file(path))
        elif name is None:
            stop(f"expected the name of the key: proactive key {action} NAME")
        elif action is Action.REVOKE:
            _refuse_given(scopes=scopes, note=note)
            _revoke(path, name)
        else:
            _add(path, name, scopes, note or "")
    except Refused as refused:
        stop(with_hint(refused.message, refused.hint), 1)
    except FileExistsError as error:
        stop(f"another command is writing {path}; where none is, delete {error.filename}", 1)
    except OSError as error:
        stop(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}", 1)


def _path_of_settings(config: Path | None) -> Path:
    try:
        path = read_settings(config, os.environ, to_serve=False).auth.backend_keys
    except SettingsErrors as errors:
        stop_refused(errors)
    if path is None:
        stop("no settings name the file of keys: set auth.backend_keys in config.yaml, or name it with --file")
    return path


def _refuse_given(**given: str | None) -> None:
    for name, value in given.items():
        if value is not None:
            stop(f"expected {'no name' if name == 'name' else f'--{name} with add alone'}, got {value!r}")


def _add(path: Path, name: str, scopes: str | None, note: str) -> None:
    if not NAME.fullmatch(name):
        stop(f'expected a name of at most 64 letters, digits and ._-, got "{name}"')
    if len(note) > NOTE_LENGTH_MAX or not note.isprintable():
        stop(f"expected a note of one line and at most {NOTE_LENGTH_MAX} characters")
    wanted = [word.strip() for word in (scopes or "").split(",") if word.strip()]
    if not wanted:
        stop(f"expected --scopes with some of {listed(SCOPES, 'and')}")
    for word in wanted:
        if word not in SCOPES:
            why = f'expected --scopes with some of {listed(SCOPES, "and")}, got "{word}"'
            stop(with_hint(why, did_you_mean(word, SCOPES)))
    keys = read_key_file(path) if path.exists() else ()
    if any(kept.name == name for kept in keys):
        stop(f'there is a key "{name}" already; revoke it first, or choose another name', 1)
    if len(keys) >= KEYS_MAX:
        stop(f"expected at most {KEYS_MAX} keys in a file; revoke some first", 1)
    created = format_at(int(time.time()) * SECOND)
    shown, kept = new_key(name, [scope for scope in SCOPES if scope in wanted], show_moments(created), note)
    write_keys(path, (*keys, kept))
    typer.echo(shown)
    typer.echo(f'key "{name}" for {", ".join(kept.scopes)}; {path} has its hash, and it is not shown again', err=True)


def _revoke(path: Path, name: str) -> None:
    keys = read_key_file(path)
    left = tuple([kept for kept in keys if kept.name != name])
    if len(left) == len(keys):
        near = did_you_mean(name, [kept.name for kept in keys])
        stop(with_hint(f'there is no key "{name}" in {path}', near), 1)
    write_keys(path, left)
    typer.echo(f'key "{name}" opens nothing any more')


def _show(keys: tuple[BackendKey, ...]) -> None:
    width = max([len(kept.name) for kept in keys], default=0)
    for kept in sorted(keys, key=lambda kept: kept.name):
        typer.echo(f"{kept.name:{width}}  {kept.created}  {', '.join(kept.scopes)}  {kept.note}".rstrip())
    typer.echo(counted(len(keys), "key"), err=True)
