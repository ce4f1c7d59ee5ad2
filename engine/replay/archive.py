"""The files in a tar (POSIX.1-2017, pax; GNU long names), one after the other as they come. It writes none to disk.

Headers are parsed by `tarfile`; going through them is done here, so that no header can ask for more room than a bound.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from engine.replay.bad_records import BadLine

SECTOR = 512
MAGIC_AT, MAGIC = 257, b"ustar"
EXTENSION_BYTES_MAX = 1 << 20  # of a long name, or of what pax says of a file
_NAME_OF_NEXT, _SAYS_OF_NEXT, _SAYS_OF_ALL = tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE
_LEFT_OUT = (tarfile.GNUTYPE_LONGLINK, tarfile.SOLARIS_XHDTYPE)


def is_tar(start: bytes) -> bool:
    """By the first sector of what is unpacked."""
    return start[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


class Member(NamedTuple):
    """A file of an archive; ``content`` can be read until the next member is asked for."""

    name: str
    content: Content


class Content:
    """The bytes of one member, as a stream."""

    def __init__(self, archive: _Bytes, size: int) -> None:
        self._archive = archive
        self.left = size

    def read(self, size: int, /) -> bytes:
        """Raises `BadLine` where the archive breaks off."""
        found = self._archive.some(min(size, self.left)) if self.left else b""
        self.left -= len(found)
        return found


def members(blocks: Iterator[bytes]) -> Iterator[Member | BadLine]:
    """The files of an archive in its order; links, folders and devices are left out, and so are hidden files.

    A file with holes is a bad record. Raises `BadLine` where the archive breaks off or is damaged.
    """
    archive = _Bytes(blocks)
    name: str | None = None
    said: dict[bytes, bytes] = {}
    while (header := _header(archive)) is not None:
        padding = -header.size % SECTOR
        if header.type in (_NAME_OF_NEXT, _SAYS_OF_NEXT, _SAYS_OF_ALL, *_LEFT_OUT):
            content = archive.exactly(_bounded(header.size))
            archive.skip(padding)
            if header.type == _NAME_OF_NEXT:
                name = _shown(content.rstrip(b"\0"))
            elif header.type == _SAYS_OF_NEXT:
                said = _said(content)
            continue
        if b"path" in said:
            name = _shown(said[b"path"])
        name, size = name or _shown(header.name.encode("utf-8", "surrogateescape")), header.size
        if b"size" in said:
            size = _number(said[b"size"])
            padding = -size % SECTOR
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise BadLine("archive with holes", f"{name} is a sparse file")
        content_of = Content(archive, size)
        if any(key.startswith(b"GNU.sparse.") for key in said):
            yield BadLine("archive with holes", f"{name} is a sparse file")
        elif header.isreg() and not any(part.startswith(".") for part in name.split("/") if part != "."):
            yield Member(name, content_of)
            if archive.damage is not None:
                return
        archive.skip(content_of.left + padding)
        name, said = None, {}


def _header(archive: _Bytes) -> tarfile.TarInfo | None:
    """The next header, None at the end."""
    sector = archive.exactly(SECTOR, or_end=True)
    if not sector.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(sector, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise BadLine("damaged archive", str(error)) from None
    if header.size < 0:
        raise BadLine("damaged archive", "a file of negative size")
    return header


def _bounded(size: int) -> int:
    if size > EXTENSION_BYTES_MAX:
        raise BadLine("damaged archive", f"a name of more than {EXTENSION_BYTES_MAX >> 20} MiB")
    return size


def _said(content: bytes) -> dict[bytes, bytes]:
    """The records of an extended header: ``"27 path=a/long/name.jsonl\\n"``, the length of each before it."""
    said = {}
    while content.rstrip(b"\0"):
        length, space, _ = content.partition(b" ")
        size = _number(length)
        if not space or not len(length) + 1 < size <= len(content):
            raise BadLine("damaged archive", "a bad extended header")
        key, _, value = content[len(length) + 1 : size - 1].partition(b"=")
        said[key] = value
        content = content[size:]
    return said


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise BadLine("damaged archive", "a bad extended header")
    return int(digits)


def _shown(name: bytes) -> str:
    """A name as messages can have it."""
    return "".join(c if c.isprintable() else "?" for c in name.decode("utf-8", "replace"))


class _Bytes:
    """Bytes that come in blocks, in the sizes that are asked for."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self.damage: BadLine | None = None  # which whoever was reading has been told of

    def some(self, most: int) -> bytes:
        """At most so many, at least one. Raises `BadLine` where there are no more."""
        if not self._fill():
            self.damage = BadLine("truncated archive", "the rest of it is missing")
            raise self.damage
        found, self._rest = self._rest[:most], self._rest[most:]
        return bytes(found)

    def exactly(self, size: int, or_end: bool = False) -> bytes:
        """So many, or with ``or_end`` none where there are no more."""
        if or_end and not self._fill():
            return b""
        found = b""
        while len(found) < size:
            found += self.some(size - len(found))
        return found

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.some(size))

    def _fill(self) -> bool:
        while not self._rest:
            if self.damage is not None:
                raise self.damage
            try:
                block = next(self._blocks, None)
            except BadLine as damage:
                self.damage = damage
                raise
            if block is None:
                return False
            self._rest = memoryview(block)
        return True
