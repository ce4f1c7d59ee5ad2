"""Logs that are damaged, enormous or meant to harm: each is an error that says what it is, or counted, within bounds.

What needs room runs in a process of its own, whose memory is limited to little more than what it has when it begins.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.replay.json_bounds import VALUES_MAX

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROOT = Path(__file__).parent.parent.parent
MEMORY_MB = 256  # beyond what the process has when it begins
LIMITED = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
import engine.cli.import_logs, engine.replay.recording, rich.progress
from engine.cli.main import main
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + {MEMORY_MB} * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (most, most))
main(["import", *sys.argv[1:]])
"""
MB = 1 << 20
OWN = '{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "t"}'
CSV_SOURCE = "format: csv\nat: at\nuser: user\ntype: type\n"
JSON_SOURCE = "format: json\nat: at\nuser: user\ntype: type\n"
ACCESS = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5'
GITTER = "[2026-03-27 10:00:00] <ann> hello"
# A good record of each form, and what is to be said of a log of it; {} is what comes before and behind.
FORMS = {
    "jsonl": (OWN, []),
    "apache": (ACCESS, ["--format", "apache"]),
    "gitter": (GITTER, ["--format", "gitter"]),
    "irc": ("[10:00] <ann> hello", ["--format", "irc", "--day", "2026-03-27"]),
    "cloudevents": (
        '{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"ann","time":"2026-03-27T10:00:00Z"}',
        ["--format", "cloudevents", "--user-at", "subject"],
    ),
    "csv": ("2026-03-27 10:00:00,ann,t", ["--source", "csv.yaml"]),
    "json": (OWN, ["--source", "json.yaml"]),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "csv.yaml").write_text(CSV_SOURCE)
    (tmp_path / "json.yaml").write_text(JSON_SOURCE)
    return tmp_path


def run(*words, given=None):
    words = ["import", *map(str, words)]
    return CliRunner().invoke(app_for(words), words, input=given)


def limited(*words, given=None):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, words)], stdin=given, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return done


def log_of(form, *between):
    """A log with a good record, what stands between, and a good record."""
    record, words = FORMS[form]
    head = b"at,user,type\n" if form == "csv" else b""
    # A record that comes twice with one id is one event.
    last = record.replace('"id":"1"', '"id":"2"')
    return head + b"\n".join([record.encode(), *between, last.encode(), b""]), words


def events_of(done):
    return len(done.stdout.splitlines())


def no_traceback(done):
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (0, 1, 2)
    return done


# Packed logs that break off, or are damaged.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (zstd.compress, "zstd")])
def test_a_packed_log_that_breaks_off_counts_as_far_as_it_goes(place, form, pack, name):
    content, words = log_of(form, *[FORMS[form][0].encode() + b" %d" % n for n in range(3000)])
    packed = pack(content)
    for size in (5, len(packed) // 2, len(packed) - 1):
        (place / "log").write_bytes(packed[:size])
        done = no_traceback(run("log", *words))
        assert f"truncated {name} 1" in done.stderr, done.stderr


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (zstd.compress, "zstd")])
def test_a_packed_log_that_is_damaged_is_told_as_such(place, pack, name):
    packed = bytearray(pack(os.urandom(5 * MB)))
    packed[3 * MB : 3 * MB + 64] = bytes(64)
    (place / "log").write_bytes(packed)
    done = no_traceback(run("log"))
    assert f"damaged {name} 1" in done.stderr or name == "zstd", done.stderr[-500:]  # zstd has no checksum unless asked


# A line that is larger than the memory, in every form.


@pytest.mark.parametrize(("form", "megabytes"), [("jsonl", 2 * MEMORY_MB), ("csv", MEMORY_MB), ("apache", MEMORY_MB)])
def test_a_line_larger_than_the_memory_is_one_bad_record(place, form, megabytes):
    content, words = log_of(form)
    first, _, last = content.rstrip(b"\n").rpartition(b"\n")
    zeros = gzip.compress(bytes(16 * MB)) * (megabytes // 16)  # of which a megabyte is packed to a thousandth
    (place / "log").write_bytes(gzip.compress(first + b"\n") + zeros + gzip.compress(b"\n" + last))
    done = limited("log", *words)
    assert events_of(done) == 2, done.stderr
    assert ("line too long 1" in done.stderr) or ("record too long 1" in done.stderr)


@pytest.mark.parametrize("form", ["json", "gitter", "irc", "cloudevents"])
@pytest.mark.parametrize("sign", [b"x", b"["])
def test_a_line_without_end_is_bad_in_every_form(place, form, sign):
    content, words = log_of(form)
    first, _, last = content.rstrip(b"\n").rpartition(b"\n")
    (place / "log").write_bytes(
        gzip.compress(first + b"\n") + gzip.compress(sign * (4 * MB)) * 5 + gzip.compress(b"\n" + last)
    )
    done = limited("log", *words)
    assert done.returncode in (0, 1), done.stderr
    assert "bad record" in done.stderr


def test_a_line_without_end_may_come_through_a_pipe(place):
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", f"import sys\nfor _ in range(200): sys.stdout.buffer.write(b'x' * {MB})"], stdout=writing
    ):
        os.close(writing)
        with os.fdopen(reading) as given:
            done = limited("-", given=given)
    assert done.returncode == 1
    assert "line too long 1" in done.stderr


