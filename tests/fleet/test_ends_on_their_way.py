"""A session that a client takes up again while its end is on its way, or after a hello that failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateways import Fleet, Gate, Stubborn, a_fleet, until, until_known

from engine.core.units import SECOND
from engine.intake import Input
from engine.stale import GRACE
from engine.storage.base import StoreError
from engine.transport.decoding import WireError

ASK = "how is it going?"


class Held:
    """The store; it takes nothing in until ``go_on`` is set, and refuses then if ``fails``."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.fails = False
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name != "ingest":
            return found

        async def held(*given: Any) -> Any:
            self.asked.set()
            await self.go_on.wait()
            if self.fails:
                raise StoreError("no answer")
            return await found(*given)

        return held


async def rest(fleet: Fleet, microseconds: int) -> None:
    """Time goes by, and all gateways are heard of."""
    for _ in range(microseconds // (5 * SECOND)):
        fleet.now += 5 * SECOND
        for gate in fleet.gates:
            await gate.front._beating.beat()


async def gone(gate: Gate, client: str = "phone") -> tuple[str, int]:
    """What a client resumes with whose session is to end for it was away too long."""
    device = await gate.open(client)
    device.session.detach(device.outgoing, gate.now)
    return device.session.name, 0


async def test_a_hello_that_the_store_fails_leaves_the_session_to_the_next_one() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        phone = await one.open("phone")
        resume = (phone.session.name, 0)
        fleet.worker.silent = True
        await one.front.submit([Input("ann", "go", {})])
        await until_known(fleet.outbox, [ASK])
        store.refusals = {"confirm": 1}
        with pytest.raises(WireError, match="not_stored"):
            await two.open("phone", resume=resume)
        again = await two.open("phone", resume=resume)
        assert again.session.resumed
        assert again.shown() == [ASK]
        await until_known(fleet.outbox, [])
        await two.front.settled()
        assert await fleet.where() == [two.name]
        assert "session.end" not in fleet.worker.types()


async def test_a_session_to_which_nobody_came_after_a_hello_that_failed_ends_in_time() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        phone = await one.open("phone")
        fleet.worker.silent = True
        await one.front.submit([Input("ann", "go", {})])
        await until_known(fleet.outbox, [ASK])
        store.refusals = {"confirm": 1}
        with pytest.raises(WireError, match="not_stored"):
            await two.open("phone", resume=(phone.session.name, 0))
        await rest(fleet, GRACE)
        await two.front.turn()
        await until(lambda: fleet.worker.types()[-1] == "session.end")
        assert await fleet.where() == []
        assert await fleet.outbox() == [ASK], "it waits for whoever comes"


@pytest.mark.parametrize("fails", [False, True], ids=["is over", "could not be ended"])
async def test_whoever_asks_for_a_session_whose_end_is_on_its_way_waits_for_what_becomes_of_it(fails: bool) -> None:
    async with a_fleet(0) as (fleet, _):
        store = Held(fleet.store)
        gate = await fleet.gate(store)
        resume = await gone(gate)
        store.asked.clear()
        store.go_on.clear()
        await rest(fleet, GRACE)
        gate.sessions.sweep()
        await until(store.asked.is_set)
        hello = asyncio.ensure_future(gate.open("phone", resume=resume))
        for _ in range(20):
            await asyncio.sleep(0)
        was_waiting = not hello.done()
        store.fails = fails
        store.go_on.set()
        assert was_waiting
        if fails:
            await until(lambda: gate.front.resumable("ann") == [resume[0]] or hello.done())
            store.fails = False
        phone = await hello
        assert phone.session.resumed is fails
        await gate.front.settled()
        assert (await fleet.store.sessions_at(gate.name, 0) | await fleet.store.sessions_at(gate.name, 1)) == {
            "ann": [phone.session.name]
        }
        await phone.say("go")
        await until(lambda: phone.shown() == [ASK])
