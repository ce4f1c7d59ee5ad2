"""Events in, decisions out: order, `until`, and what happens when the engine itself fails."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import Fired, Rule, RuleSet, Timeline, Trigger
from engine.core.units import MINUTE, SECOND
from engine.loading.load import load
from engine.replay import driver
from engine.replay.activity import group
from engine.replay.driver import replay
from engine.storage.codec import encode_decision
from engine.triggers import KINDS

RULES = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 5m}, message: {type: question, text: "{{ user.id }}?"}}
  - {id: first, trigger: {event: t}, message: {type: question, text: "{{ event.n }}"}, priority: 1, cooldown: 7m}
  - {id: second, trigger: {event: t}, message: {type: question, text: "x"}, priority: 2, max: {max: 2, per: session}}
"""


def timeline():
    return Timeline(load({"rules.yaml": RULES}, KINDS))


def event(at, user="ann", kind="t", **data):
    return Event(kind, user, at, data)


def seen(replayed):
    return [(decision.at, decision.user, decision.rule, decision.outcome) for decision in replayed.decisions()]


@pytest.mark.parametrize(
    ("until", "fires"),
    [
        (5 * MINUTE - 1, False),
        (5 * MINUTE, True),
        (5 * MINUTE + 1, True),
    ],
)
def test_time_runs_to_until_and_what_is_due_at_that_moment_still_happens(until, fires):
    replayed = replay([event(0, kind="x")], timeline(), until)
    assert [decision.rule for decision in replayed.decisions()] == (["idle"] if fires else [])


def test_without_until_every_users_time_runs_to_the_last_event_of_the_log():
    log = [event(0, "ann", "x"), event(5 * MINUTE, "bob", "x")]
    assert seen(replay(log, timeline())) == [(5 * MINUTE, "ann", "idle", "sent")]
    log = [event(0, "ann", "x"), event(5 * MINUTE - 1, "bob", "x")]
    assert seen(replay(log, timeline())) == []


def test_events_after_until_are_left_out_and_counted():
    log = [event(0, kind="x"), event(MINUTE, kind="x"), event(MINUTE + 1, kind="x"), event(2 * MINUTE, "bob", "x")]
    replayed = replay(log, timeline(), MINUTE)
    assert (replayed.events, replayed.users, replayed.left_out) == (2, 1, 2)
    assert (replayed.first, replayed.last) == (0, MINUTE)


def test_an_empty_log_gives_nothing():
    replayed = replay([], timeline())
    assert (replayed.events, replayed.users, replayed.first, seen(replayed)) == (0, 0, None, [])


def test_where_it_is_known_how_far_time_came_it_runs_so_far_and_never_less_than_to_the_last_event():
    log = [event(0, "ann", "x"), event(0, "bob", "x"), event(9 * MINUTE, "bob", "x")]
    ends = {"ann": 5 * MINUTE, "bob": -1}
    replayed = replay(log, timeline(), came_to=ends.__getitem__)
    assert seen(replayed) == [(5 * MINUTE, "ann", "idle", "sent"), (5 * MINUTE, "bob", "idle", "sent")]


def test_decisions_are_sorted_by_moment_user_and_rule_order_not_by_priority():
    log = [event(0, "bob", n=1), event(0, "ann", n=2)]
    assert seen(replay(log, timeline())) == [
        (0, "ann", "first", "outranked"),
        (0, "ann", "second", "sent"),
        (0, "bob", "first", "outranked"),
        (0, "bob", "second", "sent"),
    ]


def test_events_of_one_moment_keep_the_order_of_their_lines():
    log = [event(SECOND, n="late"), event(0, n=1), event(0, n=2), event(0, n=3)]
    assert [mine.data["n"] for mine in group(log)["ann"]] == [1, 2, 3, "late"]


USERS = st.sampled_from(["ann", "bob", "cyd"])
LOGS = st.lists(
    st.builds(
        event,
        st.integers(0, 4).map(lambda n: n * 3 * MINUTE) | st.sampled_from([5 * MINUTE - 1, 5 * MINUTE, 5 * MINUTE + 1]),
        USERS,
        st.sampled_from(["t", "x", "session.start", "session.end"]),
    ),
    max_size=12,
)


@given(LOGS, st.randoms(use_true_random=False))
def test_users_do_not_influence_each_other_however_the_log_mixes_them(log, chance):
    lines = {user: group(log).get(user, []) for user in ("ann", "bob", "cyd")}
    mixed = []
    rest = {user: list(mine) for user, mine in lines.items() if mine}
    while rest:
        user = chance.choice(sorted(rest))
        mixed.append(rest[user].pop(0))
        if not rest[user]:
            del rest[user]
    together = replay(mixed, timeline(), 60 * MINUTE)
    alone = [replay(mine, timeline(), 60 * MINUTE) for mine in lines.values()]
    assert sorted(map(encode_decision, together.decisions())) == sorted(
        encode_decision(decision) for one in alone for decision in one.decisions()
    )
    assert sum(map(len, together.by_user.values())) == len(together.decisions())


class Failing(Trigger):
    """Fires on every ``t``, and fails as a fault of ours would on those that say so."""

    __slots__ = ()
    kind = "failing"

    def observe(self, state, scope):
        memory = state.memory.setdefault(self.key, [])
        memory.append(scope.event.data.get("n"))
        if scope.event.data.get("fail"):
            raise RuntimeError("a fault of ours")
        return Fired({"seen": len(memory)}, scope.event)


def failing_timeline():
    rules = load({"rules.yaml": RULES}, KINDS)
    rule = rules.rules[1]
    made = Rule(
        id="failing",
        order=0,
        path=rule.path,
        line=1,
        triggers=(Failing("failing", event_types=("t",)),),
        message=rule.message,
    )
    return Timeline(RuleSet((made,), rules.policy, "hash"))


@pytest.mark.parametrize("length", [1, driver.STRETCH_EVENTS, driver.STRETCH_EVENTS + 1, 3 * driver.STRETCH_EVENTS])
def test_an_event_that_makes_the_engine_fail_is_set_aside_as_if_it_had_not_been(length):
    chance = random.Random(length)
    log = [event(at * SECOND, n=at, fail=chance.random() < 0.1) for at in range(length)]
    log.append(event(length * SECOND, n=length, fail=True))
    log += [event(at * SECOND, "bob", n=at) for at in range(3)]
    replayed = replay(log, failing_timeline())
    good = [line for line in log if not line.data.get("fail")]
    assert [fault.event for fault in replayed.faults] == [line for line in log if line.data.get("fail")]
    assert all("a fault of ours" in fault.trace for fault in replayed.faults)
    assert seen(replayed) == seen(replay(good, failing_timeline()))
    assert replayed.decisions() == replay(good, failing_timeline()).decisions()


def test_progress_adds_up_to_the_events():
    told = []
    log = [event(at, str(at % 5000), "x") for at in range(10_000)]
    replay(log, timeline(), progress=told.append)
    assert sum(told) <= 10_000
    assert len(told) >= 2