def test_a_sparse_file_larger_than_the_memory_is_one_bad_record(place):
    with open(place / "log", "wb") as stream:
        stream.truncate(2 * MEMORY_MB * MB)
    done = limited("log")
    assert (done.returncode, done.stdout) == (1, "")
    assert "line too long 1" in done.stderr


def test_a_cell_of_a_csv_that_never_ends_is_a_bad_record(place):
    content, words = log_of("csv")
    cell = gzip.compress(b'2026-03-27 10:00:00,"') + gzip.compress(b"x" * (16 * MB)) * 16
    (place / "log").write_bytes(gzip.compress(content) + cell)
    done = limited("log", *words)
    assert events_of(done) == 2
    assert "record too long 1" in done.stderr


def test_a_row_of_cells_that_never_ends_is_a_bad_record(place):
    content, words = log_of("csv")
    row = gzip.compress(b'"a\nb",' * (MB // 2)) * 3
    (place / "log").write_bytes(gzip.compress(content) + row + gzip.compress(b"\n" + content.splitlines()[1]))
    done = limited("log", *words)
    assert done.returncode == 0, done.stderr
    assert "record too long" in done.stderr


def test_events_go_through_without_being_held(place):
    (place / "log").write_bytes(gzip.compress((OWN + "\n").encode() * 20_000) * 15)
    done = limited("log", "--output", os.devnull)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("log: jsonl, 300,000 events of 1 user")


# Bytes that are no text.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "between", [b"\0", b"\0" * 1000, b"\xff\xfe", "gr\u00fc\u00df".encode("latin-1"), b"\xed\xa0\x80"]
)
def test_bytes_that_are_no_text_cost_no_other_record(place, form, between):
    content, words = log_of(form, between)
    (place / "log").write_bytes(content)
    done = no_traceback(run("log", *words))
    if form == "json":
        assert events_of(done) >= 1  # there are no lines to begin again at
    else:
        assert events_of(done) == 2
    if form != "gitter" or b"\0" not in between:  # of a message that goes on, zeros are a text
        assert "1 bad record: " in done.stderr


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_called_so(place, form, encoding):
    content, words = log_of(form)
    bom = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (place / "log").write_bytes(bom + content.decode().encode(encoding))
    done = no_traceback(run("log", *words))
    assert (done.exit_code, done.stdout) == (1, "")
    if encoding != "utf-32":
        assert "it is UTF-16: iconv" in done.stderr


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_ends_of_lines_are_read_or_counted(place, form, end):
    content, words = log_of(form)
    (place / "log").write_bytes(content.replace(b"\n", end))
    done = no_traceback(run("log", *words))
    if end == b"\r\n" or form not in ("jsonl", "cloudevents"):
        assert (events_of(done), done.exit_code) == (2, 0), done.stderr
        assert "bad" not in done.stderr
    else:
        assert "1 bad record" in done.stderr


def test_a_byte_order_mark_is_no_part_of_the_first_record(place):
    for form in FORMS:
        content, words = log_of(form)
        (place / "log").write_bytes(b"\xef\xbb\xbf" + content)
        done = no_traceback(run("log", *words))
        assert (events_of(done), "bad" in done.stderr) == (2, False), form


# Values that nothing can hold.

DEEP = [b'{"a":' * 100_000, b"[" * 100_000, b'{"at":' + b"[" * 201 + b"]" * 201 + b"}"]
VALUES = [
    b"1e400", b"-1e400", b"1" * 5000, b"123456789012345678901234567890", b"NaN", b"Infinity", b"1e18", b"1e19", b"-1",
    b'"9999-12-31T23:59:59Z"', b'"0000-00-00T00:00:00Z"', b'"2026-02-30"', b'"10000-01-01T00:00:00Z"', b"true", b"{}",
    b'"' + b"9" * 100_000 + b'"', b'"\\ud83d"', b'"2026-03-27T10:00:00+99:99"', b"\"2026-W13\"", b"1" * 18,
]  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "json", "cloudevents"])
@pytest.mark.parametrize("deep", DEEP)
def test_what_nests_deeply_is_a_bad_record(place, form, deep):
    content, words = log_of(form, deep)
    (place / "log").write_bytes(content)
    done = no_traceback(run("log", *words))
    assert "bad record" in done.stderr
    assert events_of(done) == (1 if form == "json" and deep is not DEEP[2] else 2)


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize("value", VALUES)
def test_values_beyond_all_bounds_are_bad_records_or_data(place, form, value):
    at = b'{"at": %s, "user": "ann", "type": "t"}' % value
    field = b'{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "t", "data": {"x": %s}}' % value
    (place / "log").write_bytes(log_of(form, at, field)[0])
    done = no_traceback(run("log", *FORMS[form][1]))
    assert done.exit_code == 0
    assert 2 <= events_of(done) <= 4
    (place / "again").write_text(done.stdout)
    assert run("again").stdout == done.stdout  # what was imported is read as it was written


