"""What cannot be meant is found where it stands; one step beside it nothing is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.lint.finding import CODES, LOG_CODES, Finding
from engine.lint.lint import lint
from engine.loading.load import load
from engine.triggers import KINDS

ROOT = Path(__file__).parents[2]
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text("utf-8"))


def findings(text: str) -> tuple[Finding, ...]:
    return lint(load({"rules.yaml": whole(text)}, KINDS))


def whole(text: str) -> str:
    return "version: 1\n" + text.replace("message: hm", "message: {type: question, text: Hm}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_cannot_be_meant_is_found(case: dict[str, Any]) -> None:
    [found] = findings(case["bad"])
    assert found.code == case["code"]
    shown = str(found)
    assert case["says"] in shown
    if "at" in case:
        line, _, text = case["at"].partition(" ")
        assert (found.line, there(case["bad"], found)[: len(text)]) == (int(line), text), shown


def there(text: str, found: Finding) -> str:
    """What stands at the place of the finding, to the end of the line."""
    return whole(text).splitlines()[found.line - 1][found.column - 1 :]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_one_step_beside_it_all_is_well(case: dict[str, Any]) -> None:
    assert findings(case["fine"]) == ()


def test_every_code_has_a_case_but_those_of_logs_and_comments() -> None:
    assert {case["code"] for case in CASES} == CODES.keys() - LOG_CODES - {"unused-accept"}


def test_every_code_stands_in_the_page_in_the_order_of_the_table() -> None:
    page = (ROOT / "docs" / "lint.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(CODES)


def test_a_rule_that_is_off_is_not_looked_at() -> None:
    assert findings("rules:\n  - {id: a, trigger: {session: end}, message: hm, mode: off}\n") == ()


def test_defaults_of_a_file_without_rules_are_of_no_use() -> None:
    sources = {
        "a.yaml": "version: 1\ndefaults: {cooldown: 5m}\n",
        "b.yaml": "version: 1\nrules:\n  - {id: a, trigger: {event: e}, message: {type: question, text: Hm}}\n",
    }
    [found] = lint(load(sources, KINDS))
    assert (found.path, found.line, found.code) == ("a.yaml", 2, "unused")


def test_a_folder_that_has_no_rules_yet_is_left_alone() -> None:
    assert findings("lists: {terms: [a]}\npolicy: {budgets: {b: {limits: {max: 1, per: day}}}}\n") == ()


def test_all_findings_come_in_the_order_in_which_one_reads() -> None:
    found = findings(
        "lists: {terms: [a]}\nrules:\n"
        "  - {id: b, trigger: {session: end}, message: hm}\n"
        "  - {id: a, trigger: {event: e}, message: hm, condition: 1 == 1}\n"
    )
    assert [(one.line, one.code) for one in found] == [(2, "unused"), (4, "never-speaks"), (5, "always-holds")]
    assert [one.rule for one in found] == ["", "b", "a"]
