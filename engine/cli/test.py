"""``proactive test``: the rules' own tests and their invariants. Arguments, printing and exit codes only."""

# ruff: noqa: PT028 (a command, no test function)

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli.junit import Checked, junit
from engine.core.rules import RuleSet
from engine.folder import load_folder_with_tests, opened_as
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.invariants import Invariant
from engine.loading.load import Loaded
from engine.loading.scenarios import Scenario
from engine.scenario import run_scenario

EXAMPLES = 200  # about a second for the rules that are shipped
EXAMPLES_MAX = 1_000_000
NOTHING_TO_DO = 5  # as pytest has it: that nothing was tested is no success, and no failure either


def test(
    rules: Annotated[str, typer.Argument(metavar="RULES", help="A folder of rules, or one rule file.")] = "rules",
    only: Annotated[
        str | None, typer.Option("-k", metavar="NAME", help="Only what has this in its name or its file's.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write the results there as JUnit XML.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which streams of events are made up for the invariants.")] = 0,
    examples: Annotated[
        int, typer.Option(min=1, max=EXAMPLES_MAX, help="How many streams are tried on the invariants.")
    ] = EXAMPLES,
) -> None:
    """Run the tests that stand beside the rules, and try to break their invariants with made-up streams of events.

    The exit code is 1 if any of them fails, 2 if the rules cannot be loaded, and 5 if there is nothing to test.
    """
    loaded = _load(rules)
    tests: list[Checked] = []
    claims: list[Checked] = []
    parts = (loaded, *loaded.apart.values())  # what stands apart is tested too, each by itself
    for part in parts:
        tests += [
            _run(part.rules, scenario, opened_as(rules, scenario.path))
            for scenario in part.scenarios
            if _is_chosen(only, scenario.name, scenario.path)
        ]
        chosen = [invariant for invariant in part.invariants if _is_chosen(only, invariant.name, invariant.path)]
        claims += _try_to_break(rules, part, chosen, seed, examples) if chosen else []
    if report is not None:
        _write(report, tests + claims)
    for check in tests + claims:
        if check.failed:
            typer.echo(f"{check.path}:{check.line}: {check.name}")
            typer.echo("".join(f"  {line}\n" for line in check.lines))
    if not tests and not claims:
        typer.echo(_nothing(rules, parts, only))
        raise typer.Exit(NOTHING_TO_DO)
    if tests:
        typer.echo(_summary(tests, "test", "passed"))
    if claims:
        typer.echo(_summary(claims, "invariant", "not broken"))
    if any(check.failed for check in tests + claims):
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


def _try_to_break(rules: str, loaded: Loaded, invariants: list[Invariant], seed: int, examples: int) -> list[Checked]:
    # Where there are no invariants, nobody waits for what makes up streams to be loaded.
    from engine.invariants.search import try_to_break

    began = time.perf_counter()
    findings = try_to_break(
        loaded.rules,
        invariants,
        loaded.scenarios,
        seed=seed,
        examples=examples,
        shown=lambda path: opened_as(rules, path),
    )
    each = (time.perf_counter() - began) / len(findings)  # they are tried together
    return [
        Checked(
            finding.invariant.name,
            opened_as(rules, finding.invariant.path),
            finding.invariant.line,
            each,
            tuple(finding.lines),
        )
        for finding in findings
    ]


def _summary(checks: list[Checked], noun: str, well: str) -> str:
    failed = sum(check.failed for check in checks)
    fine = f"{counted(len(checks) - failed, noun)} {well}"
    ill = "failed" if noun == "test" else "broken"
    both = f"{fine}, {failed} {ill}" if failed else fine
    return f"{both}, in {_span(sum(check.seconds for check in checks))}"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _nothing(rules: str, parts: Sequence[Loaded], only: str | None) -> str:
    there_are = sum(len(part.scenarios) + len(part.invariants) for part in parts)
    if there_are:
        return f'{rules}: nothing with "{only}" in its name or its file\'s, of {counted(there_are, "test")}'
    return f'{rules}: no tests; they stand under the key "tests" of any rule file'


def _write(report: str, checks: list[Checked]) -> None:
    try:
        with open(report, "wb") as stream:
            stream.write(junit(checks))
    except OSError as error:
        typer.echo(f"--junit: {report}: {(error.strerror or 'cannot be written').lower()}", err=True)
        raise typer.Exit(2) from None
