"""xAPI statements: who, what, how it went, and which of them do not count."""

from __future__ import annotations

import io
import json

import pytest

from engine.core.model import Event
from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Once
from engine.replay.formats.base import Settings
from engine.replay.formats.xapi import Xapi, seconds_of

XAPI = Xapi()
VERBS = "http://adlnet.gov/expapi/verbs/"
MADE = {
    "id": "11111111-0000-4000-8000-00000000000A",
    "actor": {"account": {"homePage": "https://lms.example", "name": "ann"}},
    "verb": {"id": f"{VERBS}answered", "display": {"en-US": "answered"}},
    "object": {
        "id": "https://lms.example/q/1",
        "definition": {
            "type": "http://adlnet.gov/expapi/activities/question",
            "name": {"de": "Frage", "en-GB": "Question"},
        },
    },
    "result": {"success": False, "score": {"scaled": 0.25, "raw": 1}, "response": "42", "duration": "PT1M30.5S"},
    "context": {"registration": "r1", "platform": "web", "extensions": {"https://e.example/level": 2}},
    "timestamp": "2026-03-27T10:00:00Z",
    "stored": "2026-03-27T10:00:09Z",
}  # fmt: skip


def voiding(of, key="v"):
    thing = {"objectType": "StatementRef", "id": of}
    return {**MADE, "id": key, "verb": {"id": f"{VERBS}voided"}, "object": thing}


def read(log, form=XAPI, **settings):
    bad = BadRecords()
    return [event for batch in form.read(log, Settings(**settings), bad) for event in batch], bad


def put(tmp_path, *statements):
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"more": "", "statements": statements}), encoding="utf-8")
    return str(log)


def test_the_parts_of_a_statement_are_those_of_the_event(tmp_path):
    [event], bad = read(put(tmp_path, MADE))
    data = {
        "verb": f"{VERBS}answered", "object": "https://lms.example/q/1", "object_type": "question", "name": "Question",
        "ok": False, "score": 0.25, "duration": 90.5, "text": "42", "platform": "web",
        "extensions": {"https://e.example/level": 2},
    }  # fmt: skip
    assert event == Event("answered", "ann", parse_at("2026-03-27T10:00:00Z"), data, MADE["id"], "r1")
    assert bad.total == 0


@pytest.mark.parametrize(
    ("actor", "user"),
    [
        ({"mbox": "mailto:ann@example.org", "name": "Ann"}, "ann@example.org"),
        ({"mbox_sha1sum": "ab12"}, "ab12"),
        ({"openid": "https://ann.example"}, "https://ann.example"),
        ({"objectType": "Group", "mbox": "mailto:team@example.org"}, "team@example.org"),
        ({"objectType": "Group", "member": [{"mbox": "mailto:ann@example.org"}]}, None),
        ({"name": "Ann"}, None),
        ("ann", None),
    ],
)
def test_a_user_is_who_the_actor_is_said_to_be(tmp_path, actor, user):
    events, bad = read(put(tmp_path, {**MADE, "actor": actor}))
    assert [event.user for event in events] == [user] * (user is not None)
    assert bad.counts == ({} if user else {"no user": 1})


def test_the_settings_may_say_where_the_user_is(tmp_path):
    [event], _ = read(put(tmp_path, MADE), user="actor.account.homePage")
    assert event.user == "https://lms.example"


def test_without_a_time_of_its_own_a_statement_happened_when_it_was_stored(tmp_path):
    statements = [{**MADE, "timestamp": None}, {**MADE, "id": "2", "timestamp": None, "stored": None}]
    events, bad = read(put(tmp_path, *statements))
    assert [event.at for event in events] == [parse_at("2026-03-27T10:00:09Z")]
    assert bad.counts == {"no time": 1}


@pytest.mark.parametrize("order", [1, -1])
def test_a_statement_that_another_cancels_does_not_count_whichever_comes_first(tmp_path, order):
    statements = [voiding(MADE["id"].lower()), MADE, {**MADE, "id": "kept"}]
    events, bad = read(put(tmp_path, *statements[::order]))
    assert ([event.id for event in events], bad.total) == (["kept"], 0)


def test_standard_input_is_read_twice_as_well():
    lines = "".join(json.dumps(s) + "\n" for s in (MADE, {**MADE, "id": "kept"}, voiding(MADE["id"])))
    events, _ = read(Once("-", io.BytesIO(lines.encode())))
    assert [event.id for event in events] == ["kept"]


def test_a_statement_counts_once(tmp_path):
    assert len(read(put(tmp_path, MADE, MADE))[0]) == 1


def test_so_many_can_be_cancelled_and_no_more(tmp_path):
    statements = [voiding(key, f"v{key}") for key in ("a", "b")] + [{**MADE, "id": key} for key in ("a", "b")]
    events, bad = read(put(tmp_path, *statements), Xapi(voided_max=1))
    assert ([event.id for event in events], bad.counts) == (["b"], {"too many voided": 1})


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("PT0S", 0), ("PT1H1M1.5S", 3661.5), ("P1DT1S", 86_401), ("P2W", 1_209_600), ("PT0.1S", 0.1),
        ("P1Y", None), ("P1M", None), ("P", None), ("PT", None), ("90", None), ("", None), (90, None), (None, None),
        ("PT" + "9" * 100 + "S", None),
    ],
)  # fmt: skip
def test_a_duration_is_a_number_of_seconds_where_it_is_one(duration, seconds):
    assert seconds_of(duration) == seconds
