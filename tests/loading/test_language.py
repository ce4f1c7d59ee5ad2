"""The forms of text that a rule file knows, at their limits; the schema's patterns say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from engine.core import shapes
from engine.core.model import MESSAGE_TYPES_TAKEN
from engine.core.refusal import Refused
from engine.core.units import DAY, MINUTE
from engine.loading.language import (
    CAPS,
    COOLDOWN,
    DATA_KEYS_TAKEN,
    DEFAULTS,
    MESSAGE,
    file_shape,
    parse_id,
    parse_list_name,
    parse_message_type,
    parse_option,
    parse_per,
)
from engine.triggers import KINDS

RULES = file_shape(KINDS).keys["rules"]
assert isinstance(RULES, shapes.ListOf)
assert isinstance(RULES.item, shapes.Fields)
RULE = RULES.item
assert isinstance(CAPS.item, shapes.Fields)
PER = CAPS.item.keys["per"]


def accepted(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a", True), ("7", True), ("A.b-c_d", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("-a", False),
        (".a", False), ("_a", False), ("a/b", False), ("a b", False), ("ä", False), ("a\n", False), ("a:", False),
    ],
)  # fmt: skip
def test_an_id_is_a_plain_word(text: str, right: bool) -> None:
    assert accepted(parse_id, text) is right
    assert accepts(RULE.keys["id"], text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("question", True), ("code_suggestion", True), ("x.y-z1", True), ("q" * 64, True), ("q" * 65, False),
        ("", False), ("Question", False), ("1st", False), ("a b", False), ("pongs", True),
        *[(taken, False) for taken in MESSAGE_TYPES_TAKEN],
    ],
)  # fmt: skip
def test_a_message_type_is_a_word_that_the_protocol_has_no_other_use_for(text: str, right: bool) -> None:
    assert accepted(parse_message_type, text) is right
    assert accepts(MESSAGE.keys["type"], text) is right


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("session", "session"),
        ("day", "day"),
        ("user", "user"),
        ("1d", DAY),
        ("5m", MINUTE * 5),
        ("week", None),
        ("Day", None),
    ],
)
def test_a_cap_is_per_span_or_per_period(text: str, value: object) -> None:
    assert (parse_per(text) if accepted(parse_per, text) else None) == value
    assert accepts(PER, text) is (value is not None)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("90s", True),
        ("1d2h3m4s5ms", True),
        ("5", False),
        ("", False),
        ("m", False),
        ("1m1h", False),
        ("5 m", False),
        ("1ms1m", False),
    ],
)
def test_the_pattern_of_a_duration_says_what_the_parser_says(text: str, right: bool) -> None:
    assert accepted(COOLDOWN.parse, text) is right
    assert accepts(COOLDOWN, text) is right


@pytest.mark.parametrize(
    ("text", "right"), [("dp_terms", True), ("a-b", True), ("_", True), ("1a", False), ("", False), ("a b", False)]
)
def test_the_name_of_a_list_is_a_plain_word(text: str, right: bool) -> None:
    assert accepted(parse_list_name, text) is right


@pytest.mark.parametrize(("text", "right"), [("x", True), (" x ", True), ("", False), (" \t", False)])
def test_an_option_says_something(text: str, right: bool) -> None:
    assert accepted(parse_option, text) is right


def test_a_rule_may_default_what_is_a_rules_own() -> None:
    assert {name for name, shape in DEFAULTS.items() if not isinstance(shape, shapes.Later)} == {
        "priority", "cooldown", "max", "warmup", "expires", "mode",
    }  # fmt: skip
    assert DEFAULTS.keys() <= RULE.keys.keys()


def test_what_the_protocol_fills_no_data_may_set() -> None:
    assert {"type", "message", "messageType", "timestamp", "questionId"} <= set(DATA_KEYS_TAKEN)
    assert {"code", "language", "explanation"}.isdisjoint(DATA_KEYS_TAKEN)


def accepts(shape: shapes.Shape, text: str) -> bool:
    """Whether the pattern that the JSON Schema shows would do; ``$`` in it is the very end (ECMA-262)."""
    assert isinstance(shape, shapes.Parsed)
    return re.search(shape.pattern.replace("$", r"\Z"), text) is not None
