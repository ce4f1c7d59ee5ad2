"""What a client finds that comes back: numbers that go on, what it missed, and no older self in its way."""

from __future__ import annotations

import asyncio

import pytest
from devices import OPEN, Device, Devices, devices

from engine.core.units import MINUTE
from engine.intake import Input
from engine.responders import plain
from engine.transport.answers import Answers
from engine.transport.decoding import WireError
from engine.transport.desk import Desk
from engine.transport.frames import Hello
from engine.transport.outgoing import Outgoing
from engine.transport.session import WITHDRAWN_MAX, Session
from engine.transport.sessions import OVER_MAX


async def say_hello(world: Devices, client: str, resume: tuple[str, int] | None, number: int) -> None:
    """A hello that comes too late, for its connection is gone: there is nothing to attach."""
    hello = Hello(client, user="ann", resume=resume, attempt=("run", number))
    await world.turning(world.sessions.open(hello, OPEN))


def withdrawn(device: Device) -> list[str]:
    return [frame["id"] for frame in device.frames() if frame["type"] == "withdrawn"]


async def settle(world: Devices, message_id: str, by: Device) -> None:
    await world.say(Input("ann", "message.answered", {"message_id": message_id}, session=by.session.name))
    await world.settle()


# Numbers


async def test_what_the_connection_before_still_writes_takes_no_number_of_the_one_that_comes() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    for name in ("m1", "m2", "m3"):
        await world.send(name)
    assert laptop.outgoing.take_nowait() is not None
    # Between hello and welcome there is something to wait for; the older connection goes on writing meanwhile.
    hello = Hello("laptop", user="ann", resume=(laptop.session.name, 1))
    session = await world.turning(world.sessions.open(hello, OPEN))
    late = [frame["seq"] for frame in laptop.frames()]
    assert late == [2, 3]
    newer = Device(world, session, Outgoing())
    session.attach(newer.outgoing, "websocket")
    assert [(frame["id"], frame["seq"]) for frame in newer.frames()] == [("m2", 2), ("m3", 3)]
    await newer.received(3)
    assert await world.outbox() == []


async def test_a_hello_of_nobody_who_comes_leaves_the_numbers_of_the_connection_there_is() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    await world.send("m1")
    assert laptop.ids() == ["m1"]
    await world.turning(world.sessions.open(Hello("laptop", user="ann", resume=(laptop.session.name, 0)), OPEN))
    await world.send("m2")
    assert [frame["seq"] for frame in laptop.frames()] == [2]


# Hellos that come too late


@pytest.mark.parametrize("with_resume", [True, False])
async def test_a_hello_that_its_client_has_given_up_does_not_throw_the_later_one_out(with_resume: bool) -> None:
    world = await devices()
    first = await world.open("laptop", attempt=("run", 1))
    newer = await world.open("laptop", resume=(first.session.name, 0), attempt=("run", 3))
    with pytest.raises(WireError) as refused:
        await say_hello(world, "laptop", (first.session.name, 0) if with_resume else None, 2)
    assert refused.value.code == "replaced"
    assert newer.outgoing.closing is None
    await world.send("m1")
    assert newer.ids() == ["m1"]
    assert await world.types() == ["session.start"]


@pytest.mark.parametrize("attempt", [("run", 3), ("run", 4), ("of the next page", 1), None])
async def test_any_other_hello_of_the_client_takes_its_place(attempt: tuple[str, int] | None) -> None:
    world = await devices()
    older = await world.open("laptop", attempt=("run", 3))
    newer = await world.open("laptop", attempt=attempt)
    assert older.outgoing.closing == (4001, '{"code":"replaced"}')
    assert not newer.session.is_over


# Why a session is over


async def test_who_asks_for_a_session_that_is_over_hears_why_as_far_as_is_known() -> None:
    world = await devices()
    replaced = await world.open("laptop")
    left = await world.open("laptop")
    erased = await world.open("phone", user="bob")
    world.sessions.left(left.session)
    world.sessions.drop("bob")
    asked = [replaced.session.name, left.session.name, erased.session.name, "s_never"]
    assert [world.sessions.why_over(name).code for name in asked] == ["replaced", "no_session", "erased", "no_session"]


async def test_of_the_sessions_that_are_over_a_bounded_number_is_remembered() -> None:
    world = await devices()
    first = await world.open("laptop")
    await world.open("laptop")
    assert world.sessions.why_over(first.session.name).code == "replaced"
    world.sessions._over.update((f"s_{number}", "replaced") for number in range(OVER_MAX - 1))
    await world.open("laptop")
    assert len(world.sessions._over) == OVER_MAX
    assert world.sessions.why_over(first.session.name).code == "no_session"


# What is not to be shown any more


async def test_what_is_answered_elsewhere_while_a_device_is_away_is_withdrawn_there_when_it_is_back() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("m1")
    assert laptop.ids() == ["m1"]
    await laptop.received(1)
    laptop.lose()
    await settle(world, "m1", phone)
    again = await world.open("laptop", resume=(laptop.session.name, 1))
    assert withdrawn(again) == ["m1"]
    assert withdrawn(phone) == [], "it knows best"


