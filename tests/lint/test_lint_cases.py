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
from engine.loading.tree import PARSER
from engine.triggers import KINDS

ROOT = Path(__file__).parents[2]
CASES: list[dict[str, Any]] = yaml.load((Path(__file__).parent / "cases.yaml").read_text("utf-8"), PARSER)


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


def held_back(count: int, more: str = "") -> str:
    """Rules whose defaults say once what is not well of each of them."""
    rules = "".join(f"  - {{id: r{number}, trigger: {{event: e}}, message: hm}}\n" for number in reversed(range(count)))
    policy = 'policy: {quiet_hours: {nights: {from: "22:00", to: "08:00", then: hold}}}\n'
    return f"{policy}defaults: {{expires: 15m}}{more}\nrules:\n{rules}"


def test_the_same_of_several_rules_at_one_place_is_one_finding_that_names_them() -> None:
    [found] = findings(held_back(5))
    assert "those of r4 expire after 15m" in found.message
    assert found.message.endswith(" (so it is with 5 rules: r4, r3, r2, r1, r0)")
    assert (found.line, found.code, found.rule, len(found.rules)) == (3, "expires-while-held", "r4", 5)
    [found] = findings(held_back(6))
    assert found.message.endswith(" (so it is with 6 rules: r5, r4, r3, r2, r1 …)")


def test_of_one_rule_it_is_told_as_ever() -> None:
    [found] = findings(held_back(1))
    assert "so it is with" not in found.message
    assert (found.rule, found.rules) == ("r0", ())


def test_what_is_accepted_is_accepted_for_all_of_them() -> None:
    assert findings(held_back(5, "  # lint: ok expires-while-held")) == ()


def test_two_slips_at_one_place_stay_two() -> None:
    two = 'nights: {from: "22:00", to: "08:00", then: hold}, noon: {from: "12:00", to: "13:00", then: hold}'
    text = held_back(3).replace('nights: {from: "22:00", to: "08:00", then: hold}', two)
    assert [one.message[:8] for one in findings(text)] == ['"nights"', '"noon" h']
    assert all("so it is with 3 rules: r2, r1, r0" in one.message for one in findings(text))
