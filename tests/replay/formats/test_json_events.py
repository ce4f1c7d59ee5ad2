"""Caliper, GH Archive, and what formats of JSON records have in common."""

from __future__ import annotations

import json

from samples import CALIPER, PUSH

from engine.core.model import Event
from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings
from engine.replay.formats.caliper import Caliper
from engine.replay.formats.gharchive import GhArchive
from engine.replay.formats.json_events import Seen, at_path, last_part

AT = parse_at("2026-03-27T10:00:00Z")


def read(form, tmp_path, text, **settings):
    log = tmp_path / "log"
    log.write_text(text, encoding="utf-8")
    bad = BadRecords()
    return [event for batch in form.read(str(log), Settings(**settings), bad) for event in batch], bad


def test_a_caliper_event_is_of_its_type_and_action_and_entities_are_none(tmp_path):
    graded = json.loads(CALIPER) | {
        "id": "urn:uuid:2",
        "type": "GradeEvent",
        "action": "http://purl.imsglobal.org/vocab/caliper/v1/action#Graded",
        "actor": {"id": "ann", "type": "Person"},
        "object": "https://example.org/a/1",
        "generated": {"id": "g1", "scoreGiven": 4, "maxScore": 5, "duration": "PT10S"},
        "session": {"id": "s1"},
    }
    person = {"id": "ann", "type": "Person"}
    envelope = {
        "sensor": "s",
        "sendTime": "2026-03-27T10:00:00Z",
        "data": [json.loads(CALIPER), person, graded, graded],
    }
    events, bad = read(Caliper(), tmp_path, json.dumps(envelope))
    first = {"object": "https://example.org/i/1", "object_type": "AssessmentItem"}
    second = {"object": "https://example.org/a/1", "generated": "g1", "score": 4, "max_score": 5, "duration": 10.0}
    assert events == [
        Event("AssessmentItemEvent.Completed", "https://example.org/u/ann", AT, first, "urn:uuid:1"),
        Event("GradeEvent.Graded", "ann", AT, second, "urn:uuid:2", "s1"),
    ]
    assert bad.total == 0


def test_an_event_of_gh_archive_has_its_payload_and_the_names_around_it(tmp_path):
    events, bad = read(GhArchive(), tmp_path, f'{PUSH}\n{PUSH}\n{{"id": "2"}}\n')
    assert events == [Event("PushEvent", "ann", AT, {"repo": "ann/x", "size": 1}, "1")]
    assert bad.counts == {"no time": 1}


def test_so_many_names_are_remembered_and_the_oldest_forgotten():
    seen = Seen(most=2)
    assert [seen.before(name) for name in ("a", "b", "a", "c", "b", "a")] == [False, False, True, False, True, False]
    assert not seen.before("a", "b")
    assert Seen().before("ab", "c") is Seen().before("a", "bc") is False


def test_a_path_leads_through_objects_alone():
    assert at_path({"a": {"b": 1}}, "a.b") == 1
    assert at_path({"a": [1]}, "a.0") is None
    assert [last_part(iri) for iri in ("http://x/y/z/", "http://x/y#z", "z", None)] == ["z", "z", "z", None]
