"""The text of an expression made ready for Python's parser, character for character. Knows no names.

What Python would accept and an author can hardly mean is refused here: a comment (folded YAML would put the
rest of the condition behind it), two texts side by side (a comma was forgotten), an escape such as ``\\b``
outside ``r"…"`` (a backspace).
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from datetime import timedelta
from unicodedata import is_normalized

from engine.core.refusal import Refused
from engine.core.units import parse_duration, to_timedelta

SOURCE_MAX = 2_000  # characters
NESTING_MAX = 32  # brackets within brackets, and operations within operations
REST_SHOWN_MAX = 20  # characters of what cannot be read
_BETWEEN = ("matches", "contains", "startswith", "endswith")  # functions that other languages have as operators

_TOKEN = re.compile(
    r"""
    (?P<number>(?:0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
        | (?:[0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
  | (?P<duration>[0-9][\w.]*)
  | (?P<text>(?P<prefix>[bBfFrRtTuU]{0,2})(?P<quote>["']))
  | (?P<word>\w+)
  | (?P<space>\s+)
  | (?P<sign>[=!<>:]=|&&|\|\||//|\*\*|.)
    """,
    re.VERBOSE,
)
_NEXT_TEXT = re.compile(r"""\s*[bBfFrRtTuU]{0,2}["']""")
_ESCAPE = re.compile(r"""\\(?:[\\'"nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4})""")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_REFUSED_SIGNS = {
    "=": 'write "==" to compare',
    "&&": 'write "and"',
    "||": 'write "or"',
    "!": 'write "not"',
    "#": "a comment belongs into the YAML, outside the expression",
    "**": "there is no power operator",
    ":=": "an expression cannot name values",
    "{": "there are no mappings and no sets; a list is written [a, b]",
    "\\": "an expression may simply run over several lines",
    ";": 'write "and", or a list of conditions',
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """``text`` is as long as the source and on one line; where a duration stood is a run of underscores.

    ``durations`` are those spans, by the position of their first character.
    """

    text: str
    durations: dict[int, timedelta]


def prepare(source: str) -> Prepared:
    """Raises `Refused` with the offset of what is wrong."""
    if len(source) > SOURCE_MAX:
        raise Refused(
            f"expected an expression of at most {SOURCE_MAX} characters, got {len(source)}",
            code="too-large",
            hint="conditions may be a list; all of it must hold",
        )
    parts: list[str] = []
    durations: dict[int, timedelta] = {}
    open_brackets: list[tuple[str, int]] = []
    position, before = 0, ""
    while position < len(source):
        match = _TOKEN.match(source, position)
        assert match is not None  # every character is some token: the last alternative and \s take any
        token, kind = match.group(), match.lastgroup
        if match.group("quote"):
            kind, token = "text", _text_literal(source, match)
        elif kind == "duration":
            durations[position] = _duration(token, position)
        elif kind == "word":
            _check_word(token, position, after_point=before == ".")
        elif kind == "sign":
            _check_sign(token, position, open_brackets)
        parts.append(_plain(kind, token))
        if kind != "space":
            before = token
        position += len(token)
    if open_brackets:
        bracket, opened = open_brackets[-1]
        raise _bad(f'"{bracket}" is never closed', opened)
    return Prepared("".join(parts), durations)


def _plain(kind: str | None, token: str) -> str:
    """The token as Python reads it, in as many characters."""
    if kind == "duration":
        return "_" * len(token)
    return " " * len(token) if kind == "space" else token


def _text_literal(source: str, match: re.Match[str]) -> str:
    start, quote, prefix = match.start(), match.group("quote"), match.group("prefix").lower()
    if prefix not in ("", "r"):
        raise _bad(f'expected a text, got a text with the prefix "{prefix}"', start, 'a plain text or r"…"')
    position = match.end()
    if source.startswith(quote * 2, position):
        raise _bad("expected a text in single quotation marks, got three", start)
    while position < len(source) and source[position] not in "\r\n":
        character = source[position]
        if character == quote:
            end = position + 1
            if _NEXT_TEXT.match(source, end):
                raise _bad("two texts stand side by side", start, "a comma or an operator is missing between them")
            return source[start:end]
        if character == "\\":
            if prefix == "" and not _ESCAPE.match(source, position):
                raise _bad(
                    f'"{source[position : position + 2]}" is no escape',
                    position,
                    f"write the text as r{quote}…{quote}, which keeps its backslashes",
                )
            position += 1
        position += 1
    raise _bad("the text is never closed", start)


def _duration(token: str, position: int) -> timedelta:
    try:
        return to_timedelta(parse_duration(token))
    except Refused as refused:
        raise _bad(refused.message, position) from None


def _check_word(word: str, position: int, *, after_point: bool) -> None:
    if after_point and keyword.iskeyword(word):
        raise _bad(f'"{word}" has a meaning of its own and cannot follow a point', position, f'write ["{word}"]')
    if not is_normalized("NFKC", word):
        # The parser would quietly look for another name than the one that is written.
        raise _bad(f'the name "{word}" is not in Unicode normal form', position, f'write ["{word}"] behind its owner')


def _check_sign(sign: str, position: int, open_brackets: list[tuple[str, int]]) -> None:
    hint = _REFUSED_SIGNS.get(sign)
    if hint is not None:
        raise _bad(f'"{sign}" has no meaning in an expression', position, hint)
    if sign in _CLOSING:
        open_brackets.append((sign, position))
        if len(open_brackets) > NESTING_MAX:
            raise Refused(f"brackets are nested deeper than {NESTING_MAX}", code="too-large", offset=position)
    elif sign in _CLOSING.values():
        if not open_brackets or _CLOSING[open_brackets[-1][0]] != sign:
            raise _bad(f'"{sign}" closes nothing', position)
        open_brackets.pop()


def _bad(message: str, offset: int, hint: str = "") -> Refused:
    return Refused(message, code="bad-expression", offset=offset, hint=hint)


def unread(rest: str) -> str:
    """What is wrong with a text that is no expression from ``rest`` on."""
    found = rest[:REST_SHOWN_MAX].strip()
    word = found.partition(" ")[0]
    if word in _BETWEEN:
        return f'"{word}" does not stand between values; write {word}(…, …)'
    return f'the expression cannot be read from "{found}" on' if found else "the expression ends too early"
