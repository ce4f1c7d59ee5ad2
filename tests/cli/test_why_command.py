"""``proactive why`` as its user sees it: on a log, and on what a server has recorded."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.core.model import Event
from engine.core.units import MINUTE, parse_at
from engine.loading.load import load
from engine.storage.base import Entry
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS
from engine.turn import Turns

START = parse_at("2026-03-27T10:00:00Z")
RULES = """
version: 1
rules:
  - id: stuck
    trigger: {count: {event: test.failed, at_least: 3, within: 10m, group_by: test}}
    cooldown: 30m
    message: {type: suggestion, text: "{{ event.test }} has failed {{ trigger.count }} times."}
  - {id: hello, trigger: {event: session.start}, message: {type: notification, text: Hello}, max: {max: 1, per: day}}
"""
LINES = [
    ("10:00:00", "session.start", {}),
    ("10:01:00", "test.failed", {"test": "t1"}),
    ("10:02:00", "test.failed", {"test": "t1"}),
    ("10:09:00", "test.failed", {"test": "t1"}),
    ("11:00:00", "test.failed", {"test": "t2"}),
    ("11:03:00", "test.failed", {"test": "t2"}),
    ("11:12:00", "test.failed", {"test": "t2"}),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES)
    records = [{"at": f"2026-03-27T{at}Z", "user": "ann", "type": kind, "data": data} for at, kind, data in LINES]
    records.append({"at": "2026-03-27T12:00:00Z", "user": "bob", "type": "test.failed", "data": {}})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


def run(*words: object) -> Any:
    called = ["why", *map(str, words)]
    return CliRunner().invoke(app_for(called), called)


FIRED = """\
stuck (rules/a.yaml:4) and ann
2026-03-27T10:00:00Z to 2026-03-27T10:19:00Z: 1 candidate, 1 sent; 1 in all

2026-03-27T10:09:00Z  sent "t1 has failed 3 times."
  made by count: count 3, first_at 2026-03-27T10:01:00Z, group "t1"
    2026-03-27T10:01:00Z test.failed test="t1"
    2026-03-27T10:02:00Z test.failed test="t1"
    2026-03-27T10:09:00Z test.failed test="t1"
  gates
    condition     open
    presence      open
    preferences   open
    warmup        open
    cooldown      open
    cap           open
    simultaneous  open
    quiet hours   open
    budget        open
    holdout       open
"""
MISSED = """\
stuck (rules/a.yaml:4) and ann
2026-03-27T11:00:00Z to 2026-03-27T12:00:00Z: 0 candidates, 0 sent; 1 in all

no candidate; the nearest miss
  2026-03-27T11:12:00Z  count: 2 of 3 in 10m of "t2"

would have sent it, verified by running it again:
  1. one more test.failed with test = "t2", before 2026-03-27T11:13:00Z
     → sent at 2026-03-27T11:12:01Z "t2 has failed 3 times."
  2. within: 12m1s instead of 10m
     --set stuck.trigger.count.within=12m1s
     → sent at 2026-03-27T11:12:00Z "t2 has failed 3 times."
  3. at_least: 2 instead of 3
     --set stuck.trigger.count.at_least=2
     → sent at 2026-03-27T11:03:00Z "t2 has failed 2 times."
