"""An answer while it is being written, as rows of a terminal: which to put below, and which to write anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from engine.cli.layout import Writing

CHARACTERS_MAX = 300_000  # a server's answers have at most 262,144
OPEN_LINE_MAX = 4_000  # characters; a longer line is shown when it is whole, for each piece would lay it out anew


@dataclass(frozen=True, slots=True)
class Row:
    """``is_again``: it takes the place of the last row that there is."""

    text: Text
    is_again: bool = False


class Stream:
    """The answer to the chat message ``to``."""

    def __init__(self, to: str, writing: Writing) -> None:
        self.to = to
        self._writing = writing
        self._text = ""
        self._line = ""  # that is not at its end yet, as far as its rows can still change
        self._rows = 0  # it has on the screen

    def feed(self, piece: str) -> list[Row]:
        """What a further piece of the text changes."""
        if not piece or len(self._text) + len(piece) > CHARACTERS_MAX:
            return []
        self._text += piece
        rows: list[Row] = []
        *whole, begun = piece.split("\n")
        for part in whole:
            rows += self._draw(self._writing.line(self._line + part))
            self._line, self._rows = "", 0
        self._line += begun
        if self._line and len(self._line) <= OPEN_LINE_MAX:
            rows += self._draw(self._writing.open_line(self._line))
        return rows

    def rest_of(self, whole: str) -> list[Row] | None:
        """What the whole answer has more than its pieces; None where it is another than they were."""
        return self.feed(whole[len(self._text) :]) if whole.startswith(self._text) else None

    def interrupt(self) -> None:
        """The last row is the last no more: what follows begins another."""
        if self._rows:
            self._writing.interrupted(self._line)
            self._line, self._rows = "", 0

    def _draw(self, rows: list[Text]) -> list[Row]:
        # Of a line that grows only the last row changes, for words are put where there is room for them.
        changed = rows[max(0, min(self._rows, len(rows)) - 1) :]
        drawn = [Row(row, is_again=self._rows > 0 and number == 0) for number, row in enumerate(changed)]
        self._rows = len(rows)
        return drawn
