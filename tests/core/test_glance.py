"""Values at a glance: short JSON, on one line, whatever they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.glance import LENGTH_MAX, glance
from engine.core.model import Json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.5, "1.5"),
        ("expert", '"expert"'),
        ('say "no"\n', r'"say \"no\"\n"'),
        ("\x1b[2J", r'"\u001b[2J"'),
        ("\ud800", r'"\ud800"'),
        ([], "[]"),
        ([1, "a", [None]], '[1, "a", [null]]'),
        ({"a": 1, "b": {}}, '{"a": 1, "b": {}}'),
        (timedelta(seconds=90), "1m30s"),
        (datetime(2026, 3, 27, tzinfo=UTC), "2026-03-27T00:00:00.000000Z"),
        ("x" * (LENGTH_MAX - 2), '"' + "x" * (LENGTH_MAX - 2) + '"'),
        ("x" * (LENGTH_MAX - 1), '"' + "x" * (LENGTH_MAX - 2) + "…"),
        ("x" * 10**7, '"' + "x" * (LENGTH_MAX - 2) + "…"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …"),
    ],
)
def test_a_value_is_shown_as_short_json(value: Json, text: str) -> None:
    assert glance(value) == text
    assert len(text) <= LENGTH_MAX


def test_a_value_that_nests_deeper_than_the_interpreter_goes_is_shown() -> None:
    value: Json = 1
    for _ in range(100_000):
        value = [value]
    assert glance(value) == "[" * (LENGTH_MAX - 1) + "…"


@given(JSON)
def test_any_json_is_shown_on_one_short_line_and_whole_where_it_fits(value: Json) -> None:
    text = glance(value)
    assert len(text) <= LENGTH_MAX
    assert len(text.splitlines()) == 1
    if not text.endswith("…"):
        assert json.loads(text) == value
