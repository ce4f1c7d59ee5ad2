"""JSON logs to their records: lines, lists and documents; and a document to events by a mapping."""

from __future__ import annotations

import json

import pytest

from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Once
from engine.replay.document import JsonRecord, first_records, json_batches, json_records
from engine.replay.mapping import Place, Source

A, B = {"a": 1}, {"b": [2]}
KYPO = """[
{"playerId": "7", "timestamp": "2026-03-27 10:00:00", "event": "Game started"},
{
"playerId": "8",
"timestamp": "2026-03-27 10:00:05",
"event": "Wrong flag"
},
3,
{"timestamp": "2026-03-27 10:00:06", "event": "Wrong flag"}
]
"""


def put(tmp_path, text, name="log.json"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def source(**changes):
    parts = {"at": Place("timestamp"), "user": Place("playerId"), "type": Place("event"), "format": "json"}
    return Source(**{**parts, **changes})


@pytest.mark.parametrize(
    ("text", "expected", "bad"),
    [
        ('{"a": 1}\n\n{"b": [2]}\n', [(1, A), (3, B)], {}),
        ('[{"a": 1}, {"b": [2]}]', [(1, A), (2, B)], {}),
        ('[\n{"a": 1},\n{"b": [2]}\n]', [(1, A), (2, B)], {}),
        ('[{"a": 1}]\n[{"b": [2]}]\n', [(1, A), (2, B)], {}),
        ('{"batch": [{"a": 1}, {"b": [2]}]}', [(1, A), (1, B)], {}),
        ('{"batch": [{"a": 1}]}\n{"b": [2]}\n', [(1, A), (2, B)], {}),
        ('{"sent": 1,\n"batch": [\n{"a": 1},\n{"b": [2]}\n]}', [(1, A), (2, B)], {}),
        ('{\n "a": 1\n}\n{\n "b": [\n2]\n}', [(1, A), (2, B)], {}),
        ('{"a": 1}\n{"a": \n[2]\nnull', [(1, A)], {"not JSON": 1, "not an object": 2}),
        ('{"a": \n{"b": [2]}\n{"a": 1}\n', [(2, B), (3, A)], {"not JSON": 1}),
        ('[{"a": 1}, 2, {"a": x}', [(1, A)], {"not an object": 1, "not JSON": 1, "truncated JSON": 1}),
        ("", [], {}),
    ],
)  # fmt: skip
def test_records_are_lines_or_items_or_documents(tmp_path, text, expected, bad):
    found = BadRecords()
    records = list(json_records(put(tmp_path, text), found, within=("", "batch")))
    assert [(record.number, record.value) for record in records] == expected
    assert found.counts == bad


def test_standard_input_is_looked_at_and_then_read_whole(tmp_path):
    with open(put(tmp_path, json.dumps([A] * 50_000)), "rb") as stream:
        assert len(list(json_records(Once("-", stream), BadRecords()))) == 50_000


def test_a_record_that_nests_too_deeply_is_bad(tmp_path):
    text = "[" + "[" * 300 + "]" * 300 + ', {"a": 1}]'
    bad = BadRecords()
    assert list(json_records(put(tmp_path, text), bad)) == [JsonRecord(2, b'{"a": 1}', A)]
    assert bad.counts == {"nested too deeply": 1}


def test_the_first_records_are_those_that_are_whole():
    assert first_records(b'{"a": 1}\n{"b": [2]}\n{"c"', ("",)) == [A, B]
    assert first_records(b'[{"a": 1}, {"b": [2]}, {"c"', ("",)) == [A, B]
    assert first_records(b'{"batch": [{"a": 1}, {"b"', ("", "batch")) == [A]
    assert first_records(b'{"a": 1}\n' * 20, ("",), most=3) == [A, A, A]
    assert first_records(b"\x00\xff[[[", ("",)) == []


def test_a_document_is_read_by_a_mapping(tmp_path):
    bad = BadRecords()
    batches = list(json_batches(put(tmp_path, KYPO), source(), bad))
    assert [[(event.user, event.type) for event in batch] for batch in batches] == [
        [("7", "Game started"), ("8", "Wrong flag")]
    ]
    assert bad.counts == {"not an object": 1, "no user": 1}
    assert [record.line for record in bad.shown] == [3, 4]


def test_the_records_of_a_document_may_lie_deep_in_it(tmp_path):
    text = json.dumps({"export": {"of": "chess", "events": json.loads(KYPO)[:2]}})
    bad = BadRecords()
    [batch] = json_batches(put(tmp_path, text), source(records="export.events"), bad)
    assert [event.user for event in batch] == ["7", "8"]
    assert list(json_batches(put(tmp_path, text), source(records="events"), bad)) == []
    assert bad.counts == {"no records": 1}


def test_a_long_document_comes_in_batches_and_numbers_go_on(tmp_path):
    record = {"timestamp": "2026-03-27 10:00:00", "playerId": "7", "event": "x"}
    bad = BadRecords()
    batches = list(json_batches(put(tmp_path, json.dumps([record] * 250 + [{}])), source(), bad))
    assert list(map(len, batches)) == [100, 100, 50]
    assert [record.line for record in bad.shown] == [251]
