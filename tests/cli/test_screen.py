"""The terminal of `connect`, seen by a terminal of a few lines that knows the sequences it is sent."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.app import Server
from engine.cli.screen import above

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]
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
            elif home:
                self.column = 0
            else:
                assert words
                row = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = row[: self.column] + words + row[self.column + len(words) :]
                self.column += len(words)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
async def test_at_a_terminal_what_comes_does_not_tear_what_is_typed(
    start_server: Callable[..., Awaitable[Server]],
) -> None:
    server = await start_server()
    ours, theirs = os.openpty()
    client = await asyncio.create_subprocess_exec(
        *COMMAND, "connect", "--client-id", "ann", "--url", server.ws_url,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PYTHONUNBUFFERED": "1"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        async with asyncio.timeout(WITHIN_S):
            await read_until(ours, b"[connected to ")
            os.write(ours, b"half a sen")
            await read_until(ours, b"half a sen")
            await server.send_backend_message_to_client("ann", "Well?", "suggestion", options=("Yes", "No"))
            shown = await read_until(ours, b"No\x1b8\x1b[B")
            assert b"Well?" in shown
            assert b"half" not in shown
            os.write(ours, b"\x152\n")
            await read_until(ours, b"[answered: No]")
            os.write(ours, b"/quit\n")
            assert await client.wait() == 0
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
        os.close(ours)


async def read_until(terminal: int, end: bytes) -> bytes:
    """What is written to the terminal until ``end`` is."""
    shown = b""
    while end not in shown:
        shown += await asyncio.to_thread(os.read, terminal, 4096)
    return shown


@given(
    said=st.integers(0, 12),
    height=st.integers(4, 8),
    typed=st.lists(st.sampled_from(["abc", "de"]), min_size=1, max_size=3),
    column=st.integers(0, 3),
    lines=st.lists(st.sampled_from(["one", "", "three"]), max_size=10),
)
def test_lines_go_above_what_is_typed_and_the_cursor_stays_in_it(
    said: int, height: int, typed: list[str], column: int, lines: list[str]
) -> None:
    before = [str(number) for number in range(min(said, height - len(typed)))]
    paper = Paper([*before, *typed], height, (len(before) + len(typed) - 1, column))
    paper.feed("".join(above(line, len(typed) - 1) for line in lines))
    whole = [*before, *lines, *typed]
    assert paper.rows[: paper.row + 1] == whole[-height:]
    assert not any(paper.rows[paper.row + 1 :])
    assert paper.column == column
