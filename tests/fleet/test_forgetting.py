"""A user is erased though what they said last is not evaluated yet: then, and nothing is taken in of them meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from gateways import Fleet, Stubborn, a_fleet, until, until_known
from structlog.testing import capture_logs

from engine.fleet.forgetting import NOBODY_WORKS, TOO_SLOW
from engine.inbox import Behind
from engine.storage.base import StoreError, Unevaluated
from engine.transport.decoding import WireError
from engine.transport.refusing import refusal_of


class Looked:
    """The store; ``tries`` to erase have found entries that wait."""

    def __init__(self, fleet: Fleet) -> None:
        self.inner = fleet.store
        self.tries = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def erase_everywhere(self, user: str) -> int:
        try:
            return await self.inner.erase_everywhere(user)
        except Unevaluated:
            self.tries += 1
            raise


async def test_who_is_erased_while_what_they_said_waits_is_erased_when_it_was_evaluated() -> None:
    async with a_fleet(1) as (fleet, [other]):
        store = Looked(fleet)
        one = await fleet.gate(store)
        await fleet.store.beat("worker", "w", 1_000_000)
        phone = await one.open("phone")
        fleet.worker.rests = True
        await phone.say("go")
        erasing = asyncio.create_task(one.desk.erase("ann"))
        await until(lambda: store.tries > 2)
        for gate in (one, other):
            with pytest.raises(WireError, match="being erased"):
                await gate.open("desk")
        await one.open("desk", "bob")  # others are taken in all the while
        fleet.worker.rests = False
        assert (await erasing).rows > 0
        assert await fleet.store.load(["ann"]) == {}


@pytest.mark.parametrize(
    ("works", "within_s", "why"), [(False, (30.0, 0.0), NOBODY_WORKS), (True, (0.0, 0.0), TOO_SLOW)]
)
async def test_where_nobody_evaluates_it_in_time_whoever_erases_is_told_to_ask_again(
    works: bool, within_s: tuple[float, float], why: str
) -> None:
    async with a_fleet(1, erase_within_s=within_s) as (fleet, [one]):
        if works:
            await fleet.store.beat("worker", "w", 1_000_000)
        phone = await one.open("phone")
        fleet.worker.rests = True
        await phone.say("go")
        with pytest.raises(Behind) as refused:
            await one.desk.erase("ann")
        told = refusal_of(refused.value)
        assert (told.code, told.message, told.retry_after_s) == ("overloaded", why, 5)
        fleet.worker.rests = False
        await until(lambda: "go" in fleet.worker.types())
        assert (await one.desk.erase("ann")).rows > 0


@pytest.mark.parametrize(("refusals", "is_erased"), [(2, True), (3, False)])
async def test_a_store_that_refuses_for_another_reason_is_asked_as_often_as_for_all(
    refusals: int, is_erased: bool
) -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        one = await fleet.gate(store)
        await one.open("phone")
        await until(lambda: fleet.worker.types())
        store.refusals["erase_everywhere"] = refusals
        if is_erased:
            assert (await one.desk.erase("ann")).rows > 0
        else:
            with pytest.raises(StoreError, match="no answer"):
                await one.desk.erase("ann")


@pytest.mark.parametrize("error", [StoreError("no answer"), ValueError("a fault")])
async def test_who_is_to_be_let_go_of_is_guarded_though_what_they_said_could_not_be_told(error: Exception) -> None:
    async with a_fleet() as (fleet, [one, _]):
        await one.open("phone")
        forgetting = one.front._forgetting
        assert forgetting is not None

        async def settled() -> None:
            raise error

        forgetting._settled = settled
        with capture_logs() as logs:
            forgetting.let_go("ann")
            if isinstance(error, StoreError):
                await until_known(fleet.where, [])
            else:
                await until(lambda: [line["event"] for line in logs if line["log_level"] == "error"])
        with pytest.raises(WireError, match="being erased"):
            await one.open("desk")
        expected = [] if isinstance(error, StoreError) else ["! letting go of an erased user failed"]
        assert [line["event"] for line in logs if line["log_level"] == "error"] == expected
