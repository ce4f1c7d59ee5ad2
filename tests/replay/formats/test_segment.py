"""Calls of Segment and RudderStack: who an anonymous id is at which moment, and when a call happened."""

from __future__ import annotations

import io
import json

import pytest

from engine.core.model import Event
from engine.core.units import format_at, parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Once
from engine.replay.formats.base import Settings
from engine.replay.formats.segment import Segment

SEGMENT = Segment()


def call(kind, minute=0, **fields):
    return {"type": kind, "timestamp": f"2026-03-27T10:{minute:02}:00.000Z", **fields}


def track(minute, anonymous="x", **fields):
    return call("track", minute, event="e", anonymousId=anonymous, **fields)


def identify(minute, user, anonymous="x", **fields):
    return call("identify", minute, userId=user, anonymousId=anonymous, **fields)


def put(tmp_path, *calls):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(one) + "\n" for one in calls), encoding="utf-8")
    return str(log)


def read(log, form=SEGMENT, **settings):
    bad = BadRecords()
    return [event for batch in form.read(log, Settings(**settings), bad) for event in batch], bad


def users(tmp_path, *calls):
    """Who did what was tracked, by its minute."""
    events, _ = read(put(tmp_path, *calls))
    return {int(format_at(event.at)[14:16]): event.user for event in events if event.type == "e"}


def test_an_anonymous_id_is_its_user_before_and_after_it_is_identified(tmp_path):
    assert users(tmp_path, track(1), identify(5, "ann"), track(9), track(2, "y")) == {1: "ann", 9: "ann", 2: "y"}


def test_of_two_users_the_one_counts_who_was_identified_last_at_that_moment(tmp_path):
    calls = [
        track(1),
        identify(5, "ann"),
        track(6),
        identify(10, "bob"),
        track(10),
        track(11),
        identify(12, "ann"),
        track(13),
    ]
    expected = {1: "ann", 6: "ann", 10: "bob", 11: "bob", 13: "ann"}
    assert users(tmp_path, *calls) == expected
    assert users(tmp_path, *reversed(calls)) == expected


def test_a_call_with_both_ids_links_them_as_an_identify_does(tmp_path):
    assert users(tmp_path, track(1), track(2, userId="ann"), track(3)) == {1: "ann", 2: "ann", 3: "ann"}


def test_an_alias_makes_what_was_before_somebody_else(tmp_path):
    calls = [track(1, "x"), track(2, None, userId="old"), call("alias", 5, previousId="x", userId="old")]
    assert users(tmp_path, *calls, call("alias", 6, previousId="old", userId="ann")) == {1: "ann", 2: "ann"}


def test_aliases_in_a_circle_end(tmp_path):
    calls = [call("alias", 1, previousId="a", userId="b"), call("alias", 2, previousId="b", userId="a")]
    assert set(users(tmp_path, *calls, track(3, None, userId="a"))) == {3}


def test_the_calls_are_events(tmp_path):
    page = {"context": {"page": {"url": "/x"}}}
    events, bad = read(
        put(
            tmp_path,
            identify(0, "ann", traits={"plan": "free"}, messageId="m0", context={"sessionId": 7}),
            call("track", 1, userId="ann", event="Order.Done", properties={"total": 2}, **page),
            call("page", 2, userId="ann", name="Home", category="docs", properties={"url": "/"}),
            call("screen", 3, userId="ann", name="Home"),
            call("group", 4, userId="ann", groupId="g1", traits={"size": 3}),
            call("alias", 5, userId="ann", previousId="x"),
        )
    )  # fmt: skip
    assert [(event.type, event.data) for event in events] == [
        ("user.identify", {"plan": "free"}),
        ("Order.Done", {"total": 2, **page}),
        ("page_view", {"name": "Home", "category": "docs", "url": "/"}),
        ("screen_view", {"name": "Home"}),
        ("group", {"groupId": "g1", "size": 3}),
    ]
    at = parse_at("2026-03-27T10:00:00Z")
    assert events[0] == Event("user.identify", "ann", at, {"plan": "free"}, "m0", "7")
    assert bad.total == 0


@pytest.mark.parametrize(
    ("stamps", "at"),
    [
        ({"timestamp": "2026-03-27T10:00:00Z", "receivedAt": "2026-03-27T11:00:00Z"}, "10:00:00"),
        (
            {
                "originalTimestamp": "2026-03-27T08:00:00Z",
                "sentAt": "2026-03-27T08:00:30Z",
                "receivedAt": "2026-03-27T10:00:00Z",
            },
            "09:59:30",
        ),
        ({"originalTimestamp": "2026-03-27T08:00:00Z", "receivedAt": "2026-03-27T10:00:00Z"}, "08:00:00"),
        ({"receivedAt": "2026-03-27T10:00:00Z"}, "10:00:00"),
        ({"sentAt": "2026-03-27T10:00:00Z"}, "10:00:00"),
        ({}, "no time"),
        ({"timestamp": "soon"}, "bad time"),
    ],
)
def test_a_call_happened_when_its_corrected_stamp_says_or_else_by_the_clock_of_the_server(tmp_path, stamps, at):
    events, bad = read(put(tmp_path, {"type": "track", "event": "e", "userId": "ann", **stamps}))
    assert [format_at(event.at)[11:19] for event in events] + list(bad.counts) == [at]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "track", "event": None}, "no type"),
        ({"type": "tracked"}, "unknown call"),
        ({"userId": None}, "no user"),
        ({"userId": ["ann"]}, "bad user"),
    ],
)
def test_a_call_that_cannot_be_an_event_is_bad(tmp_path, fields, reason):
    events, bad = read(put(tmp_path, call("track", userId="ann", event="e") | fields))
    assert (events, bad.counts) == ([], {reason: 1})


def test_a_message_counts_once(tmp_path):
    sent = call("track", userId="ann", event="e", messageId="m")
    assert len(read(put(tmp_path, sent, sent, sent | {"messageId": "n"}))[0]) == 2


def test_numbers_are_ids_as_texts_are(tmp_path):
    assert users(tmp_path, track(1, 5), identify(2, 7, 5)) == {1: "7"}


def test_a_batch_on_standard_input_is_read_twice_as_well():
    batch = json.dumps({"batch": [track(1), identify(2, "ann")], "sentAt": "x"})
    events, bad = read(Once("-", io.BytesIO(batch.encode())))
    assert ({event.user for event in events}, bad.total) == ({"ann"}, 0)


def test_the_settings_may_say_where_the_user_is(tmp_path):
    [event], _ = read(put(tmp_path, track(1, userId="ann", context={"device": {"id": "d1"}})), user="context.device.id")
    assert event.user == "d1"


def test_so_many_links_are_remembered_and_no_more(tmp_path):
    log = put(tmp_path, identify(1, "ann", "x"), identify(2, "bob", "y"), track(3, "x"), track(4, "y"))
    events, bad = read(log, Segment(links_max=1))
    assert [event.user for event in events] == ["ann", "bob", "ann", "y"]
    assert bad.counts == {"too many ids": 1}
