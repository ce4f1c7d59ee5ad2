"""The storm, short enough for every run of the tests; and that it notices what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.broken import FAULTS
from tests.chaos.run import Plan, storm, table


async def test_nothing_acknowledged_is_lost_and_no_message_lost_or_doubled(tmp_path: Path) -> None:
    plan = Plan(seconds=15, clients=60, seed=7)
    outcome = await storm(plan, tmp_path)
    assert outcome.verdict.holds, "\n".join([table(plan, outcome), *outcome.verdict.lines()])
    assert int(outcome.figures["kill -9"]) >= 1
    for name in ("events acknowledged", "messages owed to a device", "messages received"):
        assert outcome.verdict.figures[name] > 100, name


async def test_what_was_said_while_a_session_ended_comes_in_the_next(tmp_path: Path) -> None:
    plan = Plan(seconds=5, clients=40, seed=7, pause_s=0.5, resume_within="1s")
    outcome = await storm(plan, tmp_path)
    assert outcome.verdict.holds, "\n".join([table(plan, outcome), *outcome.verdict.lines()])
    assert outcome.counted["switched off"] >= 3
    # How many, a busy machine decides.
    for name in ("sessions ended", "messages of the backend"):
        assert outcome.verdict.figures[name] >= 3, name


# The two that show soonest; `python -m tests.chaos.run --broken FAULT` tries the others.
@pytest.mark.parametrize("fault", ["ledger-forgets", "no-memory-of-ids"])
async def test_the_storm_notices_a_server_that_breaks_its_word(tmp_path: Path, fault: str) -> None:
    assert fault in FAULTS
    outcome = await storm(Plan(seconds=8, clients=60, seed=7, broken=fault), tmp_path)
    assert not outcome.verdict.holds
