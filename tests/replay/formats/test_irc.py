"""Logs of IRC: three layouts, and days that are only in a name."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Head, Settings, UnknownForm
from engine.replay.formats.irc import Irc, day_of


def read(tmp_path, text, name="2026-03-27.txt", **settings):
    log = tmp_path / name
    log.write_bytes(text.encode())
    bad = BadRecords()
    return [event for batch in Irc().read(str(log), Settings(**settings), bad) for event in batch], bad


HTML = '<span class="irc-date">[9:05]</span> <span class="irc-black">&lt;ann&gt; if a &lt; b &amp;&amp; c</span><br />'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[10:00] <ann> hello", ("chat_message", "ann", "10:00:00", "hello")),
        ("[10:00] <ann>", ("chat_message", "ann", "10:00:00", "")),
        ("[10:00] <@ann> hello <bob>", ("chat_message", "ann", "10:00:00", "hello <bob>")),
        ("[10:00] < ann> hello ", ("chat_message", "ann", "10:00:00", "hello ")),
        ("[10:00]  * ann sips a coffee", ("chat_action", "ann", "10:00:00", "sips a coffee")),
        ("[10:00:07] <ann> hello\r", ("chat_message", "ann", "10:00:07", "hello")),
        ("(3:49:02 PM) <ann> hello", ("chat_message", "ann", "15:49:02", "hello")),
        ("(12:00 am) ann: hello", ("chat_message", "ann", "00:00:00", "hello")),
        ("(12:00 pm) ann: hello: you", ("chat_message", "ann", "12:00:00", "hello: you")),
        (HTML, ("chat_message", "ann", "09:05:00", "if a < b && c")),
        ("#chan 2026-03-27 [10:00:01] <ann> hello", ("chat_message", "ann", "10:00:01", "hello")),
        ("=== ann [~a@b]  has joined #ubuntu", "no time"),
        ("[10:00] *** ann has joined #chan", "no user"),
        ("[10:00] -!- mode/#chan [+o ann]", "no user"),
        ("[10:00] ann: hello", "no user"),
        ("[24:00] <ann> hello", "bad time"),
        ("[10:60] <ann> hello", "bad time"),
        ("(13:00 PM) <ann> hello", "bad time"),
        ("#chan 2026-02-30 [10:00:01] <ann> hello", "bad time"),
        ("hello", "no time"),
    ],
)
def test_a_line_becomes_an_event_or_is_counted(tmp_path, line, expected):
    events, bad = read(tmp_path, line)
    if isinstance(expected, str):
        assert (events, bad.counts) == ([], {expected: 1})
    else:
        kind, user, time, message = expected
        assert bad.total == 0
        (event,) = events
        assert (event.type, event.user, event.at) == (kind, user, parse_at(f"2026-03-27T{time}Z"))
        assert event.data == {"message": message}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["23:59", "00:00", "00:01"], ["27T23:59", "28T00:00", "28T00:01"]),
        (["14:00", "09:00", "08:00"], ["27T14:00", "28T09:00", "28T08:00"]),  # an hour back: the clock was set
        (["14:00", "09:00", "07:59"], ["27T14:00", "28T09:00", "29T07:59"]),
        (["23:00", "22:00"], ["27T23:00", "27T22:00"]),
        (["11:00", "12:59", "01:00", "12:30", "01:30"], ["27T11:00", "27T12:59", "27T13:00", "28T00:30", "28T01:30"]),
        (["00:30", "12:59", "01:00"], ["27T00:30", "27T12:59", "28T01:00"]),  # a clock of 24 hours, as 00:30 shows
        (["13:00", "12:59", "01:00"], ["27T13:00", "27T12:59", "28T01:00"]),
    ],
)
def test_a_clock_that_goes_back_has_gone_round(tmp_path, times, expected):
    events, bad = read(tmp_path, "".join(f"[{time}] <ann> x\n" for time in times))
    assert bad.total == 0
    assert [event.at for event in events] == [parse_at(f"2026-03-{moment}:00Z") for moment in expected]


def test_a_time_that_names_its_half_of_the_day_is_on_no_clock_of_twelve(tmp_path):
    events, _ = read(tmp_path, "(12:59 PM) ann: x\n(1:00 AM) ann: x\n(1:00 PM) ann: x\n")
    moments = ("27T12:59", "28T01:00", "28T13:00")
    assert [event.at for event in events] == [parse_at(f"2026-03-{moment}:00Z") for moment in moments]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("logs/2026-03-27.txt.gz", date(2026, 3, 27)),
        ("#chan.20260327.log", date(2026, 3, 27)),
        ("irc/2026/03/27/#chan.txt", date(2026, 3, 27)),
        ("2025-01-01/2026-03-27_12.txt", date(2026, 3, 27)),
        ("2026-02-30.txt", None),
        ("2025-01-01/2026-13-27.txt", date(2025, 1, 1)),
        ("12026-03-27.txt", None),
        ("#chan.log", None),
    ],
)
def test_the_day_is_the_last_date_of_the_name(log, expected):
    assert day_of(log) == expected


def test_the_day_that_is_said_counts_and_the_zone_too(tmp_path):
    (event,), _ = read(tmp_path, "[10:00] <ann> x", day=date(2026, 7, 1), zone=ZoneInfo("Europe/Paris"))
    assert (event.at, event.session) == (parse_at("2026-07-01T08:00:00Z"), "2026-03-27")


def test_without_a_day_the_log_is_refused_and_one_that_names_its_days_is_not(tmp_path):
    log = tmp_path / "chan.log"
    log.write_text("[10:00] <ann> x", encoding="utf-8")
    with pytest.raises(UnknownForm, match="say it with --day"):
        list(Irc().read(str(log), Settings(), BadRecords()))
    events, _ = read(tmp_path, "#a 2026-03-27 [10:00:00] <ann> x\n#b 2026-03-26 [10:00:00] <ann> x\n", "chan.log")
    assert [event.session for event in events] == ["#a", "#b"]
    assert events[0].at - events[1].at == parse_at("1970-01-02T00:00:00Z")


@pytest.mark.parametrize(
    ("start", "recognised"),
    [
        ("[10:00] <ann> x\n", True),
        ("=== ann has joined\n=== bob has joined\n[10:00] <ann> x\n", True),
        ("=== ann has joined\n", False),
        ("[10:00] *** ann has joined\n", False),
        ("[10:00] <ann> x\n" * 9 + "y\n", True),
        ("[10:00] <ann> x\n" * 8 + "y\n", False),
        (f"<html>\n<body>\n{HTML}\n", True),
        ("#chan 2026-03-27 [10:00:01] <ann> hello\n", True),
        ("[2026-03-27 10:00:00] <ann> x\n", False),
        ("", False),
    ],
)
def test_it_is_recognised_by_what_somebody_says(start, recognised):
    assert Irc().recognises(Head("x.txt", start.encode())) is recognised
