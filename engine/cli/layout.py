"""How a message stands in a terminal: rows of a width, code between fences set apart and coloured. Pure.

What is written piece by piece is laid out as it comes; the rows are the same as of the whole.
"""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from engine.cli.shown import Shown

# A kind is told by its word; the style only helps. What asks stands out, what suggests is quiet.
STYLES = {"question": "bold cyan", "suggestion": "green", "note": "yellow", "answer": "bold blue", "error": "bold red"}
TEXT_STYLES = {"suggestion": "dim", "note": "dim"}
OPTIONS_AT = 9  # column of an option: behind the time
TAB = 4
CODE_WIDTH_MIN = 40  # below, code begins further to the left
CODE_NEAR = 2  # column, there
BAR, BAR_BEGIN, BAR_END = "│ ", "┌ ", "└"
FENCE = re.compile(r" {0,3}(`{3,})[ \t]*([^\s`]*)[^`]*")
# Of a block of code so much is looked at as a whole, each time that a line of it comes; then line by line.
COLOURED_LINES_MAX = 100
COLOURED_CHARACTERS_MAX = 8_000


def laid_out(shown: Shown, console: Console, width: int | None) -> list[Text]:
    """The lines of a message, wrapped at words and indented to where the text begins; as it is for None."""
    if width is None:
        head = Text.assemble((f"{shown.at:8} ", "dim"), (f"{shown.kind} ", STYLES.get(shown.kind, "bold")))
        options = [
            Text.assemble(" " * OPTIONS_AT, (f"{number}. ", "bold"), option)
            for number, option in enumerate(shown.options, 1)
        ]
        return [head + Text(shown.text), *options]
    writing = Writing(head_of(shown.at, shown.kind, shown.number), console, width, TEXT_STYLES.get(shown.kind, ""))
    lines = [row for line in (shown.fenced or shown.text).split("\n") for row in writing.line(line)]
    for number, option in enumerate(shown.options, 1):
        head = Text.assemble(" " * OPTIONS_AT, (f"{number}. ", "bold"))
        under = Writing(head, console, width)
        lines += [row for line in option.split("\n") for row in under.line(line)]
    return lines


def head_of(at: str, kind: str, number: int = 0) -> Text:
    """What stands before the text; the number is that by which a question is called beside others."""
    label = f"{kind} {number} " if number else f"{kind} "
    return Text.assemble((f"{at:8} ", "dim"), (label, STYLES.get(kind, "bold")))


class Writing:
    """One text behind its head, line by line. ``width`` is that of the terminal, in columns."""

    def __init__(self, head: Text, console: Console, width: int, style: str = "") -> None:
        self._head: Text | None = head
        self._console = console
        self._width = max(1, width)
        self._style = style
        self._indent = min(head.cell_len, self._width // 2)
        self._fence = ""  # the fence that the code began with, "" outside
        self._language = ""
        self._code: list[str] = []

    def line(self, line: str) -> list[Text]:
        """The rows of a whole line of the text."""
        rows = self.open_line(line)
        self._head = None
        fence = FENCE.fullmatch(line)
        if self._fence:
            if self._is_end(fence):
                self._fence, self._code = "", []
            else:
                self._code.append(line)
        elif fence is not None:
            self._fence, self._language = fence[1], fence[2]
        return rows

    def open_line(self, line: str) -> list[Text]:
        """The rows of a line that may go on."""
        line = line.expandtabs(TAB)
        fence = FENCE.fullmatch(line)
        if self._fence and not self._is_end(fence):
            return self._set_apart(_coloured([*self._code, line], self._language), BAR)
        if self._fence:
            return self._set_apart(Text(), BAR_END)
        if fence is not None:
            return self._set_apart(Text(fence[2], "dim italic"), BAR_BEGIN)
        return self._wrapped(Text(line, self._style))

    def interrupted(self, line: str) -> None:
        """Something else has come behind what is there of this line: what follows begins a row of its own."""
        self._head = None
        if self._fence and not self._is_end(FENCE.fullmatch(line)):
            self._code.append(line)

    def _is_end(self, fence: re.Match[str] | None) -> bool:
        return fence is not None and not fence[2] and len(fence[1]) >= len(self._fence)

    def _wrapped(self, text: Text) -> list[Text]:
        parts = text.wrap(self._console, self._width - self._indent)
        for part in parts:
            part.rstrip()
        further = [Text(" " * self._indent) + part for part in parts]
        if self._head is None:
            return further or [Text()]
        if self._head.cell_len > self._indent or not further:
            return [*self._head.wrap(self._console, self._width), *further]
        return [self._head + further[0][self._indent :], *further[1:]]

    def _set_apart(self, text: Text, bar: str) -> list[Text]:
        """A line of code, which is cut at the width and not at words."""
        indent = self._indent
        if self._width - indent - len(BAR) < CODE_WIDTH_MIN:
            indent = min(indent, CODE_NEAR)
        before = Text.assemble(" " * indent, (bar, "dim"))
        rows = [before + part for part in folded(text, max(1, self._width - indent - len(BAR)))]
        # The head has a row of its own: code begins at the same column in all its rows.
        return rows if self._head is None else [*self._head.wrap(self._console, self._width), *rows]


def folded(text: Text, width: int) -> list[Text]:
    """The text in pieces of so many columns."""
    cuts, column = [], 0
    for offset, char in enumerate(text.plain):
        wide = cell_len(char)
        if column + wide > width and column:
            cuts.append(offset)
            column = 0
        column += wide
    return list(text.divide(cuts))


def rows_below(text: str, width: int) -> int:
    """How many rows below its first one the cursor is behind a text that a terminal of this width has wrapped."""
    rows, column = 0, 0
    for char in text:
        # What is typed and cannot be printed, readline shows as ^X.
        wide = cell_len(char) if char.isprintable() else 2
        if column + wide > width:
            rows, column = rows + 1, 0
        column += wide
    return rows + (column >= width)


def _coloured(code: list[str], language: str) -> Text:
    """The last of these lines."""
    near = code if len(code) <= COLOURED_LINES_MAX else code[-1:]
    if not language or sum(map(len, near)) > COLOURED_CHARACTERS_MAX:
        return Text(code[-1])
    from rich.syntax import Syntax

    syntax = Syntax("", language, theme="ansi_dark", background_color="default")
    if syntax.lexer is None:
        return Text(code[-1])
    whole = syntax.highlight("\n".join(near))
    lines = whole.split("\n", allow_blank=True)
    last = lines[len(near) - 1] if len(lines) >= len(near) else Text(code[-1])
    return last if last.plain == code[-1] else Text(code[-1])
