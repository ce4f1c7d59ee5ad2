"""The gates, where the vectors do not show them: their order, what is remembered, and what a message is made of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import run
from engine.core.gates import GATES, count_sent, is_used_up
from engine.core.model import OUTCOMES, Decision, Event, derive_id
from engine.core.remembered import VALUES_MAX, Preferences, Sent
from engine.core.rules import Cap, Policy, RuleSet, Timeline
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import DAY, HOUR, MINUTE, SECOND, parse_at
from engine.core.zones import parse_zone
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")


def rule_set(*rules: str, policy: str = "{}") -> RuleSet:
    page = "\n".join(["version: 1", f"policy: {policy}", "rules:", *(f"  - {{{rule}}}" for rule in rules)])
    return load({"rules.yaml": page}, KINDS)


def decided(rules: RuleSet, *events: tuple[int, str, dict[str, Any]], state: UserState | None = None) -> list[Decision]:
    decisions: list[Decision] = []
    happened = [
        Event(event_type, "ann", START + after, data, id=f"e{number}")
        for number, (after, event_type, data) in enumerate(events)
    ]
    run(Timeline(rules), state or UserState("ann"), happened, happened[-1].at, decisions)
    return decisions


def test_the_gates_stand_in_the_documented_order() -> None:
    outcomes = [outcome for outcome, _ in GATES]
    assert outcomes == [
        "condition", "absent", "muted", "warmup", "cooldown", "cap", "outranked", "quiet_hours", "budget", "holdout",
    ]  # fmt: skip
    assert [outcome for outcome in OUTCOMES if outcome in outcomes] == outcomes


# How each gate is closed and opened, in the documented order.
OPENED = {
    "condition": ("condition: event.open", ""),
    "muted": ("topic: muted", ""),
    "warmup": ("warmup: 1h", ""),
    "cooldown": ("cooldown: 1h", ""),
    "cap": ("max: [{max: 1, per: user}]", ""),
    "outranked": ("priority: 0", "priority: 2"),
    "quiet_hours": ("quiet_hours: morning", "urgent: true"),
    "budget": ("budget: spent", "budget: none"),
    "holdout": ("holdout: 100%", "holdout: 0%"),
    "render_error": ("message: {type: question, text: '{{ event.missing }}'}", "message: {type: question, text: x}"),
}
POLICY = "{budgets: {spent: {limits: {max: 1, per: user}}}, quiet_hours: {morning: {from: '08:00', to: '12:00'}}}"


def gated(opened: int, *, event_type: str = "e", offline: str = "drop") -> list[str]:
    """The outcomes of a rule of which the first so many gates are open, and of one that is always sent before it."""
    keys = [written[place < opened] for place, written in enumerate(OPENED.values())]
    rules = rule_set(
        f"id: first, priority: 1, offline: keep, budget: none, quiet_hours: none, trigger: {{event: {event_type}}}, "
        "message: {type: question, text: x}",
        f"id: r, offline: {offline}, trigger: {{event: {event_type}}}, {', '.join(filter(None, keys))}",
        policy=POLICY,
    )
    state = UserState("ann")
    state.preferences = Preferences(muted=["muted"])
    state.sent = {"r": Sent(START - MINUTE, 1, 0, 1, [])}
    state.spent = {"spent": Sent(START - MINUTE, 1, 0, 1, [])}
    return [decision.outcome for decision in decided(rules, (0, event_type, {}), state=state) if decision.rule == "r"]


@pytest.mark.parametrize(("opened", "outcome"), [*enumerate(OPENED), (len(OPENED), "sent")])
def test_the_first_gate_that_is_closed_is_the_outcome(opened: int, outcome: str) -> None:
    assert gated(opened) == [outcome]


@pytest.mark.parametrize(("opened", "outcome"), [(0, "condition"), (1, "absent"), (2, "absent"), (9, "absent")])
def test_an_absent_user_is_found_after_the_condition_and_before_the_rest(opened: int, outcome: str) -> None:
    assert gated(opened, event_type="user.identify") == [outcome]


@pytest.mark.parametrize(
    ("opened", "outcome"),
    # Without a session there is none that could be too young.
    [(0, "condition"), (1, "muted"), (2, "cooldown"), (3, "cooldown"), (4, "cap"), (9, "render_error"), (10, "sent")],
)
def test_for_a_rule_that_keeps_offline_the_other_gates_stand_as_they_are(opened: int, outcome: str) -> None:
    assert gated(opened, event_type="user.identify", offline="keep") == [outcome]


def test_what_cannot_be_rendered_is_found_last() -> None:
    rules = rule_set("id: r, trigger: {event: e}, message: {type: question, text: '{{ event.missing }}'}")
    (decision,) = decided(rules, (0, "e", {}))
    assert decision.outcome == "render_error"
    assert decision.reason is not None
    assert decision.reason.code == "render"
    assert decision.message is None


def test_the_first_trigger_as_written_is_the_one_that_counts() -> None:
    rules = rule_set(
        "id: r, trigger: [{keywords: {any: [help], event: e}}, {event: e}, {event: {event: e, where: event.n > 0}}], "
        "message: {type: question, text: '{{ trigger.kind }}'}"
    )
    found = decided(rules, (0, "e", {"message": "help", "n": 1}), (1, "e", {"n": 1}))
    assert [decision.trigger for decision in found] == [
        {"kind": "keywords", "keyword": "help", "keywords": ["help"]},
        {"kind": "event"},
    ]


def test_two_messages_of_one_rule_have_two_ids_and_the_same_cause_has_one() -> None:
    rules = rule_set("id: r, trigger: {event: e}, message: {type: question, text: x}")
    events = [(0, "e", {}), (0, "e", {}), (1, "e", {})]
    ids = [decision.message.id for decision in decided(rules, *events) if decision.message]
    assert ids == [
        derive_id("r", "ann", START, 0, "e0"),
        derive_id("r", "ann", START, 1, "e1"),
        derive_id("r", "ann", START + 1, 2, "e2"),
    ]
    assert len(set(ids)) == 3
    assert [decision.event_id for decision in decided(rules, *events)] == ["e0", "e1", "e2"]


def test_a_message_is_all_that_was_written() -> None:
    rules = rule_set(
        "id: r, trigger: {event: e}, expires: 15m, message: {type: question, text: 'hi {{ event.who }}', "
        "options: ['Yes', 'No'], data: {link: '/docs/{{ event.topic }}', deep: [{n: 1, t: '{{ event.topic }}'}]}}"
    )
    (decision,) = decided(rules, (0, "e", {"who": "Ann", "topic": "dp"}))
    message = decision.message
    assert message is not None
    assert (message.type, message.text, message.options) == ("question", "hi Ann", ("Yes", "No"))
    assert message.data == {"link": "/docs/dp", "deep": [{"n": 1, "t": "dp"}]}
    assert message.expires_at == START + 15 * MINUTE


def test_a_message_without_an_expiry_never_expires() -> None:
    (decision,) = decided(rule_set("id: r, trigger: {event: e}, message: {type: question, text: x}"), (0, "e", {}))
    assert decision.message is not None
    assert decision.message.expires_at is None


def test_data_that_cannot_be_rendered_bring_the_fallback_without_any_data() -> None:
    rules = rule_set(
        "id: r, trigger: {event: e}, message: {type: question, text: fine, fallback: plain, "
        "data: {link: '{{ event.missing }}'}}"
    )
    (decision,) = decided(rules, (0, "e", {}))
    assert decision.outcome == "sent"
    assert decision.message is not None
    assert (decision.message.text, decision.message.data) == ("plain", {})
    assert decision.reason is not None
    assert decision.reason.code == "fallback"


def test_moments_are_kept_only_as_long_as_a_cap_needs_them() -> None:
    state = UserState("ann")
    rules = rule_set(
        "id: capped, trigger: {event: e}, max: [{max: 2, per: 1s}], message: {type: question, text: x}",
        "id: plain, trigger: {event: f}, message: {type: question, text: x}",
    )
    decided(rules, *[(number * MINUTE, event_type, {}) for number in range(5) for event_type in "ef"], state=state)
    assert state.sent["capped"].times == [START + 3 * MINUTE, START + 4 * MINUTE]
    assert state.sent["plain"].times == []
    assert (state.sent["capped"].total, state.sent["plain"].total) == (5, 5)


def counted(times: list[int], cap: Cap, at: int, **state_fields: Any) -> int:
    state = UserState("ann")
    for name, value in state_fields.items():
        setattr(state, name, value)
    sent, scope = Sent(times[-1], len(times), 1, len(times), times), Scope(state, None, at, Policy())
    count = count_sent(sent, cap, scope)
    for allowed in range(1, len(times) + 2):
        assert is_used_up(sent, Cap(allowed, cap.per), scope) == (count >= allowed)
    return count


@pytest.mark.parametrize(
    ("ago", "count"),
    [(0, 1), (10 * MINUTE - 1, 1), (10 * MINUTE, 0), (10 * MINUTE + 1, 0)],
)
def test_a_window_is_open_at_its_old_end(ago: int, count: int) -> None:
    assert counted([START - ago], Cap(3, 10 * MINUTE), START) == count


@given(st.lists(st.integers(0, 100), min_size=1, max_size=9).map(sorted), st.integers(0, 20), st.integers(1, 100))
def test_a_window_counts_what_was_sent_within_it(times: list[int], later: int, span: int) -> None:
    now = times[-1] + later
    assert counted(times, Cap(99, span), now) == sum(now - span < at <= now for at in times)


@pytest.mark.parametrize(
    ("sent", "now", "count"),
    [
        # The night in which Paris goes to summer time, and the one in which it comes back.
        ("2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", 1),
        ("2026-03-28T22:59:59Z", "2026-03-29T21:59:59Z", 0),
        ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 0),
        ("2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", 1),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 0),
    ],
)
def test_a_day_is_the_users_also_where_it_has_23_or_25_hours(sent: str, now: str, count: int) -> None:
    found = counted([parse_at(sent)], Cap(1, "day"), parse_at(now), attributes={"timezone": "Europe/Paris"})
    assert found == count
    assert parse_zone("Europe/Paris")


def test_a_session_counts_from_when_presence_began() -> None:
    assert counted([START], Cap(1, "session"), START + DAY, presence=1) == 1
    assert counted([START], Cap(1, "session"), START + DAY, presence=2) == 0
    assert counted([START], Cap(1, "user"), START + DAY, presence=2) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from((0, 1, 30 * SECOND, MINUTE - 1, MINUTE, MINUTE + 1, HOUR)), min_size=1, max_size=20),
    st.sampled_from(("cooldown: 1m", "max: [{max: 2, per: 1m}]", "max: [{max: 1, per: 30s}, {max: 3, per: 1h}]")),
)
def test_what_is_sent_keeps_to_what_was_written(gaps: list[int], gate: str) -> None:
    """Read from the messages alone, whatever the state remembers."""
    rules = rule_set(f"id: r, trigger: {{event: e}}, {gate}, message: {{type: question, text: x}}")
    moments = [sum(gaps[:number]) for number in range(1, len(gaps) + 1)]
    found = decided(rules, *[(moment, "e", {}) for moment in moments])
    limits = {
        "cooldown: 1m": [(1, MINUTE)],
        "max: [{max: 2, per: 1m}]": [(2, MINUTE)],
        "max: [{max: 1, per: 30s}, {max: 3, per: 1h}]": [(1, 30 * SECOND), (3, HOUR)],
    }[gate]
    sent: list[int] = []
    for decision in found:
        free = all(sum(decision.at - span < at for at in sent) < most for most, span in limits)
        assert (decision.outcome == "sent") == free
        if free:
            sent.append(decision.at)


BY_TEST = """
version: 1
rules:
  - {id: r, cooldown: 1h, cooldown_by: test, trigger: {event: e}, message: {type: question, text: x}}
"""


def test_a_value_that_may_have_been_forgotten_is_taken_for_the_oldest_that_is_known() -> None:
    """Of more values than are remembered, none is spoken of twice within its cooldown."""
    rules = load({"r.yaml": BY_TEST}, KINDS)
    values = [*range(VALUES_MAX + 1), 0, VALUES_MAX + 1]
    events = [Event("e", "ann", number * SECOND, {"test": value}) for number, value in enumerate(values)]
    # The first of them again, when its cooldown is over and that of the oldest that is known is too.
    events.append(Event("e", "ann", HOUR + 2 * SECOND, {"test": 0}))
    decisions: list[Decision] = []
    run(Timeline(rules), UserState("ann"), events, HOUR + 2 * SECOND, decisions)
    outcomes = [decision.outcome for decision in decisions]
    assert outcomes == ["sent"] * VALUES_MAX + ["cooldown"] * 3 + ["sent"]
