"""Expressions: the vectors of expressions.yaml, and the bounds at their edges."""

from __future__ import annotations

import math
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import yaml
from expression_scope import NOW, scope_of

from engine.core.expression_text import NESTING_MAX, SOURCE_MAX
from engine.core.expressions import NODES_MAX, compile_expression
from engine.core.functions import FUNCTION_NAMES, REGEX_MAX, SEARCH_WORK_MAX, compile_regex
from engine.core.model import Event, plain
from engine.core.operations import COMPARE_DEPTH_MAX, INT_MAX, LIST_MAX, TEXT_MAX
from engine.core.refusal import Refused
from engine.core.scope import Scope
from engine.core.units import AT_MAX, parse_at
from engine.core.unknown import NAMES_MAX, Unknown
from engine.core.zones import find_zone
from engine.loading.tree import PARSER

VECTORS = yaml.load(Path(__file__).with_name("expressions.yaml").read_text(encoding="utf-8"), PARSER)


def vector_scope() -> Scope:
    given_scope = VECTORS["scope"]
    return scope_of(given_scope["event"], user=given_scope["user"], trigger=given_scope["trigger"])


def names(cases: list[dict[str, Any]], key: str) -> list[str]:
    return [case[key] for case in cases]


@pytest.mark.parametrize("case", VECTORS["values"], ids=names(VECTORS["values"], "name"))
def test_an_expression_has_its_value(case: dict[str, Any]) -> None:
    value = compile_expression(case["source"]).evaluate(vector_scope())
    found, wanted = plain(value), case["value"]
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize("case", VECTORS["unknown"], ids=names(VECTORS["unknown"], "name"))
def test_an_expression_is_unknown_and_says_why(case: dict[str, Any]) -> None:
    expression = compile_expression(case["source"])
    value = expression.evaluate(vector_scope())
    assert isinstance(value, Unknown)
    assert str(value) == case["unknown"]
    assert not expression.holds(vector_scope())


