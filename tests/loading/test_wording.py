"""How messages show what was written; and what is said where nothing better is known."""

from __future__ import annotations

import pytest
import yaml

from engine.loading.syntax import explain_syntax
from engine.loading.tree import parse_tree
from engine.loading.wording import LISTED_MAX, SHOWN_MAX, did_you_mean, found, listed, nearest, shorten, with_hint


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("tirgger", "trigger"), ("Trigger", "trigger"), ("coolDown", "cooldown"), ("cool-down", "cooldown"),
        ("cool down", "cooldown"), ("cooldwn", "cooldown"), ("colour", None), ("", None), ("x" * 10_000, None),
    ],
)  # fmt: skip
def test_a_near_word_is_one_slip_away(word: str, near: str | None) -> None:
    assert nearest(word, ["trigger", "cooldown", "max"]) == near


def test_a_hint_is_joined_to_its_message() -> None:
    assert with_hint("wrong", "") == "wrong"
    assert with_hint("wrong", "write x") == "wrong; write x"
    assert with_hint("wrong", did_you_mean("maxx", ["max"])) == 'wrong, did you mean "max"?'


def test_a_list_of_names_reads_as_a_sentence_and_is_cut_short() -> None:
    assert listed([], "or") == ""
    assert listed(["a"], "or") == '"a"'
    assert listed(["a", "b", "c"], "or") == '"a", "b" or "c"'
    assert listed(["a"] * (LISTED_MAX + 1), "or").endswith('"a" …')


def test_text_is_shown_on_one_line_and_cut_short() -> None:
    assert shorten(" a\n  b ") == "a b"
    assert shorten("x" * SHOWN_MAX) == "x" * SHOWN_MAX
    assert shorten("x" * (SHOWN_MAX + 1)) == "x" * (SHOWN_MAX - 1) + "…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'5'", '"5"'),
        ("5", "5"),
        ("012", "012"),
        ("yes", '"yes"'),
        ("true", "true"),
        ("~", "~"),
        ("[a]", "a list"),
        ("{a: b}", "a mapping"),
    ],
)
def test_what_was_found_is_shown_as_it_was_written(text: str, shown: str) -> None:
    root = parse_tree("x", text).root
    assert root is not None
    assert found(root) == shown


def test_a_complaint_that_is_not_known_is_passed_on() -> None:
    mark = yaml.Mark("x", 0, 2, 4, None, None)
    strange = yaml.MarkedYAMLError("while doing something", mark, "it went wrong", mark)
    assert explain_syntax(strange, ["a", "b", "c: d"]) == (3, 5, "not valid YAML: while doing something: it went wrong")
    assert explain_syntax(yaml.MarkedYAMLError(), []) == (1, 1, "not valid YAML: the text cannot be read")
