"""Expressions: the vectors of expressions.yaml, the bounds at their edges, and what holds for all of them."""

from __future__ import annotations

import math
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.expression_text import NESTING_MAX, SOURCE_MAX
from engine.core.expressions import NODES_MAX, compile_expression
from engine.core.functions import FUNCTION_NAMES, REGEX_MAX, SEARCH_WORK_MAX, compile_regex
from engine.core.model import Event, plain
from engine.core.operations import COMPARE_DEPTH_MAX, INT_MAX, INT_MIN, LIST_MAX, TEXT_MAX
from engine.core.refusal import Refused
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import AT_MAX, HOUR, MINUTE, parse_at
from engine.core.unknown import NAMES_MAX, Unknown
from engine.core.zones import find_zone
from engine.loading.tree import PARSER

VECTORS = yaml.load(Path(__file__).with_name("expressions.yaml").read_text(encoding="utf-8"), PARSER)
EXAMPLES = 200
NOW = parse_at("2026-03-27T10:00:00Z")


def scope_of(
    data: dict[str, Any] | None = None,
    *,
    user: dict[str, Any] | None = None,
    trigger: dict[str, Any] | None = None,
    at: int = NOW,
    event_at: int = NOW - 5 * MINUTE,
) -> Scope:
    state = UserState("ann")
    state.attributes = user or {}
    state.present_since = NOW - HOUR
    state.session_events = 12
    event = None if data is None else Event("test.failed", "ann", event_at, data, id="e1", session="s1")
    return Scope(state, event, at, Policy(), trigger)


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


# --- what holds for every expression ------------------------------------------------------------------------

FIELDS = ("a", "b", "c", "d", "from")
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.just(10**400)
    | st.just(5000).map(lambda digits: 10**digits)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "12", "x" * 9000, "-1e999"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner)
)
data = st.dictionaries(st.sampled_from(FIELDS), values, max_size=5)


def deep_value() -> Any:
    value: Any = {"a": 1}
    for _ in range(5000):
        value = {"a": [value]}
    return value


DEEP = deep_value()

ATOMS = """
    event event.a event.b event.c event["from"] event.a.b event.type event.at event.at.date user user.a user.id
    session session.age session.events trigger trigger.a now now.hour 1 0 -1 2.5 9223372036854775807 1e308
    "a" "" "ab" true false null 5m 3660d [] ["a","b"]
"""
atoms = st.sampled_from(ATOMS.split())


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = ["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
    one = [name for name in FUNCTION_NAMES if name not in ("startswith", "endswith", "contains", "default", "matches")]
    two = ["startswith", "endswith", "contains", "default", "min", "max", "round"]
    return st.one_of(
        st.builds(lambda a, sign, b: f"({a} {sign} {b})", inner, st.sampled_from(signs), inner),
        st.builds(
            lambda a, s, b, t, c: f"({a} {s} {b} {t} {c})",
            inner,
            st.sampled_from(signs),
            inner,
            st.sampled_from(signs),
            inner,
        ),
        st.builds(lambda sign, a: f"({sign} {a})", st.sampled_from(["not", "-", "+"]), inner),
        st.builds(lambda name, a: f"{name}({a})", st.sampled_from(one), inner),
        st.builds(lambda name, a, b: f"{name}({a}, {b})", st.sampled_from(two), inner, inner),
        st.builds(lambda a: f'matches({a}, "a+")', inner),
        st.builds(lambda a, b, c: f"({a} if {b} else {c})", inner, inner, inner),
        st.builds(lambda a, b: f"[{a}, {b}]", inner, inner),
        st.builds(lambda a, b: f"({a})[{b}]", inner, inner),
        st.builds(lambda a: f"({a}).a", inner),
    )


sources = st.recursive(atoms, grow, max_leaves=12)


@settings(max_examples=EXAMPLES, deadline=None)
@given(sources, data, data, data, st.booleans())
def test_evaluating_never_raises(
    source: str, event: dict[str, Any], user: dict[str, Any], trigger: dict[str, Any], deep: bool
) -> None:
    try:
        expression = compile_expression(source)
    except Refused as refused:
        assert refused.code == "too-large" or "no field" in refused.message or "index" in refused.message  # noqa: PT017
        return
    scope = scope_of({**event, "c": DEEP} if deep else event, user=user, trigger=trigger)
    value = expression.evaluate(scope)
    if isinstance(value, Unknown):
        assert value.names
        assert len(str(value)) < 5_000
    holds = expression.holds(scope)
    assert holds is (not isinstance(value, Unknown) and bool(value))
    # Dispatch leaves out what the equality excludes, so an expression that holds must agree with it.
    if holds and expression.equality is not None:
        field, literal = expression.equality
        assert scope.event is not None
        assert scope.event.data[field] == literal


@settings(max_examples=EXAMPLES, deadline=None)
@given(sources, data)
def test_computed_numbers_and_texts_stay_within_their_bounds(source: str, event: dict[str, Any]) -> None:
    try:
        value = compile_expression(f"({source}) + 0").evaluate(scope_of(event))
        text = compile_expression(f'({source}) + ""').evaluate(scope_of(event))
    except Refused:
        return
    if type(value) is int:
        assert INT_MIN <= value <= INT_MAX
    if type(value) is float:
        assert math.isfinite(value)
    if isinstance(text, str):
        assert len(text) <= TEXT_MAX


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.text(alphabet=st.sampled_from([*"event.user 12mhs()[]{}\"'\\r,+-*/%<>=!#é\ud800\0\n\t"]), max_size=40)
    | st.text(max_size=30)
)
def test_whatever_is_written_is_compiled_or_refused_at_a_place_in_it(source: str) -> None:
    try:
        compile_expression(source).evaluate(scope_of({}))
    except Refused as refused:
        assert 0 <= refused.offset <= len(source)  # noqa: PT017
        assert refused.code in {"bad-expression", "unknown-name", "bad-regex", "too-large"}  # noqa: PT017


