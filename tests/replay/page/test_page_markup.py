"""Nothing that a user wrote gets out of its place on a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replay.page.markup import Column, Html, data_block, escaped, heat_cell, shown, table

HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"onload='x'",
    "\u2028\u2029",
    "\u202e\u2066",
    "\0\x1b[2J",
    "\ud800",
    "&lt;",
]


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    elements.close()
    return elements


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\0b", "a␀b"),
        ("\x1b[2J", "␛[2J"),
        ("\x7f\x85", "␡\ufffd"),
        ("a\u202eb", "a\\u202eb"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("שלום\u200f", "שלום\u200f"),
        ("\ud800", "\ufffd"),
        ("é漢🙂", "é漢🙂"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, seen: str) -> None:
    assert shown(text) == seen


@given(st.text())
def test_any_text_stays_one_text(text: str) -> None:
    elements = read(f"<p>{escaped(text)}</p>")
    assert elements.tags == ["p"]
    assert elements.text == shown(text)


# Control characters and halves of pairs are shown otherwise, see above.
TEXTS = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs"], exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
)


@given(st.recursive(st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_data_comes_back_as_it_was_and_nothing_in_it_ends_its_block(value: object) -> None:
    block = data_block("data", value)
    assert block.isascii()
    content = re.fullmatch(r'<script type="application/json" id="data">([^<>&]*)</script>', block)
    assert content is not None
    assert json.loads(content[1]) == value


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_data_does_not_end_its_block(text: str) -> None:
    block = data_block("data", {text: [text]})
    assert block.count("<") == 2
    assert block.isascii()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_holds_what_it_is_given(text: str) -> None:
    html = table(text, [Column(text, user_text=True), Column("n", numeric=True)], [[text, 1234]])
    elements = read(html)
    assert elements.tags == ["div", "table", "caption", "thead", "tr", "th", "th", "tbody", "tr", "th", "bdi", "td"]
    assert "1,234" in elements.text
    html.encode()


def test_what_is_safe_already_is_not_escaped_again() -> None:
    assert "<b>x</b>" in table("t", [Column("a")], [[Html("<b>x</b>")]])


@pytest.mark.parametrize(
    ("value", "least", "most", "level"),
    [
        (None, 0, 9, 0),
        (0, 0, 9, 0),
        (1, 0, 1000, 1),
        (9, 0, 9, 9),
        (5, 5, 5, 0),
        (5, 5, 9, 0),
        (9, 5, 9, 9),
        (7, 5, 9, 4),
    ],
)
def test_a_cell_is_the_darker_the_nearer_to_the_most(value: int | None, least: int, most: int, level: int) -> None:
    assert f'class="heat-{level}"' in heat_cell(value, most, least=least)
