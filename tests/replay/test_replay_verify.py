"""What a server records is what a replay reproduces; and what was tampered with is named."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.core.model import Event
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.replay.recording import Recording, RecordingUnusable, recorded_rules
from engine.storage.base import Entry
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS
from engine.turn import Turns

START = 1_774_605_600_000_000

RULES = """
version: 1
rules:
  - id: idle
    trigger: {inactivity: 5m}
    message: {type: question, text: "{{ user.id }}?"}
    max: {max: 2, per: session}
  - {id: hello, trigger: {event: session.start}, message: {type: notification, text: Hello}, cooldown: 10m}
"""
LATER = RULES.replace("5m", "2m").replace("Hello", "Welcome")


async def record(path):
    """Four users, an hour, a change of rules in the middle, and time that comes late."""
    store = await SqliteStore.open(path, partition_count=2)
    turns = Turns(store)
    await turns.recover()
    for number, text in enumerate((RULES, LATER)):
        rules = load({"rules.yaml": text}, KINDS)
        await store.save_rules(rules.hash, rules.sources)
        begin = START + number * 30 * MINUTE
        await turns.change_rules(rules, begin)
        for minute in range(30):
            now = begin + minute * MINUTE
            entries = [
                Entry("event", now, user, Event(kind, user, now, {"n": minute}))
                for user, kind, every in (
                    ("ann", "edit", 7),
                    ("bob", "session.start", 12),
                    ("cyd", "edit", 3),
                    ("bob", "edit", 9),
                    ("dan", "chat_message", 29),
                )
                if minute % every == 1
            ]
            await turns.make(entries, now, due=minute % 4 == 0)
    await turns.make([], START + 61 * MINUTE, due=True)
    await store.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "proactive.db"
    asyncio.run(record(path))
    return path


@pytest.fixture
def store(recorded, tmp_path):
    path = tmp_path / "any-name"
    path.write_bytes(recorded.read_bytes())
    return path


def run(*words):
    words = ["replay", *map(str, words)]
    return CliRunner().invoke(app_for(words), words)


def test_the_recorded_decisions_are_reproduced_exactly(store):
    db = sqlite3.connect(store)
    [(count, users)] = db.execute("select count(*), count(distinct user) from decisions").fetchall()
    db.close()
    assert (count, users) == (35, 4)
    result = run(store, "--verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "verified: 35 decisions of 4 users reproduced exactly"


def test_the_first_recorded_decision_that_differs_is_named_with_both_lines(store):
    db = sqlite3.connect(store)
    db.execute("update decisions set line = replace(line, 'bob?', 'rob?')")
    db.commit()
    db.close()
    result = run(store, "--verify")
    assert result.exit_code == 1
    assert 'differs: decision 2 of user "bob"' in result.stdout
    assert '"text":"rob?"' in result.stdout
    assert '"text":"bob?"' in result.stdout


def test_a_recorded_decision_that_is_missing_differs(store):
    db = sqlite3.connect(store)
    db.execute("delete from decisions where (partition, number) = (select partition, max(number) from decisions)")
    db.commit()
    db.close()
    result = run(store, "--verify")
    assert result.exit_code == 1
    assert "recorded:   none" in result.stdout


def test_a_store_is_replayed_with_the_rules_that_held_when_they_held(store, tmp_path):
    out = tmp_path / "out.jsonl"
    result = run(store, "--decisions", out)
    assert result.exit_code == 0, result.output
    text = out.read_text()
    assert '"text":"Hello"' in text
    assert '"text":"Welcome"' in text
    assert '"idle":"5m"' in text
    assert '"idle":"2m"' in text


def test_a_store_can_be_judged_by_other_rules(store, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(
        'version: 1\nrules:\n  - {id: new, trigger: {event: edit}, message: {type: question, text: "x"}}\n'
    )
    result = run(store, "--rules", other)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split()[:2] == ["new", "38"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--rules", "rules"), "--verify runs the recorded rules"),
        (("--until", "2026-03-27"), "--verify runs the recorded rules"),
    ],
)
def test_verify_takes_nothing_that_would_make_it_another_run(store, more, message):
    result = run(store, "--verify", *more)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_log_cannot_be_verified(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("")
    result = run(log, "--verify")
    assert result.exit_code == 2
    assert "is not the store of one" in result.stderr


def test_a_store_without_rules_says_so():
    with pytest.raises(RecordingUnusable, match="no rules have been recorded; judge it by others with --rules"):
        recorded_rules(Recording(1))


def test_a_store_in_which_nothing_has_happened_says_so(tmp_path):
    async def make():
        store = await SqliteStore.open(tmp_path / "empty.db")
        await store.close()

    asyncio.run(make())
    result = run(tmp_path / "empty.db")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"{tmp_path / 'empty.db'}: there is nothing in it"]


def test_a_file_that_only_begins_like_a_store_is_refused(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"SQLite format 3\x00" + b"nonsense" * 100)
    result = run(path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
