"""What an argument stands for: a file, a pipe, the files of a folder or of an archive."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading

import pytest

from engine.replay.archive import EXTENSION_BYTES_MAX, SECTOR
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import read_blocks
from engine.replay.formats.base import Settings
from engine.replay.members import logs_in
from engine.replay.reading import event_batches
from engine.replay.report import details

LINE = b'{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "t"}\n'


def tar(files, form=tarfile.PAX_FORMAT, pack=bytes):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return pack(packed.getvalue())


def read(log):
    bad = BadRecords()
    told = []
    found = [(str(one), b"".join(read_blocks(one, told.append))) for one in logs_in(str(log), bad, told.append)]
    return found, [(record.log, record.line, record.reason) for record in bad.shown], sum(told)


def put(tmp_path, content, name="logs.tar"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


LONG = "a/" + 40 * "very-long/" + "ann.jsonl"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_is_its_files_in_its_order(tmp_path, form, pack):
    files = [("b.jsonl", LINE), ("a/ann.jsonl", b""), ("a/c.jsonl", 100_000 * LINE), ("a/d.jsonl.gz", b"\x1f\x8b")]
    if form != tarfile.USTAR_FORMAT:
        files += [(LONG, LINE), ("é.jsonl", LINE)]
    path = put(tmp_path, tar(files[:3] + files[4:], form, pack))
    found, bad, told = read(path)
    assert found == [(f"{path}:{name}", content) for name, content in files[:3] + files[4:]]
    assert bad == []
    assert told == path.stat().st_size


def test_what_is_packed_in_an_archive_is_unpacked(tmp_path):
    path = put(tmp_path, tar([("a.gz", gzip.compress(LINE))]))
    assert read(path)[0] == [(f"{path}:a.gz", LINE)]


def test_links_folders_and_hidden_files_are_left_out(tmp_path):
    path = put(tmp_path, tar([("./a", LINE), ("link", None), (".hidden", LINE), ("x/._a", LINE), ("../../b", LINE)]))
    assert [name for name, _ in read(path)[0]] == [f"{path}:./a"]


def test_an_archive_in_an_archive_is_a_bad_record(tmp_path):
    path = put(tmp_path, tar([("inner.tar.gz", tar([("a", LINE)], pack=gzip.compress)), ("b", LINE)]))
    found, bad, _ = read(path)
    assert [name for name, _ in found] == [f"{path}:b"]
    assert bad == [(str(path), 1, "archive in an archive")]


def test_a_file_that_is_not_read_to_its_end_does_not_disturb_the_next(tmp_path):
    path = put(tmp_path, tar([("a", 100_000 * LINE), ("b", LINE)]))
    assert [str(log) for log in logs_in(str(path), BadRecords())] == [f"{path}:a", f"{path}:b"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_of_an_archive_that_breaks_off_what_came_before_counts(tmp_path, pack):
    whole = tar([("a", LINE), ("b", os.urandom(3000) + 50_000 * LINE)])
    path = put(tmp_path, pack(whole)[: 1500 if pack is gzip.compress else SECTOR * 12])
    bad = BadRecords()
    events = [event for batch in event_batches([str(path)], Settings(), None, bad) for event in batch]
    assert events
    assert set(bad.counts) - {"not UTF-8", "not JSON"} == {
        "truncated gzip" if pack is gzip.compress else "truncated archive"
    }


def test_a_header_that_asks_for_more_room_than_the_bound_is_damage(tmp_path):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, EXTENSION_BYTES_MAX + 1
    path = put(tmp_path, tar([("a", LINE)])[: 2 * SECTOR] + entry.tobuf() + bytes(1 << 21))
    found, bad, _ = read(path)
    assert [name for name, _ in found] == [f"{path}:a"]
    assert [reason for _, _, reason in bad] == ["damaged archive"]


@pytest.mark.parametrize("said", [b"5 path=a\n", b"x path=a\n", b"9999 path=a\n", b"999999999999999999999 a=b\n"])
def test_a_header_that_contradicts_itself_is_damage(tmp_path, said):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, len(said)
    path = put(tmp_path, entry.tobuf(tarfile.USTAR_FORMAT) + said.ljust(SECTOR, b"\0"))
    assert [reason for _, _, reason in read(path)[1]] == ["damaged archive"]


def test_a_header_whose_checksum_is_wrong_is_damage(tmp_path):
    whole = bytearray(tar([("a", LINE), ("b", LINE)]))
    whole[2 * SECTOR] ^= 1
    found, bad, _ = read(put(tmp_path, bytes(whole)))
    assert len(found) == 1
    assert [reason for _, _, reason in bad] == ["damaged archive"]


def test_a_folder_is_its_files_in_the_order_of_their_names(tmp_path):
    for name in ("b.jsonl", "a/z.jsonl", "a/b.tar", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(tar([("m", LINE)]) if name.endswith("tar") else LINE)
    (tmp_path / "link").symlink_to(tmp_path / "b.jsonl")
    found, bad, _ = read(tmp_path)
    assert [name.removeprefix(f"{tmp_path}/") for name, _ in found] == ["a/b.tar:m", "a/z.jsonl", "b.jsonl"]
    assert {content for _, content in found} == {LINE}
    assert bad == []


@pytest.mark.parametrize(
    "content", [LINE, gzip.compress(LINE, mtime=0), tar([("a", LINE)])], ids=["plain", "gzip", "tar"]
)
def test_a_pipe_is_looked_at_and_then_read_whole(tmp_path, content):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    bad = BadRecords()
    events = [event for batch in event_batches([str(path)], Settings(), None, bad) for event in batch]
    writer.join()
    assert [event.user for event in events] == ["ann"]
    assert bad.total == 0


def told_of(path):
    bad = BadRecords()
    for _ in event_batches([str(path)], Settings(), None, bad):
        pass
    return [line.replace(f"{path.parent}/", "") for line in details(bad, [])]


YAML = b"services:\n  a: 1\n  b: 2\n"


@pytest.mark.parametrize("place", [lambda files: tar(files), None], ids=["tar", "folder"])
def test_a_file_that_is_no_log_takes_one_line_of_those_that_are_shown(tmp_path, place):
    files = [("a.yml", 9 * YAML), ("b.jsonl", LINE + 2 * b"x\n"), ("c.yml", b"services:\n"), ("d.yml", 500 * YAML)]
    if place is None:
        path, between = tmp_path / "logs", "/"
        path.mkdir()
        for name, content in files:
            (path / name).write_bytes(content)
    else:
        path, between = put(tmp_path, place(files)), ":"
    told = [line.partition(" (") for line in told_of(path)]
    assert [start for start, _, _ in told] == [
        f"{path.name}{between}a.yml: none of 27 records could be read, line 1: not JSON",
        f"{path.name}{between}b.jsonl:2: not JSON",
        f"{path.name}{between}b.jsonl:3: not JSON",
        f"{path.name}{between}c.yml:1: not JSON",
        f"{path.name}{between}d.yml: none of 1,500 records could be read, line 1: not JSON",
    ]


def test_there_are_as_many_further_ones_as_nobody_speaks_of(tmp_path):
    files = [(f"{number}.yml", YAML) for number in range(7)]
    assert told_of(put(tmp_path, tar(files)))[-2:] == [
        "logs.tar:4.yml: none of 3 records could be read, line 1: "
        "not JSON (JSON is malformed: invalid character (byte 0)): services:",
        "… and 6 further bad records",
    ]


def test_a_log_that_is_named_is_told_of_by_its_lines(tmp_path):
    told = told_of(put(tmp_path, 9 * YAML, "a.yml"))
    assert [line.partition(": ")[0] for line in told] == [
        *(f"a.yml:{number}" for number in range(1, 6)),
        "… and 22 further bad records",
    ]


def test_what_is_wrong_with_the_archive_is_told_beside_a_file_with_nothing_else(tmp_path):
    whole = tar([("a.jsonl", LINE), ("b.yml", YAML)])
    told = told_of(put(tmp_path, whole[: 3 * SECTOR + len(YAML)]))
    assert [line.partition(" (")[0] for line in told] == [
        "logs.tar:b.yml: none of 3 records could be read, line 1: not JSON",
        "logs.tar:3: truncated archive",
    ]
