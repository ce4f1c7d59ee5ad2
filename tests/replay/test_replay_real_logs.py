"""Logs of real people, recorded by others: what the engine counts in them is what was counted independently.

They lie beside the project and are not part of it. Where the folder is absent the tests are skipped.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from engine.core.rules import Timeline
from engine.core.units import MILLISECOND, MINUTE
from engine.loading.load import load
from engine.replay.activity import group
from engine.replay.bad_records import BadRecords
from engine.replay.driver import replay
from engine.replay.reading import read_logs
from engine.replay.report import count_rules
from engine.replay.source import parse_source
from engine.triggers import KINDS

DATA = Path(__file__).parent.parent.parent.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no folder {DATA} with recorded logs")

SOURCE = """
at: time
user: user
type: type
session: session
data: {message: text, ok: ok, level: data.level}
"""

RULES = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 5m}, message: {type: question, text: "Still there?"}}
  - {id: idle-longer, trigger: {inactivity: 5m1ms}, message: {type: question, text: "Still there?"}}
  - {id: every, trigger: {event: "*"}, message: {type: question, text: "x"}}
  - {id: passed, trigger: {event: {event: "*", where: event.ok}}, message: {type: question, text: "x"}}
  - {id: failed, trigger: {event: {event: "*", where: not event.ok}}, message: {type: question, text: "x"}}
"""
WORDS = ("install", "install*", "docker", "python", "help", "don't", "thank you", "error")
for _number, _word in enumerate(WORDS):
    RULES += (
        f'  - {{id: word-{_number}, trigger: {{keywords: {{any: ["{_word}"], event: "*"}}}}, '
        'message: {type: suggestion, text: "x"}}\n'
    )

LOGS = [
    "apache_access",
    "copilot_vscode_p00-09",
    "gitter_docker",
    "irc_ubuntu_2007_2008",
    "kypo_training_2017",
    "shell_kypo_dev",
]
BAD = {"apache_access": {"no time": 1}, "irc_ubuntu_2007_2008": {"no time": 6996}}


@pytest.fixture(scope="module")
def facts():
    return json.loads((DATA / "facts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=LOGS)
def log(request):
    name = request.param
    path = DATA / "events" / f"{name}.jsonl.gz"
    bad = BadRecords()
    events = read_logs([str(path)], parse_source("source.yaml", SOURCE), bad)
    replayed = replay(events, Timeline(load({"rules.yaml": RULES}, KINDS)))
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    return name, records, events, bad, replayed, count_rules(replayed.decisions())


def candidates(counts, rule):
    return counts[rule].candidates if rule in counts else 0


def test_every_record_is_an_event_or_counted_as_bad(log, facts):
    name, records, events, bad, replayed, counts = log
    fact = facts[name]
    assert len(records) == fact["rows"] == len(events) + bad.total
    assert bad.counts == BAD.get(name, {})
    assert bad.total == fact["no_time"] == fact["no_user"]
    assert replayed.users == fact["users"]
    assert replayed.events == candidates(counts, "every") == len(events)
    assert replayed.faults == []


def test_types_and_outcomes_are_those_of_the_facts(log, facts):
    name, records, events, _, _, counts = log
    dropped = Counter(record["type"] for record in records if not record["time"])
    assert Counter(event.type for event in events) + dropped == facts[name]["types"]
    outcomes = facts[name].get("outcomes", {"ok": 0, "fail": 0})
    assert candidates(counts, "passed") == outcomes["ok"]
    assert candidates(counts, "failed") == outcomes["fail"]


def test_idle_candidates_are_the_gaps_and_the_users_who_left(log, facts):
    name, _, events, _, replayed, counts = log
    users = group(events).values()
    gaps = [after.at - before.at for mine in users for before, after in pairwise(mine)]
    rests = [replayed.last - mine[-1].at for mine in users]
    at_least = sum(gap >= 5 * MINUTE for gap in gaps)
    assert candidates(counts, "idle") == at_least + sum(rest >= 5 * MINUTE for rest in rests)
    # The facts count what is longer than five minutes; the logs have no gap within a millisecond above.
    assert sum(facts[name]["gaps"].values()) == sum(gap > 5 * MINUTE for gap in gaps)
    longer = sum(rest >= 5 * MINUTE + MILLISECOND for rest in rests)
    assert candidates(counts, "idle-longer") == sum(facts[name]["gaps"].values()) + longer


def test_keyword_candidates_are_the_texts_with_the_word(log, facts):
    name, records, _, _, _, counts = log
    texts = [record["text"] for record in records if record["time"] and isinstance(record["text"], str)]
    found = {}
    for number, word in enumerate(WORDS):
        pattern = re.escape(word).replace(r"\*", "").replace(r"\ ", r"\s+") + ("" if word.endswith("*") else r"(?!\w)")
        search = re.compile(rf"(?<!\w){pattern}", re.IGNORECASE).search
        found[word] = candidates(counts, f"word-{number}")
        assert found[word] == sum(search(text) is not None for text in texts), word
    for word in ("docker", "python", "help"):
        # In logs of other than chat, what is in the text of the facts is not what somebody wrote.
        if "keywords" in facts[name]:
            assert found[word] == facts[name]["keywords"][word], word
