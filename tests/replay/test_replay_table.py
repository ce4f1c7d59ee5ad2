"""CSV to events, by a mapping."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from engine.core.model import Event
from engine.replay.bad_records import BadRecords
from engine.replay.mapping import Place, Source
from engine.replay.table import UnknownColumn, csv_batches

AT = 1_774_605_600_000_000  # 2026-03-27T10:00:00Z
WHO = Source(at=Place("time"), user=Place("who"), type=Place("what"), data={"text": Place("text")}, format="csv")


def read(tmp_path, content, source=WHO, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad, events = BadRecords(), []
    for batch in csv_batches(str(path), source, bad):
        events += batch
    return events, [(record.line, record.reason) for record in bad.shown]


HEAD = "time,who,what,text\n"
ROW = "2026-03-27T10:00:00Z,ann,t,"


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("", []),
        (HEAD, []),
        (HEAD + ROW + "hello\n", ["hello"]),
        (HEAD + ROW + "hello", ["hello"]),
        ("\ufeff" + HEAD + ROW + "hello\n", ["hello"]),
        (HEAD + "\n" + ROW + "hello\n\n\n" + ROW + "again\n", ["hello", "again"]),
        (HEAD + ROW + '"a, ""b""\nc"\n' + ROW + "d\n", ['a, "b"\nc', "d"]),
        ((HEAD + ROW + "hello\n").replace("\n", "\r\n"), ["hello"]),
        ((HEAD + ROW + "hello\n" + ROW + "again\n").replace("\n", "\r"), ["hello", "again"]),
        (HEAD + ROW + "42\n", ["42"]),
        (HEAD + ROW + "\n", [None]),
        (gzip.compress((HEAD + ROW + "hello\n").encode(), mtime=0), ["hello"]),
    ],
)
def test_rows_are_events_and_cells_are_text(tmp_path, content, texts):
    events, bad = read(tmp_path, content)
    assert [event.data.get("text") for event in events] == texts
    assert all(event == Event("t", "ann", AT, event.data) for event in events)
    assert bad == []


def test_what_is_wrong_with_a_row_is_told_by_the_line_it_begins_in(tmp_path):
    content = HEAD + '2026-03-27T10:00:00Z,ann,t,"two\nlines"\n' + ",ann,t,x\n" + ROW + "x,y\n" + "z\n" + ROW + "é\n"
    events, bad = read(tmp_path, content.encode().replace("é".encode(), b"\xff"))
    assert len(events) == 1
    assert bad == [
        (4, "no time"),
        (5, "wrong number of cells"),
        (6, "wrong number of cells"),
        (7, "not UTF-8"),
    ]


def test_a_cell_that_never_ends_is_a_bad_record_and_reading_goes_on(tmp_path):
    content = HEAD + ROW + '"' + "x" * 200_000 + '"\n' + ROW + "last\n"
    events, bad = read(tmp_path, content)
    assert [event.data["text"] for event in events] == ["last"]
    assert bad == [(2, "not CSV")]


def test_a_quotation_mark_that_is_never_closed_is_a_bad_record_of_the_line_it_stands_in(tmp_path):
    content = HEAD + ROW + "first\n" + ROW + '"never closed\n' + ROW + "swallowed\n"
    events, bad = read(tmp_path, content)
    assert [event.data["text"] for event in events] == ["first"]
    assert bad == [(3, "not CSV")]


def test_text_behind_a_closing_quotation_mark_is_a_bad_record(tmp_path):
    events, bad = read(tmp_path, HEAD + ROW + '"a"b\n' + ROW + 'a "quoted" word\n')
    assert [event.data["text"] for event in events] == ['a "quoted" word']
    assert bad == [(2, "not CSV")]


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("1774605600", AT),
        ("1774605600.5", AT + 500_000),
        ("1774605600250", AT + 250_000),
        ("2026-03-27 10:00", AT),
        ("20260327T100000Z", AT),
        ("20260327", AT - 36_000_000_000),
    ],
)
def test_a_stamp_may_be_an_epoch_number(tmp_path, stamp, at):
    events, bad = read(tmp_path, f"{HEAD}{stamp},ann,t,x\n")
    assert ([event.at for event in events], bad) == ([at], [])


def test_the_whole_record_is_every_cell_that_is_not_empty(tmp_path):
    source = Source(at=Place("time"), user=Place("who"), type=Place(None, "row"), data=None, format="csv")
    events, _ = read(tmp_path, "time,who,User full name,a.b\n1774605600,ann,,1\n", source)
    assert events == [Event("row", "ann", AT, {"time": "1774605600", "who": "ann", "a.b": "1"})]


def test_a_column_that_is_not_there_is_told_with_its_place_in_the_mapping(tmp_path):
    source = Source(at=Place("tme", None, 2, 5), user=Place("who"), type=Place("what"), format="csv")
    with pytest.raises(UnknownColumn, match='the log has no column "tme"; did you mean "time"') as caught:
        read(tmp_path, HEAD + ROW + "x\n", source)
    assert (caught.value.place.line, caught.value.place.column) == (2, 5)


def test_a_column_that_is_there_twice_is_told_where_the_mapping_names_it(tmp_path):
    twice = HEAD.replace("text", "what")
    with pytest.raises(UnknownColumn, match='the log has 2 columns "what"; rename one'):
        read(tmp_path, twice + ROW + "x\n")
    # Nobody names it here: exports often end their lines with a few commas.
    source = Source(at=Place("time"), user=Place("who"), type=Place("what"), data=None, format="csv")
    events, bad = read(tmp_path, HEAD.replace("text", ",") + ROW + ",\n", source)
    assert (len(events), bad) == (1, [])


def test_a_truncated_gzip_is_a_bad_record_and_the_rows_before_count(tmp_path):
    packed = gzip.compress((HEAD + (ROW + "hello\n") * 3).encode())
    events, bad = read(tmp_path, packed[:-4])
    assert len(events) == 3
    assert bad == [(5, "truncated gzip")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_cells_may_be_apart_by_another_sign(tmp_path, delimiter):
    events, bad = read(tmp_path, (HEAD + ROW).replace(",", delimiter) + "a, b\n", replace(WHO, delimiter=delimiter))
    assert ([event.data for event in events], bad) == ([{"text": "a, b"}], [])
