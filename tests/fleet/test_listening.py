"""What a gateway was not told of what users settled elsewhere it finds out itself, as it does of messages."""

from __future__ import annotations

import pytest
from gateways import Fleet, Gate, Person, Stubborn, a_fleet, until

from engine.core.units import SECOND
from engine.fleet.listening import SETTLED_WITHIN

ASK = "how is it going?"


async def asked(fleet: Fleet, one: Gate, two: Gate) -> tuple[Person, Person, str]:
    """A phone at one and a desk at the other, which both show a question; its id."""
    phone, desk = await one.open("phone"), await two.open("desk")
    await phone.say("go")
    await until(lambda: phone.shown() == desk.shown() == [ASK])
    [message_id] = [frame["id"] for frame in phone.hear() if "seq" in frame]
    return phone, desk, message_id


@pytest.mark.parametrize(("ago", "is_told"), [(SETTLED_WITHIN, True), (SETTLED_WITHIN + 1, False)])
async def test_what_was_settled_elsewhere_is_found_out_where_notices_were_lost(ago: int, is_told: bool) -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, desk, message_id = await asked(fleet, one, two)
        fleet.worker.silent = True
        await desk.say("message.dismissed", message_id=message_id)
        for passes in (*[5 * SECOND] * (ago // (5 * SECOND)), ago % (5 * SECOND)):
            fleet.now += passes
            for gate in (one, two):
                await gate.front._beating.beat()
        queue = fleet.store._queues[one.name]
        queue.last += 1  # one that is not there
        queue.told.set()
        await until(lambda: one.front.health()["gaps"] and not one.front._listening._to_settle)  # type: ignore[union-attr]
        await one.settle()
        if is_told:
            await until(lambda: phone.withdrawn() == {message_id: "dismissed"})
        else:
            assert phone.withdrawn() == {}


async def test_who_takes_a_session_up_at_another_gateway_is_told_what_was_settled_meanwhile() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, desk, message_id = await asked(fleet, one, two)
        await one.die()
        await desk.say("message.answered", message_id=message_id, response="well")
        await until(lambda: "message.answered" in fleet.worker.types())
        again = await two.open("phone", resume=(phone.session.name, 1))
        assert again.session.resumed
        await until(lambda: again.withdrawn() == {message_id: "answered"})
        assert again.shown() == []


async def test_what_the_store_refuses_to_say_it_is_asked_again() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        phone, desk, message_id = await asked(fleet, one, two)
        await one.die()
        await desk.say("message.dismissed", message_id=message_id)
        store.refusals["settled"] = 1
        again = await two.open("phone", resume=(phone.session.name, 1))
        await until(lambda: again.withdrawn() == {message_id: "dismissed"})
