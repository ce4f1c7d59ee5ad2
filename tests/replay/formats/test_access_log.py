"""Access logs of Apache and nginx: what a line becomes, and what is no line of one."""

from __future__ import annotations

import pytest

from engine.core.model import Event
from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats.access_log import AccessLog
from engine.replay.formats.base import Head, Settings

AT = parse_at("2015-05-17T10:05:03Z")
COMMON = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a/b.html?x=1 HTTP/1.1" 200 2326'
GOT = {"path": "/a/b.html?x=1", "method": "GET", "status": 200, "ok": True, "bytes": 2326}


def read(tmp_path, *lines):
    log = tmp_path / "access.log"
    log.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    bad = BadRecords()
    return [event for batch in AccessLog().read(str(log), Settings(), bad) for event in batch], bad


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (COMMON, Event("page_view", "10.0.0.1", AT, GOT)),
        (COMMON + "\r", Event("page_view", "10.0.0.1", AT, GOT)),
        (
            COMMON + ' "http://x/?q=\\"a\\"" "Mozilla/5.0 (X11)"',
            Event("page_view", "10.0.0.1", AT, {**GOT, "referrer": 'http://x/?q="a"', "agent": "Mozilla/5.0 (X11)"}),
        ),
        (COMMON + ' "-" "-"', Event("page_view", "10.0.0.1", AT, GOT)),
        (COMMON + ' "-" "-" "10.1.1.1" 0.003', Event("page_view", "10.0.0.1", AT, {**GOT, "rest": '"10.1.1.1" 0.003'})),
        (COMMON + " 0.003", Event("page_view", "10.0.0.1", AT, {**GOT, "rest": "0.003"})),
        ("www.example.org:443 " + COMMON, Event("page_view", "10.0.0.1", AT, {**GOT, "host": "www.example.org:443"})),
        (COMMON.replace("10.0.0.1", "2001:db8::1"), Event("page_view", "2001:db8::1", AT, GOT)),
        (COMMON.replace("- -", "- ann"), Event("page_view", "ann", AT, {**GOT, "address": "10.0.0.1"})),
        (COMMON.replace("- -", "- ann lee"), Event("page_view", "ann lee", AT, {**GOT, "address": "10.0.0.1"})),
        (COMMON.replace("- -", '- ""'), Event("page_view", "10.0.0.1", AT, GOT)),
        (COMMON.replace("10:05:03 +0000", "12:05:03 +0200"), Event("page_view", "10.0.0.1", AT, GOT)),
        (
            COMMON.replace("200 2326", "404 -"),
            Event("page_view", "10.0.0.1", AT, {"path": "/a/b.html?x=1", "method": "GET", "status": 404, "ok": False}),
        ),
        (
            COMMON.replace("200", "399"),
            Event("page_view", "10.0.0.1", AT, {**GOT, "status": 399}),
        ),
        (
            COMMON.replace("GET /a/b.html?x=1 HTTP/1.1", "\\x16\\x03"),
            Event("page_view", "10.0.0.1", AT, {"path": "\\x16\\x03", "status": 200, "ok": True, "bytes": 2326}),
        ),
        (COMMON.replace("17/May", "32/May"), "bad time"),
        (COMMON.replace("17/May", "17/Mai"), "bad time"),
        (COMMON.replace("2015", "1969"), "bad time"),
        (COMMON.replace("+0000", "+9900"), "bad time"),
        (COMMON + ' "-" "Mozilla', "not an access line"),
        (COMMON.replace("200", "OK"), "not an access line"),
        ("hello", "not an access line"),
        ("[" * 100_000, "not an access line"),
        ('a b c [x] "' * 20_000, "not an access line"),
        (b"\xff" + COMMON.encode(), "not UTF-8"),
    ],
)
def test_a_line_becomes_an_event_or_is_counted(tmp_path, line, expected):
    events, bad = read(tmp_path, line)
    if isinstance(expected, str):
        assert (events, bad.counts) == ([], {expected: 1})
    else:
        assert (events, bad.counts) == ([expected], {})


def test_empty_lines_are_no_records(tmp_path):
    events, bad = read(tmp_path, "", COMMON, "  ", COMMON)
    assert (len(events), bad.total) == (2, 0)


@pytest.mark.parametrize(
    ("start", "recognised"),
    [
        (COMMON + "\n", True),
        (COMMON, True),
        (f"{COMMON}\nbroken\n{COMMON}\n", True),
        (f"{COMMON}\nbroken\n", False),
        ("broken\n", False),
        ("", False),
        ('{"at": 1}\n', False),
    ],
)
def test_it_is_recognised_where_most_lines_are_of_it(start, recognised):
    assert AccessLog().recognises(Head("x.log", start.encode())) is recognised
