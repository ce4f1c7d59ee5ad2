"""What a YAML parser says of broken text, put so that the author of a rule sees what to mend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import yaml

SYNTAX = "yaml-syntax"

# From what stands before and behind the place, and the line in which the construct begins.
Explain = Callable[[str, str, int], str]


def explain_syntax(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> tuple[int, int, str]:
    """Line and column from 1, and what is wrong there.

    libyaml and PyYAML's own parser word their complaints differently, so both wordings are recognised; what
    neither table knows is passed on as it is.
    """
    problem = error.problem or "the text cannot be read"
    context = error.context or ""
    mark = error.problem_mark or error.context_mark
    start = error.context_mark or mark
    if mark is None or start is None:
        return 1, 1, f"not valid YAML: {problem}"
    for part, of_context, at_start, explain in EXPLANATIONS:
        if part in problem and of_context in context:
            place = start if at_start else mark
            line = lines[place.line] if place.line < len(lines) else ""
            return place.line + 1, place.column + 1, explain(line[: place.column], line[place.column :], start.line + 1)
    found = f"{context}: {problem}" if context else problem
    return mark.line + 1, mark.column + 1, f"not valid YAML: {found}"


def _bad_start(_before: str, rest: str, _line: int) -> str:
    if rest.startswith("\t"):
        return "a tab cannot indent; use spaces"
    return f'text that begins with "{rest[:1]}" must stand in quotes'


def _bad_key(before: str, rest: str, line: int) -> str:
    if before.rstrip().endswith(("'", '"')):
        return "nothing can follow the closing quote; put all of the text in quotes, of the other kind"
    if rest.startswith("- "):
        return f'a list item cannot stand here; the block that begins in line {line} has "key: value"'
    where = f"in the block that begins in line {line}"
    return f'expected "key: value" {where}; check the indentation, and the quotes before this'


def _no_end(text: str) -> Explain:
    def explain(_before: str, rest: str, line: int) -> str:
        return f"{text} {line}" + ('; a text with ": " in it must stand in quotes' if rest.startswith(": ") else "")

    return explain


def _says(text: str) -> Explain:
    return lambda _before, _rest, line: text.format(line=line)


NOT_CLOSED = "the quoted text that begins here has no end"
NOT_AN_ITEM = 'expected "- " as in the list that begins in line {line}'
NOT_BELOW = 'the text after "|" or ">" must begin on the next line'

# Part of the problem, part of its context, whether the context's place is the better one, and the text. The
# first that fits is taken.
EXPLANATIONS: tuple[tuple[str, str, bool, Explain], ...] = (
    ("cannot start any token", "", False, _bad_start),
    ("mapping values are not allowed", "", False, _says(
        'a ":" cannot stand here; a text with ": " in it must stand in quotes (or check the indentation)')),
    ("sequence entries are not allowed", "", False, _says('a list item "-" must begin on a line of its own')),
    ("could not find expected ':'", "", True, _says('expected ":" after this key')),
    ("did not find expected key", "", False, _bad_key),
    ("expected <block end>", "block mapping", False, _bad_key),
    ("did not find expected '-'", "", False, _says(NOT_AN_ITEM)),
    ("expected <block end>", "block", False, _says(NOT_AN_ITEM)),
    ("or ']'", "", False, _no_end('expected "," or "]" in the list that begins in line')),
    ("or '}'", "", False, _no_end('expected "," or "}" in the mapping that begins in line')),
    ("end of stream", "", True, _says(NOT_CLOSED)),
    ("unexpected document", "", True, _says(NOT_CLOSED)),
    ("unknown escape character", "", False, _says(
        r'unknown escape in double quotes; write "\\" for a backslash, or use single quotes')),
    ("Unicode character escape", "", False, _says("this escape in double quotes names no character")),
    ("escape sequence", "", False, _says("expected more hexadecimal digits in this escape")),
    ("did not find expected hexdecimal number", "", False, _says("expected more hexadecimal digits in this escape")),
    ("alphabetic or numeric", "alias", True, _says('text that begins with "*" must stand in quotes')),
    ("alphabetic or numeric", "anchor", True, _says('text that begins with "&" must stand in quotes')),
    ("expected node content", "", False, _says("expected a value here")),
    ("expected the node content", "", False, _says("expected a value here")),
    ("tag", "", False, _says('text that begins with "!" must stand in quotes; tags are not allowed')),
    ("comment or line break", "block scalar", False, _says(NOT_BELOW)),
    ("indentation indicators", "block scalar", False, _says(NOT_BELOW)),
    ("<document start>", "", False, _says('nothing can stand after the "..." that ends the document')),
)  # fmt: skip
