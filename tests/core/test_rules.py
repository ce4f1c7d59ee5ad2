"""Rules, compiled, and which rule set holds when."""

from __future__ import annotations

import pytest

from engine.core.rules import Cap, Policy, Rule, RuleSet, Timeline, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.loading.load import load
from engine.triggers import KINDS

PAGE = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: {for: 5m, after: e}}, message: {type: question, text: x}}
  - {id: seen, trigger: {event: e}, message: {type: question, text: x}}
"""


def rule_set(text: str = PAGE) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


def timeline(*moments: int) -> Timeline:
    made = Timeline(rule_set(), moments[0])
    for number, moment in enumerate(moments[1:]):
        made.add(moment, rule_set(PAGE + f"# {number}"))
    return made


@pytest.mark.parametrize(
    ("at", "index"), [(0, 0), (9, 0), (10, 0), (11, 0), (19, 0), (20, 1), (21, 1), (22, 2), (999, 2)]
)
def test_a_rule_set_holds_from_its_moment_on(at: int, index: int) -> None:
    assert timeline(10, 20, 22).holding(at) == index


def test_a_timeline_that_says_nothing_else_begins_with_time() -> None:
    assert Timeline(rule_set()).moments == [0]
    assert Timeline(rule_set()).holding(0) == 0


@pytest.mark.parametrize("at", [9, 10])
def test_a_rule_set_cannot_begin_before_the_one_before_it(at: int) -> None:
    with pytest.raises(ValueError, match=f"a rule set cannot begin at {at}, one began at 10"):
        timeline(10).add(at, rule_set())
    made = timeline(10)
    made.add(11, made.latest)
    assert made.moments == [10, 11]


def test_the_latest_is_the_one_added_last() -> None:
    made = timeline(0, 5)
    assert made.latest is made.rule_sets[-1]
    assert made.latest is not made.rule_sets[0]


def fresh_after(before: str, after: str) -> list[str]:
    made = Timeline(rule_set(before))
    made.add(1, rule_set(after))
    return sorted(key.split("/")[1].split("-")[0] for key in made.fresh(1))


@pytest.mark.parametrize(
    ("before", "after", "fresh"),
    [
        (PAGE, PAGE + "# again", []),
        (PAGE, PAGE.replace("text: x", "text: y"), []),
        (PAGE, PAGE.replace("5m", "6m"), ["inactivity"]),
        (PAGE, PAGE.replace("for: 5m", "for: 300s"), []),
        (PAGE, PAGE.replace("id: idle", "id: idle2"), ["inactivity"]),
        # An event trigger remembers nothing, so it has nothing to adopt.
        (PAGE, PAGE.replace("{event: e}", "{event: f}"), []),
        (PAGE, PAGE.replace("id: idle,", "id: idle, mode: off,"), []),
        (PAGE.replace("id: idle,", "id: idle, mode: off,"), PAGE, ["inactivity"]),
        (PAGE.replace("{for: 5m, after: e}", "5m"), PAGE, ["inactivity"]),
        # Under its former id it was known.
        (PAGE, PAGE.replace("id: idle", "was: idle, id: idle2"), []),
    ],
)
def test_what_is_fresh_is_what_was_edited_and_remembers(before: str, after: str, fresh: list[str]) -> None:
    assert fresh_after(before, after) == fresh


def test_nothing_is_fresh_in_the_first_rule_set() -> None:
    assert Timeline(rule_set()).fresh(0) == frozenset()


def test_a_rule_that_is_off_is_known_and_has_no_memory() -> None:
    rules = rule_set(PAGE.replace("id: idle,", "id: idle, mode: off,"))
    assert rules.by_id.keys() == {"idle", "seen"}
    assert {key.split("/")[0] for key in rules.keys} == {"seen"}
    assert [rule.id for rule in rules] == ["idle", "seen"]


def test_a_rule_keeps_as_many_moments_as_its_largest_cap_over_time_asks_for() -> None:
    rule = next(iter(rule_set()))
    caps = (Cap(9, "session"), Cap(8, "user"), Cap(2, "day"), Cap(3, 1000))
    assert Rule(rule.id, 0, "", 1, (), rule.message, caps=caps).times_kept == 3
    assert Rule(rule.id, 0, "", 1, (), rule.message, caps=caps[:2]).times_kept == 0
    assert rule.times_kept == 0


class Bare(Trigger):
    """A kind that answers nothing: what the contract says of those who do not say."""

    kind = "bare"


def test_a_kind_that_does_not_answer_says_what_is_missing() -> None:
    state, policy = UserState("ann"), Policy()
    bare = Bare("r/bare-0")
    assert bare.due(state, policy) is None
    assert bare.rebuilt([1], state, state) == [1]
    assert not list(bare.check({}))
    assert bare.progress(state, policy, 0) is None
    assert state.encode() == UserState("ann").encode()
    with pytest.raises(NotImplementedError, match="bare asks for events and does not observe them"):
        bare.observe(state, Scope(state, None, 0, policy))
    with pytest.raises(NotImplementedError, match="bare names moments and does not fire at them"):
        bare.fire(state, policy)
    with pytest.raises(NotImplementedError, match="bare has no index of events"):
        Bare.index_events([])
    assert Bare.index_timers([]).soonest(state, policy) == (None, [])
