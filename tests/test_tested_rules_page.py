"""The page on tests and invariants: its tests pass or fail as it says, its invariants hold, its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import Block, blocks_of

from engine.core import shapes
from engine.invariants.search import try_to_break
from engine.loading.load import Loaded, load_with_tests
from engine.loading.scenarios import EVENT, EXPECTED, START_DEFAULT, TEST, WANTED
from engine.scenario import run_scenario
from engine.triggers import KINDS

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = blocks_of(PAGE)
CLAIMS = [
    block
    for block in BLOCKS
    if block.language == "yaml" and re.search("^(tests|invariants):", block.text, re.MULTILINE)
]


def loaded(block: Block) -> Loaded:
    return load_with_tests({"rules.yaml": block.text}, KINDS)


@pytest.mark.parametrize("block", CLAIMS, ids=str)
def test_tests_of_the_page_pass_but_for_those_that_it_shows_to_fail(block: Block) -> None:
    found = loaded(block)
    results = [run_scenario(found.rules, scenario) for scenario in found.scenarios]
    if block.word != "failing":
        assert [result.lines() for result in results] == [[] for _ in results]
        return
    shown = BLOCKS[BLOCKS.index(block) + 1]
    assert shown.language == "failure"
    assert "\n".join(line for result in results for line in result.lines()) + "\n" == shown.text


@pytest.mark.parametrize("block", CLAIMS, ids=str)
def test_invariants_of_the_page_are_not_broken(block: Block) -> None:
    found = loaded(block)
    findings = try_to_break(found.rules, found.invariants, found.scenarios, seed=0, examples=60)
    assert [finding.lines for finding in findings] == [[] for _ in findings]


def test_what_the_page_shows_to_be_found_is_found() -> None:
    [shown] = [block.text for block in BLOCKS if block.language == "text" and "as a test:" in block.text]
    rules = (
        "version: 1\nrules:\n  - {id: hello, trigger: {event: note}, message: {type: question, text: Well?}}\n"
        "invariants:\n  - {at_most: 2, per: 1h}\n"
    )
    found = load_with_tests({"rules.yaml": rules}, KINDS)
    [finding] = try_to_break(found.rules, found.invariants, (), seed=0, examples=200)
    assert [f"  {line}" for line in finding.lines] == shown.splitlines()[1:]


@pytest.mark.parametrize("shape", [TEST, EVENT, EXPECTED, WANTED], ids=["test", "event", "message", "outcome"])
def test_every_key_is_spoken_of(shape: shapes.Fields) -> None:
    part = TEXT.split("\n## Tests\n")[1].split("\n## Invariants\n")[0]
    for name in shape.keys:
        assert re.search(rf"`{name}[`:]", part), name


def test_the_start_that_is_meant_where_none_stands_is_named() -> None:
    assert f"`{START_DEFAULT}`" in TEXT
