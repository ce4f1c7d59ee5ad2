"""How messages stand in a terminal: wrapped, indented, with code set apart, whole or piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from engine.cli.layout import COLOURED_LINES_MAX, Writing, folded, head_of, laid_out, rows_below
from engine.cli.shown import Shown
from engine.cli.streaming import CHARACTERS_MAX, OPEN_LINE_MAX, Stream

CONSOLE = Console(highlight=False)
ANSWER = """\
So:

```python
def f(x):
    return "a"  # one
```
That is it."""


def plain(shown: Shown, width: int | None) -> list[str]:
    return [line.plain for line in laid_out(shown, CONSOLE, width)]


def test_a_message_is_wrapped_at_words_and_indented_to_its_text() -> None:
    shown = Shown("10:00:00", "question", "Shall we look at it together now?", ("Yes please do so", "No"))
    assert plain(shown, 36) == [
        "10:00:00 question Shall we look at",
        "                  it together now?",
        "         1. Yes please do so",
        "         2. No",
    ]
    assert plain(shown, 26)[-3:] == ["         1. Yes please do", "            so", "         2. No"]


@pytest.mark.parametrize("width", [2, 10, 19, 20, 40])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    shown = Shown("10:00:00", "question", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b\n\nc", ("d" * 50,))
    assert max(map(len, plain(shown, width))) <= width


def test_rows_of_the_message_itself_are_kept() -> None:
    assert plain(Shown("10:00:00", "poll", "a\nb"), 40) == ["10:00:00 poll a", "              b"]
    assert plain(Shown("10:00:00", "poll", ""), 40) == ["10:00:00 poll "]


def test_in_a_pipe_nothing_is_wrapped() -> None:
    assert plain(Shown("10:00:00", "poll", "a " * 100 + "\nb", ("c " * 100,)), None) == [
        "10:00:00 poll " + "a " * 100 + "\nb",
        "         1. " + "c " * 100,
    ]


def test_a_question_beside_others_has_its_number_in_a_terminal_alone() -> None:
    shown = Shown("10:00:00", "question", "Well?", ("Yes",), number=2)
    assert plain(shown, 40) == ["10:00:00 question 2 Well?", "         1. Yes"]
    assert plain(shown, None) == ["10:00:00 question Well?", "         1. Yes"]


def test_kinds_are_told_apart_by_words_and_what_suggests_is_quieter_than_what_asks() -> None:
    question, suggestion = (laid_out(Shown("", kind, "So"), CONSOLE, 40)[0] for kind in ("question", "suggestion"))
    assert (question.plain, suggestion.plain) == ("         question So", "         suggestion So")
    assert any("bold" in str(span.style) for span in question.spans)
    assert not any("bold" in str(span.style) for span in suggestion.spans)
    assert "dim" in str(suggestion.spans[-1].style)


def test_code_is_set_apart_under_the_text_and_cut_at_the_width() -> None:
    assert plain(Shown("10:00:00", "answer", ANSWER), 80) == [
        "10:00:00 answer So:",
        " " * 16,
        " " * 16 + "┌ python",
        " " * 16 + "│ def f(x):",
        " " * 16 + '│     return "a"  # one',
        " " * 16 + "└",
        " " * 16 + "That is it.",
    ]
    assert plain(Shown("10:00:00", "answer", "```\n" + "x" * 30 + "\n```"), 24) == [
        "10:00:00 answer ",
        "  ┌ ",
        "  │ " + "x" * 20,
        "  │ " + "x" * 10,
        "  └",
    ]


def test_code_is_coloured_by_its_language_and_left_plain_where_nobody_knows_it() -> None:
    def colours(language: str, code: str = "return None") -> int:
        rows = laid_out(Shown("", "answer", f"```{language}\n{code}\n```"), CONSOLE, 80)
        return len({str(span.style) for span in rows[-2].spans})

    assert colours("python") > colours("") == colours("no-such-language")
    # Beyond the bound a line is coloured by itself.
    assert colours("python", "x\n" * COLOURED_LINES_MAX + "return None") == colours("python")


@pytest.mark.parametrize(
    ("fence", "inside", "ends"),
    [("```", "x", "```"), ("````", "```", "````"), ("```py", "```py", "```"), ("   ```", "x", "  ````  ")],
)
def test_code_ends_at_a_fence_as_long_as_the_one_it_began_with(fence: str, inside: str, ends: str) -> None:
    rows = plain(Shown("", "answer", f"{fence}\n{inside}\n{ends}\nout"), 80)
    assert [row[16:17] for row in rows[1:]] == ["┌", "│", "└", "o"]


def test_what_is_never_ended_is_code_to_the_end() -> None:
    assert plain(Shown("", "answer", "```\na\n\nb"), 80)[-1] == " " * 16 + "│ b"


def test_tabs_are_spaces_where_rows_have_a_width() -> None:
    assert plain(Shown("", "poll", "```\n\tif x:\n```"), 80)[2].endswith("│     if x:")


WORDS = st.text(st.sampled_from("ab 日本é👩\t`\n"), max_size=60)


@given(WORDS, st.integers(1, 50))
def test_no_row_is_wider_than_the_terminal_however_wide_the_characters(text: str, width: int) -> None:
    rows = laid_out(Shown("10:00:00", "question", text, (text,)), CONSOLE, width)
    widest = max(cell_len(char) for char in text + "a")
    assert max(row.cell_len for row in rows) <= max(width, 2 + widest)


@given(WORDS, st.integers(1, 12))
def test_what_is_folded_is_all_there_in_pieces_of_the_width(text: str, width: int) -> None:
    from rich.text import Text

    pieces = folded(Text(text), width)
    assert "".join(piece.plain for piece in pieces) == text
    assert all(piece.cell_len <= max(width, 2) for piece in pieces)


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [("", 5, 0), ("abcd", 5, 0), ("abcde", 5, 1), ("abcdef", 5, 1), ("a" * 10, 5, 2), ("ab日", 5, 0), ("abc日", 5, 1),
     ("abcd日", 5, 1), ("日" * 4, 5, 1), ("日" * 5, 5, 2), ("a\x01", 3, 1), ("e\u0301" * 4, 5, 0)],
)  # fmt: skip
def test_the_rows_of_what_is_typed_are_counted_as_a_terminal_wraps_them(text: str, width: int, rows: int) -> None:
    assert rows_below(text, width) == rows


def drawn(stream: Stream, pieces: list[str], screen: list[str]) -> None:
    for piece in pieces:
        for row in stream.feed(piece):
            if row.is_again:
                screen.pop()
            screen.append(row.text.plain)


def stream_of(width: int) -> Stream:
    return Stream("e1", Writing(head_of("10:00:00", "answer"), CONSOLE, width))


TEXT = st.text(st.sampled_from("ab  `\n日"), min_size=1, max_size=80)


@given(TEXT, st.lists(st.integers(0, 80)), st.integers(20, 60))
def test_piece_by_piece_an_answer_stands_as_it_does_when_it_comes_whole(text: str, cuts: list[int], width: int) -> None:
    ends = [*sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    pieces = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    screen: list[str] = []
    drawn(stream_of(width), pieces, screen)
    whole = [row.plain for row in laid_out(Shown("10:00:00", "answer", text), CONSOLE, width)]
    # A line that has only just begun has no row yet.
    whole = whole[:-1] if text.endswith("\n") else whole
    assert [row.rstrip() for row in screen] == [row.rstrip() for row in whole]


def test_what_comes_between_is_left_alone_and_the_rest_begins_a_row_of_its_own() -> None:
    stream, screen = stream_of(40), list[str]()
    drawn(stream, ["One two"], screen)
    stream.interrupt()
    screen.append("> typed")
    drawn(stream, [" three", " four\nfive"], screen)
    assert screen == ["10:00:00 answer One two", "> typed", " " * 17 + "three four", " " * 16 + "five"]


def test_the_whole_answer_adds_what_its_pieces_lack_or_is_another() -> None:
    stream, screen = stream_of(40), list[str]()
    drawn(stream, ["One"], screen)
    rest = stream.rest_of("One two")
    assert rest is not None
    assert [(row.text.plain, row.is_again) for row in rest] == [("10:00:00 answer One two", True)]
    assert stream.rest_of("One two") == []
    assert stream.rest_of("Other") is None


def test_an_answer_without_end_is_not_kept() -> None:
    assert stream_of(40).feed("x" * (CHARACTERS_MAX + 1)) == []


@pytest.mark.parametrize("over", [0, 1])
def test_a_line_that_is_very_long_comes_when_it_is_whole(over: int) -> None:
    stream, screen = stream_of(80), list[str]()
    drawn(stream, ["x" * (OPEN_LINE_MAX + over)], screen)
    assert bool(screen) == (not over)
    drawn(stream, ["\n"], screen)
    assert "".join(row[16:] for row in screen) == "x" * (OPEN_LINE_MAX + over)
