"""How commands end where they cannot go on: a line on the error stream and an exit code. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from engine.core.refusal import Refused
from engine.loading.diagnostic import RuleErrors
from engine.loading.wording import with_hint


def stop(message: str, code: int = 2) -> NoReturn:
    """End the command with a line on the error stream."""
    typer.echo(message, err=True)
    raise typer.Exit(code) from None


def stop_refused(errors: RuleErrors, code: int = 1) -> NoReturn:
    """End the command with every reason why rules, settings or a mapping are not accepted, a line each."""
    for diagnostic in errors.diagnostics:
        typer.echo(diagnostic, err=True)
    stop(errors.summary, code)


@contextmanager
def refused_as(option: str) -> Iterator[None]:
    """End the command where what an option says is refused, with the name of the option."""
    try:
        yield
    except Refused as refused:
        stop(with_hint(f"{option}: {refused.message}", refused.hint))
