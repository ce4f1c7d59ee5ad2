"""Text of others, made fit for a terminal. It knows no terminal and no frame.

Whatever a server, a rule or another person wrote goes through here before it is shown: a message must not move the
cursor, change a title, or turn the direction in which the rest of a row is read.
"""

from __future__ import annotations

import re
from unicodedata import category

# Joiners of emoji and of Persian and Indic words: invisible, and without effect on what stands around them.
JOINERS = "\u200c\u200d"
_SUSPECT = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str) -> str:
    """The text without what would steer a terminal: each such character becomes U+FFFD. Lines and tabs stay."""
    return _SUSPECT.sub(_harmless, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """As `printable`, in a single line."""
    return " ".join(printable(text).split())


def _harmless(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable() or char in JOINERS or char == "\t" or category(char) == "Zs":
        return char
    return "\N{REPLACEMENT CHARACTER}"
