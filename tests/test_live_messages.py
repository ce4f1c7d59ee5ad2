"""What becomes of messages of the live driver: who takes them, who does not, and what rules are told of it."""

from __future__ import annotations

import asyncio

import pytest
from live_world import START, World, compiled, said

from engine.core.model import Event, Message
from engine.core.units import MINUTE
from engine.inbox import CHAIN_MAX
from engine.live import Live
from engine.storage.base import OutboxMessage, StoreError

AFTER_DELIVERY = """
version: 1
rules:
  - {id: seen, trigger: {event: hello}, message: {type: notification, text: hi}}
  - {id: came, trigger: {event: message.delivered}, cooldown: 1h, message: {type: notification, text: it came}}
"""


def outgoing(message_id: str, rule: str = "seen") -> OutboxMessage:
    return OutboxMessage("ann", Message(message_id, "question", "ok?"), 0, rule)


# Messages.


async def test_what_no_client_took_waits_until_somebody_does() -> None:
    world = World(accept=lambda message: False)
    await world.start()
    await world.say(said())
    waiting = await world.live.waiting("ann")
    assert [message.message.text for message in waiting] == ["hi"]
    world.live.relayed(waiting)
    assert await world.live.waiting("ann") == []


async def test_what_was_taken_does_not_wait() -> None:
    world = await World().start()
    await world.say(said())
    assert len(world.delivered) == 1
    assert await world.live.waiting("ann") == []


async def test_what_the_application_says_passes_no_rule() -> None:
    world = await World().start()
    sending = asyncio.ensure_future(world.live.send([OutboxMessage("ann", Message("m1", "question", "ok?"), 0)]))
    await asyncio.sleep(0)
    await world.live.take_turn(START)
    await sending
    assert world.texts() == [("ann", "ok?")]
    assert world.delivered[0].at == START
    assert world.live.counters.decisions == 0


async def test_messages_of_a_commit_whose_answer_was_lost_for_good_are_handed_over_later() -> None:
    world = World(rules=compiled())
    await world.start()
    heard: list[str] = []

    def deliver(messages: list[OutboxMessage]) -> list[str]:
        heard.extend(outgoing.message.id for outgoing in messages)
        return []

    live = Live(world.store, world.rules, clock=lambda: world.now, deliver=deliver, retry_seconds=(0.0,))
    await live.recover()
    message = OutboxMessage("ann", Message("m1", "question", "ok?"), world.now)
    world.store.lost_answers, world.store.unreadable = 1, 99
    sending = live.send([message])
    with pytest.raises(StoreError):
        await live.take_turn(world.now)
    assert sending.exception() is not None
    assert heard == []
    world.store.unreadable = 0
    live.note([said("bob", "edit")])
    await live.take_turn(world.now)
    assert heard == ["m1"]
    live.note([said("bob", "edit")])
    await live.take_turn(world.now)
    assert heard == ["m1"]


# Receipts.


def receipts(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.user, event.data["message_id"]) for event in events if event.type == "message.delivered"]


async def logged(world: World) -> list[Event]:
    return [entry.event for entry in await world.entries("event")]


async def test_what_a_client_took_comes_back_as_an_event_and_rules_see_it() -> None:
    world = await World(compiled(AFTER_DELIVERY)).start()
    await world.say(said())
    assert receipts(await logged(world)) == []  # it is on its way
    world.now += 1
    await world.live.take_turn(world.now)
    assert world.texts() == [("ann", "hi"), ("ann", "it came")]
    first, second = [sent.message.id for sent in world.delivered]
    assert receipts(await logged(world)) == [("ann", first)]
    await world.live.take_turn(world.now)
    assert receipts(await logged(world)) == [("ann", first), ("ann", second)]


async def test_a_receipt_is_evaluated_before_what_waited_and_takes_none_of_its_time() -> None:
    world = await World(partition_count=1).start()
    await world.say(said())
    world.now += 1
    waiting = asyncio.ensure_future(world.live.submit([said(event_type="edit")]))
    await asyncio.sleep(0)
    world.now += MINUTE
    world.live.relayed([outgoing("m1"), outgoing("m2"), outgoing("m1")])
    assert world.live.health()["waiting"] == 1
    await world.live.take_turn(world.now)
    await waiting
    events = await logged(world)
    assert [event.type for event in events] == ["hello", *["message.delivered"] * 3, "edit"]
    assert [message_id for _, message_id in receipts(events)] == [world.delivered[0].message.id, "m1", "m2"]
    assert [event.at - START for event in events] == [0, 0, 1, 1, 1]


async def test_what_the_application_said_and_what_nobody_took_have_no_receipt() -> None:
    world = World(accept=lambda message: False)
    await world.start()
    await world.say(said())
    world.live.relayed([OutboxMessage("ann", Message("m1", "question", "ok?"), 0)])
    await world.live.take_turn(world.now)
    assert receipts(await logged(world)) == []


async def test_a_rule_that_answers_every_receipt_comes_to_an_end() -> None:
    world = await World(compiled(AFTER_DELIVERY.replace(" cooldown: 1h,", ""))).start()
    await world.say(said())
    for _ in range(2 * CHAIN_MAX):
        await world.live.take_turn(world.now)
    assert len(world.delivered) == 1 + CHAIN_MAX
    assert len(receipts(await logged(world))) == CHAIN_MAX


async def test_a_receipt_that_the_store_refuses_is_told_and_hurts_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    world = await World().start()
    await world.say(said())
    world.store.refusals = 3
    with pytest.raises(StoreError):
        await world.live.take_turn(world.now)
    shown = capsys.readouterr()
    assert "! receipts lost" in shown.out + shown.err
    assert len((await world.say(said("bob")))[0]) == 1
    await world.live.take_turn(world.now)
    assert [user for user, _ in receipts(await logged(world))] == ["bob"]
