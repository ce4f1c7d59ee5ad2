"""Sequences against a naive reading of the page: at every event, try all choices of those before it."""

from __future__ import annotations

import naive
import one_rule
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.state import STATE_BYTES_MAX
from engine.core.units import MINUTE, from_datetime
from engine.loading.diagnostic import RuleErrors
from engine.triggers.sequence import EVENTS_MAX, STEPS_MAX

WITHIN = 3 * MINUTE
STEPS: dict[str, naive.Test] = {
    "a": lambda event: event.type == "a",
    "b": lambda event: event.type == "b",
    "[a, b]": lambda event: event.type in ("a", "b"),
    "{event: a, where: event.n == 2}": lambda event: event.type == "a" and event.data["n"] == 2,
    "'*'": lambda event: True,
}
WITHOUT: dict[str, naive.Test] = {
    "": lambda event: False,
    "c": lambda event: event.type == "c",
    "{event: '*', where: event.v == 'w'}": lambda event: event.data.get("v") == "w",
}


def rule_set(written: str) -> RuleSet:
    return one_rule.rule_set("steps", "sequence", written)


@settings(max_examples=500, deadline=None)
@given(
    naive.histories([WITHIN], ("a", "a", "b", "b", "c")),
    st.lists(st.sampled_from(list(STEPS)), min_size=2, max_size=4),
    st.sampled_from(list(WITHOUT)),
    st.booleans(),
    st.booleans(),
)
def test_a_match_is_found_whenever_any_choice_of_events_is_one(
    events: list[Event], steps: list[str], without: str, grouped: bool, written: bool
) -> None:
    parts = [f"steps: [{', '.join(steps)}], within: 3m"]
    parts += [f"without: {without}"] if without else []
    parts += ["group_by: g"] if grouped else []
    decisions, _ = one_rule.decisions_of(rule_set(", ".join(parts)), events, written=written)
    expected = naive.sequence_firings(
        events,
        [STEPS[step] for step in steps],
        WITHOUT[without],
        (lambda event: event.data.get("g")) if grouped else (lambda event: "all"),
        WITHIN,
    )
    assert [(made.event_id, from_datetime(made.trigger["steps"][0]["at"])) for made in decisions] == expected
    for made in decisions:
        shown = made.trigger["steps"]
        assert len(shown) == len(steps)
        assert [step["at"] for step in shown] == sorted(step["at"] for step in shown)
        # What it shows did happen: each step is an event of the history that satisfies it.
        for step, facts in zip(steps, shown, strict=True):
            fields = {name: value for name, value in facts.items() if name not in ("type", "at")}
            assert any(
                STEPS[step](event)
                and event.type == facts["type"]
                and event.at == from_datetime(facts["at"])
                and event.data == fields
                for event in events
            )


def happened(event_type: str, number: int = 0, **data: object) -> Event:
    return Event(event_type, "ann", naive.START + number, dict(data))


def test_nothing_is_remembered_once_nothing_is_done() -> None:
    rules = rule_set("steps: [a, b], within: 3m, without: c, group_by: g")
    for last in (
        happened("b", g="x"),
        happened("c", g="x"),
        happened("b", WITHIN + 1, g="x"),
    ):
        _, state = one_rule.decisions_of(rules, [happened("a", g="x"), last])
        assert state.memory == {}
    _, state = one_rule.decisions_of(rules, [happened("a", g="x"), happened("b", WITHIN + 1, g="y")])
    assert len(state.memory) == 1


@pytest.mark.parametrize("steps", range(2, STEPS_MAX + 1))
def test_the_memory_of_one_trigger_is_bounded_however_large_the_events(steps: int) -> None:
    rules = rule_set(f"steps: [{', '.join(['a'] * steps)}], within: 3m, group_by: g")
    events = [
        happened("a", group * STEPS_MAX + step, g=group, text="x" * 500, more=["y" * 50] * 100)
        for group in range(120)
        for step in range(steps - 1)
    ]
    decisions, state = one_rule.decisions_of(rules, events)
    assert decisions == []
    (memory,) = state.memory.values()
    kept = sum(len(match) for done in memory.values() for match in done)
    assert EVENTS_MAX // 2 <= kept <= EVENTS_MAX
    assert len(state.encode()) < STATE_BYTES_MAX


def test_a_step_of_many_fields_is_shown_cut_down_whether_the_state_was_written_or_not() -> None:
    rules = rule_set("steps: [a, b], within: 3m")
    events = [happened("a", text="x" * 6000), happened("b", 1, text="y" * 6000)]
    in_memory, _ = one_rule.decisions_of(rules, events)
    read_again, _ = one_rule.decisions_of(rules, events, written=True)
    assert in_memory == read_again
    assert [len(step["text"]) for step in in_memory[0].trigger["steps"]] == [512, 512]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[a]", "expected at least 2 items, got 1"),
        (f"[{', '.join(['a'] * (STEPS_MAX + 1))}]", f"expected at most {STEPS_MAX} items, got {STEPS_MAX + 1}"),
    ],
)
def test_too_few_and_too_many_steps_are_refused(steps: str, message: str) -> None:
    with pytest.raises(RuleErrors, match=message):
        rule_set(f"steps: {steps}, within: 3m")
