from __future__ import annotations

from engine.transport.deadlines import Deadlines, Rounds


def test_who_is_over_in_time_is_not_due() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.begin("a", 0.0)
    deadlines.begin("b", 1.0)
    deadlines.end("a")
    assert deadlines.due(10.9) == []
    assert deadlines.due(11.0) == ["b"]


def test_who_is_due_is_told_once() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.begin("a", 0.0)
    assert "a" in deadlines
    assert deadlines.due(10.0) == ["a"]
    assert "a" not in deadlines
    assert deadlines.due(20.0) == []


def test_who_begins_again_has_the_whole_time_again() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.begin("a", 0.0)
    deadlines.begin("b", 1.0)
    deadlines.begin("a", 5.0)
    assert deadlines.due(14.0) == ["b"]
    assert deadlines.due(15.0) == ["a"]


def test_to_end_what_has_not_begun_is_nothing() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.end("a")
    assert len(deadlines) == 0


def test_everything_comes_up_once_in_a_round_and_no_step_is_crowded() -> None:
    rounds: Rounds[int] = Rounds(4)
    for thing in range(10):
        rounds.add(thing)
    steps = [rounds.step() for _ in range(4)]
    assert sorted(thing for step in steps for thing in step) == list(range(10))
    assert max(len(step) for step in steps) == 3


def test_what_is_removed_comes_up_no_more_and_makes_room() -> None:
    rounds: Rounds[int] = Rounds(2)
    for thing in range(4):
        rounds.add(thing)
    rounds.remove(0)
    rounds.remove(2)
    rounds.add(4)
    rounds.add(5)
    assert sorted(len(rounds.step()) for _ in range(2)) == [2, 2]
