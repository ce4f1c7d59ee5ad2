"""Why a rule said nothing, where tests of rules do not show it: receipts of a log, which name messages by their ids."""

from __future__ import annotations

import pytest

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import SECOND, parse_at
from engine.loading.load import load
from engine.near import progress
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
AT = START + 9 * SECOND
RULES = """
version: 1
rules:
  - {id: ask, trigger: {event: e}, message: {type: question, text: x, options: ["Yes", "No"]}}
  - {id: glad, trigger: {response: {to: ask, is: "Yes"}}, message: {type: notification, text: x}}
  - {id: sorry, trigger: {event: message.muted, where: 'event.rule == "glad"'}, message: {type: notification, text: x}}
"""


def happened(event_type: str, second: int, **data: object) -> Event:
    return Event(event_type, "ann", START + second * SECOND, dict(data), f"e{second}")


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    return Timeline(load({"rules.yaml": RULES}, KINDS))


@pytest.fixture(scope="module")
def asked(timeline: Timeline) -> str:
    """The id of the message that the first event makes."""
    decisions: list[Decision] = []
    run(timeline, UserState("ann"), [happened("e", 0)], START, decisions)
    message = decisions[0].message
    assert message is not None
    return message.id


def told(timeline: Timeline, rule: str, *events: Event) -> list[str]:
    return progress(timeline, timeline.latest.by_id[rule], [happened("e", 0), *events], AT)


def test_an_answer_is_told_of_by_the_message_that_it_names(timeline: Timeline, asked: str) -> None:
    answer = happened("message.answered", 1, message_id=asked, response="No")
    assert told(timeline, "glad", answer) == ['response: 1 message.answered came, and the answer was "No", not Yes']
    other = happened("message.answered", 1, message_id="other", response="No")
    assert told(timeline, "glad", other) == [
        "response: 1 message.answered came, and it was about no open message of ask"
    ]
    nobody_asked = progress(timeline, timeline.latest.by_id["glad"], [happened("message.answered", 1, rule="ask")], AT)
    assert nobody_asked[0] == "response: 1 message.answered came, and it was about no open message of ask"


def test_a_where_reads_what_rules_are_told_of_the_message(timeline: Timeline, asked: str) -> None:
    events = [happened("message.answered", 1, message_id=asked), happened("message.muted", 2, message_id=asked)]
    (line,) = told(timeline, "sorry", *events)
    assert 'event.rule is "ask"' in line
