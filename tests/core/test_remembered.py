"""What is remembered of messages and wishes: its bounds, and that it takes no more room than it needs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.kept import keep
from engine.core.model import Event, Message
from engine.core.remembered import Held, Outstanding, Preferences, Sent


def values(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in type(one).__slots__}


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        (Sent(9, 2, 1, 1, [8, 9]), (9, 2, 1, 1, [8, 9])),
        (Sent(9, 2, 1, 1, [8, 9], 3), (9, 2, 1, 1, [8, 9], 3)),
        (Sent(9, 2, 1, 1, [], 0, {"a": 9}), (9, 2, 1, 1, [], 0, {"a": 9})),
        (Sent(9, 2, 1, 1, [], 0, {}), (9, 2, 1, 1, [])),
    ],
)
def test_what_was_sent_is_written_as_short_as_it_can_be(sent: Sent, written: tuple[Any, ...]) -> None:
    assert sent.fields() == written
    assert values(Sent(*sent.fields())) == {**values(sent), "by_value": sent.by_value or None}


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (Outstanding("r", 5), ("r", 5)),
        (Outstanding("r", 5, 9), ("r", 5, 9)),
        (Outstanding("r", 5, None, waits=True), ("r", 5, None, True, False)),
        (Outstanding("r", 5, 9, engaged=True), ("r", 5, 9, False, True)),
    ],
)
def test_a_message_that_may_be_answered_is_written_as_short_as_it_can_be(
    message: Outstanding, written: tuple[Any, ...]
) -> None:
    assert message.fields() == written
    assert values(Outstanding(*message.fields())) == values(message)


def test_wishes_are_written_and_read() -> None:
    wishes = Preferences("less", ["a", "*"], {"": 5, "topic": 6})
    assert values(Preferences(*wishes.fields())) == values(wishes)
    assert values(Preferences()) == {"level": "normal", "muted": [], "snoozed": {}}


def test_wishes_are_nobody_elses() -> None:
    Preferences().muted.append("a")
    assert Preferences().muted == []


def test_a_held_message_is_written_and_read() -> None:
    event = Event("e", "ann", 4, {"log": "x" * 9000, "n": 1}, "e4", "s")
    message = Message("m", "question", "Help?", ("Yes", "No"), {"link": "/"}, 99)
    held = Held(
        "r", 5, message, keep(event), {"kind": "count", "count": 3}, until=9, quiet_until=7, reached=True, variant="a",
        probability=0.25,
    )  # fmt: skip
    assert values(Held.restored("ann", list(held.fields()))) == values(held)


charges = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(1, 5)), max_size=20)


@given(charges, st.integers(0, 4))
def test_counting_keeps_totals_and_the_latest_moments(charges: list[tuple[int, int, int]], times_kept: int) -> None:
    sent = Sent(0, 0, 0, 0, [])
    at = presence = 0
    all_times: list[int] = []
    in_presence = 0
    for later, arrives, cost in charges:
        at += later
        if arrives:
            presence, in_presence = presence + 1, 0
        sent.count(at, presence, cost, times_kept)
        all_times += [at] * cost
        in_presence += cost
        assert (sent.last, sent.total, sent.in_presence) == (at, len(all_times), in_presence)
        assert sent.times == (all_times[-times_kept:] if times_kept else [])