# --- a second opinion: the three-valued logic, written as plainly as possible --------------------------------

UNKNOWN = object()
Tree = tuple[Any, ...]

operands = st.sampled_from(["p", "q", "r"]) | st.integers(-2, 2) | st.sampled_from(["x", "y"])
comparisons = st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), operands, operands)
chains = st.tuples(
    st.just("chain"), st.sampled_from(["<", "=="]), operands, st.sampled_from([">", "!="]), operands, operands
)
trees: st.SearchStrategy[Tree] = st.recursive(
    comparisons | chains | st.tuples(st.just("name"), st.sampled_from(["p", "q", "r"])),
    lambda inner: (
        st.tuples(st.just("not"), inner)
        | st.tuples(st.sampled_from(["and", "or"]), inner, inner)
        | st.tuples(st.sampled_from(["and", "or"]), inner, inner, inner)
    ),
    max_leaves=8,
)


def written(tree: Any) -> str:
    if not isinstance(tree, tuple):
        return f"event.{tree}" if tree in ("p", "q", "r") else repr(tree)
    kind, *rest = tree
    if kind == "name":
        return f"event.{rest[0]}"
    if kind == "not":
        return f"not ({written(rest[0])})"
    if kind in ("and", "or"):
        return f" {kind} ".join(f"({written(part)})" for part in rest)
    if kind == "chain":
        first, one, second, two, three = rest
        return f"{written(one)} {first} {written(two)} {second} {written(three)}"
    return f"{written(rest[0])} {kind} {written(rest[1])}"


def truth(tree: Any, known: dict[str, Any]) -> Any:
    """The truth of a tree: True, False or UNKNOWN, by the tables of Kleene's strong logic."""
    kind, *rest = tree
    if kind == "name":
        return bool(known[rest[0]]) if rest[0] in known else UNKNOWN
    if kind == "not":
        inner = truth(rest[0], known)
        return UNKNOWN if inner is UNKNOWN else not inner
    if kind == "chain":
        first, one, second, two, three = rest
        return truth(("and", (first, one, two), (second, two, three)), known)
    if kind in ("and", "or"):
        found = [truth(part, known) for part in rest]
        decisive = kind == "or"
        if decisive in found:
            return decisive
        return UNKNOWN if UNKNOWN in found else not decisive
    left, right = (known.get(side, UNKNOWN) if side in ("p", "q", "r") else side for side in rest)
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if kind in ("==", "!="):
        same = type(left) is type(right) and left == right
        return same if kind == "==" else not same
    if type(left) is not type(right) or isinstance(left, bool):
        return UNKNOWN
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[kind]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    trees,
    st.dictionaries(st.sampled_from(["p", "q", "r"]), st.integers(-2, 2) | st.booleans() | st.sampled_from(["", "x"])),
)
def test_logic_is_as_in_a_plain_interpreter(tree: Tree, known: dict[str, Any]) -> None:
    value = compile_expression(written(tree)).evaluate(scope_of(known))
    wanted = truth(tree, known)
    if wanted is UNKNOWN:
        assert isinstance(value, Unknown)
    else:
        assert not isinstance(value, Unknown)
        assert bool(value) is wanted


def test_the_zones_of_these_tests_exist() -> None:
    assert find_zone("Europe/Paris") not in (None, UTC)
    assert find_zone("Pacific/Kiritimati") is not None
