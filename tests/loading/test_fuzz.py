"""Whatever a file says, the loader answers with rules or with errors that stand in the file."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_for_loading import BAD, GOOD, SHIPPED, errors_of, text_of
from test_schema import VALIDATOR
from test_tree import plain

from engine.loading.tree import LINE_BREAK, parse_tree

GOOD_TEXTS = [text_of(path) for path in GOOD + SHIPPED]
ALL_TEXTS = GOOD_TEXTS + [text_of(path) for path in BAD if len(text_of(path)) < 5000]
CUTS_MAX = 150
AS_JSON = [json.dumps(plain(root)) for text in GOOD_TEXTS if (root := parse_tree("x", text).root) is not None]
PIECES = [
    "\t", "\n", "\r\n", "  ", " ", "- ", ": ", ":", "[", "]", "{", "}", "'", '"', "|", ">", "&a ", "*a", "!!str ", "<<",
    "---\n", "...\n", "%YAML 1.1\n", "#", "?", ",", "@", "`", "{{", "}}", "{%", "null", "5", "0x1F", ".nan", "\\", "ä",
    "😀", "\u2028", "\x00", "\ufeff", "(", ")", " and ", "event.", "trigger.", "5m", "*", "is", "\u0301", "tests:",
    "policy: ", "budgets: ", "quiet_hours: ", "budget: ", "none", "variants: ", "message: ", "deliver: ", "defaults: ",
    "cooldown: ", "on_dismiss: ", "x2", "10%", "was: ", "response: ", "to: ", "session: ", "within: ", "id: ",
]  # fmt: skip


def check_answer(text: str) -> bool:
    """Loads, or says why not; anything else that is raised comes through. Whether it loads."""
    lines = LINE_BREAK.split(text)
    errors = errors_of(text)
    for error in errors:
        # The end of the text is a place as well: the one behind the last line.
        assert 1 <= error.line <= len(lines) + 1, str(error)
        width = len(lines[error.line - 1]) if error.line <= len(lines) else 0
        assert 1 <= error.column <= width + 2, str(error)
        assert error.message
        assert error.code
    return not errors


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_answered(text: str) -> None:
    check_answer(text)


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_punctuation_is_answered(pieces: list[str]) -> None:
    check_answer("version: 1\nrules:\n  - " + "".join(pieces))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_mutated_file_is_answered(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(ALL_TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 3, 20])))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[stop:]
    check_answer(text)


# Each stands in place of a value of any other kind.
STRANGE = [None, True, 5, 2.5, "", "none", "x2", "10%", "5m", "hello", [], ["none", "none"], [[]], {}, {"id": "a"}]


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value stands in which something else could stand."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in entries:
        yield (*path, key)
        yield from places_in(child, (*path, key))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_value_of_another_kind_anywhere_is_answered(data: st.DataObject) -> None:
    value: Any = json.loads(data.draw(st.sampled_from(AS_JSON)))
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(places_in(value))
        if not places:
            break
        *path, last = data.draw(st.sampled_from(places))
        within = value
        for key in path:
            within = within[key]
        # A copy, for what was put in before must not be changed by what is put into it.
        within[last] = copy.deepcopy(data.draw(st.sampled_from(STRANGE)))
        if isinstance(within, dict) and data.draw(st.booleans()):
            within[data.draw(st.sampled_from([*within, "message", "variants", "quiet_hours", "none"]))] = within.pop(
                last
            )
    if check_answer(json.dumps(value, ensure_ascii=False, indent=1)):
        # What loads must not be marked in an editor.
        assert [error.message for error in VALIDATOR.iter_errors(value)] == []


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_line_moved_elsewhere_is_answered(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(GOOD_TEXTS)).split("\n")
    line = lines.pop(data.draw(st.integers(0, len(lines) - 1)))
    indent = " " * data.draw(st.integers(0, 8))
    lines.insert(data.draw(st.integers(0, len(lines))), indent + line.lstrip())
    check_answer("\n".join(lines))


@pytest.mark.parametrize("text", GOOD_TEXTS, ids=range(len(GOOD_TEXTS)))
def test_a_file_cut_short_anywhere_is_answered(text: str) -> None:
    # The longer it is, the longer each takes: of a long one so many.
    for stop in range(0, len(text), max(7, len(text) // CUTS_MAX)):
        check_answer(text[:stop])
