"""Which format a log is of: what it says, never its name; and none is taken for another."""

from __future__ import annotations

import gzip
import json

import pytest
from samples import CLOUDEVENT, SAMPLES, STATEMENT, TRACK

from engine.core.refusal import Refused
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Once
from engine.replay.formats.base import HEAD_BYTES, Head, Settings
from engine.replay.formats.registry import FORMATS, format_named, reader_of, recognise
from engine.replay.members import logs_in


def put(tmp_path, content, name="log"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_sample_is_of_exactly_one_format_whatever_its_name(tmp_path, name, pack):
    form, content = SAMPLES[name]
    found = reader_of(put(tmp_path, pack(content.encode())))
    assert (found.name if found else "") == form


@pytest.mark.parametrize("name", [name for name, (form, _) in SAMPLES.items() if form])
def test_every_sample_is_read_by_its_format_without_bad_records(tmp_path, name):
    form, content = SAMPLES[name]
    bad = BadRecords()
    reader = format_named(form)
    events = [event for batch in reader.read(put(tmp_path, content, name), Settings(), bad) for event in batch]
    assert {event.user for event in events} >= (
        {"10.0.0.2"} if form == "apache" else {"ann"} if form != "caliper" else set()
    )
    assert events
    # Somebody joins a channel at a time that the log does not have.
    assert bad.counts == ({"no time": 1} if form == "irc" else {})


def test_every_format_has_a_sample_but_the_one_that_is_no_text():
    assert {form for form, _ in SAMPLES.values() if form} | {"parquet"} == {known.name for known in FORMATS}


def test_formats_stand_in_the_order_of_their_names_and_say_what_they_are():
    names = [known.name for known in FORMATS]
    assert names == sorted(set(names))
    assert all(known.doc.endswith(".") for known in FORMATS)


@pytest.mark.parametrize("line", [CLOUDEVENT, TRACK, STATEMENT])
def test_a_log_is_recognised_by_its_first_records_though_one_is_damaged_or_of_another_kind(tmp_path, line):
    whole = recognise(Head("log", f"{line}\n{line}\n".encode()))
    assert recognise(Head("log", f"{line[:-5]}\n{line}\n{line}\n".encode())) is whole
    assert recognise(Head("log", f'{line}\n{{"at": 1, "user": "ann", "type": "t"}}\n'.encode())) is None


def test_a_record_that_the_beginning_cuts_off_does_not_count():
    long = json.loads(CLOUDEVENT) | {"data": "x" * HEAD_BYTES}
    assert recognise(Head("log", f"{CLOUDEVENT}\n{json.dumps(long)}".encode()[:HEAD_BYTES])).name == "cloudevents"
    assert recognise(Head("log", f"[{CLOUDEVENT}, {json.dumps(long)}".encode()[:HEAD_BYTES])).name == "cloudevents"


def test_a_log_that_is_of_two_formats_is_refused_and_both_are_named():
    both = json.loads(CLOUDEVENT) | json.loads(STATEMENT) | {"type": "x", "time": "2026-03-27T10:00:00Z"}
    with pytest.raises(Refused) as caught:
        recognise(Head("a.jsonl", json.dumps(both).encode()))
    assert caught.value.message == ('a.jsonl: it looks like "cloudevents" and "xapi"; say which it is with --format')


def test_a_format_is_had_by_its_name_and_a_slip_is_told():
    assert format_named("xapi").name == "xapi"
    assert format_named("jsonl") is None
    with pytest.raises(Refused) as caught:
        format_named("cloudevent")
    assert caught.value.message.startswith('expected a format: "jsonl", "apache", ')
    assert caught.value.message.endswith('got "cloudevent", did you mean "cloudevents"?')


def test_a_named_format_is_not_looked_for(tmp_path):
    assert reader_of(put(tmp_path, STATEMENT), "segment").name == "segment"


def test_standard_input_is_recognised_and_read_whole(tmp_path):
    with open(put(tmp_path, gzip.compress(f"{TRACK}\n".encode() * 3)), "rb") as stream:
        log = Once("-", stream)
        reader = reader_of(log)
        bad = BadRecords()
        assert (reader.name, [len(batch) for batch in reader.read(log, Settings(), bad)]) == ("segment", [1])


def test_a_folder_is_recognised_by_the_names_in_it(tmp_path):
    put(tmp_path, SAMPLES["MainTable.csv"][1], "MainTable.csv")
    assert reader_of(str(tmp_path)).name == "progsnap2"
    (tmp_path / "MainTable.csv").rename(tmp_path / "other.csv")
    assert reader_of(str(tmp_path)) is None
    assert list(logs_in(str(tmp_path), BadRecords())) == [str(tmp_path / "other.csv")]
