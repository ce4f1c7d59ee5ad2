"""Text of Gitter: messages of one line and of many."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from engine.core.model import Event
from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats import gitter
from engine.replay.formats.base import Head, Settings
from engine.replay.formats.gitter import Gitter

ANN = "[2026-03-27 10:00:00] <ann> "
AT = parse_at("2026-03-27T10:00:00Z")


def said(text, user="ann", at=AT):
    return Event("chat_message", user, at, {"message": text}, "", "room")


def read(tmp_path, text, **settings):
    log = tmp_path / "room.txt"
    log.write_bytes(text.encode())
    bad = BadRecords()
    return [event for batch in Gitter().read(str(log), Settings(**settings), bad) for event in batch], bad


@pytest.mark.parametrize(
    ("text", "expected", "reasons"),
    [
        (ANN + "hello", [said("hello")], {}),
        (ANN + "hello\r\n", [said("hello")], {}),
        (ANN + " hello ", [said(" hello ")], {}),
        (ANN + "one\ntwo\n\n  three\n", [said("one\ntwo\n\n  three")], {}),
        (ANN + "one\n\n\n" + ANN.replace("ann", "bob") + "two", [said("one"), said("two", "bob")], {}),
        (ANN.rstrip(), [said("")], {}),
        (ANN + "<bob> no\n[10:00] <bob> no", [said("<bob> no\n[10:00] <bob> no")], {}),
        ("what came before\n\n" + ANN + "x", [said("x")], {"no message": 1}),
        (ANN + "x\n[2026-02-30 10:00:00] <bob> y\n", [said("x")], {"bad time": 1}),
        (
            f"{ANN}x\n[2026-02-30 10:00:00] <bob> y\nso on\n{ANN}z\nso on",
            [said("x"), said("z\nso on")],
            {"bad time": 1},
        ),
        ("", [], {}),
        ("\n", [], {}),
    ],
)
def test_a_message_goes_on_until_the_next(tmp_path, text, expected, reasons):
    events, bad = read(tmp_path, text)
    assert (events, bad.counts) == (expected, reasons)


def test_times_are_those_of_the_zone(tmp_path):
    (event,), _ = read(tmp_path, ANN + "x", zone=ZoneInfo("Europe/Paris"))
    assert event.at == parse_at("2026-03-27T09:00:00Z")


def test_a_message_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(gitter, "TEXT_MAX", 10)
    events, bad = read(tmp_path, f"{ANN}12345\n1234\n1\n{ANN}next\n")
    assert [event.data["message"] for event in events] == ["12345\n1234", "next"]
    assert bad.counts == {"message too long": 1}


@pytest.mark.parametrize(
    ("start", "recognised"),
    [(ANN + "x\n", True), ("x\n" + ANN + "x\n", False), ("[10:00] <ann> x\n", False), ("", False)],
)
def test_it_is_recognised_by_its_first_line(start, recognised):
    assert Gitter().recognises(Head("x.txt", start.encode())) is recognised
