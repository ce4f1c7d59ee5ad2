"""States at hand: what was put there comes back, ready or from its bytes, and never more than the bounds allow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.core.evaluate import apply
from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.loading.load import load
from engine.states import StatesAtHand
from engine.triggers import KINDS

TIMELINE = Timeline(
    load({"r.yaml": "version: 1\nrules:\n  - {id: r, trigger: {event: e}, message: {type: question, text: t}}"}, KINDS)
)


def used(user: str, at: int = 5) -> UserState:
    state = UserState(user)
    apply(TIMELINE, state, Event("e", user, at, {"n": at}), [])
    return state


def test_a_state_that_is_ready_is_the_one_that_was_put_there() -> None:
    states, ann = StatesAtHand(), used("ann")
    states.put("ann", ann.encode(), ann)
    assert states.get("ann") == (ann, ann.encode())


def test_a_user_of_whom_nothing_is_stored_has_an_empty_state() -> None:
    states = StatesAtHand()
    states.put("ann", b"")
    state, encoded = states.get("ann")
    assert (state.encode(), encoded) == (UserState("ann").encode(), b"")


@pytest.mark.parametrize("name", ["bob", ""])
def test_who_was_never_put_there_is_not_there(name: str) -> None:
    states = StatesAtHand()
    states.put("ann", b"")
    assert name not in states
    with pytest.raises(KeyError):
        states.get(name)


def test_beyond_the_first_bound_a_state_comes_back_from_its_bytes() -> None:
    states = StatesAtHand(ready_max=1, encoded_max=3)
    users = {name: used(name) for name in ("ann", "bob", "cy")}
    for name, state in users.items():
        states.put(name, state.encode(), state)
        states.trim()
    assert states.get("cy")[0] is users["cy"]
    for name in ("ann", "bob"):
        again, encoded = states.get(name)
        assert again is not users[name]
        assert again.encode() == encoded == users[name].encode()
        assert states.get(name)[0] is again


def test_beyond_the_second_bound_the_user_put_there_longest_ago_is_forgotten() -> None:
    states = StatesAtHand(ready_max=2, encoded_max=2)
    for name in ("ann", "bob", "ann", "cy"):
        state = used(name)
        states.put(name, state.encode(), state)
        states.trim()
    assert [name in states for name in ("ann", "bob", "cy")] == [True, False, True]
    assert len(states) == 2


def test_nothing_is_left_when_it_is_cleared() -> None:
    states = StatesAtHand()
    states.put("ann", b"", UserState("ann"))
    states.clear()
    assert len(states) == 0
    assert "ann" not in states


def test_who_was_never_told_has_moved_and_who_is_told_the_same_again_has_not() -> None:
    states = StatesAtHand()
    told: list[tuple[int | None, bool]] = [(5, True), (5, True), (6, True), (6, False), (6, False), (None, False)]
    assert [states.has_moved("ann", wake, present) for wake, present in told] == [True, False, True, True, False, True]


@pytest.mark.parametrize(
    "forget",
    [
        lambda states: states.forget_mark("ann"),
        lambda states: states.forget("ann"),
        lambda states: states.forget_those(lambda user: user == "ann"),
        lambda states: states.clear(),
        lambda states: states.trim(),
    ],
    ids=["its mark", "the user", "the users of a partition", "all", "beyond the bounds"],
)
def test_who_is_forgotten_has_moved(forget: Callable[[StatesAtHand], None]) -> None:
    states = StatesAtHand(encoded_max=1)
    for name in ("ann", "bob"):
        states.put(name, b"")
        states.has_moved(name, 5, True)
    forget(states)
    assert states.has_moved("ann", 5, True)
    assert states.has_moved("bob", 5, True) is (len(states) == 0)
