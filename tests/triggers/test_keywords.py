"""Keywords against a naive reading of the page: each word by itself, with a regular expression."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core.evaluate import apply
from engine.core.model import Decision, Event
from engine.core.refusal import Refused
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS
from engine.triggers.keywords import WORD_LENGTH_MAX, Word, fold

# Few letters, so that words lie in, over and beside each other; and letters that folding changes, splits or joins.
LETTERS = "aab_1 -+é\u0301ßſİıＡﬁ\n\t\u00a0ͅΣς"
texts = st.text(LETTERS, max_size=14)
words = st.text(LETTERS, min_size=1, max_size=4).filter(lambda word: folded(word.rstrip("*")).strip() != "")
written_words = st.lists(st.one_of(words, words.map(lambda word: word + "*")), min_size=1, max_size=3, unique=True)


def folded(text: str) -> str:
    """NFKC, and case folding until it stays as it is, runs of white space as one space."""
    # NFKC comes first, as the page has it: folding U+0345 before marks are in order would make another letter of it.
    text = unicodedata.normalize("NFKC", text)
    for _ in range(3):
        text = unicodedata.normalize("NFKC", text.casefold())
    return re.sub(r"\s+", " ", text)


def joins(character: str) -> bool:
    """Unicode letters and digits, and the underscore; marks and signs are not."""
    return unicodedata.category(character)[0] in "LN" or character == "_"


def occurrences(word: str, text: str) -> list[tuple[int, str]]:
    """``(start, text found)`` of every place where the word stands, overlapping ones too."""
    prefix = word.endswith("*")
    key = folded(word.removesuffix("*")).strip()
    found = []
    for match in re.finditer(f"(?=({re.escape(key)}))", text):
        start, end = match.start(), match.start() + len(key)
        if start > 0 and joins(text[start - 1]):
            continue
        stop = end
        while stop < len(text) and joins(text[stop]):
            stop += 1
        if prefix:
            found.append((start, text[start:stop]))
        elif stop == end:
            found.append((start, text[start:end]))
    return found


def naive(any_of: list[str], all_of: list[str], none_of: list[str], text: str) -> list[str] | None:
    """The distinct hits in order, or None where it does not fire."""
    text = folded(text)
    if any_of and not any(occurrences(word, text) for word in any_of):
        return None
    if not all(occurrences(word, text) for word in all_of):
        return None
    if any(occurrences(word, text) for word in none_of):
        return None
    hits = {hit for word in (*any_of, *all_of) for hit in occurrences(word, text)}
    return list(dict.fromkeys(found for _, found in sorted(hits, key=lambda hit: (hit[0], -len(hit[1])))))


Asked = dict[str, list[str]]


def fired(rules: list[Asked], text: Any) -> list[list[str] | None]:
    """For each rule the keywords that it found, None where it did not fire."""
    page = {
        "version": 1,
        "policy": {"simultaneous": 100},
        "rules": [
            {"id": f"r{number}", "trigger": {"keywords": asked}, "message": {"type": "question", "text": "x"}}
            for number, asked in enumerate(rules)
        ],
    }
    timeline = Timeline(load({"rules.yaml": json.dumps(page)}, KINDS))
    decisions: list[Decision] = []
    apply(timeline, UserState("ann"), Event("chat_message", "ann", 0, {"message": text}), decisions)
    facts = {decision.rule: decision.trigger for decision in decisions}
    for found in facts.values():
        assert found.get("keyword") == (found["keywords"][0] if found["keywords"] else None)
    return [facts[f"r{number}"]["keywords"] if f"r{number}" in facts else None for number in range(len(rules))]


def unclear(asked: Asked) -> bool:
    """Whether the loader refuses it: a word that is asked for and excluded."""
    keys = {name: {Word(word).key for word in asked.get(name, ())} for name in ("any", "all", "none")}
    return bool((keys["any"] | keys["all"]) & keys["none"])


asks = (
    st.fixed_dictionaries({}, optional={"any": written_words, "all": written_words, "none": written_words})
    .filter(bool)
    .filter(lambda asked: not unclear(asked))
)


@settings(max_examples=400, deadline=None)
@given(st.lists(asks, min_size=1, max_size=3), texts)
def test_words_are_found_as_the_page_says(rules: list[Asked], text: str) -> None:
    expected = [naive(asked.get("any", []), asked.get("all", []), asked.get("none", []), text) for asked in rules]
    assert fired(rules, text) == expected


@settings(max_examples=200, deadline=None)
@given(written_words, texts, texts)
def test_a_word_between_signs_is_found(words: list[str], before: str, after: str) -> None:
    for word in words:
        text = f"{before}.{word.removesuffix('*')}.{after}"
        # A mark at the beginning joins the sign before it when the text is folded, and so is another character.
        if folded(text) == f"{folded(before)}.{folded(word.removesuffix('*'))}.{folded(after)}":
            assert fired([{"any": [word]}], text) != [None]


@given(st.text(max_size=30))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # Folding takes these apart (U+1FB7, U+0390, U+01F0); normalised again they are what a word of them is.
        ("\u1fb7", "\u1fb6\u03b9"),
        ("\u0390", "\u0390"),
        ("\u01f0", "\u01f0"),
        ("\u0130", "i\u0307"),
    ],
)
def test_what_folding_takes_apart_is_normalised_again(text: str, found: str) -> None:
    assert fold(text) == found


@example(" ")
@example(" a")
@example("a ")
@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    assert fold(text) == folded(text).strip()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("help", True),
        ("HELP", True),
        ("help!", True),
        ("(help)", True),
        ("help_", False),
        ("_help", False),
        ("help9", False),
        ("9help", False),
        ("éhelp", False),
        ("help者", False),
        ("help٣", False),
        ("help—please", True),
        ("", False),
        (None, False),
        (["help"], False),
        ({"help": 1}, False),
    ],
)
def test_a_word_stands_where_nothing_joins_it(text: Any, found: bool) -> None:
    assert (fired([{"any": ["help"]}], text) != [None]) is found


@pytest.mark.parametrize("written", ["", " ", "*", " *", "\u00a0*"])
def test_a_word_of_nothing_is_refused(written: str) -> None:
    with pytest.raises(Refused) as refused:
        Word(written)
    assert refused.value.message == f'expected a word, got "{written}"'


def test_a_word_has_a_longest_length() -> None:
    assert Word("x" * WORD_LENGTH_MAX).text == "x" * WORD_LENGTH_MAX
    with pytest.raises(Refused, match=f"expected a word of at most {WORD_LENGTH_MAX} characters, got 201"):
        Word("x" * (WORD_LENGTH_MAX + 1))


def test_a_word_that_is_asked_for_and_excluded_is_refused() -> None:
    with pytest.raises(RuleErrors, match='"help" is asked for and excluded at once, so this can never fire'):
        fired([{"any": ["HELP"], "none": ["help"]}], "")
    # As a beginning it is another word.
    assert fired([{"any": ["help*"], "none": ["help"]}], "helpless") == [["helpless"]]
