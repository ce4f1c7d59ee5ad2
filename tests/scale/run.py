"""What can happen to a fleet, a scenario each: ``python -m tests.scale.run NAME``, or --list; `make scale`.

Prints what happened as a table. Exits with 1 if the oracle finds anything wrong, or if the scenario proved nothing;
then the folder with the logs of all processes and the data of Redis is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.scale.scenarios import SCENARIOS
from tests.scale.world import Outcome, Plan

OPEN_FILES = 12_000


def run(coroutine: Coroutine[Any, Any, Outcome]) -> Outcome:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


def table(name: str, plan: Plan, outcome: Outcome, took_s: float) -> str:
    """In Markdown."""
    rows = {"seed": plan.seed, "workers": plan.workers, **outcome.verdict.figures, **outcome.figures}
    lines = [f"| {name} | how much |", "|---|---:|", f"| seconds, all told | {took_s:.0f} |"]
    lines += [f"| {what} | {shown(value)} |" for what, value in rows.items()]
    return "\n".join(lines)


def shown(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value


def run_scenario(name: str, given: argparse.Namespace) -> bool:
    """Whether everything holds."""
    scenario = SCENARIOS[name]
    plan = replace(scenario.plan, seed=given.seed)
    if given.seconds is not None:
        plan = replace(plan, seconds=given.seconds)
    if given.users is not None:
        plan = replace(plan, users=given.users)
    if given.rate is not None:
        plan = replace(plan, load=replace(plan.load, rate=given.rate))
    folder = given.keep or Path(tempfile.mkdtemp(prefix=f"scale-{name}-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    outcome = run(scenario.run(plan, folder))
    print(table(name, plan, outcome, time.monotonic() - began), flush=True)
    if outcome.verdict.holds:
        print(f"{name}: holds\n", flush=True)
        if given.keep is None:
            shutil.rmtree(folder)
        return True
    print("\n".join([f"{name}: does not hold", *outcome.verdict.lines()]), file=sys.stderr)
    print(f"what is left of it is in {folder}\n", file=sys.stderr, flush=True)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scale.run", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", metavar="NAME", help="of scenarios; all but soak where there is none")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="of load; each scenario has its own")
    parser.add_argument("--users", type=int)
    parser.add_argument("--rate", type=float, help="events a second, of each that stands in for a gateway")
    parser.add_argument("--keep", type=Path, help="a folder for all that is left, also where everything holds")
    given = parser.parse_args()
    if given.list:
        print("\n".join([f"{name:24}{scenario.about}" for name, scenario in SCENARIOS.items()]))
        return
    unknown = [name for name in given.name if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]}; --list says which there are")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))
    names = given.name or [name for name in SCENARIOS if name != "soak"]
    failed = [name for name in names if not run_scenario(name, given)]
    if failed:
        sys.exit(f"does not hold: {', '.join(failed)}")


if __name__ == "__main__":
    main()
