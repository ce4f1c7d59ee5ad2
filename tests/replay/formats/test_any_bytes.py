"""Any bytes at all: a reader raises nothing that is not promised, and each record is an event or counted."""

from __future__ import annotations

import gzip
import tempfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.units import AT_MAX, AT_MIN
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings, UnknownForm
from engine.replay.formats.registry import FORMATS, OWN, Head
from engine.replay.reading import event_batches
from engine.replay.source import parse_source
from engine.replay.table import UnknownColumn
from engine.storage.base import Entry
from engine.storage.codec import decode_entry, encode_entry

MAPPING = "format: {}\nat: at\nuser: user\ntype: type\ndata: '*'\n"
# What logs are made of, so that much of what is tried is nearly a log.
RECORDS = {
    OWN: b'{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "t", "session": null, "data": {"x": [1.5]}}',
    "apache": b'10.0.0.1 - ann [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "Mozilla \\"x\\""',
    "caliper": b'{"data": [{"type": "Event", "actor": "a", "action": "Used", "eventTime": "2026-03-27T10:00:00Z"}]}',
    "cloudevents": b'{"specversion": "1.0", "id": "1", "source": "/s", "type":"t", "subject":"a", "time":"2026-03-27"}',
    "gharchive": b'{"id": "1", "type": "PushEvent", "actor": {"login": "a"}, "created_at": "2026-03-27T10:00:00Z"}',
    "gitter": b"[2026-03-27 10:00:00] <ann> hello",
    "irc": b'[10:00] <ann> hi\n=== bob\n<span class="irc-date">[9:05]</span> &lt;a&gt; x\n#a 2026-03-27 [10:00:01] * a',
    "parquet": b"PAR1",
    "progsnap2": b"EventType,EventID,SubjectID,ServerTimestamp\nSubmit,1,ann,2026-03-27T10:00:00\n",
    "segment": b'{"type": "track", "event": "x", "userId": "a", "messageId": "m", "timestamp": "2026-03-27T10:00:00Z"}',
    "xapi": b'{"actor": {"mbox": "mailto:a@b"}, "verb": {"id": "x/y"}, "object": {"id":"o"},"timestamp": "2026-03-27"}',
    "csv": b'at,user,type\n2026-03-27 10:00,ann,"t"\n',
    "json": b'[{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "t"}, {"at": 1}]',
}
BY_LINES = (OWN, "apache")  # in which each line that is not empty is a record
SIGNS = (
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b'"',
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"<",
    b">",
    b"=",
    b"\xff",
    b"\x1c",
)
ENCODED = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", "\u2028\u0085".encode())
MAGIC = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"PAR1")
WORDS = (b"null", b"true", b"NaN", b"1e400", b"-1", b"9" * 20, b"2026-02-30", b"12:59", b"[01:00] <a> b\n")
PIECES = (*SIGNS, *ENCODED, *MAGIC, *WORDS)


def broken(record: bytes) -> st.SearchStrategy[bytes]:
    """The record, and what is left of it when something has been put in place of something."""

    def put(cut: tuple[int, int, bytes]) -> bytes:
        start, length, piece = cut
        start %= len(record) + 1
        return record[:start] + piece + record[start + length :]

    cuts = st.tuples(st.integers(0, 200), st.integers(0, 30), st.sampled_from(PIECES) | st.binary(max_size=5))
    return st.just(record) | st.just(record + b"\n") | cuts.map(put)


def read(content: bytes, form: str) -> tuple[list[Event], BadRecords]:
    mapped = form in ("csv", "json")
    settings = Settings(
        source=parse_source("source.yaml", MAPPING.format(form)) if mapped else None,
        day=date(2026, 3, 27),
        user="subject" if form == "cloudevents" else None,
    )
    bad = BadRecords()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / ("MainTable.csv" if form == "progsnap2" else "log")
        log.write_bytes(content)
        given = folder if form == "progsnap2" else str(log)
        try:
            batches = event_batches([given], settings, None if mapped else form, bad)
            return [event for batch in batches for event in batch], bad
        except (UnknownForm, UnknownColumn):
            return [], bad


def test_every_format_is_tried():
    assert {known.name for known in FORMATS} | {OWN, "csv", "json"} == set(RECORDS)


@pytest.mark.parametrize("form", RECORDS)
@given(data=st.data())
def test_what_is_read_is_an_event_or_counted_whatever_it_is(form, data):
    parts = data.draw(st.lists(broken(RECORDS[form]) | st.sampled_from(PIECES) | st.binary(max_size=40), max_size=6))
    content = b"".join(parts)
    packed = data.draw(st.sampled_from([content, content, content, gzip.compress(content)]))
    events, bad = read(packed, form)
    for event in events:
        assert type(event.user) is str
        assert event.user
        assert type(event.type) is str
        assert event.type
        assert AT_MIN <= event.at <= AT_MAX
        line = encode_entry(Entry("event", event.at, event.user, event))  # as import writes it, and reads it again
        assert encode_entry(decode_entry(line)) == line
    assert sum(bad.counts.values()) == bad.total >= len(bad.shown)
    if (
        form in BY_LINES
        and content == packed
        and not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x28\xb5"))
    ):
        lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        if form == "apache" and b"\r" in content:
            return
        blank = bytes.isspace if form == OWN else is_blank
        assert len(events) + bad.total == sum(bool(line) and not blank(line) for line in lines)


def is_blank(line: bytes) -> bool:
    try:
        return line.decode().isspace()
    except UnicodeDecodeError:
        return False


@given(start=st.lists(st.sampled_from([*RECORDS.values(), *PIECES]) | st.binary(max_size=20), max_size=5).map(b"".join))
def test_a_beginning_is_of_one_format_or_of_several_or_of_none(start):
    for known in FORMATS:
        assert known.recognises(Head("log", start)) in (True, False)


def test_a_damaged_parquet_is_read_or_counted(tmp_path):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"at": ["2026-03-27"] * 50, "user": ["ann"] * 50, "type": ["t"] * 50}), path)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        events, bad = read(content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :], "parquet")
        assert len(events) <= 50 or bad.total
