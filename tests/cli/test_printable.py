from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.printable import JOINERS, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\nwords", "plain\nwords"),
        ("\x1b[2Jgone", "\ufffd[2Jgone"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("\x9b31mred", "\ufffd31mred"),
        ("over\rwritten", "over\ufffdwritten"),
        ("of another system\r\nhere", "of another system\nhere"),
        ("\tif x:", "\tif x:"),
        ("back\b\b\b\x7f", "back\ufffd\ufffd\ufffd\ufffd"),
        ("user\u202etxt.exe", "user\ufffdtxt.exe"),
        ("\u2066hidden\u2069", "\ufffdhidden\ufffd"),
        ("a\u2028b\u0085c", "a\ufffdb\ufffdc"),
        ("half a pair \ud83d", "half a pair \ufffd"),
        ("Vraiment\u00a0?", "Vraiment\u00a0?"),
        ("👩\u200d💻 می\u200cخواهم é 日本", "👩\u200d💻 می\u200cخواهم é 日本"),
    ],
)
def test_what_steers_a_terminal_is_replaced_and_what_people_write_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


# Every sort of character, those that steer more often than chance would have it.
ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x9b\x07\r\n\t\b\x00\u202e\u2066[]m;0 a")))


@given(ANY_TEXT)
def test_no_control_character_is_left_whatever_the_text(text: str) -> None:
    for char in printable(text):
        assert char in "\n\t" + JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    assert "\n" not in one_line(text)
    assert printable(printable(text)) == printable(text)
