"""The terminal of `proactive connect`: lines in, messages out, and neither tears the other apart.

It must not know what a line or a message means: `conversation` does.
"""

from __future__ import annotations

import codecs
import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from engine.cli.layout import Writing, head_of, laid_out, rows_below
from engine.cli.printable import printable
from engine.cli.shown import LABELS, Piece, Shown
from engine.cli.streaming import Stream

PROMPT = "> "
STDIN = 0
WIDTH_UNKNOWN = 80


class End:
    """Standard input has ended."""


Enter = Callable[[str | End], None]  # called in the thread that reads
Complete = Callable[[str], list[str]]  # what a line could become, in its last word; called in the same


class Screen:
    """Where a person types, there is a prompt, and what comes is put above it; otherwise lines are just lines."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._is_wrapped = _is_terminal(sys.stdout)
        self._readline: Any = _line_editor() if _is_terminal(sys.stdin) and self._is_wrapped else None
        self._before: Any = _terminal_modes() if self._readline is not None else None
        self._point = None if self._readline is None else _point_of(self._readline)
        self._stream: Stream | None = None
        self._is_moved = False  # the reading thread has put something below what was drawn last

    @property
    def is_typed_at(self) -> bool:
        """Whether what comes in is typed by somebody, who would wait for a server."""
        return _is_terminal(sys.stdin)

    def read(self, enter: Enter, complete: Complete) -> None:
        """Call ``enter`` with every line, then with `End`, from a thread of its own: reading cannot be awaited."""

        def entered(item: str | End) -> None:
            self._is_moved = True
            enter(item)

        if self._readline is not None:
            self._readline.set_completer(self._completer(complete))
            self._readline.set_completer_delims(" ")
            self._readline.parse_and_bind("tab: complete")
        target = _read_lines if self._readline is None else _read_typed
        threading.Thread(target=target, args=(entered,), daemon=True, name="stdin").start()

    def show(self, shown: Shown) -> None:
        """One message: time, kind, text; below it the options with their numbers."""
        if self._finishes(shown):
            return
        lines = laid_out(shown, self._console, _width() if self._is_wrapped else None)
        if self._readline is None:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        else:
            self._put_above(lines)

    def write(self, piece: Piece) -> None:
        """A part of an answer that is still being written. Shown where somebody types; elsewhere it comes whole."""
        if self._readline is None:
            return
        if self._stream is None:
            head = head_of(piece.at, LABELS["chat_response"])
            self._stream = Stream(piece.to, Writing(head, self._console, _width()))
        if self._stream.to == piece.to:  # another comes whole when it is done
            self._draw(self._stream, piece.text)

    def break_off(self) -> None:
        """No more of the answer that is being written will come in pieces."""
        self._stream = None

    def say(self, text: str) -> None:
        """A line of our own, to standard error: what the server says can be piped on by itself."""
        text = f"[{printable(text)}]"
        if self._readline is None or not _is_terminal(sys.stderr):
            typer.echo(text, err=True)
        else:
            self._put_above(list(Text(text, "dim").wrap(self._console, _width())))

    def close(self) -> None:
        """Leave the terminal as it was found, and no prompt that nobody reads."""
        if self._readline is not None:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()
            import termios

            termios.tcsetattr(STDIN, termios.TCSADRAIN, self._before)

    def _finishes(self, shown: Shown) -> bool:
        """Whether this is the answer that is being written: then its rest, if there is any, is all that is left."""
        stream = self._stream
        if stream is None or not shown.to or stream.to != shown.to:
            return False
        self._stream = None
        return self._draw(stream, shown.text, is_whole=True)

    def _draw(self, stream: Stream, text: str, *, is_whole: bool = False) -> bool:
        if self._is_moved:
            stream.interrupt()
            self._is_moved = False
        rows = stream.rest_of(text) if is_whole else stream.feed(text)
        if rows is None:
            return False
        before, behind = self._rows_typed()
        drawn = "".join(
            again(self._rendered(row.text), before) if row.is_again else above(self._rendered(row.text), before, behind)
            for row in rows
        )
        sys.stdout.write(drawn)
        sys.stdout.flush()
        return True

    def _put_above(self, lines: list[Text]) -> None:
        if self._stream is not None:
            self._stream.interrupt()
        before, behind = self._rows_typed()
        sys.stdout.write("".join(above(self._rendered(line), before, behind) for line in lines))
        sys.stdout.flush()

    def _rows_typed(self) -> tuple[int, int]:
        """What is being typed may go over several rows: how many are before that of the cursor, and how many behind."""
        typed, width = PROMPT + self._readline.get_line_buffer(), _width()
        rows = rows_below(typed, width)
        if self._point is None:
            return rows, 0
        before = rows_below(PROMPT + _first_bytes(typed[len(PROMPT) :], self._point.value), width)
        return before, max(0, rows - before)

    def _rendered(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, soft_wrap=True, end="")
        return capture.get()

    def _completer(self, complete: Complete) -> Callable[[str, int], str | None]:
        found: list[str] = []

        def completed(word: str, number: int) -> str | None:
            if number == 0:
                self._is_moved = True  # a list of them may be printed
                found[:] = complete(self._readline.get_line_buffer()[: self._readline.get_endidx()])
            return found[number] if number < len(found) else None

        return completed


def again(line: str, rows: int) -> str:
    """What writes a line anew that stands just above the row of the cursor and ``rows`` more."""
    return f"\x1b7\x1b[{rows + 1}A\r\x1b[2K{line}\x1b8"


def above(line: str, before: int, behind: int = 0) -> str:
    """What inserts a line above rows that are being typed, and leaves the cursor where it stood in them.

    ``before`` of these rows are above the cursor's, ``behind`` below. Whoever edits them need not know of it. The
    sequences are those of a VT102 (ECMA-48): to the last row; index and back, so that there is a row below; save the
    cursor; up; insert a line; restore; down.
    """
    return f"{_moved(behind, 'B')}\x1bD\x1b[A{_moved(behind, 'A')}\x1b7{_moved(before, 'A')}\x1b[L\r{line}\x1b8\x1b[B"


def _moved(rows: int, direction: str) -> str:
    return f"\x1b[{rows}{direction}" if rows else ""


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


def _line_editor() -> Any:
    """The module `readline` where the terminal can do what `above` asks of it; else None."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        editor = importlib.import_module("readline")
    except ImportError:  # there is none for Windows
        return None
    # It would have to be switched off again when we leave in the middle of a line.
    editor.parse_and_bind("set enable-bracketed-paste off")
    return editor


