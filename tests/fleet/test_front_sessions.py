"""Sessions that go on at another gateway, or are over: nothing is lost meanwhile, and nothing shown twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateways import ASK, Fleet, a_fleet, over, until, until_known

from engine.core.units import SECOND
from engine.fleet.beating import LASTS_MS
from engine.storage.base import OutboxMessage
from engine.transport.decoding import WireError
from engine.transport.outgoing import GOING_AWAY
from engine.transport.session import REPLACED


async def test_a_session_is_taken_up_at_another_gateway_and_the_former_closes_its_connection() -> None:
    async with a_fleet() as (fleet, [one, two]):
        before = await one.open("phone")
        after = await two.open("phone", resume=(before.session.name, 0))
        assert after.session.resumed
        assert after.session.name == before.session.name
        await until(lambda: before.outgoing.closing == REPLACED)
        await until_known(fleet.where, [two.name])
        with pytest.raises(WireError):
            raise one.sessions.why_over(before.session.name)
        await after.say("go")
        await until(lambda: after.shown() == [ASK])
        assert fleet.worker.types().count("session.end") == 0


async def test_a_session_of_somebody_else_or_of_nobody_is_not_taken_up() -> None:
    async with a_fleet() as (_, [one, two]):
        phone = await one.open("phone")
        for user, name in (("bob", phone.session.name), ("ann", "s_unknown")):
            other = await two.open("phone", user, resume=(name, 0))
            assert not other.session.resumed
            assert other.session.name != name
        assert phone.outgoing.closing is None


async def test_two_hellos_that_take_up_one_session_at_once_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_fleet() as (fleet, [one, two]):
        before = await one.open("phone")
        take_up = fleet.store.resume

        async def over_the_net(gateway: str, user: str, session: str) -> list[str] | None:
            found = await take_up(gateway, user, session)
            await asyncio.sleep(0)
            return found

        monkeypatch.setattr(fleet.store, "resume", over_the_net)
        resume = (before.session.name, 0)
        first, second = await asyncio.gather(two.open("phone", resume=resume), two.open("phone", resume=resume))
        assert first.session is second.session
        await second.say("go")
        await until(lambda: second.shown() == [ASK])
        assert "session.end" not in fleet.worker.types()


async def test_clients_of_a_killed_gateway_lose_nothing_and_are_shown_nothing_twice() -> None:
    async with a_fleet() as (fleet, [one, two]):
        before, desk = await one.open("phone"), await two.open("desk")
        await before.say("go", text="first")
        await until(lambda: [before.shown(), desk.shown()] == [["first"], ["first"]])
        await until_known(fleet.outbox, [])
        await one.die()
        await desk.say("go", text="second")
        await until(lambda: desk.shown() == ["first", "second"])
        await until(lambda: not two.front.inbox)
        after = await two.open("phone", resume=(before.session.name, 1))
        assert after.session.resumed
        assert after.shown() == ["second"], "which had reached all who were at this gateway"
        await until_known(fleet.outbox, [])
        assert desk.shown() == ["first", "second"]


async def test_what_has_just_reached_all_waits_for_the_session_that_comes() -> None:
    async with a_fleet() as (fleet, [one, two]):
        before, desk = await one.open("phone"), await two.open("desk")
        await one.die()
        await desk.say("go")
        await until(lambda: desk.session.unreceived)
        opening = asyncio.ensure_future(two.open("phone", resume=(before.session.name, 0)))
        assert desk.shown() == [ASK]  # acknowledged while the other is on its way
        after = await opening
        assert after.shown() == [ASK]
        await until_known(fleet.outbox, [])


async def test_what_reaches_all_while_a_session_comes_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_fleet() as (fleet, [one, two]):
        before, desk = await one.open("phone"), await two.open("desk")
        await one.die()
        await desk.say("go")
        await until(lambda: desk.session.unreceived)
        looks, go_on = asyncio.Event(), asyncio.Event()
        pending = fleet.store.pending

        async def late(user: str, now: int) -> list[OutboxMessage]:
            looks.set()
            await go_on.wait()
            return await pending(user, now)

        monkeypatch.setattr(fleet.store, "pending", late)
        opening = asyncio.ensure_future(two.open("phone", resume=(before.session.name, 0)))
        await looks.wait()
        assert desk.shown() == [ASK]  # acknowledged when the store knows already that the other is here
        await desk.say("after")
        await until(lambda: not two.front.inbox)
        go_on.set()
        after = await opening
        assert after.shown() == [ASK]
        await until_known(lambda: _texts(fleet, pending), [])


async def test_a_gateway_that_was_taken_for_dead_begins_anew_and_asks_its_clients_to_come_back() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, plain = await one.open("phone"), await one.name_plainly("bob")
        before = one.name
        fleet.now += LASTS_MS * 1000
        await two.front._beating.beat()
        await one.front._beating.beat()
        assert one.name == before, "at the limit it is not"
        fleet.now += LASTS_MS * 1000 + 1
        await one.front._beating.beat()
        assert one.name != before
        assert [phone.outgoing.closing, plain.closing] == [GOING_AWAY, GOING_AWAY]
        again = await one.open("phone", resume=(phone.session.name, 0))
        assert again.session.resumed
        assert await fleet.where() == [one.name]
        await again.say("go")
        await until(lambda: again.shown() == [ASK])


async def test_a_session_that_was_ended_meanwhile_is_not_taken_up() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        phone = await gate.open("phone")
        name = phone.session.name
        fleet.now += 60 * SECOND
        await fleet.store.ingest([], [over("ann", name)])
        await gate.front._beating.beat()
        again = await gate.open("phone", resume=(name, 0))
        assert not again.session.resumed
        assert again.session.name != name


async def test_sessions_stay_when_a_gateway_stops_and_it_is_lost_at_once() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone = await one.open("phone")
        await one.front.stop()
        fleet.now += 1_001
        roll = await fleet.store.beat("gateway", two.name, LASTS_MS)
        assert list(roll.lost) == [one.name]
        after = await two.open("phone", resume=(phone.session.name, 0))
        assert after.session.resumed
        assert "session.end" not in fleet.worker.types()


async def _texts(fleet: Fleet, pending: Any) -> list[str]:
    return [outgoing.message.text for outgoing in await pending("ann", fleet.now)]
