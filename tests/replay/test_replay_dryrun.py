"""A dry run finds the same whoever holds the events, and however the users are shared."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE
from engine.loading.load import load_with_tests
from engine.replay.activity import Activity, in_memory
from engine.replay.bad_records import BadRecords
from engine.replay.census import TypeCounts
from engine.replay.dryrun import DryRun
from engine.replay.report import details, rule_table, summary
from engine.replay.shares import Share
from engine.replay.silence import explain_silence, survey_of
from engine.replay.spilled import Gathering
from engine.replay.survey import Pasts, Sample, Survey
from engine.replay.written import SortedLines, merged, write_lines
from engine.triggers import KINDS

RULES = """
version: 1
policy: {quiet_hours: {nights: {from: "00:10", to: "00:20"}}}
rules:
  - {id: every, trigger: {event: a}, message: {type: question, variants: [{id: x, text: X}, {id: y, text: Y}]}}
  - {id: idle, trigger: {inactivity: 5m}, holdout: 30%, expires: 5m, message: {type: question, text: "There?"}}
  - {id: held, trigger: {event: b}, deliver: {at: c, within: 3m}, message: {type: question, text: "{{ event.n }}"}}
  - {id: fussy, trigger: {event: a}, condition: event.n > 7, message: {type: question, text: x}}
  - {id: never, trigger: {event: d}, message: {type: question, text: x}}
  - {id: picky, trigger: {event: {event: "*", where: event.n > 90}}, message: {type: question, text: x}}
  - {id: lost, trigger: {event: {event: a, where: event.m > 90}}, message: {type: question, text: x}}
  - {id: words, trigger: {keywords: {any: [zebra], event: [a, b], field: t}}, message: {type: question, text: x}}
  - {id: often, trigger: {count: {event: a, at_least: 9, within: 4m, group_by: g}}, message: {type: question, text: x}}
  - {id: steps, trigger: {sequence: {steps: [a, b, c, d, a], within: 9m}}, message: {type: question, text: x}}
  - {id: gap, trigger: {absence: {after: a, no: b, within: 50m}}, message: {type: question, text: x}}
  - {id: long, trigger: {session: {lasted: 3h}}, message: {type: question, text: x}}
  - {id: back, trigger: {session: {returned_after: 3h}}, message: {type: question, text: x}}
  - {id: answer, trigger: {response: {to: every, is: dismissed}}, message: {type: question, text: x}}
invariants:
  - {at_most: 2, per: 10m}
  - {never_during: nights}
  - every_rule_fires
