"""CloudEvents: what becomes of attributes, extensions and payloads."""

from __future__ import annotations

import base64
import json

import pytest

from engine.core.model import Event
from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings
from engine.replay.formats.cloudevents import CloudEvents

AT = parse_at("2026-03-27T10:00:00Z")
RECORD = {
    "specversion": "1.0", "id": "1", "source": "/ide", "type": "com.example.test.failed", "subject": "ann",
    "time": "2026-03-27T10:00:00Z",
}  # fmt: skip


def read(tmp_path, *records, **settings):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    bad = BadRecords()
    return [event for batch in CloudEvents().read(str(log), Settings(**settings), bad) for event in batch], bad


def test_attributes_are_the_parts_of_the_event_and_the_payload_its_data(tmp_path):
    record = {**RECORD, "data": {"test": "t1", "subject": "mine"}, "dataschema": "x", "tenant": "north"}
    [event], bad = read(tmp_path, record)
    data = {"source": "/ide", "subject": "mine", "tenant": "north", "test": "t1"}
    assert event == Event("com.example.test.failed", "ann", AT, data, "1")
    assert bad.total == 0


@pytest.mark.parametrize("user_at", ["subject", "tenantuser", "data.who.id"])
def test_the_user_is_where_the_settings_say(tmp_path, user_at):
    record = {**RECORD, "subject": "subject", "tenantuser": "tenantuser", "data": {"who": {"id": "data.who.id"}}}
    [event], _ = read(tmp_path, record, user=user_at)
    assert event.user == user_at


def test_a_user_who_is_not_there_is_told_with_the_option_that_mends_it(tmp_path):
    record = {name: value for name, value in RECORD.items() if name != "subject"}
    events, bad = read(tmp_path, record)
    assert (events, bad.counts) == ([], {"no user": 1})
    assert bad.shown[0].detail == 'it has no "subject"; --user-at says where records name their user'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": None}, "no time"),
        ({"time": "soon"}, "bad time"),
        ({"specversion": "0.3"}, "unknown specversion"),
        ({"type": None}, "no type"),
        ({"data_base64": "###"}, "bad data"),
        ({"data_base64": 1}, "bad data"),
        ({"data_base64": base64.b64encode(b"{").decode()}, "bad data"),
        ({"data_base64": base64.b64encode(b"\xff").decode(), "datacontenttype": "text/plain"}, "bad data"),
    ],
)
def test_a_record_that_cannot_be_an_event_is_bad(tmp_path, change, reason):
    events, bad = read(tmp_path, {**RECORD, **change})
    assert (events, bad.counts) == ([], {reason: 1})


@pytest.mark.parametrize(
    ("content", "kind", "data"),
    [
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "application/vnd.example+json", {"a": 1}),
        (b'{"a": 1}', None, {"a": 1}),
        (b"[1]", None, {"data": [1]}),
        ("é".encode(), "text/plain", {"data": "é"}),
        (b"\x00\xff", "image/png", {"data": "AP8="}),
    ],
)
def test_packed_data_are_what_their_content_type_says(tmp_path, content, kind, data):
    [event], _ = read(tmp_path, {**RECORD, "datacontenttype": kind, "data_base64": base64.b64encode(content).decode()})
    assert event.data == {"source": "/ide", "subject": "ann", **data}


def test_an_event_of_one_source_and_id_counts_once(tmp_path):
    events, bad = read(tmp_path, RECORD, {**RECORD, "source": "/other"}, {**RECORD, "id": "2"}, RECORD)
    assert [(event.data["source"], event.id) for event in events] == [("/ide", "1"), ("/other", "1"), ("/ide", "2")]
    assert bad.total == 0
