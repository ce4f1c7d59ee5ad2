"""Messages that wait for their second or for a receipt: none is lost, shown too late, or settled by another user."""

from __future__ import annotations

import asyncio

import pytest
from devices import OPEN, Device, Devices, devices

from engine.core.units import DAY
from engine.intake import Input
from engine.transport.frames import Hello
from engine.transport.outgoing import Outgoing
from engine.transport.session import REPLACED, UNRECEIVED_MAX


async def pace(world: Devices) -> None:
    """A second passes, and what waited for it goes."""
    world.seconds += 1
    world.delivery._go_on()
    await world.settle()


async def settled(world: Devices, user: str, outcome: str, message_id: str) -> None:
    await world.turning(world.live.submit([Input(user, f"message.{outcome}", {"message_id": message_id})]))


async def test_a_message_waits_for_its_second_also_where_an_earlier_one_went_when_it_came() -> None:
    world = await devices(rate=1)
    laptop = await world.open("laptop")
    await world.send("m1", expires=DAY)
    await world.send("m2", expires=DAY)
    world.seconds += 1
    await world.send("m3", expires=DAY)
    assert laptop.ids() == ["m1", "m2"]
    assert world.delivery.is_paced("m3")
    await pace(world)
    assert laptop.ids() == ["m3"]
    assert not world.delivery.is_paced("m3")


async def test_one_that_goes_with_anothers_offer_leaves_the_outbox_once_a_plain_client_has_it() -> None:
    world = await devices(rate=1)
    plain = Outgoing()
    world.hub.connect("c1", plain)
    world.hub.identify("c1", "ann")
    for name in ("m1", "m2"):
        await world.send(name, expires=DAY)
    world.seconds += 1
    await world.send("m3", expires=DAY)
    await world.settle()
    assert await world.outbox() == ["m3"]
    await pace(world)
    assert await world.outbox() == []


async def test_what_is_settled_while_it_waits_for_its_second_is_not_shown_any_more() -> None:
    world = await devices(rate=1)
    laptop = await world.open("laptop")
    for name in ("m1", "m2", "m3"):
        await world.send(name, expires=DAY)
    assert laptop.ids() == ["m1"]
    await settled(world, "ann", "dismissed", "m2")
    await settled(world, "bob", "dismissed", "m3")
    await world.settle()
    await pace(world)
    assert "m2" not in await world.outbox()
    await pace(world)
    assert laptop.ids() == ["m3"]


async def test_what_waited_for_its_second_goes_to_nobody_who_was_erased_with_anothers_message() -> None:
    world = await devices(rate=1)
    laptop = await world.open("laptop")
    for name in ("m1", "m2"):
        await world.send(name, expires=DAY)
    world.sessions.drop("ann")
    world.delivery.forget("ann")
    await world.live.erase("ann")
    again = await world.open("laptop")
    await world.open("phone", user="bob")
    world.seconds += 1
    await world.send("m3", user="bob", expires=DAY)
    assert (laptop.ids(), again.ids()) == (["m1"], [])


@pytest.mark.parametrize("outcome", ["answered", "dismissed", "muted"])
async def test_nobody_settles_a_message_to_another(outcome: str) -> None:
    world = await devices()
    laptop = await world.open("laptop")
    await world.send("m1", expires=DAY)
    await settled(world, "bob", outcome, "m1")
    await world.settle()
    assert await world.outbox() == ["m1"]
    laptop.lose()
    assert (await world.open("laptop", resume=(laptop.session.name, 0))).ids() == ["m1"]
    await settled(world, "ann", outcome, "m1")
    await world.settle()
    assert await world.outbox() == []


async def test_of_a_client_that_never_says_what_it_has_received_no_more_is_kept_than_of_any() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("first", expires=DAY)
    for number in range(UNRECEIVED_MAX):
        await world.send(f"m{number}", expires=DAY)
        laptop.frames()
        phone.frames()
    assert len(world.ledger) == UNRECEIVED_MAX
    await phone.received(10**6)
    assert len(world.ledger) == UNRECEIVED_MAX, "the laptop has said nothing"
    await laptop.received(10**6)
    assert len(world.ledger) == 0
    assert await world.outbox() == []


async def test_a_client_that_opens_twice_has_the_later_session_whatever_becomes_of_the_earlier() -> None:
    world = await devices()
    former = await world.open("laptop")
    earlier = asyncio.ensure_future(world.sessions.open(Hello("laptop", user="ann"), OPEN))
    await asyncio.sleep(0)
    later = asyncio.ensure_future(world.sessions.open(Hello("laptop", user="ann"), OPEN))
    await asyncio.sleep(0)
    earlier.cancel()
    session = await world.turning(_that(later))
    laptop = Device(world, session, Outgoing())
    session.attach(laptop.outgoing, "websocket")
    await world.send("m1", expires=DAY)
    assert laptop.ids() == ["m1"]
    assert world.sessions.of_user("ann") == [session]
    assert former.outgoing.closing == REPLACED
    await world.settle()
    ends = [entry.event.session for entry in await world.entries("event") if entry.event.type == "session.end"]
    assert former.session.name in ends
    assert session.name not in ends


async def _that(task: asyncio.Task[object]) -> object:
    return await task
