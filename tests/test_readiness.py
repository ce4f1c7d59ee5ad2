"""What keeps work away from a server, and what is only worth a look."""

from __future__ import annotations

from typing import Any

import pytest

from engine.readiness import LISTED_MAX, readiness

FINE: dict[str, Any] = {
    "stopping": False,
    "running": True,
    "store_trouble": None,
    "memory_trouble": "",
    "rules": 3,
    "rule_problems": [],
}
FULL = "database or disk is full"

CASES: list[tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = [
    ({}, (), ()),
    ({"stopping": True}, ("the server is stopping",), ()),
    ({"stopping": True, "running": False}, ("the server is stopping",), ()),
    ({"running": False}, ("no turns are taken: the live driver does not run",), ()),
    ({"store_trouble": FULL}, (f"the store cannot be written to: {FULL}",), ()),
    ({"memory_trouble": "900 MiB"}, ("there is no memory: 900 MiB",), ()),
    (
        {"running": False, "store_trouble": FULL},
        ("no turns are taken: the live driver does not run", f"the store cannot be written to: {FULL}"),
        (),
    ),
    ({"rules": 0}, (), ("there are no rules",)),
    ({"store_notes": ["no replica"], "rules": 0}, (), ("no replica", "there are no rules")),
    (
        {"rule_problems": ["a.yaml:1:1: x"]},
        (),
        ("the rule files have errors, the former rules go on holding", "a.yaml:1:1: x"),
    ),
]


@pytest.mark.parametrize(("how", "reasons", "notes"), CASES)
def test_each_part_has_its_say(how: dict[str, Any], reasons: tuple[str, ...], notes: tuple[str, ...]) -> None:
    found = readiness(**{**FINE, **how})
    assert (found.ok, found.reasons, found.notes) == (not reasons, reasons, notes)
    assert found.shown() == {"ready": not reasons, "reasons": list(reasons), "notes": list(notes)}


@pytest.mark.parametrize(
    ("count", "last"), [(LISTED_MAX, f"p{LISTED_MAX - 1}"), (LISTED_MAX + 1000, "… and 1,000 more")]
)
def test_a_long_list_of_problems_is_cut(count: int, last: str) -> None:
    found = readiness(**{**FINE, "rule_problems": [f"p{number}" for number in range(count)]})
    assert found.ok
    assert found.notes[-1] == last