def _point_of(editor: Any) -> ctypes.c_int | None:
    """Where readline has its cursor, in bytes of the line: Python does not tell. None where that is not to be found."""
    try:
        return ctypes.c_int.in_dll(ctypes.CDLL(editor.__file__), "rl_point")
    except (AttributeError, OSError, ValueError):
        return None  # it is part of the program itself; then the cursor is taken to be at the end


def _first_bytes(text: str, count: int) -> str:
    return text.encode("utf-8", "surrogateescape")[: max(0, count)].decode("utf-8", "replace")


def _terminal_modes() -> Any:
    import termios

    return termios.tcgetattr(STDIN)


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH_UNKNOWN
    except OSError:
        return WIDTH_UNKNOWN


def _read_typed(enter: Enter) -> None:
    """Runs in a thread. What is typed is edited by readline, which `input` takes at a terminal."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        while True:
            line = input(PROMPT).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            enter(line)
            if line.strip() == "/quit":
                return  # rather than show another prompt while we leave
    except EOFError:
        enter(End())
    except (OSError, RuntimeError):
        return  # the loop has ended first


def _read_lines(enter: Enter) -> None:
    """Runs in a thread, as reading a terminal or a file cannot be awaited everywhere.

    It reads the descriptor and not `sys.stdin`, whose lock a thread that waits would hold when the program ends.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    try:
        while chunk := os.read(STDIN, 4096):
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in whole:
                enter(line)
        if rest:
            enter(rest)
        enter(End())
    except (OSError, RuntimeError):
        # The loop has ended first, or there is no standard input at all; in both cases nobody reads on.
        return
