"""Cooldowns, caps, budgets and inactivity against a naive reading of the page: scan all that has happened, every time.

Drawn are a few rules of which some limits are tight, and a history whose moments like to lie at their edges.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import naive_limits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.remembered import MESSAGES_MAX
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.triggers import KINDS

# In Paris it is 23:50, of the day before the one that has only 23 hours.
START = parse_at("2026-03-28T22:50:00Z")
PARIS = ZoneInfo("Europe/Paris")
TYPES = ("a", "b")
SPANS = ("2m", "5m")
# What may lie between an event and an earlier one: the spans, two of them, a cooldown that has doubled.
GAPS = (2 * MINUTE, 4 * MINUTE, 5 * MINUTE, 7 * MINUTE, 10 * MINUTE)
EVENTS_MAX = 18

spans = st.sampled_from(SPANS)
types = st.sampled_from(TYPES)
idle = st.fixed_dictionaries({"for": spans}, optional={"after": types}).map(lambda written: {"inactivity": written})
kinds = st.one_of(*[types.map(lambda name: {"event": name})] * 2, idle)
limits = st.builds(
    lambda most, per: {"max": most, "per": per}, st.integers(1, 3), st.sampled_from((*SPANS, "session", "day", "user"))
)
several = st.lists(limits, min_size=1, max_size=2)
levels = st.sampled_from(("less", "normal", "more"))
dismissals = st.fixed_dictionaries({"cooldown": st.sampled_from(("x2", "x3"))}, optional={"up_to": st.just("5m")})
charges = st.fixed_dictionaries(
    {"event": st.sampled_from((*TYPES, "message.dismissed", "ping", "session.start"))},
    optional={"cost": st.integers(1, 3)},
)
budgets = st.fixed_dictionaries(
    {
        "limits": st.lists(
            st.builds(
                lambda limit, level: limit if level is None else {**limit, "level": level}, limits, levels | st.none()
            ),
            min_size=1,
            max_size=2,
        )
    },
    optional={
        "charged_by": st.lists(charges, min_size=1, max_size=2),
        "reset_on": st.sampled_from((*TYPES, "message.answered", "ping", "session.end")),
    },
)
policies = st.fixed_dictionaries(
    {"timezone": st.just("Europe/Paris")},
    optional={"simultaneous": st.integers(1, 2), "session_timeout": st.sampled_from(("2m", "5m", "10m"))},
)
anywhere = {"priority": st.integers(-1, 1), "mode": st.sampled_from(("live", "live", "shadow"))}
cooling = {
    "cooldown_by": st.sampled_from(("g", "none")),
    "on_dismiss": dismissals,
    "on_answer": st.just("reset"),
}
NEEDED = {"cooldown_by": "cooldown", "on_dismiss": "cooldown", "on_answer": "on_dismiss"}


@st.composite
def folders(
    draw: st.DrawFn,
    keys: dict[str, st.SearchStrategy[Any]],
    names: tuple[str, ...] = (),
    always: dict[str, st.SearchStrategy[Any]] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rules with all of ``always`` and some of ``keys``, and a policy with budgets of those ``names``."""
    present = {"trigger": kinds, **(always or {})}
    policy = draw(policies)
    if names:
        policy = {**policy, "budgets": {name: draw(budgets) for name in names}}
        keys = {**keys, "budget": st.sampled_from(("none", *names, list(names)))}
    rules = []
    for number in range(draw(st.integers(1, 3))):
        optional = {name: strategy for name, strategy in {**anywhere, **keys}.items() if name not in present}
        rule = draw(st.fixed_dictionaries(present, optional=optional))
        for name, other in NEEDED.items():
            if other not in rule:
                rule.pop(name, None)
        rules.append({"id": f"r{number}", **rule, "message": {"type": "question", "text": "x"}})
    return rules, policy


