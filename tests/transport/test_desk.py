"""What the doors share, where the store fails or two ask at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_world import START, World

from engine.core.model import Message
from engine.core.units import DAY
from engine.intake import Input
from engine.live import Live
from engine.responders import plain
from engine.storage.base import OutboxMessage, Store
from engine.storage.sqlite import SqliteStore
from engine.transport.answers import Answers
from engine.transport.decoding import WireError
from engine.transport.desk import Desk
from engine.transport.hub import Hub
from engine.transport.ledger import Ledger
from engine.transport.sessions import Sessions


def desk_on(live: Live, hub: Hub | None = None) -> Desk:
    sessions = Sessions(live, Ledger(), clock=lambda: START)
    return Desk(live, hub or Hub(lambda: 0.0), sessions, Answers(plain.respond, 1), clock=lambda: START, expires=DAY)


async def waiting_message(world: World) -> None:
    world.accept = lambda message: False
    sending = asyncio.ensure_future(world.live.send([OutboxMessage("ann", Message("m1", "question", "ok?"), 0)]))
    await asyncio.sleep(0)
    await world.live.take_turn(START)
    await sending


async def test_a_reply_does_not_fail_for_an_outbox_that_cannot_be_read() -> None:
    world = await World().start()
    await waiting_message(world)
    desk = desk_on(world.live)
    world.store.shut = 1
    assert await desk.take_waiting("ann") == []
    assert [frame["message"] for frame in await desk.take_waiting("ann")] == ["ok?"]


async def test_a_connection_is_told_where_the_outbox_cannot_be_read() -> None:
    world = await World().start()
    desk = desk_on(world.live)
    world.store.shut = 1
    with pytest.raises(WireError) as refused:
        await desk.hand_waiting("connection", "ann")
    assert refused.value.code == "not_stored"


async def receipts(store: Store) -> list[str]:
    entries = [entry for number in range(store.partition_count) for entry in await store.log(number, 0, 100)]
    events = [entry.event for entry in entries if entry.event is not None]
    return [event.data["message_id"] for event in events if event.type == "message.delivered"]


async def test_a_message_that_two_connections_take_at_once_has_one_receipt() -> None:
    world = World(accept=lambda message: False)
    await world.start()
    await world.say(Input("ann", "hello", {}))
    (waiting,) = await world.live.waiting("ann")
    hub = Hub(lambda: 0.0)
    desk = desk_on(world.live, hub)
    for name in ("c1", "c2"):
        hub.connect(name)
        hub.identify(name, "ann")
    await asyncio.gather(desk.hand_waiting("c1", "ann"), desk.hand_waiting("c2", "ann"))
    await world.live.take_turn(START)
    assert await receipts(world.store.inner) == [waiting.message.id]


async def test_what_an_http_reply_takes_has_a_receipt() -> None:
    world = World(accept=lambda message: False)
    await world.start()
    await world.say(Input("ann", "hello", {}))
    taken = await desk_on(world.live).take_waiting("ann")
    await world.live.take_turn(START)
    assert await receipts(world.store.inner) == [frame["id"] for frame in taken]


async def test_a_response_is_an_activity_and_right_after_it_an_answer_to_its_message() -> None:
    world = await World(partition_count=1).start()
    desk = desk_on(world.live)
    first = Input("ann", "user_response", {"questionId": "q1", "response": "Yes"}, "e1", "s1", START - 9)
    submitting = asyncio.ensure_future(desk.submit([first, Input("ann", "edit", {}, "e2")]))
    await asyncio.sleep(0)
    await world.live.take_turn(START)
    # Only what the client said has an id that it is told.
    assert await submitting == ["e1", "e2"]
    events = [entry.event for entry in await world.entries("event")]
    assert [(event.type, event.data, event.session, event.at_reported) for event in events] == [
        ("user_response", {"questionId": "q1", "response": "Yes"}, "s1", START - 9),
        ("message.answered", {"message_id": "q1", "response": "Yes"}, "s1", START - 9),
        ("edit", {}, None, None),
    ]
    assert len({event.id for event in events}) == 3


async def test_two_requests_at_once_do_not_get_the_same_message(tmp_path: Path) -> None:
    store: Store = await SqliteStore.open(tmp_path / "test.db")
    world = World()
    live = Live(store, world.rules, clock=lambda: START, deliver=lambda messages: [])
    await live.start()
    await live.send([OutboxMessage("ann", Message("m1", "question", "ok?"), 0)])
    desk = desk_on(live)
    got = await asyncio.gather(desk.take_waiting("ann"), desk.take_waiting("ann"))
    assert sorted(map(len, got)) == [0, 1]
    await live.stop()
    await store.close()
