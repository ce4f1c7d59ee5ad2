"""What is written down of messages: in bounds, and no more than limits need."""

from __future__ import annotations

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.outgoing import spend
from engine.core.remembered import MESSAGES_MAX, VALUES_MAX, WAITING_MAX
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")


def rule_set(rule: str, policy: str = "{}") -> RuleSet:
    page = f"version: 1\npolicy: {policy}\nrules:\n  - {{id: r, {rule}, message: {{type: question, text: x}}}}\n"
    return load({"rules.yaml": page}, KINDS)


def happened(rules: RuleSet, *events: Event) -> tuple[UserState, list[Decision]]:
    state, decisions = UserState("ann"), list[Decision]()
    run(Timeline(rules), state, events, events[-1].at, decisions)
    return state, decisions


def event(at: int, event_type: str = "e", **data: object) -> Event:
    return Event(event_type, "ann", START + at, dict(data), f"at-{at}")


def test_the_latest_messages_may_be_answered_and_no_more() -> None:
    state, decisions = happened(rule_set("trigger: {event: e}"), *[event(number) for number in range(MESSAGES_MAX + 3)])
    ids = [decision.message.id for decision in decisions if decision.message]
    assert list(state.messages) == ids[3:]


def test_values_of_a_cooldown_are_remembered_up_to_a_bound_the_latest_sent() -> None:
    rules = rule_set("cooldown: 1s, cooldown_by: test, trigger: {event: e}")
    numbers = [*range(VALUES_MAX), 0, *range(VALUES_MAX, VALUES_MAX + 4)]
    events = [event(place * SECOND, test=number) for place, number in enumerate(numbers)]
    state, _ = happened(rules, *events)
    by_value = state.sent["r"].by_value
    assert by_value is not None
    # 0 was sent again, so that four others were sent longest ago.
    assert list(by_value) == [str(number) for number in numbers[5:]]


def test_a_shadow_rule_counts_and_nothing_of_it_can_be_answered() -> None:
    state, _ = happened(rule_set("mode: shadow, expires: 1m, trigger: {event: e}"), event(0), event(1))
    assert state.sent["r"].total == 2
    assert dict(state.messages) == {}


def test_a_message_that_expires_has_a_moment_for_absent_users_too() -> None:
    rules = rule_set("offline: keep, expires: 1h, trigger: {event: session.end}")
    state, _ = happened(rules, event(0, "session.start"), event(1, "session.end"))
    assert state.wake == START + 1 + HOUR
    ((_, outstanding),) = state.messages.items()
    assert outstanding.waits


def test_a_budget_remembers_as_many_moments_as_its_limits_need() -> None:
    policy = "{budgets: {b: {limits: [{max: 3, per: 1m}, {max: 9, per: user}], charged_by: {event: f, cost: 100}}}}"
    rules = rule_set("trigger: {event: e}", policy)
    state, _ = happened(rules, event(0, "f"), event(5, "f"))
    spent = state.spent["b"]
    assert (spent.times, spent.total, spent.in_presence) == ([START + 5] * 3, 200, 200)
    budget = rules.policy.budgets["b"]
    state.now = START + MINUTE
    spend(budget, state, 1)
    assert (spent.times, spent.total) == ([START + 5, START + 5, START + MINUTE], 201)


def test_a_budget_that_knows_of_no_window_remembers_no_moments() -> None:
    rules = rule_set("trigger: {event: e}", "{budgets: {b: {limits: [{max: 3, per: session}, {max: 9, per: user}]}}}")
    state, _ = happened(rules, event(0), event(1))
    assert (state.spent["b"].times, state.spent["b"].total) == ([], 2)


def test_a_budget_that_is_emptied_takes_no_room() -> None:
    rules = rule_set("trigger: {event: e}", "{budgets: {b: {limits: {max: 3, per: user}, reset_on: f}}}")
    state, _ = happened(rules, event(0), event(1, "f"))
    assert dict(state.spent) == {}


def test_what_waits_for_an_absent_user_can_be_taken_back_beyond_the_latest_few() -> None:
    rules = rule_set("offline: keep, deliver: {cancel_on: message.done}, trigger: {event: message.report}")
    reports = [event(number, "message.report") for number in range(WAITING_MAX + 1)]
    state, decisions = happened(rules, *reports, event(WAITING_MAX + 1, "message.done"))
    taken_back = [decision for decision in decisions if decision.outcome == "cancelled"]
    assert len(taken_back) == WAITING_MAX
    assert dict(state.messages) == {}


def test_once_somebody_has_come_the_latest_few_may_be_answered() -> None:
    rules = rule_set("offline: keep, trigger: {event: [message.report, e]}")
    reports = [event(number, "message.report") for number in range(WAITING_MAX)]
    state, _ = happened(rules, *reports, event(WAITING_MAX, "e"))
    assert len(state.messages) == MESSAGES_MAX