@st.composite
def histories(draw: st.DrawFn, others: tuple[str, ...] = ()) -> list[Event]:
    """Events of the `TYPES` and of ``others``, in order of time."""
    events: list[Event] = []
    at = START
    for number in range(draw(st.integers(0, EVENTS_MAX).map(lambda few: EVENTS_MAX - few))):
        event_type = draw(st.sampled_from((*TYPES, *TYPES, *TYPES, *others)))
        data: dict[str, Any] = {}
        session = None
        if event_type.startswith("session."):
            session = draw(st.sampled_from(("s1", "s1", "s2")))
        elif event_type.startswith("message."):
            data["rule"] = draw(st.sampled_from(("r0", "r0", "r1")))
        elif event_type == "user.preferences":
            data["level"] = draw(st.sampled_from(("off", "less", "normal", "more")))
        else:
            group = draw(st.sampled_from(("x", "y", 1, None)))
            if group is not None:
                data["g"] = group
        events.append(Event(event_type, "ann", at, data, f"e{number}", session))
        at = draw(moments_after(at, [event.at for event in events]))
    return events


@st.composite
def moments_after(draw: st.DrawFn, at: int, earlier: list[int]) -> int:
    """At or beside a gap after some earlier moment or the user's midnight, or a moment later."""
    if not draw(st.booleans()):
        return at + draw(st.sampled_from((0, 1, SECOND, MINUTE, 2 * MINUTE, 31 * MINUTE)))
    base = draw(st.sampled_from([*earlier[-4:], None]))
    edge = midnight_after(at) if base is None else base + draw(st.sampled_from(GAPS))
    return max(at, edge + draw(st.integers(-1, 1)))


def midnight_after(at: int) -> int:
    """The next midnight in Paris."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(PARIS)
    midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), PARIS)
    return int(midnight.timestamp()) * SECOND


def check(folder: tuple[list[dict[str, Any]], dict[str, Any]], events: list[Event], written: bool) -> None:
    """``written``: the state is written and read again between any two events."""
    rules, policy = folder
    until = (events[-1].at if events else START) + HOUR
    timeline = Timeline(load({"r.yaml": json.dumps({"version": 1, "rules": rules, "policy": policy})}, KINDS))
    state = UserState("ann")
    decisions: list[Decision] = []
    for event in events:
        apply(timeline, state, event, decisions)
        if written:
            state = UserState.decode(state.encode())
    advance(timeline, state, until, decisions)
    found = [(decision.at, decision.rule, decision.outcome) for decision in decisions]
    assert found == naive_limits.verdicts(rules, policy, events, until, MESSAGES_MAX)
    # Nothing is held and nothing withdrawn: each decision is a candidate.
    assert all(decision.was is None for decision in decisions)
    assert Counter(outcome for _, _, outcome in found).total() == len(decisions)


@settings(max_examples=300, deadline=None)
@given(
    folders(cooling, always={"cooldown": spans}),
    histories(("message.dismissed", "message.answered", "session.end")),
    st.booleans(),
)
def test_cooldowns_are_as_the_page_says(folder: Any, events: list[Event], written: bool) -> None:
    check(folder, events, written)


@settings(max_examples=300, deadline=None)
@given(folders({"warmup": spans}, always={"max": several}), histories(("session.start", "session.end")), st.booleans())
def test_caps_are_as_the_page_says(folder: Any, events: list[Event], written: bool) -> None:
    check(folder, events, written)


@settings(max_examples=400, deadline=None)
@given(
    folders({"level": levels}, ("first", "second")),
    histories(("session.start", "session.end", "user.preferences", "message.dismissed", "message.answered", "ping")),
    st.booleans(),
)
def test_budgets_are_as_the_page_says(folder: Any, events: list[Event], written: bool) -> None:
    check(folder, events, written)


@settings(max_examples=300, deadline=None)
@given(
    folders({}, always={"trigger": idle}),
    histories(("session.start", "session.start", "session.end", "ping")),
    st.booleans(),
)
def test_inactivity_is_as_the_page_says(folder: Any, events: list[Event], written: bool) -> None:
    check(folder, events, written)


@settings(max_examples=200, deadline=None)
@given(
    folders({"max": several, "warmup": spans, "level": levels, **cooling}, ("first", "second"), {"cooldown": spans}),
    histories(("session.start", "session.end", "user.preferences", "message.dismissed", "message.answered", "ping")),
    st.booleans(),
)
def test_all_of_them_together_are_as_the_page_says(folder: Any, events: list[Event], written: bool) -> None:
    check(folder, events, written)
