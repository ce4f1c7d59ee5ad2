"""The terminal of `proactive connect`: lines in, messages out, and neither tears the other apart.

It must not know what a line or a message means: `conversation` does.
"""

from __future__ import annotations

import codecs
import importlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from engine.cli.conversation import Shown

PROMPT = "> "
STYLES = {"question": "bold cyan", "suggestion": "bold green", "note": "bold yellow", "error": "bold red"}
STDIN = 0
OPTIONS_AT = 9  # column of an option: behind the time
WIDTH_UNKNOWN = 80


class End:
    """Standard input has ended."""


Enter = Callable[[str | End], None]  # called in the thread that reads


class Screen:
    """Where a person types, there is a prompt, and what comes is put above it; otherwise lines are just lines."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._is_wrapped = _is_terminal(sys.stdout)
        self._readline: Any = _line_editor() if _is_terminal(sys.stdin) and self._is_wrapped else None
        self._before: Any = _terminal_modes() if self._readline is not None else None

    @property
    def is_typed_at(self) -> bool:
        """Whether what comes in is typed by somebody, who would wait for a server."""
        return _is_terminal(sys.stdin)

    def read(self, enter: Enter) -> None:
        """Call ``enter`` with every line, then with `End`, from a thread of its own: reading cannot be awaited."""
        target = _read_lines if self._readline is None else _read_typed
        threading.Thread(target=target, args=(enter,), daemon=True, name="stdin").start()

    def show(self, shown: Shown) -> None:
        """One message: time, kind, text; below it the options with their numbers."""
        lines = laid_out(shown, self._console, _width() if self._is_wrapped else None)
        if self._readline is None:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        else:
            self._put_above(lines)

    def say(self, text: str) -> None:
        """A line of our own, to standard error: what the server says can be piped on by itself."""
        if self._readline is None or not _is_terminal(sys.stderr):
            typer.echo(f"[{text}]", err=True)
        else:
            self._put_above(list(Text(f"[{text}]").wrap(self._console, _width())))

    def close(self) -> None:
        """Leave the terminal as it was found, and no prompt that nobody reads."""
        if self._readline is not None:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()
            import termios

            termios.tcsetattr(STDIN, termios.TCSADRAIN, self._before)

    def _put_above(self, lines: list[Text]) -> None:
        # What was typed may go over several rows; the cursor is taken to be in the last of them.
        rows = cell_len(PROMPT + self._readline.get_line_buffer()) // _width()
        sys.stdout.write("".join(above(self._rendered(line), rows) for line in lines))
        sys.stdout.flush()

    def _rendered(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, soft_wrap=True, end="")
        return capture.get()


def above(line: str, rows: int) -> str:
    """What inserts a line above the row of the cursor and ``rows`` more, and leaves the cursor where it stood.

    Whoever edits the row need not know of it. The sequences are those of a VT102 (ECMA-48): index and back, so that
    there is a row below; save the cursor; up; insert a line; restore; down.
    """
    up = f"\x1b[{rows}A" if rows else ""
    return f"\x1bD\x1b[A\x1b7{up}\x1b[L\r{line}\x1b8\x1b[B"


def laid_out(shown: Shown, console: Console, width: int | None) -> list[Text]:
    """The lines of a message, wrapped at words and indented to where the text begins; as it is for None."""
    head = Text.assemble((f"{shown.at:8} ", "dim"), (f"{shown.kind} ", STYLES.get(shown.kind, "bold")))
    lines = _wrapped(head, Text(shown.text), console, width)
    for number, option in enumerate(shown.options, 1):
        head = Text.assemble(" " * OPTIONS_AT, (f"{number}. ", "bold"))
        lines += _wrapped(head, Text(option), console, width)
    return lines


def _wrapped(head: Text, text: Text, console: Console, width: int | None) -> list[Text]:
    if width is None:
        return [head + text]
    indent = min(head.cell_len, width // 2)
    parts = text.wrap(console, width - indent)
    for part in parts:
        part.rstrip()
    further = [Text(" " * indent) + part for part in parts]
    if head.cell_len > indent or not further:
        return [*head.wrap(console, width), *further]
    return [head + further[0][indent:], *further[1:]]


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