"""
LOADED = load_with_tests({"rules.yaml": RULES}, KINDS)
DATA = st.fixed_dictionaries(
    {}, optional={"n": st.integers(0, 9), "g": st.sampled_from("xy"), "t": st.just("no"), "rule": st.just("every")}
)
EVENTS = st.lists(
    st.builds(
        Event,
        type=st.sampled_from(["a", "a", "b", "c", "e", "message.answered", "session.end"]),
        user=st.sampled_from(["ann", "bob", "cem", "dan", "eve", "\u00e9"]),
        at=st.integers(0, 40).map(lambda minute: minute * MINUTE),
        data=DATA,
    ),
    max_size=40,
)


def dry_run(until: int | None, memory: int) -> DryRun:
    return DryRun(Timeline(LOADED.rules), LOADED.invariants, until, lines=SortedLines(memory))


def said(dry: DryRun, survey: Survey) -> list[str]:
    """All that is shown of it."""
    trial = dry.trial.table()
    causes = explain_silence(dry.timeline, dry.tally, dry.reasons, survey, dry.end)
    table = [*rule_table(dry.timeline.latest, dry.tally.rules), *summary(dry.tally, BadRecords(), dry.until)]
    return [*table, *trial, *causes, *(line for one in dry.claims.broken() for line in one)]


def alone(activity: Activity, until: int | None, memory: int) -> tuple[list[str], bytes]:
    dry = dry_run(until, memory)
    dry.run(activity)
    survey = survey_of(dry.timeline, dry.tally)
    survey.look_at(activity, until)
    out: list[bytes] = []
    assert dry.lines is not None
    write_lines(out.append, dry.lines.chunks())
    return said(dry, survey), b"".join(out)


def shared(events: list[Event], until: int | None, of: int) -> tuple[list[str], bytes]:
    """As several processes do it, but one after the other."""
    shares = [Share(number, of) for number in range(of)]
    parts = [in_memory([event for event in events if share.has(event.user)]) for share in shares]
    last = max((part.last for part in parts if part.last is not None), default=None)
    dries = [dry_run(until, 500) for _ in shares]
    whole = dry_run(until, 500)
    for part, dry in zip(parts, dries, strict=True):
        dry.run(part, end=last)
        whole.merge(dry.found())
    survey = survey_of(whole.timeline, whole.tally)
    for part in parts:
        theirs = Survey(survey.rules, TypeCounts(survey.types.counts))
        theirs.look_at(part, until)
        survey.merge(theirs.found())
    out: list[bytes] = []
    write_lines(out.append, merged([dry.lines.chunks() for dry in dries if dry.lines is not None]))
    return said(whole, survey), b"".join(out)


@settings(max_examples=60)
@given(EVENTS, st.one_of(st.none(), st.integers(0, 60).map(lambda minute: minute * MINUTE)))
def test_memory_disk_and_shares_give_the_same(events: list[Event], until: int | None) -> None:
    found = alone(in_memory(events), until, 10**6)
    gathering = Gathering(10**6)
    for event in events:
        gathering.add([event])
        gathering._spill()
    assert alone(gathering.activity(), until, 500) == found
    for of in (1, 2, 3):
        assert shared(events, until, of) == found


def test_the_order_of_users_makes_no_difference() -> None:
    events = [Event("a", user, minute * MINUTE, {"n": minute}) for user in "fedcba" for minute in range(9)]
    again = sorted(events, key=lambda event: event.user)
    assert alone(in_memory(events), None, 10**6) == alone(in_memory(again), None, 10**6)


def test_who_stops_it_gets_what_was_run_and_nothing_half() -> None:
    events = [Event("a", f"u{number}", number, {}) for number in range(10)]
    dry = dry_run(None, 10**6)
    dry.run(in_memory(events), stopped=lambda: dry.tally.users == 3)
    assert (dry.is_whole, dry.tally.users, dry.tally.events, dry.tally.left_out) == (False, 3, 3, 0)
    assert dry.lines is not None
    assert {line[1] for chunk in dry.lines.chunks() for line in chunk} == {"u0", "u1", "u2"}


def test_faults_are_counted_and_the_first_users_shown() -> None:
    class Odd(dict):  # type: ignore[type-arg]
        def get(self, *_: Any) -> Any:
            raise RuntimeError("odd")

        __getitem__ = get

    events = [Event("a", f"u{9 - number}", number, Odd(g="x")) for number in range(10)]
    wholes = []
    for part in (events, events[:5], events[5:]):
        dry = dry_run(None, 10**6)
        dry.run(in_memory(part))
        wholes.append(dry)
    whole, one, other = wholes
    one.merge(other.found())
    assert whole.tally.fault_count == one.tally.fault_count > 0
    shown = [line for line in details(BadRecords(), one.tally.faults) if "of user" in line]
    assert [line.split('"')[1] for line in shown] == ["u0", "u1", "u2"]
    assert shown == [line for line in details(BadRecords(), whole.tally.faults) if "of user" in line]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=9), st.integers(1, 3))
def test_the_first_events_are_the_earliest_however_they_come(moments: list[tuple[int, str]], of: int) -> None:
    past = [Pasts(None, None, 4) for _ in range(of)]
    users = {user: sorted(at for at, name in moments if name == user) for user in "abc"}
    for number, (user, ats) in enumerate(users.items()):
        if ats:
            past[number % of].see(user, [Event("e", user, at, {}) for at in ats], {"e": ats[0]})
    for other in past[1:]:
        past[0].merge(other)
    kept = [event.user for events in past[0].users() for event in events]
    order = [user for _, user in sorted((ats[0], user) for user, ats in users.items() if ats) for _ in users[user]]
    assert kept[:4] == order[:4]


def test_a_sample_keeps_the_first_of_many() -> None:
    one, other = Sample(), Sample()
    for at in range(5000):
        (one if at % 3 else other).see(Event("e", "ann", 5000 - at, {}), at)
    one.merge(other)
    assert [event.at for event in one.events()] == list(range(1, 1001))
    assert len(one.kept) == 1000
