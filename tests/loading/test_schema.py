"""The JSON Schema says what the loader says, as far as a schema can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from samples_for_loading import BAD, GOOD, HERE, SHIPPED, text_of
from test_bad_files import EXPECT
from test_tree import plain

from engine.loading.schema import json_schema
from engine.loading.tree import parse_tree
from engine.triggers import KINDS

VALIDATOR = Draft202012Validator(json_schema(KINDS))

# What a schema can see. The others take a parser, or a look at another place.
OF_THE_SHAPE = {"unknown-key", "missing-key", "wrong-type", "conflict", "bad-id", "repeated-item"}
# Right by its shape, wrong by what it says: the grammar of cron, the table of time zones, words that contradict
# each other, what another place of the file must have, forms of text beyond a regular expression.
BY_MEANING = {
    "test-event-before-the-start", "test-event-of-a-user",
    "test-expects-too-late",
    "message-question-without-text", "schedule-too-often",
    "keywords-never", "inactivity-after-no-activity", "duration-of-nothing", "duration-of-eleven-years",
    "list-inserts-a-list", "message-data-not-a-number", "message-data-number-too-big", "keywords-only-a-star",
    "keywords-too-long", "empty", "schedule-bad-time",
    "budget-none-beside-others", "quiet-hours-none-beside-others", "quiet-hours-none-then-hold",
    "policy-quiet-hours-of-nothing", "policy-wrong-and-used", "was-the-same", "was-twice", "was-an-id",
    "cooldown-by-without-cooldown", "on-answer-without-on-dismiss", "on-dismiss-without-cooldown",
    "on-dismiss-in-defaults-without-cooldown", "none-takes-back-what-is-needed",
}  # fmt: skip


def value_of(path: Path) -> Any:
    parsed = parse_tree(path.name, text_of(path))
    return None if parsed.root is None or parsed.errors else plain(parsed.root)


def expected_code(path: Path) -> str:
    expected = EXPECT.match(text_of(path))
    assert expected is not None
    return expected.group(3)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema(KINDS))


def test_the_schema_beside_the_shipped_rules_is_the_one_that_the_command_prints() -> None:
    written = json.loads((HERE.parents[1] / "rules" / "schema.json").read_text("utf-8"))
    assert written == json_schema(KINDS), "run: proactive schema > rules/schema.json"


@pytest.mark.parametrize("path", GOOD + SHIPPED, ids=lambda path: path.stem)
def test_a_good_file_is_valid(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(value_of(path))] == []


def bad_by_shape() -> list[Path]:
    codes = OF_THE_SHAPE | {"bad-value"}
    return [path for path in BAD if expected_code(path) in codes and path.stem not in BY_MEANING and value_of(path)]


@pytest.mark.parametrize("path", bad_by_shape(), ids=lambda path: path.stem)
def test_a_file_that_is_bad_by_its_shape_is_not_valid(path: Path) -> None:
    assert not VALIDATOR.is_valid(value_of(path))


def test_all_keys_are_described() -> None:
    missing: list[str] = []

    def walk(schema: Any, path: str) -> None:
        for name, key in schema.get("properties", {}).items():
            if not key.get("description"):
                missing.append(f"{path}.{name}")
            walk(key, f"{path}.{name}")
        for part in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])):
            walk(part, path)

    walk(json_schema(KINDS), "")
    assert missing == []


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_rule_file_names_the_schema_in_its_first_line(shipped: Path) -> None:
    start, _, schema = text_of(shipped).partition("\n")[0].partition("=")
    assert start == "# yaml-language-server: $schema"
    assert (shipped.parent / schema).resolve() == HERE.parents[1] / "rules" / "schema.json"
