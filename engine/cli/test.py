"""``proactive test``: the rules' own tests and their invariants. Arguments, printing and exit codes only."""

# ruff: noqa: PT028 (a command, no test function)

from __future__ import annotations

import time
from typing import Annotated

import typer

from engine.cli.junit import Checked, junit
from engine.core.rules import RuleSet
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.load import Loaded
from engine.loading.scenarios import Scenario
from engine.scenario import run_scenario

NOTHING_TO_DO = 5  # as pytest has it: that nothing was tested is no success, and no failure either


def test(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="A folder of rules, or one rule file.")] = "rules",
    only: Annotated[
        str | None, typer.Option("-k", metavar="NAME", help="Only what has this in its name or its file's.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write the results there as JUnit XML.")
    ] = None,
) -> None:
    """Run the tests that stand beside the rules.

    The exit code is 1 if any of them fails, 2 if the rules cannot be loaded, and 5 if there is nothing to test.
    """
    loaded = _load(rules)
    checks = [
        _run(loaded.rules, scenario, opened_as(rules, scenario.path))
        for scenario in loaded.scenarios
        if _is_chosen(only, scenario.name, scenario.path)
    ]
    if report is not None:
        _write(report, checks)
    for check in checks:
        if check.failed:
            typer.echo(f"{check.path}:{check.line}: {check.name}")
            typer.echo("".join(f"  {line}\n" for line in check.lines))
    if not checks:
        typer.echo(_nothing(rules, loaded, only))
        raise typer.Exit(NOTHING_TO_DO)
    typer.echo(_summary(checks))
    if any(check.failed for check in checks):
        raise typer.Exit(1)


def _load(rules: str) -> Loaded:
    try:
        return load_folder_with_tests(rules)
    except RuleErrors as errors:
        for diagnostic in errors.diagnostics:
            typer.echo(diagnostic, err=True)
        typer.echo(errors.summary, err=True)
        raise typer.Exit(2) from None


def _is_chosen(only: str | None, name: str, path: str) -> bool:
    return only is None or only.casefold() in name.casefold() or only.casefold() in path.casefold()


def _run(rules: RuleSet, scenario: Scenario, path: str) -> Checked:
    began = time.perf_counter()
    result = run_scenario(rules, scenario)
    lines = () if result.passed else tuple(result.lines())
    return Checked(scenario.name, path, scenario.line, time.perf_counter() - began, lines)


def _summary(checks: list[Checked]) -> str:
    failed = sum(check.failed for check in checks)
    passed = f"{counted(len(checks) - failed, 'test')} passed"
    both = f"{passed}, {failed} failed" if failed else passed
    return f"{both}, in {_span(sum(check.seconds for check in checks))}"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _nothing(rules: str, loaded: Loaded, only: str | None) -> str:
    there_are = len(loaded.scenarios)
    if there_are:
        return f'{rules}: none of {counted(there_are, "test")} has "{only}" in its name or its file\'s'
    return f'{rules}: no tests; they stand under the key "tests" of any rule file'


def _write(report: str, checks: list[Checked]) -> None:
    try:
        with open(report, "wb") as stream:
            stream.write(junit(checks))
    except OSError as error:
        typer.echo(f"--junit: {report}: {(error.strerror or 'cannot be written').lower()}", err=True)
        raise typer.Exit(2) from None
