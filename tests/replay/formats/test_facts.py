"""Logs of real people, as others recorded them: what comes out of the importers is what was counted independently.

They lie beside the project and are not part of it. Where the folder is absent the tests are skipped. Of each log there
are three things: the log itself, the same rows in a common form, and figures that somebody else has counted.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from engine.core.units import DAY, HOUR, MINUTE, SECOND, parse_at, to_datetime
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings
from engine.replay.reading import event_batches
from engine.replay.source import parse_source

DATA = Path(__file__).parent.parent.parent.parent.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no folder {DATA} with recorded logs")

# Where a row of an imported event has its text, and what the common form calls its type.
CHAT = {"chat_message": "message", "chat_action": "action"}
# The same logs by a mapping, which the common form was not made with.
COPILOT = """
at: TimeGenerated
user: UserId
type: StateName
session: study
data: {text: CurrentSuggestion}
"""
KYPO = """
format: json
at: timestamp
user: playerId
type: event
session: level
"""
SHELL = """
at: timestamp_str
user: {log: path}
type: cmd_type
data: {text: cmd}
"""
# These three go round: two after twelve, on a clock of twelve hours, one at midnight. The common form has them go back
# instead. By log: the time of day from which on, and how far.
GONE_ROUND = {
    "2007-01-11_12": (13 * HOUR, 12 * HOUR),
    "2007-08-19.train-a": (13 * HOUR, 12 * HOUR),
    "2008-07-03.train-c": (DAY, DAY),
}


class Row:
    """One row: of an imported event, or of the common form. ``at`` and ``user`` are None where it has none."""

    def __init__(self, at, user, kind, session, ok, text, data):
        self.at, self.user, self.kind, self.session = at, user, kind, session
        self.ok, self.text, self.data = ok, text, data

    def same(self):
        return self.at, self.user, self.kind, self.ok, self.text


def common_rows(name):
    with gzip.open(DATA / "events" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            record = json.loads(line)
            at = None if record["time"] is None else parse_at(record["time"])
            parts = [record[part] for part in ("user", "type", "session", "ok", "text", "data")]
            yield Row(at, *parts)


def counted(rows):
    """The figures, by the rules that stand beside them. ``rows`` all have a time and a user."""
    users = defaultdict(list)
    for row in rows:
        users[row.user].append(row)
    in_order = [sorted(mine, key=lambda row: row.at) for mine in users.values()]
    gaps = [after.at - before.at for mine in in_order for before, after in pairwise(mine)]
    times = [row.at for row in rows]
    hours = [to_datetime(at) for at in times]
    return {
        "users": len(users),
        "first": str(to_datetime(min(times))),
        "last": str(to_datetime(max(times))),
        "types": dict(Counter(row.kind for row in rows)),
        "out_of_order_global": falls(times),
        "out_of_order_per_user": sum(falls([row.at for row in mine]) for mine in users.values()),
        "users_with_disorder": sum(falls([row.at for row in mine]) > 0 for mine in users.values()),
        "same_time_as_previous_of_user": sum(
            after.at == before.at for mine in users.values() for before, after in pairwise(mine)
        ),
        "duplicate_rows": len(rows) - len({(row.at, row.user, row.kind, row.session, row.text) for row in rows}),
        "sessions": len({row.session for row in rows} - {None}),
        "gaps": {
            "5-30min": sum(5 * MINUTE < gap <= 30 * MINUTE for gap in gaps),
            "30min-2h": sum(30 * MINUTE < gap <= 2 * HOUR for gap in gaps),
            "2h-24h": sum(2 * HOUR < gap <= DAY for gap in gaps),
            ">24h": sum(gap > DAY for gap in gaps),
        },
        "gap_median_s": round(median(gaps) / SECOND, 1),
        "users_with_gap_5min_2h": sum(
            any(5 * MINUTE < after.at - before.at <= 2 * HOUR for before, after in pairwise(mine)) for mine in in_order
        ),
        "bursts_10_in_60s": sum(bursts([row.at for row in mine]) for mine in in_order),
        "max_events_per_user": max(map(len, users.values())),
        "median_events_per_user": float(median(map(len, users.values()))),
        "outcomes": {"ok": sum(row.ok is True for row in rows), "fail": sum(row.ok is False for row in rows)},
        "fail_runs": fail_runs(in_order),
        "share_22_06h": round(sum(hour.hour >= 22 or hour.hour < 6 for hour in hours) / len(rows), 3),
        "share_weekend": round(sum(hour.weekday() >= 5 for hour in hours) / len(rows), 3),
        "active_days": len({hour.date() for hour in hours}),
    }


def falls(times):
    return sum(after < before for before, after in pairwise(times))


def bursts(times):
    """Ten events within 60 s, counted greedily without overlap."""
    found = start = 0
    while start + 10 <= len(times):
        if times[start + 9] - times[start] <= MINUTE:
            found += 1
            start += 10
        else:
            start += 1
    return found


def fail_runs(in_order):
    runs = []
    for mine in in_order:
        sessions = defaultdict(list)
        for row in mine:
            if row.ok is not None:
                sessions[row.session].append(row.ok)
        for outcomes in sessions.values():
            length = 0
            for ok in [*outcomes, True]:
                if ok and length:
                    runs.append(length)
                length = 0 if ok else length + 1
    return {**{f">={n}": sum(run >= n for run in runs) for n in (2, 3, 5)}, "max": max(runs, default=0)}


def imported(logs, mapping=None):
    bad = BadRecords()
    settings = Settings(source=None if mapping is None else parse_source("source.yaml", mapping))
    batches = event_batches([str(log) for log in logs], settings, None, bad)
    return [event for batch in batches for event in batch], bad


def apache():
    events, bad = imported([DATA / "raw" / "apache_access.log.gz"])
    assert bad.counts == {"not an access line": 1}  # it breaks off within a text
    return [Row(e.at, e.user, e.type, e.session, e.data["ok"], e.data["path"], e.data) for e in events]


def gitter():
    events, bad = imported([DATA / "raw" / "gitter_docker.txt.gz"])
    assert bad.total == 0
    return [Row(e.at, e.user, CHAT[e.type], e.session, None, e.data["message"], e.data) for e in events]


def irc():
    sessions = dict.fromkeys(row.session for row in common_rows("irc_ubuntu_2007_2008"))
    logs = [DATA / "raw" / "irc_ubuntu" / f"{session.removeprefix('ubuntu/')}.txt.gz" for session in sessions]
    events, bad = imported(logs)
    assert bad.counts == {"no time": 6996}  # what the server says
    rows = [Row(e.at, e.user, CHAT[e.type], e.session, None, e.data["message"], e.data) for e in events]
    before = None
    for row in rows:
        # Within a log, time goes back nowhere: so one that stands before the last of its log has gone round.
        if before is not None and before.session == row.session:
            assert row.at >= before.real_at
        row.real_at, before = row.at, row
        start, turn = GONE_ROUND.get(row.session, (2 * DAY, 0))
        if row.at - parse_at(row.session[:10]) >= start:
            row.at -= turn
    return rows


def copilot():
    events, bad = imported([DATA / "raw" / "copilot_vscode_p00-09.jsonl.gz"], COPILOT)
    assert bad.total == 0
    outcome = {"Accepted": True, "Rejected": False}
    return [Row(e.at, e.user, e.type, e.session, outcome.get(e.type), e.data.get("text"), e.data) for e in events]


def kypo():
    events, bad = imported([DATA / "raw" / "kypo_training_2017.json"], KYPO)
    assert bad.total == 0
    outcome = {"Correct flag submited": True, "Wrong flag submited": False}
    rows = []
    for e in events:
        kind, _, text = e.type.partition(":")
        rows.append(Row(e.at, e.user, kind, e.session, outcome.get(kind), text or None, e.data))
    return rows


def shell():
    events, bad = imported([DATA / "raw" / "shell_kypo_dev.tar.gz"], SHELL)
    with tarfile.open(DATA / "raw" / "shell_kypo_dev.tar.gz") as archive:
        others = [member for member in archive if member.isfile() and not member.name.endswith(".json")]
        lines = [line for member in others for line in archive.extractfile(member).read().split(b"\n")]
    assert bad.counts == {"not JSON": sum(bool(line.strip()) for line in lines)}  # of a page and of three topologies
    return [Row(e.at, e.user, e.type, e.user.split("/")[0], None, e.data.get("text"), e.data) for e in events]


LOGS = {
    "apache_access": apache,
    "copilot_vscode_p00-09": copilot,
    "gitter_docker": gitter,
    "irc_ubuntu_2007_2008": irc,
    "kypo_training_2017": kypo,
    "shell_kypo_dev": shell,
}


@pytest.fixture(scope="module", params=LOGS)
def log(request):
    return request.param, LOGS[request.param]()


def test_the_rows_are_those_of_the_common_form_in_their_order(log):
    name, rows = log
    expected = [row for row in common_rows(name) if row.at is not None]
    assert len(rows) == len(expected)
    different = [(a.same(), b.same()) for a, b in zip(rows, expected, strict=True) if a.same() != b.same()]
    assert different == []


def test_the_figures_are_those_that_others_have_counted(log):
    name, rows = log
    fact = json.loads((DATA / "facts.json").read_text(encoding="utf-8"))[name]
    assert len(rows) == fact["rows"] - fact["no_time"]
    # The lines that are no events: the server's in the channel, and one of the access log that breaks off.
    left_out = {kind: fact["types"].pop(kind) for kind in ("system", "unparsed") if kind in fact["types"]}
    assert sum(left_out.values()) == fact["no_time"] == fact["no_user"]
    found = counted(rows)
    if "system" in left_out:
        del fact["duplicate_rows"]  # in which the lines of the server are counted
    assert {key: value for key, value in found.items() if key in fact} == {
        key: value for key, value in fact.items() if key in found
    }
    assert len(found.keys() & fact.keys()) >= 18


def test_statuses_of_the_access_log_are_counted_as_others_have():
    fact = json.loads((DATA / "facts.json").read_text(encoding="utf-8"))["apache_access"]
    assert Counter(f"{row.data['status']}.0" for row in apache()) == fact["status"]
