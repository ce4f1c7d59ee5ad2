"""Groups: which events belong together, and how many groups are remembered."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.groups import (
    FIELD,
    FIELD_LENGTH_MAX,
    GROUP_NAME_MAX,
    GROUPS_MAX,
    MISSING,
    Grouping,
    look_up,
    parse_field,
    touch,
)
from engine.core.model import Event
from engine.core.refusal import Refused

FIELDS = ["test", "context.file", "Anon Student Id", "tést", "type", "session", "ids", "a.b.c", "events", "x" * 128]
NOT_FIELDS = [
    "",
    " ",
    " test",
    "test ",
    "test\n",
    "event.test",
    "id",
    "at",
    "at_reported",
    "x" * (FIELD_LENGTH_MAX + 1),
]


def happened(data: dict[str, Any], session: str | None = None) -> Event:
    return Event("test.failed", "ann", 0, data, "e1", session)


@pytest.mark.parametrize("text", FIELDS)
def test_a_field_is_read_as_it_is(text: str) -> None:
    assert parse_field(text) == text


@pytest.mark.parametrize("text", NOT_FIELDS)
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_field(text)
    expected = 'expected the name of a data field such as "test" or "context.file"'
    assert refused.value.message == f'{expected}, got "{text[:80]}"'


def test_who_writes_a_field_as_an_expression_does_is_told_how_it_is_written_here() -> None:
    with pytest.raises(Refused) as refused:
        parse_field("event.test")
    assert refused.value.hint == 'write "test"'
    with pytest.raises(Refused) as refused:
        parse_field("at")
    assert refused.value.hint == "that is the event's own, and no two events share it"


def test_the_schema_accepts_what_is_read_and_nothing_else() -> None:
    assert [text for text in FIELDS if not re.search(FIELD.pattern, text)] == []
    # JSON Schema has no length in a pattern, and its $ does not stand before a last line break.
    others = [text for text in NOT_FIELDS if len(text) <= FIELD_LENGTH_MAX and not text.endswith("\n")]
    assert [text for text in others if re.search(FIELD.pattern, text)] == []


@pytest.mark.parametrize(
    ("data", "field", "value"),
    [
        ({"test": "t1"}, "test", "t1"),
        ({"test": None}, "test", None),
        ({}, "test", MISSING),
        ({"context": {"file": "a.py"}}, "context.file", "a.py"),
        ({"context": {"file": {"path": 3}}}, "context.file.path", 3),
        ({"context": {}}, "context.file", MISSING),
        ({"context": ["file"]}, "context.file", MISSING),
        ({"context": "file"}, "context.file", MISSING),
        ({"context.file": 1, "context": {"file": 2}}, "context.file", 1),
        ({"context.file": None, "context": {"file": 2}}, "context.file", None),
    ],
)
def test_a_field_is_looked_for_under_its_name_and_then_at_the_end_of_its_path(
    data: dict[str, Any], field: str, value: Any
) -> None:
    assert look_up(data, field) == value


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", 1, False),
        (1, 1.0, True),
        (-0.0, 0, True),
        (1.5, 1, False),
        (True, 1, False),
        (True, "true", False),
        (None, "null", False),
        (None, "", False),
        ("[1]", [1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        ('"', '""', False),
        ("a", "A", False),
        (2.0**60, 2**60 + 1, False),
    ],
)
def test_values_make_one_group_where_they_are_one_value(one: Any, other: Any, same: bool) -> None:
    for fields in (["g"], ["g", "h"]):
        grouping = Grouping(fields)
        names = [grouping.name(happened({"g": value, "h": "x"})) for value in (one, other)]
        assert None not in names
        assert (names[0] == names[1]) == same


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(json_values, json_values)
def test_the_name_of_a_group_gives_back_its_value(one: Any, other: Any) -> None:
    single, double = Grouping(["g"]), Grouping(["g", "h"])
    event = happened({"g": one, "h": other})
    name = single.name(event)
    assert name is None or single.facts(name) == {"group": one}
    name = double.name(event)
    assert name is None or double.facts(name) == {"group": [one, other]}


def test_a_text_that_is_no_unicode_names_a_group_as_any_other() -> None:
    for fields in (["g"], ["g", "h"]):
        grouping = Grouping(fields)
        name = grouping.name(happened({"g": "\ud800", "h": "\udfff"}))
        assert name is not None
        assert grouping.facts(name) == {"group": "\ud800" if len(fields) == 1 else ["\ud800", "\udfff"]}


def test_an_event_that_lacks_a_field_belongs_to_no_group() -> None:
    assert Grouping(["g"]).name(happened({"h": 1})) is None
    assert Grouping(["g", "h"]).name(happened({"h": 1})) is None
    assert Grouping(["session"]).name(happened({"session": "in the data"})) is None


def test_the_type_and_the_session_are_the_events_own() -> None:
    event = happened({"type": "in the data", "session": "in the data"}, session="s1")
    assert Grouping(["type"]).facts(Grouping(["type"]).name(event) or "") == {"group": "test.failed"}
    both = Grouping(["type", "session"])
    assert both.facts(both.name(event) or "") == {"group": ["test.failed", "s1"]}


@pytest.mark.parametrize(("length", "belongs"), [(GROUP_NAME_MAX - 1, True), (GROUP_NAME_MAX, False)])
def test_a_value_too_long_to_be_remembered_belongs_to_no_group(length: int, belongs: bool) -> None:
    # The quotation mark that says it is a text counts.
    assert (Grouping(["g"]).name(happened({"g": "x" * length})) is not None) == belongs


def test_a_value_too_deep_to_be_written_belongs_to_no_group() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert Grouping(["g"]).name(happened({"g": value})) is None


def test_the_group_touched_longest_ago_makes_room() -> None:
    groups: dict[str, Any] = {}
    for number in range(GROUPS_MAX):
        touch(groups, str(number), number)
    assert len(groups) == GROUPS_MAX
    touch(groups, "0", "again")
    touch(groups, "new", 1)
    assert len(groups) == GROUPS_MAX
    assert "1" not in groups
    assert groups["0"] == "again"
    assert list(groups)[-2:] == ["0", "new"]
