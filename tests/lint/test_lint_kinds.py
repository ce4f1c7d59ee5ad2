"""The kinds of names are what expressions come upon, and of two that clash no values ever match."""

from __future__ import annotations

import ast
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.expressions import compile_expression
from engine.core.model import Event
from engine.core.rules import Policy
from engine.core.scope import EVENT_RESERVED, NOW_FIELDS, SESSION_FIELDS, Scope
from engine.core.state import UserState
from engine.core.units import MINUTE, to_datetime
from engine.core.unknown import kind_of as kind_of_value
from engine.lint.kinds import KINDS_OF_NAMES, WORDS, clash, kind_of, kind_of_name
from engine.triggers import KINDS

FACTS = {
    "kind": "count", "count": 3, "first_at": to_datetime(0), "at": to_datetime(0), "idle": timedelta(1),
    "waited": timedelta(1), "lasted": timedelta(1), "away": timedelta(1), "keyword": "x", "keywords": ["x"],
    "response": "yes", "steps": [{"type": "e"}],
}  # fmt: skip
EXAMPLES = {
    "duration": ("5m", "90s"), "number": ("1", "0", "2.5"), "text": ("'1'", "''", "'mon'"), "list": ("[]", "['x']"),
    "truth": ("true", "false"), "null": ("null",), "moment": ("now", "event.at"),
}  # fmt: skip
SIGNS = {"==": ast.Eq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "in": ast.In}


def scope() -> Scope:
    state = UserState("ann")
    state.present_since, state.now = 0, MINUTE
    return Scope(state, Event("e", "ann", MINUTE, {}, "e1", "s"), MINUTE, Policy(), FACTS)


@pytest.mark.parametrize("name", KINDS_OF_NAMES)
def test_a_name_has_the_kind_that_the_table_says(name: str) -> None:
    value = compile_expression(name).evaluate(scope())
    assert kind_of_value(value) == WORDS[KINDS_OF_NAMES[name]]


def test_no_name_that_the_engine_sees_to_is_left_out() -> None:
    facts = {fact for kind in KINDS.values() for fact in kind.facts} - {"group"}  # which is what events bring
    names = {
        *(f"trigger.{fact}" for fact in facts),
        *(f"session.{field}" for field in SESSION_FIELDS),
        *(f"event.{field}" for field in EVENT_RESERVED),
        *(f"now.{field}" for field in NOW_FIELDS),
    }
    assert names <= KINDS_OF_NAMES.keys()


def test_a_moment_has_the_fields_of_now() -> None:
    assert kind_of_name("trigger.first_at.hour") == kind_of_name("event.at.hour") == "number"
    assert (kind_of_name("event.at.date"), kind_of_name("event.at.nothing"), kind_of_name("event.n")) == (
        "text",
        None,
        None,
    )


@given(
    st.sampled_from(sorted(KINDS_OF_NAMES)),
    st.sampled_from(sorted(SIGNS)),
    st.sampled_from([(kind, text) for kind, texts in EXAMPLES.items() for text in texts]),
    st.booleans(),
)
def test_kinds_that_clash_never_match(name: str, sign: str, other: tuple[str, str], turned: bool) -> None:
    kind, text = other
    pair = (KINDS_OF_NAMES[name], kind) if not turned else (kind, KINDS_OF_NAMES[name])
    source = f"{name} {sign} {text}" if not turned else f"{text} {sign} {name}"
    if clash(pair[0], SIGNS[sign], pair[1]):
        assert not compile_expression(source).holds(scope())


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("now - event.at", "duration"), ("event.at - _", None), ("now.hour + 1", "number"), ("len(event.x)", "number"),
        ("session.age / session.age", "number"), ("session.age * 2", "duration"), ("str(1)", "text"), ("[1]", "list"),
        ("event.x + 1", None), ("max(1, 2)", None), ("-1", "number"), ("event.x", None),
    ],
)  # fmt: skip
def test_what_is_computed_has_a_kind_too(source: str, kind: str | None) -> None:
    assert kind_of(ast.parse(source, mode="eval").body, lambda node: None) == kind
