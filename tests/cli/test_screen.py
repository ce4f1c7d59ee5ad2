"""The terminal of `connect`, seen by a terminal of a few lines that knows the sequences it is sent."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pty_client import PtyClient

from engine.app import Server
from engine.cli.screen import above, again
from engine.responders.base import ChatMessage

ESCAPE = re.compile(r"\x1b(?:([D78])|\[(\d*)([ABLK]))|(\r)|([^\x1b\r]+)")
WITHIN_S = 30.0


class Paper:
    """What of a terminal is needed: rows, a cursor, and the sequences of `above`."""

    def __init__(self, rows: list[str], height: int, cursor: tuple[int, int]) -> None:
        self.rows = rows + [""] * (height - len(rows))
        self.row, self.column = cursor
        self.saved = cursor

    def feed(self, text: str) -> None:
        for plain, number, code, home, words in ESCAPE.findall(text):
            count = int(number or 1)
            if plain == "D":
                if self.row == len(self.rows) - 1:
                    self.rows = [*self.rows[1:], ""]
                else:
                    self.row += 1
            elif plain == "7":
                self.saved = (self.row, self.column)
            elif plain == "8":
                self.row, self.column = self.saved
            elif code == "A":
                self.row = max(0, self.row - count)
            elif code == "B":
                self.row = min(len(self.rows) - 1, self.row + count)
            elif code == "L":
                self.rows = [*self.rows[: self.row], *[""] * count, *self.rows[self.row : len(self.rows) - count]]
            elif code == "K":
                assert count == 2
                self.rows[self.row] = ""
            elif home:
                self.column = 0
            else:
                assert words
                row = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = row[: self.column] + words + row[self.column + len(words) :]
                self.column += len(words)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
async def test_at_a_terminal_what_comes_does_not_tear_what_is_typed(
    start_server: Callable[..., Awaitable[Server]], tmp_path: Path
) -> None:
    async def respond(message: ChatMessage) -> AsyncIterator[str]:
        yield "```python\nreturn"
        await written.wait()
        yield " None"

    written = asyncio.Event()
    server = await start_server(responder=respond)
    words = ("--client-id", "ann", "--url", server.ws_url)
    async with asyncio.timeout(WITHIN_S), PtyClient(*words, XDG_STATE_HOME=str(tmp_path)) as client:
        await client.until("[connected to ")
        client.type("half a sen")
        await client.until("half a sen")
        await server.send_backend_message_to_client("ann", "Well?", "suggestion", options=("Yes", "No"))
        shown = await client.until("No\x1b8\x1b[B")
        assert "Well?" in shown
        assert "half" not in shown
        client.type("\x152\n")
        await client.until("[answered: No]")
        # An answer that is being written grows above what is typed; its last row is written anew.
        client.type("/chat How?\n")
        await client.until("return")
        client.type("ano")
        await client.until("ano")
        written.set()
        shown = await client.until("None")
        assert re.search(r"\x1b7\x1b\[1A\r\x1b\[2K *\x1b\[2m│ (\x1b\[[\d;]*m)*return(\x1b\[[\d;]*m| )*None", shown)
        assert "ano" not in shown
        client.type("\x15/lev\t")
        await client.until("el ")  # what comes meanwhile may stand between
        client.type("\x15/quit\n")
        assert await client.process.wait() == 0


@given(
    said=st.integers(0, 12),
    height=st.integers(4, 8),
    typed=st.lists(st.sampled_from(["abc", "de"]), min_size=1, max_size=3),
    column=st.integers(0, 3),
    back=st.integers(0, 2),
    lines=st.lists(st.sampled_from(["one", "", "three"]), max_size=10),
)
def test_lines_go_above_what_is_typed_and_the_cursor_stays_in_it(
    said: int, height: int, typed: list[str], column: int, back: int, lines: list[str]
) -> None:
    before = [str(number) for number in range(min(said, height - len(typed)))]
    behind = min(back, len(typed) - 1)  # rows of what is typed below that of the cursor
    paper = Paper([*before, *typed], height, (len(before) + len(typed) - 1 - behind, column))
    paper.feed("".join(above(line, len(typed) - 1 - behind, behind) for line in lines))
    whole = [*before, *lines, *typed]
    last = paper.row + behind
    assert paper.rows[: last + 1] == whole[-height:]
    assert not any(paper.rows[last + 1 :])
    assert paper.column == column


@given(
    height=st.integers(4, 8),
    typed=st.lists(st.sampled_from(["abc", "de"]), min_size=1, max_size=2),
    grows=st.lists(st.sampled_from(["one", "one two", "", "three"]), min_size=1, max_size=6),
)
def test_the_row_above_what_is_typed_is_written_anew_and_nothing_else_changes(
    height: int, typed: list[str], grows: list[str]
) -> None:
    paper = Paper(["0", *typed], height, (len(typed), 1))
    paper.feed(above("begun", len(typed) - 1))
    for line in grows:
        paper.feed(again(line, len(typed) - 1))
    assert paper.rows[: paper.row + 1] == ["0", grows[-1], *typed][-height:]
    assert paper.column == 1
