"""Packed bytes to what they are: all of it, and where it is damaged what came before."""

from __future__ import annotations

import gzip
import os
import sys

import pytest

from engine.replay.bad_records import BadLine
from engine.replay.unpack import BLOCK_BYTES, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SKIPPED = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # RFC 8878, section 3.1.2
CHECKED = {zstd.CompressionParameter.checksum_flag: 1}


def unpacked(packed: bytes, step: int = 1 << 16) -> tuple[bytes, str | None]:
    found = b""
    try:
        for block in unpack(packed[start : start + step] for start in range(0, len(packed), step)):
            assert len(block) <= 2 * BLOCK_BYTES
            found += block
    except BadLine as damage:
        return found, damage.reason
    return found, None


@pytest.mark.parametrize("content", [b"", b"a", b"a\nb\n", b"x" * (3 * BLOCK_BYTES), os.urandom(BLOCK_BYTES + 1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
def test_packed_bytes_come_out_as_they_went_in(content, pack):
    assert unpacked(pack(content)) == (content, None)


@pytest.mark.parametrize("step", [1, 3, 4096])
@pytest.mark.parametrize(
    "packed",
    [
        zstd.compress(b"a\nb") + zstd.compress(b"c\n") + zstd.compress(b""),
        SKIPPED + zstd.compress(b"a\nbc\n"),
        zstd.compress(b"a\nbc\n", options=CHECKED) + SKIPPED,
    ],
)
def test_the_frames_of_a_zstd_follow_each_other_and_some_are_skipped(packed, step):
    assert unpacked(packed, step) == (b"a\nbc\n", None)


def test_a_truncated_zstd_gives_what_came_before():
    content = b"".join(b'{"n": %d}\n' % number for number in range(50_000))
    found, reason = unpacked(zstd.compress(content)[:-5])
    assert reason == "truncated zstd"
    assert found
    assert content.startswith(found)


def test_a_zstd_frame_that_is_there_counts_and_one_that_is_damaged_does_not():
    damaged = bytearray(zstd.compress(b"c\n", options=CHECKED))
    damaged[-1] ^= 0xFF
    found, reason = unpacked(zstd.compress(b"a\nb\n") + bytes(damaged))
    assert reason == "damaged zstd"
    assert found.startswith(b"a\nb\n")


def test_what_follows_a_zstd_and_is_none_is_damage():
    assert unpacked(zstd.compress(b"a\n") + b"plain text") == (b"a\n", "damaged zstd")


def test_a_zstd_that_asks_for_more_room_than_the_bound_is_refused():
    options = {zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.enable_long_distance_matching: 1}
    packer = zstd.ZstdCompressor(options=options)
    found, reason = unpacked(packer.compress(b"a\n") + packer.flush())
    assert (found, reason) == (b"", "damaged zstd")
