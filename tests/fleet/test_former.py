"""A client has one session at all gateways together, and is found by its name wherever that is."""

from __future__ import annotations

import asyncio

from gateways import Stubborn, a_fleet, until

from engine.transport.session import REPLACED

ASK = "how is it going?"


async def test_the_same_client_at_another_gateway_has_its_former_connection_closed_as_at_one() -> None:
    async with a_fleet() as (fleet, [one, two]):
        others = [await one.open("desk"), await one.open("phone", "bob")]
        former = await one.open("phone")
        phone = await two.open("phone")
        await until(lambda: former.outgoing.closing == REPLACED)
        await until(lambda: fleet.worker.types().count("session.end") == 1)
        events = [entry.event for entry in fleet.worker.entries if entry.event is not None]
        assert [event.session for event in events if event.type == "session.end"] == [former.session.name]
        assert [device.outgoing.closing for device in (*others, phone)] == [None] * 3
        await phone.say("go")
        await until(lambda: phone.shown() == others[0].shown() == [ASK])


async def test_of_two_gateways_to_which_a_client_comes_at_once_one_keeps_it() -> None:
    async with a_fleet() as (fleet, [one, two]):
        for number in range(10):
            phones = await asyncio.gather(one.open(f"c{number}"), two.open(f"c{number}"))
            await until(lambda phones=phones: [each.outgoing.closing for each in phones].count(REPLACED) == 1)
            assert [each.outgoing.closing for each in phones].count(None) == 1
        await until(lambda: fleet.worker.types().count("session.end") == 10)
        names = [name for gate in (one, two) for names in gate.sessions.begun().values() for name in names]
        assert len(names) == 10


async def test_a_session_that_is_taken_up_while_its_client_has_another_ends_the_other() -> None:
    async with a_fleet() as (fleet, [one, two]):
        store = Stubborn(fleet.store)
        three = await fleet.gate(store)
        store.refusals["former"] = 1000
        phone = await one.open("phone")
        other = await three.open("phone")
        again = await two.open("phone", resume=(phone.session.name, 0))
        assert again.session.name == phone.session.name
        await until(lambda: other.outgoing.closing == REPLACED)
        await until(lambda: fleet.worker.types().count("session.end") == 1)
        assert again.outgoing.closing is None


async def test_what_the_store_refuses_to_say_of_former_sessions_it_is_asked_again() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        store.refusals["former"] = 1
        former = await one.open("phone")
        await two.open("phone")
        await until(lambda: former.outgoing.closing == REPLACED)


async def test_a_message_to_a_client_finds_it_at_any_gateway() -> None:
    async with a_fleet() as (_, [one, two]):
        phone = await two.open("phone", "bob")
        assert await one.desk.users_of_client("phone") == ["bob"]
        assert await one.desk.users_of_client("desk") == ["desk"]
        await one.open("phone", "cem")
        assert await one.desk.users_of_client("phone") == ["cem", "bob"]
        sent = await one.desk.send(await one.desk.users_of_client("phone"), "notification", "hi", client="phone")
        assert (sent.clients, sent.waiting) == (["cem", "bob"], [])
        await until(lambda: phone.shown() == ["hi"])
        two.sessions.left(phone.session)
        await two.settle()
        assert await one.desk.users_of_client("phone") == ["cem"]
