"""Packed bytes to what they are: gzip and Zstandard, known by their first bytes. It opens nothing.

What comes out is bounded at each step, however little went in: at most `BLOCK_BYTES`, and a window of
`WINDOW_BYTES_MAX`.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Generator, Iterator
from itertools import chain

from engine.replay.bad_records import BadLine

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# The lines of a block lie in the cache of a core while they are decoded: reading takes half of what it does with 1 MiB.
BLOCK_BYTES = 128 << 10
GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, section 3.1.1
SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # RFC 8878, section 3.1.2: behind a byte from 0x50 to 0x5f
MAGIC_BYTES = 4
PIECE_BYTES = 4096  # of a Zstandard file, handed over at once
WINDOW_LOG_MAX = 27  # 128 MiB, which is what `zstd` itself takes without being asked
WINDOW_BYTES_MAX = 1 << WINDOW_LOG_MAX


def unpack(raw: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The bytes, unpacked where their beginning says that they are packed.

    Raises `BadLine` where what is packed breaks off or is damaged: what was yielded before that was read.
    """
    first = next(raw, b"")
    # A pipe may hand over its first byte alone.
    while len(first) < MAGIC_BYTES and (more := next(raw, b"")):
        first += more
    if first.startswith(GZIP_MAGIC):
        yield from _told(_gunzip(first, raw), BadLine("truncated gzip", _REST_MISSING), BadLine("damaged gzip"))
    elif first.startswith(ZSTD_MAGIC) or (first[1:4] == SKIPPABLE_MAGIC and 0x50 <= first[0] <= 0x5F):
        yield from _told(_unzstd(first, raw), BadLine("truncated zstd", _REST_MISSING), BadLine("damaged zstd"))
    else:
        yield first
        yield from raw


_REST_MISSING = "the rest of the file is missing"


def _told(blocks: Iterator[bytes], truncated: BadLine, damaged: BadLine) -> Iterator[bytes]:
    try:
        yield from blocks
    except EOFError:
        raise truncated from None
    except (zlib.error, zstd.ZstdError) as error:
        damaged.detail = str(error)
        raise damaged from None


def _gunzip(first: bytes, raw: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip file (RFC 1952, section 2.2)."""
    unpacker = zlib.decompressobj(wbits=31)
    packed: bytes = first
    while True:
        if packed:
            before = unpacker.copy()
            try:
                block = unpacker.decompress(packed, BLOCK_BYTES)
            except zlib.error:
                yield _before_damage(before, packed)
                raise
            packed = unpacker.unconsumed_tail
            if block:
                yield block
        if unpacker.eof:
            # Zeros may pad the last member; anything else is the next member.
            packed = unpacker.unused_data.lstrip(b"\0")
            while not packed:
                more = next(raw, None)
                if more is None:
                    return
                packed = more.lstrip(b"\0")
            unpacker = zlib.decompressobj(wbits=31)
        elif not packed:
            more = next(raw, None)
            if more is None:
                raise EOFError
            packed = more


def _before_damage(unpacker: zlib._Decompress, packed: bytes) -> bytes:
    """What comes out before the damage, byte by byte: a call that meets it keeps back what it had unpacked."""
    found = bytearray()
    try:
        while packed:
            found += unpacker.decompress(packed, 1)
            packed = unpacker.unconsumed_tail
    except zlib.error:
        pass
    return bytes(found)


def _unzstd(first: bytes, raw: Iterator[bytes]) -> Iterator[bytes]:
    """All frames of a Zstandard file (RFC 8878, section 3.1), the ones to be skipped among them."""
    unpacker = _frame()
    found = bytearray()
    try:
        for packed in _small_pieces(first, raw):
            rest = packed
            while rest or not (unpacker.needs_input or unpacker.eof):
                if unpacker.eof:
                    unpacker = _frame()
                # What was held back at the limit comes without further bytes.
                found += unpacker.decompress(rest, BLOCK_BYTES)
                rest = unpacker.unused_data
                if len(found) >= BLOCK_BYTES:
                    yield bytes(found)
                    found.clear()
    except zstd.ZstdError:
        yield bytes(found)
        raise
    yield bytes(found)
    if not unpacker.eof:
        raise EOFError


def _small_pieces(first: bytes, raw: Iterator[bytes]) -> Iterator[bytes]:
    """A call that meets damage keeps back what it had unpacked, so it gets little at once."""
    for block in chain([first], raw):
        for start in range(0, len(block), PIECE_BYTES):
            yield block[start : start + PIECE_BYTES]


def _frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})
