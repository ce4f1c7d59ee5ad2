"""Files that stand apart from their folder: each a whole of its own."""

from __future__ import annotations

import pytest
from samples_for_loading import file_of, rule

from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load, load_with_tests
from engine.triggers import KINDS

APART = "standalone: true\n"
POLICY = "policy: {simultaneous: 2}\n"
CLAIMS = "tests: [{name: hi, events: [{after: 0s, type: x}], expect: []}]\ninvariants: [every_rule_fires]\n"


def refused(**sources: str) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        load(sources, KINDS)
    return [str(error) for error in caught.value.diagnostics]


def test_what_stands_apart_is_no_part_of_the_folder() -> None:
    folder = {"a.yaml": file_of(rule("a")) + POLICY}
    whole = {**folder, "x/b.yaml": file_of(rule("b")) + APART + "policy: {simultaneous: 3}\n" + CLAIMS}
    loaded = load_with_tests(whole, KINDS)
    assert [found.id for found in loaded.rules] == ["a"]
    assert loaded.rules.policy.simultaneous == 2
    assert (loaded.scenarios, loaded.invariants) == ((), ())
    assert loaded.rules.sources == folder
    assert loaded.rules.hash == load(folder, KINDS).hash


def test_what_stands_apart_is_loaded_by_itself() -> None:
    text = file_of(rule("b")) + APART + POLICY + CLAIMS
    (path, alone), *others = load_with_tests({"a.yaml": file_of(rule("b")), "b.yaml": text}, KINDS).apart.items()
    assert (path, others) == ("b.yaml", [])
    assert [found.id for found in alone.rules] == ["b"]
    assert alone.rules.policy.simultaneous == 2
    assert (len(alone.scenarios), len(alone.invariants)) == (1, 1)
    assert alone.rules.hash == load({"b.yaml": text}, KINDS).hash


def test_a_file_that_is_named_itself_is_not_apart() -> None:
    loaded = load_with_tests({"b.yaml": file_of(rule("b")) + APART}, KINDS)
    assert [found.id for found in loaded.rules] == ["b"]
    assert loaded.apart == {}


def test_a_file_that_says_false_is_a_part_like_any_other() -> None:
    sources = {"a.yaml": file_of(rule("a")), "b.yaml": file_of(rule("b")) + "standalone: false\n"}
    assert [found.id for found in load(sources, KINDS)] == ["a", "b"]


def test_errors_of_what_stands_apart_are_reported_and_it_sees_nothing_of_the_folder() -> None:
    words = "lists: {w: [x]}\n"
    asks = rule("b", trigger='{keywords: {any: ["@w"]}}', extra="budget: [b]")
    policy = "policy: {budgets: {b: {limits: {max: 1, per: day}}}}\n"
    assert refused(a=file_of(rule("a")) + words + policy, b=file_of(asks) + APART) == [
        'b:4:32: unknown list "@w"; lists stand under the key "lists" of any file [unknown-list]',
        'b:6:14: unknown budget "b"; the policy has no budget [unknown-budget]',
    ]


def test_where_all_files_stand_apart_one_has_to_be_named() -> None:
    assert refused(a=file_of(rule("a")) + APART, b=file_of(rule("b")) + APART) == [
        "a:6:13: both files of the folder are standalone; name one of them instead of the folder [conflict]"
    ]
    assert refused(**{name: file_of(rule(name)) + APART for name in "abc"}) == [
        "a:6:13: all 3 files of the folder are standalone; name one of them instead of the folder [conflict]"
    ]


def test_anything_but_a_truth_value_is_an_error() -> None:
    assert refused(a=file_of(rule("a")), b=file_of(rule("b")) + "standalone: yes\n") == [
        'b:6:13: expected true or false, got "yes" [wrong-type]'
    ]
