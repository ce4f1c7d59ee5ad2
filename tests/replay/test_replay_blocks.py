"""Bytes to lines: what is wrong with the bytes is a bad record, and what could be read counts."""

from __future__ import annotations

import gzip
import os
import threading

import pytest

from engine.replay import blocks
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import LINE_BYTES_MAX, is_store, read_lines
from engine.replay.unpack import BLOCK_BYTES


def lines_of(path):
    bad = BadRecords()
    found = [(number, line) for first, lines in read_lines(str(path), bad) for number, line in enumerate(lines, first)]
    return found, [(record.line, record.reason) for record in bad.shown], bad


def put(tmp_path, content, name="log"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a", [(1, b"a")]),
        (b"a\n", [(1, b"a")]),
        (b"a\n\nb", [(1, b"a"), (2, b""), (3, b"b")]),
        (b"a\r\nb\r\n", [(1, b"a\r"), (2, b"b\r")]),
        (b"\xef\xbb\xbfa\n", [(1, b"a")]),
        (b"\n", [(1, b"")]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_numbered_from_one_plain_and_packed(tmp_path, content, expected, packed):
    path = put(tmp_path, gzip.compress(content) if packed else content)
    assert lines_of(path)[:2] == (expected, [])


def test_a_line_that_is_not_utf_8_is_bad_and_the_others_count(tmp_path):
    found, bad, _ = lines_of(put(tmp_path, b"a\nb\xffc\n\xc3\xa9\n"))
    assert found == [(1, b"a"), (2, b""), (3, "é".encode())]
    assert bad == [(2, "not UTF-8")]


def test_a_truncated_gzip_is_one_bad_record_and_the_whole_lines_before_count(tmp_path):
    content = b"".join(b'{"n": %d}\n' % number for number in range(20_000))
    packed = gzip.compress(content)
    found, bad, _ = lines_of(put(tmp_path, packed[: len(packed) // 2]))
    assert found
    assert b"\n".join(line for _, line in found) == content[: sum(len(line) + 1 for _, line in found) - 1]
    assert bad == [(len(found) + 1, "truncated gzip")]


def test_a_gzip_without_its_last_byte_is_truncated_though_all_lines_are_there(tmp_path):
    found, bad, _ = lines_of(put(tmp_path, gzip.compress(b"a\nb\n")[:-1]))
    assert found == [(1, b"a"), (2, b"b")]
    assert bad == [(3, "truncated gzip")]


def test_a_damaged_gzip_is_one_bad_record(tmp_path):
    # The line in which the damage is met is shown with it and does not count.
    packed = bytearray(gzip.compress(b"a\nb\nc\n"))
    packed[-6] ^= 0xFF  # in the CRC-32 (RFC 1952, section 2.3.1)
    found, bad, _ = lines_of(put(tmp_path, bytes(packed)))
    assert found == [(1, b"a"), (2, b"b")]
    assert [reason for _, reason in bad] == ["damaged gzip"]


def test_the_members_of_a_gzip_follow_each_other_and_zeros_may_pad_it(tmp_path):
    packed = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + gzip.compress(b"") + b"\0" * 100
    assert lines_of(put(tmp_path, packed))[:2] == ([(1, b"a"), (2, b"bc")], [])


def test_a_line_may_be_as_long_as_the_limit_and_no_longer(tmp_path):
    at_limit, one_more = b"x" * LINE_BYTES_MAX, b"y" * (LINE_BYTES_MAX + 1)
    found, bad, _ = lines_of(put(tmp_path, at_limit + b"\n" + one_more + b"\nz\n" + one_more))
    assert [(number, len(line)) for number, line in found] == [(1, LINE_BYTES_MAX), (2, 0), (3, 1)]
    assert bad == [(2, "line too long"), (4, "line too long")]


def test_a_line_without_end_takes_no_more_room_than_the_limit(tmp_path):
    path = put(tmp_path, gzip.compress(b"x" * (4 * LINE_BYTES_MAX) + b"\nlast\n", 1))
    found, bad, _ = lines_of(path)
    assert found[-1] == (2, b"last")
    assert bad == [(1, "line too long")]


def test_lines_may_lie_across_blocks(tmp_path):
    content = b"\n".join(b"%d" % number * (number % 90) for number in range(40_000))
    assert len(content) > 2 * BLOCK_BYTES
    found, bad, _ = lines_of(put(tmp_path, content))
    assert b"\n".join(line for _, line in found) == content
    assert [number for number, _ in found] == list(range(1, 40_001))
    assert bad == []


def test_progress_adds_up_to_the_size_of_the_file(tmp_path):
    path = put(tmp_path, gzip.compress(os.urandom(3 * BLOCK_BYTES)))
    told: list[int] = []
    for _ in blocks.read_blocks(str(path), told.append):
        pass
    assert sum(told) == path.stat().st_size


def test_a_pipe_that_hands_over_single_bytes_is_read_like_a_file(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(b"a\nb\n")

    def write():
        with path.open("wb", buffering=0) as stream:
            for byte in packed:
                stream.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    assert lines_of(path)[:2] == ([(1, b"a"), (2, b"b")], [])
    writer.join()


def test_a_store_is_known_by_its_first_bytes_not_by_its_name(tmp_path):
    assert is_store(str(put(tmp_path, b"SQLite format 3\x00 and so on", "anything")))
    assert not is_store(str(put(tmp_path, b'{"a": 1}', "proactive.db")))
    assert not is_store("-")


def test_only_the_first_bad_records_are_kept_and_all_are_counted(tmp_path):
    _, shown, bad = lines_of(put(tmp_path, b"\xff\n" * 7))
    assert len(shown) == 5
    assert bad.counts == {"not UTF-8": 7}
    assert bad.total == 7
