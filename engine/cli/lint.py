"""``proactive lint``: what the rules say that cannot be meant, one finding per line. Printing and exit codes only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from engine.folder import load_folder
from engine.lint.finding import Finding
from engine.lint.lint import lint as find
from engine.loading.diagnostic import RuleErrors, counted


def lint(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="A folder of rules, or one rule file.")] = "rules",
) -> None:
    r"""Report what the rules say that is legal and cannot be meant.

    Each finding stands on a line of its own: file:line:column: message \[code]. A comment "# lint: ok CODE" on that
    line or above it accepts one. The exit code is 1 if there are any, 2 if the rules cannot be loaded.
    """
    try:
        loaded = load_folder(rules)
    except RuleErrors as errors:
        for diagnostic in errors.diagnostics:
            typer.echo(diagnostic, err=True)
        typer.echo(errors.summary, err=True)
        raise typer.Exit(2) from None
    found = find(loaded)
    folder = Path(rules) if Path(rules).is_dir() else Path(rules).parent
    for finding in found:
        typer.echo(finding.under(folder.as_posix()))
    typer.echo(summary(rules, len(loaded.rules), found))
    if found:
        raise typer.Exit(1)


def summary(rules: str, rule_count: int, found: Iterable[Finding]) -> str:
    found = tuple(found)
    if not found:
        return f"{rules}: {counted(rule_count, 'rule')}, nothing found"
    return f"{counted(len(found), 'finding')} in {counted(len({one.path for one in found}), 'file')}"
