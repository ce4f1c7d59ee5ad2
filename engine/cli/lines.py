"""Lines of text as they are shown: whole to a program that searches them, wrapped to a person. It prints nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from textwrap import wrap

WIDTH = 80


def fitted(lines: Iterable[str], err: bool = False) -> list[str]:
    """The same lines; wrapped at `WIDTH` where the output, or with ``err`` the error stream, is a terminal."""
    stream = sys.stderr if err else sys.stdout
    return [part for line in lines for part in wrapped(line)] if stream.isatty() else list(lines)


def wrapped(line: str) -> list[str]:
    """A line in several, of which all but the first are indented. Words are not broken."""
    return wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
