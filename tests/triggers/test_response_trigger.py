"""What the vectors of `response` do not show: which events it looks at, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.model import Event
from engine.core.rules import Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS
from engine.triggers.response import KIND

ASK = "  - {id: ask, trigger: {event: stuck}, message: {type: question, text: x%s}}\n"


def build(*answers: str) -> Trigger:
    values: dict[str, Any] = {"to": "ask"}
    if answers:
        values["is"] = answers
    trigger = KIND.build(values, "r/response-0")
    assert isinstance(trigger, Trigger)
    return trigger


@pytest.mark.parametrize(
    ("answers", "event_types"),
    [
        ((), {"message.answered"}),
        (("answered",), {"message.answered"}),
        (("Yes",), {"message.answered"}),
        (("dismissed",), {"message.dismissed"}),
        (("ignored",), {"message.expired"}),
        (("ignored", "dismissed"), {"message.expired", "message.dismissed"}),
        (("ignored", "Yes"), {"message.expired", "message.answered"}),
    ],
)
def test_it_looks_at_events_that_can_matter_alone(answers: tuple[str, ...], event_types: set[str]) -> None:
    trigger = build(*answers)
    assert set(trigger.event_types) == event_types
    assert trigger.equality == ("rule", "ask")
    assert not trigger.has_memory


@pytest.mark.parametrize(
    ("answers", "event_type", "data", "response"),
    [
        ((), "message.answered", {"rule": "ask", "response": "hm"}, "hm"),
        ((), "message.answered", {"rule": "ask", "response": ""}, ""),
        ((), "message.answered", {"rule": "ask", "response": None}, "answered"),
        ((), "message.answered", {"rule": "ask", "response": ["Yes"]}, "answered"),
        ((), "message.answered", {"rule": "other", "response": "hm"}, None),
        ((), "message.answered", {}, None),
        (("Yes",), "message.answered", {"rule": "ask", "response": "Yes"}, "Yes"),
        (("Yes",), "message.answered", {"rule": "ask", "response": "Yes "}, None),
        (("Yes",), "message.answered", {"rule": "ask", "response": ["Yes"]}, None),
        (("Yes",), "message.answered", {"rule": "ask", "response": {}}, None),
        (("Yes",), "message.answered", {"rule": "ask"}, None),
        (("Yes", "dismissed"), "message.dismissed", {"rule": "ask", "response": "No"}, "dismissed"),
        (("ignored",), "message.expired", {"rule": "ask"}, "ignored"),
    ],
)
def test_it_fires_on_the_answers_that_it_names(
    answers: tuple[str, ...], event_type: str, data: dict[str, Any], response: str | None
) -> None:
    state = UserState("ann")
    event = Event(event_type, "ann", 5, data)
    scope = Scope(state, event, 5, Policy())
    trigger = build(*answers)
    fired = trigger.observe(state, scope)
    assert (None if fired is None else (fired.facts, fired.event)) == (
        None if response is None else ({"response": response}, event)
    )
    # What it says of an event that it did not fire on, it says of no other.
    assert (trigger.missed(scope) is None) == (fired is not None)


def test_where_there_is_no_event_there_is_no_answer() -> None:
    state = UserState("ann")
    assert build().observe(state, Scope(state, None, 5, Policy())) is None


def errors_of(answer: str, more: str = "", ask: str = ASK) -> list[str]:
    text = "version: 1\nrules:\n" + ask % more
    text += f"  - {{id: r, trigger: {{response: {answer}}}, message: {{type: tip, data: {{}}}}}}\n"
    try:
        load({"rules.yaml": text}, KINDS)
    except RuleErrors as errors:
        return [found.code for found in errors.diagnostics]
    return []


@pytest.mark.parametrize(
    ("answer", "more", "codes"),
    [
        ("{to: ask}", "", []),
        ("{to: r}", "", []),
        ("{to: asks}", "", ["unknown-rule"]),
        ("{is: answered}", "", ["missing-key"]),
        ("{to: ask, is: [Yes, answered, dismissed, ignored]}", ", options: ['Yes', 'No']", []),
        ("{to: ask, is: Yeah}", ", options: ['Yes', 'No']", ["unknown-option"]),
        ("{to: ask, is: yes}", ", options: ['Yes', 'No']", ["unknown-option"]),
        ("{to: ask, is: Yeah}", "", []),
    ],
)
def test_what_it_says_of_another_rule_must_be_so(answer: str, more: str, codes: list[str]) -> None:
    assert errors_of(answer, more) == codes


def test_a_rule_that_is_off_may_still_be_answered_to() -> None:
    off = ASK.replace("{id: ask,", '{id: ask, mode: "off",')
    assert errors_of("{to: ask}", ask=off) == []
