"""What commands show a server that asks who they are: a token or a key, by itself or in a file. It sends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Key = Annotated[str | None, typer.Option(metavar="KEY", help="Of a backend, where the server asks for one.")]
KeyFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A file with nothing but the key.")]
Token = Annotated[str | None, typer.Option(metavar="TOKEN", help="Of a client, where the server asks for one.")]
TokenFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A file with nothing but the token.")]


def headers_of(name: str, given: str | None, file: Path | None) -> dict[str, str]:
    """The header that shows it, none where there is nothing to show. ``name`` is the option: key or token.

    A file keeps it out of the list of processes. Ends the command where it cannot be read.
    """
    if given is not None and file is not None:
        raise typer.BadParameter(f"expected one of --{name} and --{name}-file, got both", param_hint=f"'--{name}'")
    found = given if file is None else _read(name, file)
    if found is None:
        return {}
    if not found.isascii() or not found.isprintable() or not found:
        raise typer.BadParameter(f"expected a {name} in printable ASCII", param_hint=f"'--{name}'")
    return {"Authorization": f"Bearer {found}"}


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise typer.BadParameter(f"cannot read {path}: {(why or '').lower()}", param_hint=f"'--{name}-file'") from None