"""


def test_what_fired_is_told_with_its_events_and_its_gates(place: Path) -> None:
    done = run("stuck", "log.jsonl", "--user", "ann", "--at", "10:09", "--around", "10m")
    assert (done.exit_code, done.stdout, done.stderr) == (0, FIRED, "")


def test_what_did_not_fire_is_told_with_the_nearest_miss_and_what_would_have_done(place: Path) -> None:
    done = run("stuck", "log.jsonl", "--user", "ann", "--at", "11:30", "--around", "30m")
    assert (done.exit_code, done.stdout, done.stderr) == (0, MISSED, "")


def test_without_a_moment_all_candidates_are_listed_and_the_nearest_miss_besides(place: Path) -> None:
    done = run("stuck", "log.jsonl", "--user", "ann")
    assert done.exit_code == 0
    assert '2026-03-27T10:09:00Z  sent "t1 has failed 3 times."\n' in done.stdout
    assert 'the nearest miss besides\n  2026-03-27T11:12:00Z  count: 2 of 3 in 10m of "t2"\n' in done.stdout


def test_the_same_is_there_as_json_and_twice_the_same(place: Path) -> None:
    first, second = (run("stuck", "log.jsonl", "--user", "ann", "--at", "11:30", "--json") for _ in range(2))
    assert first.stdout == second.stdout
    told = json.loads(first.stdout)
    assert told["changes"][1]["set"] == [{"path": "stuck.trigger.count.within", "value": "12m1s"}]
    assert [change["verified"] for change in told["changes"]] == [True] * 3
    assert run("stuck", "log.jsonl", "--user", "ann", "--at", "11:30", "--no-changes").stdout.count("would") == 0


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["stuk", "--user", "ann"], 2, 'there is no rule "stuk", did you mean "stuck"?\n'),
        (["stuck", "--user", "eve"], 2, 'the log has no user "eve"\n'),
        (["stuck", "--user", "ann", "--at", "noon"], 2, "--at: expected a time such as"),
        (["stuck", "--user", "ann", "--at", "24:00"], 2, "--at: expected a time such as"),
        (["stuck", "--user", "ann", "--at", "10:00", "--around", "1w"], 2, "--around: expected a duration such as"),
        (
            ["stuck", "--user", "bob", "--at", "10:00", "--around", "1m"],
            2,
            '2026-03-27T10:00:00Z lies outside: time of user "bob" runs from 2026-03-27T12',
        ),
        (["stuck", "--user", "ann", "--rules", "nowhere"], 1, "nowhere: expected a folder of rules"),
        (["stuck", "--user", "ann", "--timezone", "Mars"], 2, "--timezone: "),
    ],
)
def test_what_cannot_be_answered_is_refused(place: Path, words: list[str], code: int, error: str) -> None:
    done = run(*words, "log.jsonl")
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(error)


def test_a_time_of_day_needs_a_log_of_one_day(place: Path) -> None:
    with (place / "log.jsonl").open("a") as log:
        log.write('{"at": "2026-03-28T10:00:00Z", "user": "ann", "type": "note"}\n')
    done = run("stuck", "log.jsonl", "--user", "ann", "--at", "10:09")
    assert done.exit_code == 2
    assert '"10:09" of which day? the log has 2026-03-27 to 2026-03-28' in done.stderr
    assert run("stuck", "log.jsonl", "--user", "ann", "--at", "2026-03-27T10:09").exit_code == 0


async def record(path: Path) -> None:
    """The same, evaluated by a server whose rules change at half past ten."""
    store = await SqliteStore.open(path, partition_count=2)
    turns = Turns(store)
    await turns.recover()
    for number, text in enumerate((RULES, RULES.replace("at_least: 3", "at_least: 2"))):
        rules = load({"rules.yaml": text}, KINDS)
        await store.save_rules(rules.hash, rules.sources)
        await turns.change_rules(rules, START + number * 30 * MINUTE - 1)
        for at, kind, data in LINES:
            moment = parse_at(f"2026-03-27T{at}Z")
            if (moment >= START + 30 * MINUTE) == bool(number):
                await turns.make([Entry("event", moment, "ann", Event(kind, "ann", moment, data))], moment, due=True)
    await store.close()


def test_of_a_recording_the_rules_are_those_that_held_at_the_moment(place: Path) -> None:
    asyncio.run(record(place / "s.db"))
    before = (place / "s.db").read_bytes()
    early = json.loads(run("stuck", "s.db", "--user", "ann", "--at", "10:09", "--around", "10m", "--json").stdout)
    late = json.loads(run("stuck", "s.db", "--user", "ann", "--at", "11:03", "--around", "10m", "--json").stdout)
    assert [one["message"] for one in early["candidates"]] == ["t1 has failed 3 times."]
    assert [one["message"] for one in late["candidates"]] == ["t2 has failed 2 times."]
    assert (place / "s.db").read_bytes() == before


def test_the_changes_that_are_told_can_be_pasted_into_a_sweep_whatever_is_in_them(place: Path) -> None:
    rules = place / "rules" / "a.yaml"
    rules.write_text(
        """
version: 1
rules:
  - id: stuck
    trigger: {event: {event: test.failed, where: event.test == "t1" and event.seconds >= 600}}
    message: {type: suggestion, text: Stuck?}
"""
    )
    record = {"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "test.failed", "test": "t1", "seconds": 5}
    (place / "log.jsonl").write_text(json.dumps(record) + "\n")
    told = run("stuck", "log.jsonl", "--user", "ann").stdout.splitlines()
    settings = [shlex.split(line)[1] for line in told if line.lstrip().startswith("--set ")]
    assert 'stuck.trigger.event.where="event.test == \\"t1\\" and event.seconds >= 5"' in settings
    for setting in settings:
        called = ["sweep", "log.jsonl", "--rules", "rules", "--set", setting]
        done = CliRunner().invoke(app_for(called), called)
        assert (done.exit_code, done.stderr) == (0, ""), setting
