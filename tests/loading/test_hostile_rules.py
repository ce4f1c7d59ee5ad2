"""Rules that mean harm are refused or bounded: the table is in hostile_cases.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_cases import CASES, Case

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[str]]:
    """What came of each case, of those that were come to before memory or time ran out."""
    if sys.platform == "win32":
        pytest.skip("this system cannot bound the memory of a process")
    command = [sys.executable, str(HERE / "hostile_cases.py")]
    root = HERE.parents[1]
    done = subprocess.run(command, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_rule_is_refused_or_bounded(case: Case, outcomes: dict[str, list[str]]) -> None:
    assert case.expected in outcomes[case.name]


def test_each_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
