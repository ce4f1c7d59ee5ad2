"""Some of the scenarios, short enough for every run of the tests; `make scale` runs all, and for longer.

How much happens in them a busy machine decides; that nothing of it is lost, or done twice, it does not.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scale.run import table
from tests.scale.scenarios import SCENARIOS
from tests.scale.world import Outcome, Plan
from tests.storage.redis_server import SERVER

SECONDS = 5.0
USERS = 200


async def short(name: str, folder: Path, **changes: object) -> Outcome:
    if shutil.which(SERVER) is None:
        pytest.skip(f"there is no {SERVER}: make redis")
    scenario = SCENARIOS[name]
    plan: Plan = replace(scenario.plan, seed=7, seconds=SECONDS, partitions=8, **changes)  # type: ignore[arg-type]
    if plan.stand_ins:
        plan = replace(plan, users=USERS, stand_ins=1, load=replace(plan.load, rate=400.0))
    outcome = await scenario.run(plan, folder)
    assert outcome.verdict.holds, "\n".join([table(name, plan, outcome, 0.0), *outcome.verdict.lines()])
    return outcome


async def test_workers_that_are_killed_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    await short("workers-killed", tmp_path)


async def test_workers_that_were_frozen_change_nothing_when_they_go_on(tmp_path: Path) -> None:
    await short("zombies", tmp_path)


async def test_three_workers_without_leases_are_kept_apart_by_versions_alone(tmp_path: Path) -> None:
    outcome = await short("no-leases", tmp_path)
    assert int(outcome.figures["commits refused"]) > 0


async def test_all_clients_of_a_gateway_that_is_killed_go_on_at_the_other(tmp_path: Path) -> None:
    await short("gateway-killed", tmp_path, devices=30, workers=1, pause_s=1.0)


async def test_redis_that_is_killed_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    await short("redis-killed-always", tmp_path)