# Things that are no logs.


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_log_has_nothing_to_read(place, form):
    (place / "log").write_bytes(b"")
    for log in ("log", "/dev/null"):
        done = no_traceback(run(log, *FORMS[form][1]))
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.splitlines()[-1] == f"{log}: there is nothing in it"


def test_a_folder_without_logs_has_nothing_to_read(place):
    (place / "logs").mkdir()
    assert no_traceback(run("logs")).exit_code == 1
    (place / "logs" / "nested").mkdir()
    (place / "logs" / "link").symlink_to(place / "logs")
    done = no_traceback(run("logs"))
    assert (done.exit_code, done.stdout) == (1, "")


def test_a_device_that_never_ends_is_not_read_for_ever(place):
    with subprocess.Popen(
        [sys.executable, "-c", LIMITED, "/dev/zero"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(3)  # it reads, within its memory, until it is stopped
        running.terminate()


def test_a_log_that_nobody_may_read_is_said(place):
    (place / "log").write_text(OWN)
    (place / "log").chmod(0)
    if os.access(place / "log", os.R_OK):
        (place / "log").unlink()  # root may read all
    done = no_traceback(run("log"))
    assert done.exit_code == 2
    assert done.stderr.startswith("log: ")
    (place / "dangling").symlink_to("nowhere")
    assert no_traceback(run("dangling")).exit_code == 2


@pytest.mark.parametrize("size", [1, 512, 700, 1500])
def test_an_archive_that_breaks_off_is_told(place, size):
    (place / "a.jsonl").write_text((OWN + "\n") * 100)
    with tarfile.open(place / "log.tar", "w") as archive:
        archive.add(place / "a.jsonl", "a.jsonl")
    content = (place / "log.tar").read_bytes()
    (place / "log.tar").write_bytes(content[:size])
    done = no_traceback(run("log.tar"))
    assert "bad record" in done.stderr, done.stderr


def test_an_archive_cannot_lead_outside_or_make_files(place):
    with tarfile.open(place / "log.tar", "w") as archive:
        for name in ("../escape.jsonl", "/tmp/escape.jsonl", "a/../../escape.jsonl"):
            info = tarfile.TarInfo(name)
            info.size = len(OWN)
            archive.addfile(info, io.BytesIO(OWN.encode()))
        link = tarfile.TarInfo("link.jsonl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(place.parent.rglob("*"))
    done = no_traceback(run("log.tar"))
    assert "root:" not in done.stdout + done.stderr
    assert sorted(place.parent.rglob("*")) == before


# Mappings and rules that are bombs themselves.

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    "words", [["import", "log", "--source", "bomb.yaml"], ["replay", "log", "--rules", "bomb.yaml"]]
)
@pytest.mark.parametrize(
    "text", [BOMB, "[" * 100_000, "{a: " * 50_000, "\0", "at: !!python/object:os.system x\n", "a" * 2 * MB]
)
def test_yaml_that_explodes_is_refused(place, words, text):
    (place / "log").write_text(OWN)
    (place / "bomb.yaml").write_text(text)
    done = no_traceback(CliRunner().invoke(app_for(words), words))
    assert done.exit_code in (1, 2)
    assert "bomb.yaml" in done.stderr
    assert len(done.stderr) < 20_000


# Records that are small as text and large as values.


@pytest.mark.parametrize(
    ("form", "value", "count"),
    [
        ("jsonl", b"[],", 5 * MB),  # as many as a record has room for: held they would be too large
        *((form, value, VALUES_MAX) for form in ("jsonl", "json", "cloudevents") for value in (b"[],", b'{"a":0},')),
        ("jsonl", b"0.1,", VALUES_MAX),
    ],
)
def test_a_record_of_very_many_values_is_bad(place, form, value, count):
    many = value * count
    record = b'{"at":"2026-03-27T10:00:00Z","user":"ann","type":"t","data":{"x":[%s0]}}' % many
    content, words = log_of(form, record)
    (place / "log").write_bytes(gzip.compress(content, 1))
    done = limited("log", *words)
    assert "too many values 1" in done.stderr, done.stderr[-500:]
    assert events_of(done) == 2
