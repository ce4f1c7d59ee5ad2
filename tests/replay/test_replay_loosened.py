"""Numbers of an expression that fall short are changed, as little as will do, and nothing else of it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.expressions import compile_expression
from engine.core.model import Event
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.replay.loosened import loosened

MINUTES = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("source", "values", "expected"),
    [
        ("event.n >= 3", {"event.n": 2}, "event.n >= 2"),
        ("event.n > 3", {"event.n": 3}, "event.n > 2"),
        ("event.n <= 3", {"event.n": 5}, "event.n <= 5"),
        ("3 > event.n", {"event.n": 5}, "6 > event.n"),
        ("event.n == 3", {"event.n": 5}, "event.n == 5"),
        ("session.age > 8m", {"session.age": 5 * MINUTES}, "session.age > 4m59s"),
        ("session.age >= 8m", {"session.age": 5.55 * MINUTES}, "session.age >= 5m33s"),
        ("session.age < 1m", {"session.age": 5 * MINUTES}, "session.age < 5m1s"),
        ("event.a > 1  and event.b>=10", {"event.a": 2, "event.b": 4}, "event.a > 1  and event.b>=4"),
        ("event.a > -1 and event.b >= 10", {"event.a": -2, "event.b": 4}, "event.a > -3 and event.b >= 4"),
    ],
)
def test_what_falls_short_is_changed(source: str, values: dict[str, Any], expected: str) -> None:
    found = loosened(source, values)
    assert found is not None
    assert found[0] == expected


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("event.n >= 3", {"event.n": 4}),  # it holds
        ("event.n >= 3", {}),  # nobody knows
        ("event.n >= 3", {"event.n": "2"}),
        ("event.n >= 3", {"event.n": True}),
        ("event.n >= true", {"event.n": 0}),
        ("event.n != 3", {"event.n": 3}),
        ("event.n >= 3 or event.m", {"event.n": 2}),
        ('event.s == "a"', {"event.s": "b"}),
        ("event.größe >= 3", {"event.größe": 2}),
        ("session.age > 8m", {"session.age": timedelta(0)}),  # there is no span of nothing
    ],
)
def test_what_is_no_matter_of_numbers_is_left(source: str, values: dict[str, Any]) -> None:
    assert loosened(source, values) is None


@given(st.sampled_from([">=", ">", "<=", "<", "=="]), st.integers(-50, 50), st.integers(-50, 50))
def test_what_is_changed_holds(sign: str, value: int, limit: int) -> None:
    source = f"event.n {sign} {limit}"
    scope = Scope(UserState(""), Event("e", "", 0, {"n": value}), 0, Policy())
    found = loosened(source, {"event.n": value})
    if found is None:
        assert compile_expression(source).holds(scope)
    else:
        assert not compile_expression(source).holds(scope)
        assert compile_expression(found[0]).holds(scope)
