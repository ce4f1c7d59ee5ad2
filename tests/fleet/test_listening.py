"""What a gateway was not told of what users settled elsewhere it finds out itself, as it does of messages."""

from __future__ import annotations

from typing import Any

import pytest
from gateways import Fleet, Gate, Person, Stubborn, a_fleet, until, until_known
from structlog.testing import capture_logs

from engine.core.units import MINUTE, SECOND
from engine.fleet.listening import SETTLED_WITHIN
from engine.storage.base import OutboxMessage, StoreError
from engine.storage.fleet import Untold

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
        for number in range(60):  # which is no reason to know less of it
            await desk.say("edit", n=number)
        again = await two.open("phone", resume=(phone.session.name, 1))
        assert again.session.resumed
        await until(lambda: again.withdrawn() == {message_id: "answered"})
        assert again.shown() == []


async def test_who_may_be_away_for_longer_is_told_what_was_settled_all_the_while() -> None:
    async with a_fleet(resume_within=20 * MINUTE) as (fleet, [one, two]):
        phone, desk, message_id = await asked(fleet, one, two)
        await desk.say("message.answered", message_id=message_id, response="well")
        await until(lambda: phone.withdrawn())  # which its connection loses
        for alive in ([one, two], [two]):  # almost as long as its gateway waits, and as long again as workers do
            for _ in range(20 * 12 - 1):
                fleet.now += 5 * SECOND
                for gate in alive:
                    await gate.front._beating.beat()
            if one in alive:
                await one.die()
        again = await two.open("phone", resume=(phone.session.name, 1))
        assert again.session.resumed
        await until(lambda: again.withdrawn() == {message_id: "answered"})


@pytest.mark.parametrize("error", [StoreError("an entry is damaged", "corrupt"), ValueError("a fault")])
async def test_what_will_never_be_known_of_a_user_is_logged_once_and_others_are_told(error: Exception) -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, desk, message_id = await asked(fleet, one, two)
        other = await one.open("phone", "bob")
        await one.die()
        await desk.say("message.dismissed", message_id=message_id)
        known = fleet.store.settled

        async def settled(user: str, *given: Any) -> Untold:
            if user == "bob":
                raise error
            return await known(user, *given)

        fleet.store.settled = settled  # type: ignore[method-assign]
        with capture_logs() as logs:
            await two.open("phone", "bob", resume=(other.session.name, 0))
            again = await two.open("phone", resume=(phone.session.name, 1))
            await until(lambda: again.withdrawn() == {message_id: "dismissed"})
        told = [line for line in logs if line["event"] == "! what a user is to be told is not known"]
        assert [(line["user_id"], line["what"], line.get("error", line.get("exc_info"))) for line in told] == [
            ("bob", "settled", "an entry is damaged" if isinstance(error, StoreError) else error)
        ]


@pytest.mark.parametrize("error", [StoreError("an entry is damaged", "corrupt"), ValueError("a fault")])
async def test_for_whom_it_will_never_be_known_what_waits_it_is_asked_once_and_others_have_theirs(
    error: Exception,
) -> None:
    async with a_fleet(1) as (fleet, [gate]):
        desk = await gate.open("desk")
        await gate.open("phone", "bob")
        known, looked = fleet.store.pending, []

        async def pending(user: str, now: int) -> list[OutboxMessage]:
            looked.append(user)
            if user == "bob":
                raise error
            return await known(user, now)

        fleet.worker.silent = True
        await desk.say("go")
        await until_known(fleet.outbox, [ASK])
        fleet.store.pending = pending  # type: ignore[method-assign]
        with capture_logs() as logs:
            listening = gate.front._listening
            assert listening is not None
            listening.look_again(["bob", "ann"])
            await until(lambda: desk.shown() == [ASK])
        assert not listening._to_look
        assert looked.count("bob") == 1
        told = [line for line in logs if line["event"] == "! what a user is to be told is not known"]
        assert [(line["user_id"], line["what"], line.get("error", line.get("exc_info"))) for line in told] == [
            ("bob", "waiting", "an entry is damaged" if isinstance(error, StoreError) else error)
        ]


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