async def test_a_withdrawal_that_was_lost_on_its_way_comes_again_with_each_resume() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("m1")
    await settle(world, "m1", phone)
    laptop.lose()  # with all that was queued
    for _ in range(2):
        again = await world.open("laptop", resume=(laptop.session.name, 0))
        assert withdrawn(again) == ["m1"]
        again.lose()


async def test_who_polls_hears_it_again_after_a_hello_and_not_with_each_poll() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    laptop.lose()
    laptop.session.transport = "poll"
    await world.send("m1")
    await settle(world, "m1", phone)
    assert [text.count("withdrawn") for text in laptop.session.frames_after(0)] == [1]
    assert laptop.session.frames_after(0) == []
    await world.turning(world.sessions.open(Hello("laptop", user="ann", resume=(laptop.session.name, 0)), OPEN))
    assert laptop.session.has_some
    assert [text.count("withdrawn") for text in laptop.session.frames_after(0)] == [1]
    assert not laptop.session.has_some


async def test_of_withdrawals_the_latest_come_again() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    names = [f"m{number}" for number in range(WITHDRAWN_MAX + 1)]
    for name in names:
        await world.send(name)
        await settle(world, name, phone)
    laptop.lose()
    again = await world.open("laptop", resume=(laptop.session.name, 0))
    assert withdrawn(again) == names[1:]


async def test_what_another_device_answers_after_a_restart_before_this_one_is_back_it_hears_of() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("m1")
    assert laptop.ids() == phone.ids() == ["m1"]
    await world.restart()
    phone = await world.open("phone", resume=(phone.session.name, 0))
    await settle(world, "m1", phone)
    assert world.sessions._missed["ann"] == {laptop.session.name: {"m1": "answered"}}
    again = await world.open("laptop", resume=(laptop.session.name, 1))
    assert again.session.resumed
    assert withdrawn(again) == ["m1"]
    assert world.sessions._missed == {}


@pytest.mark.parametrize("how", ["abandoned", "erased"])
async def test_for_who_does_not_come_back_nothing_is_kept(how: str) -> None:
    world = await devices()
    await world.open("laptop")
    phone = await world.open("phone")
    await world.send("m1")
    await world.restart()
    phone = await world.open("phone", resume=(phone.session.name, 0))
    await settle(world, "m1", phone)
    assert world.sessions._missed
    if how == "erased":
        world.sessions.drop("ann")
    else:
        world.now += MINUTE
        await world.settle()
    assert world.sessions._missed == {}


# What others have meanwhile


async def begin_slowly(world: Devices, client: str, resume: tuple[str, int] | None) -> asyncio.Task[Session]:
    """A device that says hello and is not welcome before the next turn: what it says of itself is to be durable."""
    hello = Hello(client, user="ann", resume=resume, traits={"name": "Ann"})
    opening = asyncio.ensure_future(world.sessions.open(hello, OPEN))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not opening.done()
    return opening


async def welcome(world: Devices, opening: asyncio.Task[Session]) -> Device:
    await world.settle()
    device = Device(world, await opening, Outgoing())
    device.session.attach(device.outgoing, "websocket")
    return device


@pytest.mark.parametrize("is_resumed", [True, False])
async def test_what_one_device_has_at_once_is_there_for_another_that_is_still_saying_hello(is_resumed: bool) -> None:
    world = await devices()
    laptop = await world.open("laptop")
    name = (await world.open("phone")).session.name if is_resumed else ""
    await world.send("m1")
    await world.send("m2", client="phone")
    await world.restart()
    opening = await begin_slowly(world, "phone", (name, 0) if is_resumed else None)
    again = await world.open("laptop", resume=(laptop.session.name, 0))
    assert again.ids() == ["m1"]
    await again.received(1)
    other = await welcome(world, opening)
    assert other.session.resumed is is_resumed
    assert other.ids() == ["m1", "m2"]
    assert await world.outbox() == ["m1", "m2"]
    await other.received(2)
    assert await world.outbox() == []


async def test_what_a_plain_client_takes_is_there_for_a_device_that_is_still_saying_hello() -> None:
    world = await devices()
    answers = Answers(plain.respond, 1)
    desk = Desk(world.live, world.hub, world.sessions, answers, clock=lambda: world.now, expires=MINUTE)
    await world.send("m1")
    opening = await begin_slowly(world, "phone", None)
    assert [frame["id"] for frame in await desk.take_waiting("ann")] == ["m1"]
    phone = await welcome(world, opening)
    assert phone.ids() == ["m1"]
    await phone.received(1)
    assert await world.outbox() == []


async def test_a_device_whose_hello_comes_to_nothing_holds_up_no_message() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    await world.send("m1")
    laptop.lose()
    opening = await begin_slowly(world, "phone", None)
    await world.sessions.open(Hello("laptop", user="ann", resume=(laptop.session.name, 0)), OPEN)
    world.store.shut = 1
    await world.settle()
    with pytest.raises(WireError):
        await opening
    world.sessions.received(laptop.session, 0)
    again = await world.open("laptop", resume=(laptop.session.name, 0))
    assert again.ids() == ["m1"]
    await again.received(1)
    assert await world.outbox() == []
