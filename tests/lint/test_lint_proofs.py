"""What is found is so: a limit that never binds changes nothing whatever happens, and who is outranked never speaks."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import RuleSet, Timeline
from engine.core.units import MINUTE, SECOND, parse_at
from engine.lint.lint import lint
from engine.lint.places import Place, Reading
from engine.loading.load import load
from engine.replay.driver import replay
from engine.triggers import KINDS

START = parse_at("2026-03-28T23:50:00Z")
GAPS = (0, 1, SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 7 * MINUTE)
Page = dict[str, Any]
MIDNIGHT = {"midnight": {"from": "23:55", "to": "00:05"}}

spans = st.sampled_from(("30s", "1m", "2m", "5m"))
pers = st.one_of(spans, st.sampled_from(("session", "day", "user")))
limits = st.lists(st.fixed_dictionaries({"max": st.integers(1, 4), "per": pers}), min_size=1, max_size=3)
triggers = st.one_of(
    st.sampled_from(("e", "f", "*")).map(lambda name: {"event": name}),
    spans.map(lambda span: {"inactivity": span}),
    spans.map(lambda span: {"schedule": {"every": span}}),
    st.sampled_from(("start", "end", {"lasted": "2m"}, {"returned_after": "1m"})).map(lambda on: {"session": on}),
    spans.map(lambda span: {"absence": {"after": "e", "no": "f", "within": span}}),
)
rules = st.fixed_dictionaries(
    {"trigger": triggers, "message": st.just({"type": "question", "text": "Hm"})},
    optional={
        "cooldown": spans,
        "max": limits,
        "priority": st.integers(0, 1),
        "mode": st.sampled_from(("live", "shadow")),
        "deliver": st.sampled_from(
            ({"at": "f", "within": "1m"}, {"quiet_for": "30s", "within": "2m", "otherwise": "drop"})
        ),
        "offline": st.just("keep"),
        "budget": st.sampled_from(("one", "two", "none", ["one", "two"])),
        "quiet_hours": st.sampled_from(("none", {"in": "midnight", "then": "hold"})),
    },
)
budgets = st.fixed_dictionaries(
    {"limits": limits}, optional={"reset_on": st.just("f"), "charged_by": st.just({"event": "e", "cost": 2})}
)
pages = st.fixed_dictionaries(
    {
        "policy": st.fixed_dictionaries(
            {
                "budgets": st.fixed_dictionaries({"one": budgets, "two": budgets}),
                "quiet_hours": st.just(MIDNIGHT),
                "simultaneous": st.sampled_from((1, 1, 2)),
                "session_timeout": st.just("5m"),
            }
        ),
        "rules": st.lists(rules, min_size=1, max_size=3),
    }
)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    events, at = [], START
    for number in range(draw(st.integers(0, 25).map(lambda few: 25 - few))):
        event_type = draw(st.sampled_from(("e", "e", "e", "f", "session.start", "session.end")))
        session = "s" if event_type.startswith("session.") else None
        events.append(Event(event_type, "ann", at, {}, str(number), session))
        at += max(draw(st.sampled_from(GAPS)) + draw(st.sampled_from((-1, 0, 0, 1))), 0)
    return events


def compiled(page: Page) -> RuleSet:
    named = [{"id": f"r{number}", **rule} for number, rule in enumerate(page["rules"])]
    # Each limit on a line of its own, so that a place names one of them.
    return load({"r.yaml": json.dumps({"version": 1, **page, "rules": named}, indent=1)}, KINDS)


def outcomes(rules: RuleSet, events: list[Event]) -> list[tuple[Any, ...]]:
    until = START + 200 * MINUTE
    made = replay(events, Timeline(rules), until).by_user.get("ann", [])
    return [(decision.at, decision.rule, decision.outcome, decision.was) for decision in made]


def without(page: Page, places: set[Place]) -> Page | None:
    """The page less the first limit that stands at one of the places, None where there is none."""
    reading = Reading(compiled(page))
    changed = copy.deepcopy(page)
    for rule, written in zip(reading.rules, changed["rules"], strict=True):
        if "cooldown" in written and reading.of_rule(rule, "cooldown") in places:
            del written["cooldown"]
            return changed
        for number in range(len(rule.caps)):
            if reading.of_rule(rule, "max", number, "max") in places:
                del written["max"][number]
                if not written["max"]:
                    del written["max"]
                return changed
    for name, budget in changed["policy"]["budgets"].items():
        for number in range(len(budget["limits"])):
            if reading.of_policy("budgets", name, "limits", number, "max") in places:
                # A limit that nobody reaches, in place of none: a budget has at least one.
                budget["limits"][number] = {"max": 1000, "per": "user"}
                return changed
    return None


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(pages, streams(), st.randoms(use_true_random=False))
def test_a_limit_that_never_binds_may_as_well_not_be_there(page: Page, events: list[Event], chance: Any) -> None:
    found = [one for one in lint(compiled(page)) if one.code == "limit-never-binds"]
    assume(found)
    one = chance.choice(found)
    changed = without(page, {Place(one.path, one.line, one.column)})
    assert changed is not None, f"no limit stands at {one}"
    assert outcomes(compiled(page), events) == outcomes(compiled(changed), events)


# Few keys, so that rules often stand in each other's way.
plain_rules = st.fixed_dictionaries(
    {"trigger": triggers, "message": st.just({"type": "question", "text": "Hm"})},
    optional={
        "priority": st.integers(0, 1),
        "budget": st.sampled_from(("one", "none")),
        "warmup": st.just("1m"),
        "offline": st.just("keep"),
        "quiet_hours": st.sampled_from(("none", "midnight")),
    },
)
policies = st.just({"budgets": {"one": {"limits": {"max": 2, "per": "5m"}}}, "quiet_hours": MIDNIGHT})
plain_pages = st.fixed_dictionaries({"policy": policies, "rules": st.lists(plain_rules, min_size=2, max_size=4)})


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(plain_pages, streams())
def test_who_is_found_to_be_silent_never_speaks(page: Page, events: list[Event]) -> None:
    silent = {
        rule
        for one in lint(compiled(page))
        for rule in one.rules or (one.rule,)
        if one.code in ("never-speaks", "always-outranked", "always-quiet")
    }
    assume(silent)
    spoken = {rule for _, rule, outcome, _ in outcomes(compiled(page), events) if outcome in ("sent", "shadow")}
    assert silent & spoken == set()
