"""The live driver, turn by turn, with a time of the test's own; and its loop, with the real one."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog
from live_world import START, World, badly_compiled, compiled, said

from engine.core.model import Message
from engine.core.state import STATE_BYTES_MAX
from engine.core.units import DAY, MINUTE
from engine.inbox import QUEUE_MAX, TURN_MAX, Overloaded
from engine.intake import Input
from engine.live import Live
from engine.storage.base import OutboxMessage, StoreError
from engine.storage.memory import MemoryStore

HELD = """
version: 1
rules:
  - id: later
    trigger: {event: saved}
    condition: default(event.size, 1) < 5
    cooldown: 10m
    deliver: {at: closed, within: 1h}
    message: {type: question, variants: [{id: only, text: later}]}
"""


BAD = """
version: 1
rules:
  - {id: bad, trigger: {faulty: {}}, message: {type: question, text: x}}
  - {id: hoard, trigger: {hoarding: {}}, message: {type: question, text: x}}
  - {id: seen, trigger: {event: hello}, message: {type: notification, text: hi}}
"""


# What is told of decisions.


async def test_a_message_that_was_held_and_then_sent_is_counted_once() -> None:
    world = await World(compiled(HELD)).start()
    await world.say(said("ann", "saved"))
    assert world.live.health()["outcomes"] == {"held": 1}
    await world.say(said("ann", "closed"))
    assert world.live.health()["outcomes"] == {"held": 0, "sent": 1}
    await world.say(said("ann", "saved"))
    assert world.live.health()["outcomes"] == {"cooldown": 1, "held": 0, "sent": 1}


async def test_of_what_was_held_by_an_earlier_process_no_count_is_taken_off() -> None:
    world = await World(compiled(HELD)).start()
    await world.say(said("ann", "saved"))
    await world.restart()
    await world.say(said("ann", "closed"))
    assert world.live.health()["outcomes"] == {"sent": 1}


async def test_the_log_says_why_and_what_a_decision_replaces_where_there_is_something_to_say() -> None:
    world = await World(compiled(HELD)).start()
    with structlog.testing.capture_logs() as lines:
        for event_type, size in (("saved", 9), ("saved", 1), ("closed", 1), ("saved", 1)):
            await world.say(said("ann", event_type, size=size))
    decided = [line for line in lines if line["event"] in ("= decision", "> message")]
    at = {"user_id": "ann", "rule_id": "later", "at": "2026-03-27T10:00:00.000000Z", "log_level": "info"}
    until = "2026-03-27T11:00:00.000000Z"
    assert decided == [
        {
            **at, "event": "= decision", "outcome": "condition",
            "reason": "its condition does not hold",
        },
        {
            **at, "event": "= decision", "outcome": "held", "variant": "only",
            "reason": f"held for a good moment, until {until} at the latest",
        },
        {**at, "event": "> message", "outcome": "sent", "was": "held", "variant": "only"},
        {
            **at, "event": "= decision", "outcome": "cooldown",
            "reason": "cooldown of 10m until 2026-03-27T10:10:00.000000Z",
        },
    ]  # fmt: skip


# Inputs.


async def test_what_is_said_is_durable_and_evaluated_when_submit_returns() -> None:
    world = await World().start()
    (ids,) = await world.say(said())
    assert ids == [entry.event.id for entry in await world.entries("event")]
    assert world.texts() == [("ann", "hi")]
    assert (await world.state()).now == START


async def test_a_list_is_acknowledged_together_and_happens_in_order() -> None:
    world = await World(partition_count=1).start()
    task = asyncio.ensure_future(world.live.submit([said("ann", "a"), said("ann", "b"), said("bob", "c")]))
    await asyncio.sleep(0)
    await world.live.take_turn(START)
    assert await task == [entry.event.id for entry in await world.entries("event")]
    assert [entry.event.type for entry in await world.entries("event")] == ["a", "b", "c"]


async def test_the_stamp_of_a_client_is_kept_beside_ours() -> None:
    world = await World().start()
    await world.say(Input("ann", "hello", {}, at_reported=START - 99))
    (entry,) = await world.entries("event")
    assert (entry.event.at, entry.event.at_reported) == (START, START - 99)


async def test_more_inputs_than_may_wait_are_refused_and_those_that_wait_are_not_lost() -> None:
    world = await World().start()
    full = asyncio.ensure_future(world.live.submit([said("ann", "edit")] * (QUEUE_MAX - 1)))
    last = asyncio.ensure_future(world.live.submit([said("ann", "edit")]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match=f"{QUEUE_MAX} inputs wait already, at most {QUEUE_MAX} may"):
        await world.live.submit([said()])
    await world.live.take_turn(START)
    assert len(await full) == QUEUE_MAX - 1
    # There is room again, and what waited behind is taken next.
    await world.say(said())
    assert len(await last) == 1
    assert world.live.health()["events"] == QUEUE_MAX + 1


async def test_more_inputs_than_one_turn_takes_are_taken_in_the_next() -> None:
    world = await World(partition_count=1).start()
    tasks = [asyncio.ensure_future(world.live.submit([said("ann", f"t{number}")])) for number in range(TURN_MAX + 1)]
    await asyncio.sleep(0)
    await world.live.take_turn(START)
    assert len(await world.entries("event")) == TURN_MAX
    assert world.live.health()["waiting"] == 1
    await world.live.take_turn(START)
    await asyncio.gather(*tasks)
    assert [entry.event.type for entry in await world.entries("event")] == [f"t{n}" for n in range(TURN_MAX + 1)]


async def test_time_does_not_pass_inputs_that_still_wait() -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    # Stamped just before the deadline, but more than one turn takes stand before it.
    world.now = START + 5 * MINUTE - 1
    tasks = [asyncio.ensure_future(world.live.submit([said("bob", "edit")])) for _ in range(TURN_MAX)]
    tasks.append(asyncio.ensure_future(world.live.submit([said("ann", "edit")])))
    await asyncio.sleep(0)
    world.now = START + 6 * MINUTE
    await world.live.take_turn(world.now)
    await world.live.take_turn(world.now)
    await asyncio.gather(*tasks)
    assert world.texts() == []


async def test_a_caller_who_has_gone_away_has_said_it_all_the_same() -> None:
    world = await World().start()
    task = asyncio.ensure_future(world.live.submit([said()]))
    await asyncio.sleep(0)
    task.cancel()
    await world.live.take_turn(START)
    assert len(await world.entries("event")) == 1


# A store that fails.


async def test_a_turn_that_fails_is_made_again() -> None:
    world = await World().start()
    world.store.refusals = 2
    (ids,) = await world.say(said())
    assert len(ids) == 1
    assert world.texts() == [("ann", "hi")]
    assert (world.live.counters.retries, world.live.counters.commits > 0) == (2, True)


async def test_after_the_last_try_everybody_of_the_turn_is_told_and_it_has_not_happened() -> None:
    world = await World().start()
    world.store.refusals = 3
    for answer in await world.say(said(), said("bob")):
        assert isinstance(answer, StoreError)
        assert str(answer) == "the disk said no"
    assert await world.entries("event") == []
    assert world.delivered == []
    # Said again it happens once.
    assert len((await world.say(said()))[0]) == 1
    assert len(await world.entries("event")) == 1


async def test_an_answer_that_was_lost_doubles_nothing() -> None:
    world = await World().start()
    world.store.lost_answers = 1
    await world.say(said())
    assert len(await world.entries("event")) == 1
    assert world.texts() == [("ann", "hi")]


async def test_a_timer_whose_turn_failed_stays_due() -> None:
    world = await World().start()
    await world.say(said("ann", "edit"))
    world.store.refusals = 3
    with pytest.raises(StoreError):
        await world.come_to(START + 5 * MINUTE)
    assert world.delivered == []
    await world.come_to(START + 6 * MINUTE)
    assert world.texts() == [("ann", "idle after edit")]
    assert world.delivered[0].at == START + 5 * MINUTE


# Faults of ours.


async def test_a_fault_is_recorded_and_the_rest_goes_on() -> None:
    world = await World(badly_compiled(BAD)).start()
    answers = await world.say(said(), said("ann", "hello", boom=True), said("bob"))
    assert all(isinstance(answer, list) for answer in answers)
    assert sorted(world.texts()) == [("ann", "hi"), ("bob", "hi")]
    assert world.live.health()["faults"] == 1
    assert (await world.store.describe())["faults"] == 1


async def test_an_input_that_makes_a_state_too_large_is_set_aside() -> None:
    world = await World(badly_compiled(BAD)).start()
    await world.say(said())
    await world.come_to(START)  # for the receipt of what was said to her
    before = (await world.state()).encode()
    await world.say(said("ann", "hoard", much="x" * STATE_BYTES_MAX))
    assert (await world.state()).encode() == before
    assert world.live.health()["faults"] == 1


# The loop.


def real_time() -> int:
    return time.time_ns() // 1000


async def looping(text: str, shown: asyncio.Event) -> Live:
    def deliver(messages: list[OutboxMessage]) -> list[str]:
        shown.set()
        return [message.message.id for message in messages]

    live = Live(MemoryStore(), compiled(text), clock=real_time, deliver=deliver)
    await live.start()
    return live


async def test_the_loop_takes_turns_and_runs_timers_by_itself() -> None:
    shown = asyncio.Event()
    live = await looping(
        "version: 1\nrules: [{id: idle, trigger: {inactivity: 20ms}, message: {type: question, text: x}}]", shown
    )
    assert len(await live.submit([said("ann", "edit")])) == 1
    await asyncio.wait_for(shown.wait(), 10)
    health = live.health()
    assert (health["running"], health["trouble"], health["outcomes"]) == (True, None, {"sent": 1})
    await live.stop()
    assert live.health()["running"] is False


async def test_a_fault_of_ours_does_not_end_the_loop() -> None:
    shown = asyncio.Event()
    live = await looping(compiled().sources["rules.yaml"], shown)
    with pytest.raises(StoreError, match="the turn was given up: AttributeError"):
        await live.submit([said(5)])  # type: ignore[arg-type]
    assert live.health()["running"] is True
    assert len(await live.submit([said()])) == 1
    await asyncio.wait_for(shown.wait(), 10)
    await live.stop()


async def test_when_the_next_timer_is_due_is_asked_until_it_is_known() -> None:
    world = await World().start()
    world.store.blind = 1
    (ids,) = await world.say(said("ann", "edit"))
    assert len(ids) == 1
    world.now += 1
    await world.live.take_turn(world.now)
    await world.come_to(START + 5 * MINUTE)
    assert world.texts() == [("ann", "idle after edit")]


async def test_stopping_finishes_what_waits_and_takes_nothing_more() -> None:
    live = await looping(compiled().sources["rules.yaml"], asyncio.Event())
    waiting = asyncio.ensure_future(live.submit([said()]))
    await asyncio.sleep(0)
    await live.stop()
    assert len(await waiting) == 1
    # The receipt of what it made a rule say is among what waits.
    store = live._store
    entries = [entry for number in range(store.partition_count) for entry in await store.log(number, 0, 10)]
    assert [entry.event.type for entry in entries if entry.event] == ["hello", "message.delivered"]
    with pytest.raises(StoreError, match="the server is stopping"):
        await live.submit([said()])


async def test_a_server_stops_although_the_store_refuses_what_nobody_waits_for() -> None:
    world = World(rules=compiled())
    await world.start()
    live = Live(world.store, world.rules, clock=lambda: world.now, deliver=lambda messages: [], retry_seconds=(0.001,))
    await live.start()
    outgoing = OutboxMessage("ann", Message("m1", "question", "ok?", expires_at=world.now + DAY), world.now)
    await live.send([outgoing])
    world.store.refusals = 10**9
    live.relayed([outgoing])
    async with asyncio.timeout(20):
        await live.stop()
    world.store.refusals = 0
    assert await world.store.pending("ann", world.now) == [outgoing]


async def test_who_may_have_been_erased_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().start()
    await world.say(Input("ann", "user.identify", {"secret": "mine"}))
    erase = world.store.inner.erase

    async def erased_without_an_answer(user: str) -> int:
        await erase(user)
        raise StoreError("no answer")

    monkeypatch.setattr(world.store.inner, "erase", erased_without_an_answer)
    with pytest.raises(StoreError, match="no answer"):
        await world.live.erase("ann")
    await world.say(Input("ann", "edit", {}))
    assert b"mine" not in (await world.store.load(["ann"]))["ann"]
