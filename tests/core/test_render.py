"""Templates: what they show, what they refuse, and that none of them is without end."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.render import (
    OUTPUT_CHARS_MAX,
    RenderFailed,
    compile_template,
    compile_tree,
    render_tree,
)
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.template_bounds import LOOP_STEPS_MAX, NESTING_MAX, SOURCE_CHARS_MAX, TEXT_CHARS_MAX
from engine.core.units import MINUTE, parse_at
from engine.loading.tree import PARSER

TABLE: dict[str, list[Any]] = yaml.load((Path(__file__).parent / "templates.yaml").read_text("utf-8"), PARSER)
AT = parse_at("2023-11-14T22:18:20Z")
DATA = {
    "test": "t1", "items": [1, 2.5, True, None, "é"], "get": "G", "keys": "K", "nothing": None,
    "deep": {"a": {"b": 1}},
}  # fmt: skip


def scope(data: dict[str, Any] = DATA) -> Scope:
    state = UserState("ann")
    state.attributes = {"name": "Ann", "timezone": "Europe/Paris"}
    state.present_since, state.session_events = AT - 5 * MINUTE, 3
    event = Event("test.failed", "ann", AT, data, "e1")
    return Scope(state, event, AT, Policy(), {"kind": "count", "count": 3, "idle": timedelta(minutes=5)})


def render(source: str, data: dict[str, Any] = DATA) -> str:
    return compile_template(source).render(scope(data))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["template"]) for case in TABLE["renders"]])
def test_a_template_shows_what_it_says(case: dict[str, str]) -> None:
    if "fails" in case:
        with pytest.raises(RenderFailed) as caught:
            render(case["template"])
        assert case["fails"] in caught.value.reason
    else:
        assert render(case["template"]) == case["is"]


@pytest.mark.parametrize("source", TABLE["hostile"])
def test_a_hostile_template_is_refused_or_fails(source: str) -> None:
    with pytest.raises((Refused, RenderFailed)) as caught:
        render(source)
    assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "code", "offset", "hint"),
    [
        ("{{ evnt.x }}", "unknown-name", 3, 'did you mean "event"?'),
        ("a\n\n{{ session.agee }}", "unknown-name", 14, 'did you mean "age"?'),
        ("{{ now['hours'] }}", "unknown-name", 8, 'did you mean "hour"?'),
        ("{{ trigger.cont }}", "unknown-name", 11, 'did you mean "count"?'),
        ("{{ event.x|uper }}", "unknown-filter", 11, 'did you mean "upper"?'),
        ("{{ event.x|map('uper') }}", "unknown-filter", 16, 'did you mean "upper"?'),
        ("{{ event.x is definde }}", "unknown-test", 14, 'did you mean "defined"?'),
        ("{{ loop.index }}", "unknown-name", 3, ""),
        ("x\n{% if %}", "bad-template", 2, ""),
        ("{{ length(event.x) }}", "bad-template", 3, 'use the filter: "|length"'),
        ("{{ event.x.items() }}", "bad-template", 11, 'use the filter: "|items"'),
        ("{% set now = 1 %}", "bad-template", 7, "choose another name"),
        ("a" * (SOURCE_CHARS_MAX + 1), "too-large", SOURCE_CHARS_MAX, ""),
    ],
)
def test_a_mistake_is_found_when_the_template_is_loaded(source: str, code: str, offset: int, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        compile_template(source, trigger_facts=("kind", "count"))
    refused = caught.value
    assert (refused.code, refused.offset, refused.hint) == (code, offset, hint)


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ " + "[" * 25 + "]" * 25 + " }}",
        "{{ " + "not " * 1900 + "1 }}",
        "{{ " + "not " * 60 + "1 }}",
        "{{ " + "-" * 8000 + "1 }}",
        "{{ 1" + "|string" * 1000 + " }}",
        "{{ 1" + " + 1" * 1900 + " }}",
        "{% if 1 %}" * 370 + "{% endif %}" * 370,
        "{% for x in [1] %}" * 11 + "{% endfor %}" * 11,
        "{{ " + "9" * 8000 + " }}",
        "{{ 1" + " if 1 else 1" * 600 + " }}",
    ],
)
def test_what_is_nested_too_deeply_is_refused(source: str) -> None:
    with pytest.raises(Refused) as caught:
        compile_template(source)
    assert caught.value.code == "bad-template"


def test_bounds_hold_exactly() -> None:
    assert len(render("{{ 'a' * n }}".replace("n", str(TEXT_CHARS_MAX)))) == TEXT_CHARS_MAX == OUTPUT_CHARS_MAX
    with pytest.raises(RenderFailed, match="a text grows longer than 16384"):
        render("{{ 'a' * n }}".replace("n", str(TEXT_CHARS_MAX + 1)))
    with pytest.raises(RenderFailed, match="the text is longer than 16384"):
        render("{{ 'a' * n }}b".replace("n", str(TEXT_CHARS_MAX)))
    for steps, fits in ((LOOP_STEPS_MAX - 1, True), (LOOP_STEPS_MAX, False)):
        source = f"{{% for x in range({steps}) %}}{{% endfor %}}{{% for x in [1] %}}{{% endfor %}}ok"
        if fits:
            assert render(source) == "ok"
        else:
            with pytest.raises(RenderFailed, match="take more than 10000 steps"):
                render(source)


def test_lists_that_hold_themselves_over_and_over_end() -> None:
    doubled = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60
    for use in ("{{ a }}", "{{ a == a }}", "{{ a|sort }}", ""):
        with pytest.raises(RenderFailed, match="too much work"):
            render(doubled + use)
    with pytest.raises(RenderFailed):
        render("{% set a = 'aa' %}" + "{% set a = a ~ a %}" * 60)


def test_values_nested_too_deeply_fail_alike_from_any_depth_of_calls() -> None:
    value: Any = 1
    for _ in range(NESTING_MAX):
        value = [value]
    assert render("{{ event.x }}", {"x": value}).startswith("[[")
    with pytest.raises(RenderFailed, match="nested more than 64 levels"):
        render("{{ event.x }}", {"x": [value]})


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ event.zz }}", '"event.zz" is missing'),
        ("{{ event.deep.zz }}", '"zz" is missing'),
        ("{{ event.zz.y }}", '"event.zz" is missing'),
        ("{{ event.items[9] }}", "there is no item 9"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 1 + 'a' }}", '"+" does not go between a number and a text'),
        ("{{ 1 < 'a' }}", "a value is of the wrong kind for what is done with it"),
        ("{{ 1|length }}", 'the filter "length" cannot be used like this on a number'),
        ("{% for x in 1 %}{% endfor %}", "a loop cannot run over a number"),
    ],
)
def test_a_failure_says_why(source: str, reason: str) -> None:
    with pytest.raises(RenderFailed) as caught:
        render(source)
    assert caught.value.reason == reason


def test_a_tree_is_rendered_at_any_depth_and_keeps_what_is_no_text() -> None:
    tree = compile_tree({"a": ["{{ event.test }}", 1, None], "{{ b }}": {"c": "plain\n"}})
    assert render_tree(tree, scope()) == {"a": ["t1", 1, None], "{{ b }}": {"c": "plain\n"}}
    with pytest.raises(Refused):
        compile_tree({"a": ["{{ evnt }}"]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
USES = (
    "{{ event.x }}",
    "{{ event.x.items }}",
    "{{ event.x[0] }}",
    "{{ event.x['a'] }}",
    "{{ event.x + 1 }}",
    "{{ -event.x }}",
    "{{ event.x * event.x }}",
    "{{ event.x ~ event.y }}",
    "{{ event.x == event.y }}",
    "{{ event.x < event.y }}",
    "{{ event.x in event.y }}",
    "{{ event.x[event.y] }}",
    "{{ event.x[1:event.y] }}",
    "{{ event.x.upper() }}",
    "{% for a in event.x %}{{ a }}{% endfor %}",
    "{% for a, b in event.x|items %}{{ a }}{{ b }}{% endfor %}",
    "{{ event.x|map(attribute=event.y)|list }}",
    "{{ event.x|map(event.y)|list }}",
    "{{ event.x|select(event.y)|list }}",
    "{{ event.x|selectattr('a', 'eq', event.y)|list }}",
    "{{ event.x|replace(event.y, 'a') }}",
    "{{ event.x|format(event.y) }}",
    "{{ range(event.x) }}",
    "{{ event.x|default(event.y) }}",
    "{{ event.x is divisibleby(event.y) }}",
    "{{ event.x|round(event.y) }}",
    "{{ event.x|center(event.y) }}",
    "{{ event.x|join(event.y) }}",
    "{{ event.x.split(event.y) }}",
    "{{ event.x|int(event.y, event.y) }}",
    "{{ event.x|truncate(event.y) }}",
    "{{ event.x|groupby(event.y) }}",
    "{{ event.x|default(**event.y) }}",
    "{{ event.x|default(*event.y) }}",
    "{{ session.age * event.x }}",
    "{{ now - event.x }}",
    *(
        f"{{{{ event.x|{name} }}}}"
        for name in (
            "abs",
            "capitalize",
            "count",
            "dictsort",
            "filesizeformat",
            "first",
            "float",
            "indent",
            "int",
            "last",
            "list",
            "lower",
            "max",
            "min",
            "reverse",
            "sort",
            "string",
            "sum",
            "title",
            "tojson",
            "trim",
            "unique",
            "urlencode",
            "wordcount",
        )
    ),
)
COMPILED = tuple(compile_template(source) for source in USES)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(COMPILED), JSON, JSON)
@example(COMPILED[0], "\ud800", None)
def test_any_data_renders_or_fails_and_nothing_else(template: Any, x: Any, y: Any) -> None:
    data = {"x": x, "y": y}
    before = repr(data)
    try:
        text = template.render(scope(data))
    except RenderFailed as failed:
        text = failed.reason
    assert type(text) is str
    assert " at 0x" not in text
    assert repr(data) == before


FRAGMENTS = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        " for x in ",
        " if ",
        " else ",
        " endif ",
        " endfor ",
        "event",
        ".a",
        "[",
        "]",
        "(",
        ")",
        "|",
        "join",
        "range",
        "'",
        '"',
        "\\",
        "1",
        "1.5",
        "+",
        "*",
        "~",
        ",",
        ":",
        "{",
        "}",
        " set a = ",
        " is ",
        "defined",
        "\n",
        "x",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=25).map("".join))
def test_any_text_is_a_template_or_refused_within_itself(source: str) -> None:
    offset, reason = 0, "none"
    try:
        compile_template(source).render(scope())
    except Refused as refused:
        offset = refused.offset
    except RenderFailed as failed:
        reason = failed.reason
    assert 0 <= offset <= len(source)
    assert reason


SHOWN_ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
from test_render import COMPILED, DATA, RenderFailed, scope
for template in COMPILED:
    for x in ({"b": 1, "a": 2, "c": [1, "z"]}, ["b", "a", "c", "a"], "text", 7):
        try:
            print(template.render(scope({"x": x, "y": "a"})))
        except RenderFailed as failed:
            print("failed:", failed.reason)
"""


def test_the_text_is_the_same_under_any_hash_seed() -> None:
    root = Path(__file__).parent.parent.parent
    shown = [
        subprocess.run(
            [sys.executable, "-c", SHOWN_ELSEWHERE, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert shown[0] == shown[1]
    assert len(shown[0].splitlines()) >= 4 * len(COMPILED)
