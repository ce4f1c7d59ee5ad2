"""JSON documents to the records in them, without holding a document: where each begins and ends. It decodes none.

A document is any number of JSON values, one behind the other. Records are the items of the lists that are asked
for, and the objects that have no such list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterator

import msgspec

from engine.replay.bad_records import BadLine
from engine.replay.blocks import BOM, LINE_BYTES_MAX

DEPTH_END = 100_000  # of lists and objects within each other, at which nobody looks further for an end
OUTERMOST = ""  # the path of a list that is the document itself
# A text, also one that never ends; a sign; or anything else up to the next of them.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(")?|[\[\]{}:,]|[^\s"\[\]{}:,]+', re.DOTALL)
_TEXT_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+(")?|[\[\]{}]', re.DOTALL)
_QUOTE, _OPENING = ord('"'), b"[{"

Element = bytes | BadLine


def elements(
    blocks: Iterator[bytes],
    within: Collection[str] = (OUTERMOST,),
    alone: bool = True,
    longest: int = LINE_BYTES_MAX,
) -> Iterator[Element]:
    """The records of the lists at the paths ``within`` (`OUTERMOST`, ``batch``, ``a.b``), as JSON texts.

    A value that has no such list is a record itself, or without ``alone`` a bad one; ``longest`` is how many bytes a
    record may have. Raises `BadLine` where the
    document has no end, and what ``blocks`` raises.
    """
    tokens = _Tokens(blocks, longest)
    looked_into = any(within)
    while token := tokens.next():
        tokens.keep(token)
        if token == b"[" and OUTERMOST in within:
            tokens.drop()
            yield from _items(tokens)
            continue
        if token == b"{" and looked_into:
            found = yield from _members(tokens, within, "")
        else:
            found = False
            tokens.finish(token)
        record = tokens.kept()
        if not found:
            yield record if alone else BadLine("no records", f"expected a list at {' or '.join(within) or 'the top'}")


def _items(tokens: _Tokens) -> Iterator[Element]:
    """The items of a list that has been opened."""
    while (token := tokens.must()) != b"]":
        if token != b",":
            tokens.keep(token)
            tokens.finish(token)
            yield tokens.kept()


def _members(tokens: _Tokens, within: Collection[str], path: str) -> Generator[Element, None, bool]:
    """The records within an object that has been opened; gives back whether it has a list of them."""
    found = False
    key: str | None = None
    while (token := tokens.must()) != b"}":
        if token in (b",", b":"):
            continue
        if key is None:
            key = path + _text(token)
            continue
        if token == b"[" and key in within:
            found = True
            tokens.drop()
            yield from _items(tokens)
        elif token == b"{" and any(wanted.startswith(f"{key}.") for wanted in within):
            found = (yield from _members(tokens, within, f"{key}.")) or found
        else:
            tokens.finish(token)
        key = None
    return found


def _text(token: bytes) -> str:
    try:
        return msgspec.json.decode(token, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


class _Tokens:
    """The tokens of a stream of JSON, and the bytes of what is being kept of it."""

    def __init__(self, blocks: Iterator[bytes], longest: int) -> None:
        self._blocks = blocks
        self._longest = longest
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._begun = False
        self._from: int | None = None  # where in the buffer that begins which is kept
        self._parts: list[bytes] = []
        self._size = 0
        self._is_cut = False  # whether a text that has no end was cut in what came since

    def must(self) -> bytes:
        """The next token, where there has to be one."""
        token = self.next()
        if not token:
            raise BadLine("truncated JSON", "the document has no end")
        return token

    def next(self) -> bytes:
        """The next token, b"" at the end."""
        if self._from is None:
            self._is_cut = False
        while True:
            found = _TOKEN.search(self._buffer, self._at)
            if found is None:
                if not self._more(len(self._buffer)):
                    return b""
            # What reaches to the end of the block may go on in the next.
            elif not self._ended and found[0] not in _SIGNS and not found[1] and self._goes_on(found):
                self._more(found.start())
            else:
                self._at = found.end()
                return found[0]

    def _goes_on(self, found: re.Match[bytes]) -> bool:
        return self._buffer[found.start()] == _QUOTE or found.end() == len(self._buffer)

    def finish(self, token: bytes) -> None:
        """Go to the end of the value that begins with the token."""
        if token not in (b"[", b"{"):
            return
        depth = 1
        while True:
            resume = len(self._buffer)
            for found in _TEXT_OR_BRACKET.finditer(self._buffer, self._at):
                sign = self._buffer[found.start()]
                if sign == _QUOTE:
                    if not found[1]:
                        resume = found.start()
                        break
                elif sign in _OPENING:
                    depth += 1
                    if depth > DEPTH_END:
                        raise BadLine("nested too deeply", f"more than {DEPTH_END:,} levels")
                else:
                    depth -= 1
                    if not depth:
                        self._at = found.end()
                        return
            if not self._more(resume):
                raise BadLine("truncated JSON", "the document has no end")

    def _more(self, start: int) -> bool:
        """One block more, and of what there was that from ``start`` on."""
        if self._from is not None:
            self._hold(self._buffer[self._from : start])
            self._from = 0
        rest = self._buffer[start:]
        if len(rest) > self._longest:
            # A text without end: so much of it is not held, and what comes is still within a text.
            self._is_cut = True
            backslashes = len(rest) - len(rest.rstrip(b"\\"))
            rest = b'"' + b"\\" * (backslashes % 2)
        block = next(self._blocks, None)
        self._ended = block is None
        if block is not None and not self._begun:
            while len(block) < len(BOM) and (more := next(self._blocks, None)) is not None:
                block += more
            block, self._begun = block.removeprefix(BOM), True
        self._buffer = rest + (block or b"")
        self._at = 0
        return not self._ended

    def keep(self, token: bytes) -> None:
        """Keep what comes, from the token on that came last."""
        self._from = self._at - len(token)
        self._parts, self._size = [], 0

    def drop(self) -> None:
        self._from = None
        self._parts, self._size = [], 0

    def kept(self) -> Element:
        """What has been kept, and no more from here on."""
        if self._from is not None:
            self._hold(self._buffer[self._from : self._at])
        record = b"".join(self._parts)
        too_long = self._is_cut or self._size > self._longest
        self.drop()
        return BadLine("record too long", f"more than {self._longest >> 20} MiB") if too_long else record

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._longest:
            self._parts = []
        else:
            self._parts.append(part)


_SIGNS = frozenset({b"[", b"]", b"{", b"}", b":", b","})
