"""Which known word an author may have meant, and when nobody can say."""

from __future__ import annotations

import pytest

from engine.core.near_words import WORD_MAX, did_you_mean, nearest, slips
from engine.core.template_filters import FILTERS


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("tirgger", "trigger"), ("triger", "trigger"), ("triggers", "trigger"), ("policies", "policy"),
        ("cool-down", "cooldown"), ("Quiet Hours", "quiet_hours"), ("nwo", "now"), ("lenght", "len"),
        ("inactive", "inactivity"), ("attenton", "attention"), ("inarow", "in-a-row"), ("onn", "on"),
        ("returned", "returned_after"),
        # A guess that is far misleads.
        ("quiet_for", None), ("colour", None), ("off", None), ("", None), ("x" * 10_000, None),
    ],
)  # fmt: skip
def test_a_word_is_near_where_few_slips_lead_to_it(word: str, near: str | None) -> None:
    known = "trigger policy cooldown quiet_hours now len inactivity attention in-a-row on returned_after holdout"
    assert nearest(word, known.split()) == near


def test_no_filter_is_near_one_that_templates_have_not() -> None:
    assert nearest("strftime", FILTERS) is None


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("abc", "ac", 1), ("abc", "axc", 1), ("abcd", "badc", 2)],
)
def test_slips_are_letters_left_out_added_changed_or_exchanged(one: str, other: str, count: int) -> None:
    assert slips(one, other) == slips(other, one) == count


def test_of_a_word_that_is_too_long_the_beginning_is_looked_at() -> None:
    assert nearest("x" * (WORD_MAX + 9), ["x" * WORD_MAX]) == "x" * WORD_MAX


def test_the_first_by_name_is_meant_where_several_are_as_near() -> None:
    assert nearest("tests", ["te_st", "test"]) == "te_st"
    assert did_you_mean("zebra", ["test"]) == ""
