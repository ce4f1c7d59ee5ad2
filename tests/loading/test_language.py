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
    parse_factor,
    parse_id,
    parse_list_name,
    parse_message_type,
    parse_option,
)
from engine.loading.policy import HOLDOUT, POLICY_NAME, parse_name, parse_per, parse_percent, parse_policy_name
from engine.triggers import KINDS

RULES = file_shape(KINDS).keys["rules"]
assert isinstance(RULES, shapes.ListOf)
assert isinstance(RULES.item, shapes.Fields)
RULE = RULES.item
assert isinstance(CAPS.item, shapes.Fields)
assert isinstance(DEFAULTS["on_dismiss"], shapes.Fields)
FACTOR = DEFAULTS["on_dismiss"].keys["cooldown"]
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


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("10%", 0.1), ("0%", 0.0), ("100%", 1.0), ("100.0%", 1.0), ("2.5 %", 0.025), ("0.0001%", 0.000001),
        ("100.1%", None), ("101%", None), ("1000%", None), ("0.00001%", None), ("10", None), ("0.1", None), ("%", None),
        ("-1%", None), (".5%", None), ("10%%", None), ("10\u00a0%", None), ("١%", None), ("10%\n", None),
    ],
)  # fmt: skip
def test_a_share_is_a_percentage(text: str, share: float | None) -> None:
    assert (parse_percent(text) if accepted(parse_percent, text) else None) == pytest.approx(share)
    assert accepts(HOLDOUT, text) is (share is not None)


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("x2", 2), ("x9", 9), ("x10", 10), ("x99", 99), ("x100", 100), ("x101", None), ("x1", None), ("x0", None),
        ("x02", None), ("2", None), ("X2", None), ("x2.5", None), ("x", None), ("x٢", None), ("x2\n", None),
    ],
)  # fmt: skip
def test_a_factor_makes_more_of_it(text: str, factor: int | None) -> None:
    assert (parse_factor(text) if accepted(parse_factor, text) else None) == factor
    assert accepts(FACTOR, text) is (factor is not None)


@pytest.mark.parametrize(
    ("text", "named", "given"),
    [
        ("nights", True, True), ("_a-B9", True, True), ("a" * 64, True, True), ("a" * 65, False, False),
        ("none", True, False), ("None", True, True), ("nones", True, True), ("a b", False, False), ("", False, False),
        ("1a", False, False), ("a\n", False, False),
    ],
)  # fmt: skip
def test_a_name_of_the_policy_is_a_plain_word_and_none_is_taken(text: str, named: bool, given: bool) -> None:
    assert (accepted(parse_name, text), accepted(parse_policy_name, text)) == (named, given)
    assert accepts(POLICY_NAME, text) is given


def test_a_rule_may_default_what_is_a_rules_own() -> None:
    own = {"id", "was", "description", "trigger", "condition", "message", "variants"}
    assert DEFAULTS.keys() == RULE.keys.keys() - own


def test_what_the_protocol_fills_no_data_may_set() -> None:
    assert {"type", "message", "messageType", "timestamp", "questionId"} <= set(DATA_KEYS_TAKEN)
    assert {"code", "language", "explanation"}.isdisjoint(DATA_KEYS_TAKEN)


def accepts(shape: shapes.Shape, text: str) -> bool:
    """Whether the pattern that the JSON Schema shows would do; ``$`` in it is the very end (ECMA-262)."""
    assert isinstance(shape, shapes.Parsed)
    return re.search(shape.pattern.replace("$", r"\Z"), text) is not None
