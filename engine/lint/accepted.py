"""Findings that the author accepts: ``# lint: ok CODE`` at the end of the line, or on a line of its own above it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.lint.finding import CODES, Finding
from engine.loading.comments import Comment, comments_of
from engine.loading.tree import Tree
from engine.loading.wording import did_you_mean

_ACCEPT = re.compile(r"\s*lint:\s*ok\b[\s:]*(.*)", re.DOTALL)
_CODE = re.compile(r"[a-z][a-z-]*")


class Accepted:
    """The accepting comments of one file, and which of them have been of use."""

    def __init__(self, tree: Tree) -> None:
        self.path = tree.path
        self._used: set[tuple[int, str]] = set()
        # Line that is meant → comments and the codes they name.
        self._by_line: dict[int, list[tuple[Comment, tuple[str, ...]]]] = {}
        comments = comments_of(tree.text)
        alone = {comment.line for comment in comments if comment.alone}
        for comment in comments:
            match = _ACCEPT.match(comment.text)
            if match is None:
                continue
            line = comment.line
            while line in alone:
                line += 1
            # What follows the codes, behind a dash or in brackets, are the author's reasons.
            codes = tuple(_codes(match.group(1)))
            self._by_line.setdefault(line, []).append((comment, codes))

    def accepts(self, finding: Finding) -> bool:
        taken = False
        for comment, codes in self._by_line.get(finding.line, ()):
            if finding.code in codes:
                self._used.add((comment.line, finding.code))
                taken = True
        return taken

    def unused(self, looked_for: Iterable[str]) -> Iterator[Finding]:
        """A finding for each code that was accepted and not found, of those that were looked for."""
        looked = frozenset(looked_for)
        for comment, codes in (entry for entries in self._by_line.values() for entry in entries):
            place = (self.path, comment.line, comment.column)
            if not codes:
                hint = 'write "# lint: ok CODE"; the codes stand in brackets behind each finding'
                yield Finding(*place, "this accepts no code", "unused-accept", hint)
            for code in codes:
                if code not in CODES:
                    hint = did_you_mean(code, CODES) or "the codes stand in brackets behind each finding"
                    yield Finding(*place, f'there is no finding "{code}"', "unused-accept", hint)
                elif code in looked and (comment.line, code) not in self._used:
                    message = f'"{code}" is accepted here and not found'
                    yield Finding(*place, message, "unused-accept", "leave the comment out")


def _codes(text: str) -> Iterator[str]:
    """``a-code, another-code`` and nothing of what follows."""
    rest = text
    while match := re.match(r"\s*,?\s*", rest):
        code = _CODE.match(rest, match.end())
        if code is None or (rest is not text and "," not in match.group()):
            return
        yield code.group()
        rest = rest[code.end() :]