@pytest.mark.parametrize("case", VECTORS["refused"], ids=names(VECTORS["refused"], "source"))
def test_an_expression_is_refused_where_it_is_wrong(case: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        compile_expression(case["source"])
    refused = caught.value
    assert refused.message == case["message"]
    assert (refused.code, refused.hint) == (case["code"], case.get("hint", ""))
    if case.get("end"):
        wanted = len(case["source"].rstrip())
    else:
        wanted = case["source"].rindex(case["at"]) if case["at"].strip() else 0
    assert refused.offset == wanted


@pytest.mark.parametrize("case", VECTORS["equality"], ids=names(VECTORS["equality"], "source"))
def test_the_equality_that_an_expression_asks_for_is_found(case: dict[str, Any]) -> None:
    wanted = case["equality"]
    assert compile_expression(case["source"]).equality == (None if wanted is None else tuple(wanted))


def test_every_function_has_a_vector() -> None:
    sources = " ".join(case["source"] for case in VECTORS["values"])
    assert [name for name in FUNCTION_NAMES if f"{name}(" not in sources] == []


def test_the_namespaces_an_expression_needs_are_known() -> None:
    assert compile_expression('event.a == user.b or "now" in trigger').needs == {"event", "user", "trigger"}
    assert compile_expression("1 < 2").needs == frozenset()


def test_a_namespace_that_does_not_exist_here_is_named() -> None:
    with pytest.raises(Refused) as caught:
        compile_expression("event.a and trigger.count", namespaces=("event", "user"))
    refused = caught.value
    assert (refused.message, refused.code, refused.offset) == (
        '"trigger" does not exist here, there are event and user', "unknown-name", 12,
    )  # fmt: skip


def test_a_fact_that_no_trigger_of_the_rule_tells_is_refused() -> None:
    facts = ("count", "first_at")
    assert compile_expression("trigger.count > 2", trigger_facts=facts).needs == {"trigger"}
    with pytest.raises(Refused) as caught:
        compile_expression('trigger["cuont"] > 2', trigger_facts=facts)
    assert caught.value.message == '"trigger" has no field "cuont", it has count and first_at'
    assert caught.value.hint == 'did you mean "count"?'
    with pytest.raises(Refused, match='"trigger" has no field "count", it has no fields here'):
        compile_expression("trigger.count > 2", trigger_facts=())


def test_without_an_event_its_fields_are_missing() -> None:
    scope = scope_of(None)
    for source in ("event", "event.a", "event.at", "event.type", 'event.a == "x"', "event.a > 2"):
        value = compile_expression(source).evaluate(scope)
        assert isinstance(value, Unknown)
        assert value.names == (source.split()[0],)


def test_without_a_session_its_fields_are_missing() -> None:
    scope = scope_of({})
    scope.state.present_since = None
    for source in ("session", "session.age", "session.events"):
        assert str(compile_expression(source).evaluate(scope)) == f"{source} is missing"


def test_reserved_names_without_a_value_are_missing() -> None:
    scope = scope_of(None)
    scope.event = Event("t", "ann", NOW, {"id": "data", "session": "data"})
    assert str(compile_expression("event.id + event.session").evaluate(scope)) == (
        "event.id is missing; event.session is missing"
    )


def test_an_unknown_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(Unknown(("event.test",)))


def test_an_unknown_names_at_most_so_many_names() -> None:
    source = " + ".join(f"event.f{number}" for number in range(NAMES_MAX + 1))
    value = compile_expression(source).evaluate(scope_of({}))
    assert value.names == tuple(f"event.f{number}" for number in range(NAMES_MAX))


def test_an_expression_holds_as_python_takes_a_value_for_true() -> None:
    data: dict[str, Any] = {"zero": 0, "one": 1, "empty": "", "text": "x", "none": None, "list": [], "map": {"a": 1}}
    held = {name for name in data if compile_expression(f"event.{name}").holds(scope_of(data))}
    assert held == {"one", "text", "map"}


def test_time_between_moments_does_not_stop_while_the_clocks_are_changed() -> None:
    # In Paris the night of 2026-03-29 has no 02:30; from 01:30 to 03:30 only one hour passes.
    before, after = parse_at("2026-03-29T00:30:00Z"), parse_at("2026-03-29T01:30:00Z")
    scope = scope_of({}, user={"timezone": "Europe/Paris"}, at=after, event_at=before)
    assert compile_expression("[event.at.hour, now.hour]").evaluate(scope) == [1, 3]
    assert compile_expression("now - event.at == 1h").holds(scope)
    assert compile_expression("event.at + 1h == now and now - 1h == event.at").holds(scope)
    # In autumn 02:30 comes twice; the later one is later.
    first, second = parse_at("2026-10-25T00:30:00Z"), parse_at("2026-10-25T01:30:00Z")
    scope = scope_of({}, user={"timezone": "Europe/Paris"}, at=second, event_at=first)
    assert compile_expression("event.at.hour == now.hour and event.at != now and event.at < now").holds(scope)


def test_the_last_moment_there_is_can_be_read_in_every_zone() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        scope = scope_of({}, user={"timezone": zone}, at=AT_MAX, event_at=AT_MAX)
        for source in ("now.year", "event.at.year", "event.at_reported.year"):
            assert compile_expression(source).evaluate(scope) in (8999, 9000)


def refused_code(source: str) -> str:
    try:
        compile_expression(source)
    except Refused as refused:
        return refused.code
    return "accepted"


@pytest.mark.parametrize(
    ("at_limit", "beyond"),
    [
        ('"' + "x" * (SOURCE_MAX - 2) + '"', '"' + "x" * (SOURCE_MAX - 1) + '"'),
        ("[" + "1," * (NODES_MAX - 1) + "]", "[" + "1," * NODES_MAX + "]"),
        ("(" * NESTING_MAX + "1" + ")" * NESTING_MAX, "(" * (NESTING_MAX + 1) + "1" + ")" * (NESTING_MAX + 1)),
        ("not " * (NESTING_MAX - 1) + "1", "not " * NESTING_MAX + "1"),
        ("event" + ".a" * (NESTING_MAX - 1), "event" + ".a" * NESTING_MAX),
        (f'matches("", "{"x" * REGEX_MAX}")', f'matches("", "{"x" * (REGEX_MAX + 1)}")'),
        (str(INT_MAX), str(INT_MAX + 1)),
    ],
)
def test_what_is_too_large_is_refused(at_limit: str, beyond: str) -> None:
    assert (refused_code(at_limit), refused_code(beyond)) == ("accepted", "too-large")


@pytest.mark.parametrize(
    "source", ["-" * 1900 + "1", "event" + ".a" * 900, "+".join("1" * 900), "1 if 1 else " * 160 + "1"]
)
def test_deep_nesting_does_not_exhaust_the_parser(source: str) -> None:
    assert refused_code(source) == "too-large"


def test_texts_and_lists_at_their_bounds_are_known() -> None:
    scope = scope_of({})
    assert compile_expression(f'len("a" * {TEXT_MAX})').evaluate(scope) == TEXT_MAX
    assert compile_expression(f"len([0] * {LIST_MAX})").evaluate(scope) == LIST_MAX


def test_comparing_goes_as_deep_as_its_bound() -> None:
    def nested(depth: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        return value

    same = compile_expression("event.a == event.b")
    assert same.evaluate(scope_of({"a": nested(COMPARE_DEPTH_MAX), "b": nested(COMPARE_DEPTH_MAX)})) is True
    deep = {"a": nested(COMPARE_DEPTH_MAX + 1), "b": nested(COMPARE_DEPTH_MAX + 1)}
    assert str(same.evaluate(scope_of(deep))) == f"a comparison goes deeper than {COMPARE_DEPTH_MAX} levels"
    assert isinstance(compile_expression("event.a in [event.b, 1]").evaluate(scope_of(deep)), Unknown)


def test_a_search_that_might_take_long_is_unknown_and_not_made() -> None:
    steps = compile_regex(".{0,300}x").programsize
    most = SEARCH_WORK_MAX // steps
    one = compile_expression('matches(event.a, ".{0,300}x")')
    assert one.evaluate(scope_of({"a": "a" * most})) is False
    unknown = one.evaluate(scope_of({"a": "a" * (most + 1)}))
    assert str(unknown) == f"matches(…) is given {most + 1} characters, at most {most} of them"
    # Two of them in one expression may look at half as much each.
    two = compile_expression('matches(event.a, ".{0,300}x") or matches(event.a, ".{0,300}x")')
    assert two.evaluate(scope_of({"a": "a" * (most // 2)})) is False
    assert isinstance(two.evaluate(scope_of({"a": "a" * (most // 2 + 1)})), Unknown)


def test_a_usual_search_looks_at_the_longest_text_that_a_frame_can_bring() -> None:
    source = 'matches(event.a, r"(?i)\\b(help|stuck|error|exception)\\b")'
    assert compile_expression(source).evaluate(scope_of({"a": "a " * 32 * 1024 + "help"})) is True


def test_a_text_that_is_no_unicode_matches_nothing_it_could_know() -> None:
    value = compile_expression('matches(event.a, "x")').evaluate(scope_of({"a": "\ud800x"}))
    assert str(value) == "matches(…) is given text with half a surrogate pair"


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    "source", ["round(event.a)", "int(event.a)", "float(event.a)", "event.a + 1", "str(event.a)", "-event.a"]
)
def test_what_is_computed_from_no_finite_number_is_unknown(source: str, number: float) -> None:
    assert isinstance(compile_expression(source).evaluate(scope_of({"a": number})), Unknown)


def test_the_zones_of_these_tests_exist() -> None:
    assert find_zone("Europe/Paris") not in (None, UTC)
    assert find_zone("Pacific/Kiritimati") is not None
