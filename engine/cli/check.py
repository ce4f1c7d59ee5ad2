"""``proactive check``: every error of the rule files, one per line, in the form that editors and CI understand."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.folder import load_folder_with_tests
from engine.loading.diagnostic import RuleErrors, counted


def check(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="A folder of rules, or one rule file.")] = "rules",
) -> None:
    r"""Report every error of the rule files.

    Each stands on a line of its own: file:line:column: message \[code]. The exit code is 1 if there are any.
    """
    try:
        loaded = load_folder_with_tests(rules)
    except RuleErrors as errors:
        for diagnostic in errors.diagnostics:
            typer.echo(diagnostic)
        typer.echo(errors.summary)
        raise typer.Exit(1) from None
    found = f"{counted(len(loaded.rules.rules), 'rule')} in {counted(len(loaded.rules.sources), 'file')}, no errors"
    apart = [f"{path} ({counted(len(alone.rules.rules), 'rule')})" for path, alone in loaded.apart.items()]
    typer.echo(f"{rules}: {found}" + (f"; standing apart: {', '.join(apart)}" if apart else ""))
