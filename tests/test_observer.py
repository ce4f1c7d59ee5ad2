"""What the driver tells who observes it, in which order; and that several observers hear what each wants to know."""

from __future__ import annotations

from typing import Any

import pytest
from live_world import START, StubbornStore, compiled

from engine.core.model import Message
from engine.core.units import MINUTE
from engine.intake import Input
from engine.live import Live
from engine.observer import TOLD, Observer, Several, TurnTold
from engine.storage.base import OutboxMessage, StoreError
from engine.storage.memory import MemoryStore


class Witness(Observer):
    """Writes down what it is told, by name; a trace of it is a number."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.traces = 0
        for name in TOLD:
            if name not in ("taken_in", "acknowledged"):
                setattr(self, name, self._writer(name))

    def _writer(self, name: str) -> Any:
        def write(*args: Any, **named: Any) -> None:
            self.told.append((name, [*args, *named.values()]))

        return write

    def taken_in(self, door: Any, events: int, parent: str = "") -> int:
        self.traces += 1
        return self.traces

    def acknowledged(self, trace: Any, *, ok: bool = True) -> None:
        self.told.append(("acknowledged", [trace, ok]))

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def last(self, name: str) -> Any:
        return [args for told, args in self.told if told == name][-1]


class World:
    def __init__(self, store: StubbornStore | None = None) -> None:
        self.witness = Witness()
        self.store = store or StubbornStore(MemoryStore(2))
        self.now = START
        self.live = Live(
            self.store,  # type: ignore[arg-type]
            compiled(),
            clock=lambda: self.now,
            deliver=lambda messages: [],
            observer=self.witness,
            retry_seconds=(0,),
        )

    async def recovered(self) -> World:
        await self.live.recover()
        self.witness.told.clear()
        return self

    def say(self, event_type: str, **more: Any) -> Any:
        return self.live.begin([Input("ann", event_type, {}, **more)], self.witness.taken_in("websocket", 1))


async def test_the_rules_that_hold_are_told_at_the_start_and_when_they_change() -> None:
    world = World()
    await world.live.recover()
    assert world.witness.last("rules_hold") == [["idle", "seen"]]
    await world.live.change_rules(compiled("version: 1\nrules: []\n"))
    assert world.witness.last("rules_hold") == [[]]


async def test_rules_that_held_already_are_told_by_the_next_process_too() -> None:
    world = World()
    await world.live.recover()
    next_one = World(world.store)
    await next_one.live.recover()
    assert next_one.witness.last("rules_hold") == [["idle", "seen"]]


async def test_a_turn_is_told_from_its_inputs_to_its_end_with_every_try() -> None:
    world = await World().recovered()
    done = world.say("hello")
    world.store.refusals = 1
    await world.live.take_turn(world.now)
    assert world.witness.names() == [
        "turn_taken", "committing", "commit_failed", "committing", "committed", "turn_done",
    ]  # fmt: skip
    assert world.witness.last("turn_taken") == [1]
    assert world.witness.last("commit_failed") == [True]
    (told,) = world.witness.last("turn_done")
    assert [made.rule for made in told.decisions] == ["seen"]
    assert (told.requests, told.due_at, told.traces) == (1, None, [(1, await done)])


async def test_a_turn_that_is_given_up_has_no_end() -> None:
    world = await World().recovered()
    done = world.say("hello")
    world.store.refusals = 2
    with pytest.raises(StoreError):
        await world.live.take_turn(world.now)
    assert world.witness.last("commit_failed") == [False]
    assert "turn_done" not in world.witness.names()
    with pytest.raises(StoreError):
        await done


async def test_a_turn_of_timers_says_when_the_earliest_was_due() -> None:
    world = await World().recovered()
    done = world.say("hello", session="s")
    await world.live.take_turn(world.now)
    await done
    (hello,) = world.witness.last("turn_done")[0].entries
    world.now = START + 10 * MINUTE
    await world.live.take_turn(world.now)
    (told,) = world.witness.last("turn_done")
    assert told.due_at == hello.at + 5 * MINUTE


async def test_an_event_that_has_happened_is_told_as_repeated() -> None:
    world = await World().recovered()
    for _ in range(2):
        done = world.say("hello", id="e1", once=True)
        await world.live.take_turn(world.now)
        await done
    assert world.witness.names().count("repeated") == 1
    assert world.witness.last("repeated") == [1]


async def test_trouble_of_the_store_is_told_and_its_end() -> None:
    world = World()
    await world.live.start()
    world.store.refusals = 2
    with pytest.raises(StoreError):
        await world.say("hello")
    assert world.witness.last("store_trouble") == ["the disk said no"]
    await world.say("hello")
    assert world.witness.last("store_trouble") == [None]
    await world.live.stop()


def told_of(traces: Any) -> TurnTold:
    return TurnTold([], [], [], [], 1, None, traces)


def test_several_observers_each_get_their_own_trace_back() -> None:
    first, second = Witness(), Witness()
    second.traces = 10
    both = Several([first, second])
    trace = both.taken_in("http", 1)
    both.turn_done(told_of([(trace, ["e1"]), (None, ["e2"])]))
    both.acknowledged(trace, ok=False)
    both.acknowledged(None)
    assert first.last("turn_done")[0].traces == [(1, ["e1"])]
    assert second.last("turn_done")[0].traces == [(11, ["e1"])]
    assert [args for name, args in first.told if name == "acknowledged"] == [[1, False], [None, True]]
    assert [args for name, args in second.told if name == "acknowledged"] == [[11, False], [None, True]]


def test_what_several_want_to_know_all_are_told_and_what_one_wants_goes_to_that_one() -> None:
    class Counting(Observer):
        def __init__(self) -> None:
            self.count = 0

        def refused(self, code: str) -> None:
            self.count += 1

        def queued(self, messages: Any, how: Any) -> None:
            self.count += len(messages)

    class Refusing(Counting):
        queued = Observer.queued

    one, other = Counting(), Refusing()
    both = Several([one, other])
    both.refused("bad_frame")
    both.queued([OutboxMessage("ann", Message("m", "question", "?"), 0)], "pushed")
    both.repeated(1)
    assert (one.count, other.count) == (2, 1)
    assert both.queued == one.queued
