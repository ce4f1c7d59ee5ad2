"""Shapes that no rule file of this version uses are read as well, for kinds of triggers that bring them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from engine.core import shapes
from engine.core.units import MINUTE
from engine.loading.language import COOLDOWN
from engine.loading.read import INVALID, Reader
from engine.loading.schema import schema_of
from engine.loading.tree import parse_tree


def read(text: str, shape: shapes.Shape) -> tuple[Any, list[str]]:
    parsed = parse_tree("x", text)
    assert parsed.root is not None
    reader = Reader(parsed, {})
    value = reader.read(parsed.root, shape)
    return value, [f"{error.message} [{error.code}]" for error in reader.errors]


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False)])
def test_a_flag_is_true_or_false(text: str, value: bool) -> None:
    assert read(text, shapes.Flag()) == (value, [])


def test_a_word_is_no_flag() -> None:
    assert read("yes", shapes.Flag()) == (INVALID, ['expected true or false, got "yes" [wrong-type]'])


def test_any_value_is_json() -> None:
    text = "{a: [1, 2.5, null, yes, '5'], b: {c: true}}"
    assert read(text, shapes.AnyValue()) == ({"a": [1, 2.5, None, "yes", "5"], "b": {"c": True}}, [])


@pytest.mark.parametrize("text", [".inf", "[.nan]", "{a: -.inf}"])
def test_what_json_cannot_hold_is_no_value(text: str) -> None:
    value, errors = read(text, shapes.AnyValue())
    assert value is INVALID
    assert errors[0].startswith("expected a number that JSON can hold")


@pytest.mark.parametrize(
    ("number", "fits"), [(2**63 - 1, True), (2**63, False), (-(2**63) + 1, True), (-(2**63), False)]
)
def test_a_number_has_at_most_63_bits(number: int, fits: bool) -> None:
    value, _ = read(str(number), shapes.AnyValue())
    assert value == (number if fits else INVALID)


def test_a_mapping_of_free_names_holds_values_of_one_shape() -> None:
    shape = shapes.MapOf(item=COOLDOWN)
    assert read("{a: 1m, b: 2m}", shape) == ({"a": MINUTE, "b": 2 * MINUTE}, [])
    assert read("{a: 1m, b: x}", shape)[0] is INVALID
    assert read("[1m]", shape) == (INVALID, ["expected a mapping, got a list [wrong-type]"])


@pytest.mark.parametrize(("count", "right"), [(1, False), (2, True), (3, True), (4, False)])
def test_a_list_has_its_bounds(count: int, right: bool) -> None:
    shape = shapes.ListOf(item=shapes.Integer(minimum=0, maximum=9), length_min=2, length_max=3)
    value, errors = read(str(list(range(count))), shape)
    assert (value == tuple(range(count)), not errors) == (right, right)


@pytest.mark.parametrize(("text", "right"), [("abc", True), ("abcd", False)])
def test_a_text_has_its_bound(text: str, right: bool) -> None:
    assert (read(text, shapes.Text(length_max=3))[0] == text) is right


@pytest.mark.parametrize(
    ("text", "right"), [("-3", False), ("-2", True), ("2", True), ("3", False), ("1.0", False), ("true", False)]
)
def test_an_integer_has_its_bounds_and_is_no_other_number(text: str, right: bool) -> None:
    assert (read(text, shapes.Integer(minimum=-2, maximum=2))[0] is not INVALID) is right


def test_every_shape_has_a_form_in_the_schema() -> None:
    for shape in (shapes.Flag(), shapes.AnyValue(doc="Whatever."), shapes.MapOf(item=COOLDOWN)):
        assert schema_of(shape)
    with pytest.raises(AssertionError):
        schema_of(shapes.Shape())


NUMBER = shapes.Integer(minimum=0, maximum=9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        ("{a: 1}", ['missing key "b" or "c", which "a" needs [missing-key]']),
        ("{a: 1, c: 1}", []),
        ("{d: 1, a: 1}", ['missing key "b" or "c", which "a" needs [missing-key]']),
        ("{b: 1, c: 1}", []),
        # What is unknown may have been the one that is missing.
        ("{a: 1, z: 1}", ['unknown key "z"; the keys are "a", "b", "c" and "d" [unknown-key]']),
    ],
)
def test_a_key_may_need_one_of_others_which_is_said_once(text: str, expected: list[str]) -> None:
    shape = shapes.Fields(keys=dict.fromkeys("abcd", NUMBER), needs={"a": ("b", "c"), "d": ("b", "c")})
    _, errors = read(text, shape)
    assert errors == expected
    assert Draft202012Validator(schema_of(shape)).is_valid(yaml.safe_load(text)) is not bool(expected)


@pytest.mark.parametrize(
    ("text", "right"), [("{}", True), ("{a: 1}", True), ("{b: 1, c: 1}", False), ("{c: 1, a: 1}", False)]
)
def test_keys_may_exclude_each_other(text: str, right: bool) -> None:
    shape = shapes.Fields(keys=dict.fromkeys("abc", NUMBER), at_most_one=("a", "b", "c"))
    value, errors = read(text, shape)
    assert (value is not INVALID, not errors) == (right, right)
    assert Draft202012Validator(schema_of(shape)).is_valid(yaml.safe_load(text)) is right


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{in: {a: 1}}", {"in": {"a": 1}}),
        ("{in: {b: 1}}", {"in": {"b": 1}}),
        ("{in: {}}", None),
        ("{in: {}, a: 1}", {"in": {"a": 1}}),
        ("{a: 1, in: {c: 2}}", {"in": {"c": 2, "a": 1}}),
        ("{in: {a: 1}, a: 1}", None),
        ("{in: {b: 1}, a: 1}", None),
        ("{in: 5, a: 1}", None),
    ],
)
def test_a_key_may_stand_beside_the_mapping_into_which_it_belongs(text: str, value: object) -> None:
    inner = shapes.Fields(keys=dict.fromkeys("abc", NUMBER), at_least_one=("a", "b"), at_most_one=("a", "b"))
    shape = shapes.Fields(keys={"in": inner, "a": NUMBER}, required=("in",), inside={"a": "in"})
    found, errors = read(text, shape)
    assert (found if found is not INVALID else None) == value
    assert len(errors) == (value is None)
    assert Draft202012Validator(schema_of(shape)).is_valid(yaml.safe_load(text)) is (value is not None)
