"""What holds for every expression that can be written, and a second opinion on what their logic says."""

from __future__ import annotations

import math
from typing import Any

from expression_scope import scope_of
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.expressions import compile_expression
from engine.core.functions import FUNCTION_NAMES
from engine.core.operations import INT_MAX, INT_MIN, TEXT_MAX
from engine.core.refusal import Refused
from engine.core.unknown import Unknown

EXAMPLES = 200
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
