"""On logs of real people `why` tells of the very candidates that a dry run makes, rule by rule, and of their gates.

The logs lie beside the project and are not part of it. Where the folder is absent the tests are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.core.gates import GATES
from engine.core.rules import Timeline
from engine.loading.load import load
from engine.replay.activity import InMemory, in_memory
from engine.replay.bad_records import BadRecords
from engine.replay.driver import replay
from engine.replay.mapping import Source
from engine.replay.reading import read_logs
from engine.replay.source import parse_source
from engine.replay.why import Asked, account
from engine.triggers import KINDS

DATA = Path(__file__).parent.parent.parent.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no folder {DATA} with recorded logs")
USERS_MAX = 50  # of each log, those with the most events
EVENTS_MAX = 25  # of each of them

SOURCE = """
at: time
user: user
type: type
session: session
data: {message: text, ok: ok, level: data.level}
"""
RULES = """
version: 1
policy:
  simultaneous: 2
  budgets: {attention: {limits: [{max: 3, per: 1h}, {max: 6, per: session}]}}
  quiet_hours: {nights: {from: "22:00", to: "06:00"}, lunch: {from: "12:00", to: "13:00", then: hold}}
rules:
  - {id: idle, trigger: {inactivity: 5m}, cooldown: 20m, message: {type: question, text: "Still there?"}}
  - {id: idle-after, trigger: {inactivity: {for: 2m, after: {event: "*", where: not event.ok}}}, urgent: true,
     condition: session.age > 3m, message: {type: question, text: "Still there?"}}
  - {id: many, max: {max: 2, per: day},
     trigger: {count: {event: "*", where: 'not startswith(event.type, "message.")', at_least: 5, within: 10m}},
     message: {type: question, text: "{{ trigger.count }} since {{ trigger.first_at.hour }}"}}
  - {id: levels, trigger: {count: {event: "*", at_least: 3, within: 1h, group_by: type, distinct: message}},
     warmup: 2m, message: {type: question, text: "{{ trigger.group }} at {{ event.level }}"}}
  - {id: again, priority: 2,
     trigger: {sequence: {steps: [{event: "*", where: not event.ok}, {event: "*", where: event.ok}], within: 5m}},
     message: {type: question, text: "{{ trigger.steps[0].type }}"}}
  - {id: nothing, trigger: {absence: {after: "*", no: {event: "*", where: session.events > 3}, within: 3m}},
     deliver: {quiet_for: 20s, within: 2m}, message: {type: question, text: x}}
  - {id: words, trigger: {keywords: {any: [help, "install*", error], event: "*"}}, budget: none,
     deliver: {at: "*", within: 10m, otherwise: drop}, message: {type: suggestion, text: "{{ trigger.keyword }}"}}
  - {id: hourly, trigger: [{schedule: {every: 7m}}, {schedule: {at: ["09:00", "15:30"]}}], holdout: 20%,
     message: {type: question, text: x}}
  - {id: stays, trigger: [{session: {lasted: 15m}}, {session: start}, {session: {returned_after: 2h}}],
     mode: shadow, message: {type: question, text: x}}
  - {id: bye, trigger: {session: end}, offline: keep, message: {type: question, text: x}, expires: 10m}
  - {id: ignored, trigger: {response: {to: bye, is: ignored}}, offline: keep, message: {type: question, text: x}}
"""
LOGS = ["copilot_vscode_p00-09", "gitter_docker", "irc_ubuntu_2007_2008", "kypo_training_2017", "shell_kypo_dev"]


class Log(NamedTuple):
    activity: InMemory
    timeline: Timeline


@pytest.fixture(scope="module", params=LOGS)
def log(request: pytest.FixtureRequest) -> Log:
    path = DATA / "events" / f"{request.param}.jsonl.gz"
    source: Source = parse_source("source.yaml", SOURCE)
    whole = in_memory(read_logs([str(path)], source, BadRecords()))
    busiest = sorted(whole.by_user, key=lambda user: (-len(whole.of(user)), user))[:USERS_MAX]
    some = InMemory({user: whole.of(user)[:EVENTS_MAX] for user in busiest})
    return Log(some, Timeline(load({"rules.yaml": RULES}, KINDS)))


def test_every_candidate_of_a_dry_run_is_told_of_with_what_became_of_it(log: Log) -> None:
    replayed = replay(log.activity, log.timeline)
    assert replayed.faults == []
    compared = 0
    for user in log.activity.by_user:
        for rule in log.timeline.latest:
            expected = [decision for decision in replayed.by_user.get(user, ()) if decision.rule == rule.id]
            found = account(log.activity, log.timeline, Asked(rule.id, user, changes=False))
            told = [one for sight in found.sights for one in (sight.decision, *sight.later)]
            assert [sight.decision for sight in found.sights] == [one for one in expected if one.was is None]
            assert sorted(map(repr, told)) == sorted(map(repr, expected))
            compared += len(expected)
            for sight in found.sights:
                closed = [verdict for verdict in sight.gates if verdict.reason is not None]
                assert [verdict.outcome for verdict in sight.gates] == [outcome for outcome, _ in GATES]
                if closed:
                    # The first gate that is closed is the outcome.
                    assert (sight.decision.outcome, sight.decision.reason) == closed[0][1:]
                else:
                    assert sight.decision.outcome in ("sent", "held", "shadow", "render_error", "expired")
    assert compared > 50


def test_what_made_a_candidate_is_as_much_as_the_trigger_says(log: Log) -> None:
    for user in log.activity.by_user:
        for rule_id, span in (("many", 600), ("again", 300)):
            for sight in account(log.activity, log.timeline, Asked(rule_id, user, changes=False)).sights:
                made_by = sight.made_by
                facts = sight.decision.trigger
                assert len(made_by) == facts.get("count", len(facts.get("steps", ())))
                assert made_by[-1].at == sight.at
                assert sight.at - made_by[0].at <= span * 1_000_000
                assert in_order(made_by)


def in_order(events: Sequence[object]) -> bool:
    return all(before.at <= after.at for before, after in pairwise(events))  # type: ignore[attr-defined]
