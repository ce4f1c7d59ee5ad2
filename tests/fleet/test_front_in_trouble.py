from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from gateways import Gate, Stubborn, a_fleet, until, until_known
from transport.devices import OPEN

from engine.core.units import SECOND
from engine.fleet.beating import LASTS_MS, Beating
from engine.intake import Input
from engine.stale import GRACE
from engine.storage.base import StoreError, partition_of
from engine.storage.fleet import Notice
from engine.storage.memory_fleet import MemoryFleetStore
from engine.transport.decoding import WireError
from engine.transport.frames import Hello

ASK = "how is it going?"
LASTS = LASTS_MS * 1000


class Slow:
    """The store; it answers what ``held`` names when ``go_on`` is set, after it has done it."""

    def __init__(self, inner: Any, held: str) -> None:
        self.inner = inner
        self.held = held
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name != self.held:
            return found

        async def held(*given: Any) -> Any:
            answer = await found(*given)
            self.asked.set()
            await self.go_on.wait()
            return answer

        return held


async def cut_off(hello: asyncio.Future[Any]) -> None:
    hello.cancel()
    await asyncio.wait([hello])


async def rest(gates: list[Gate], microseconds: int) -> None:
    """Time goes by, and all of them are heard of."""
    while microseconds > 0:
        gates[0].fleet.now += min(microseconds, 5 * SECOND)
        microseconds -= 5 * SECOND
        for gate in gates:
            await gate.front._beating.beat()
    for gate in gates:
        await gate.front.turn()


# Messages that wait.


async def test_a_message_that_was_written_while_its_user_was_nowhere_comes_when_its_text_could_not() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        await gate.front.submit([Input("ann", "go", {"prompt": "write"})])
        await until_known(fleet.outbox, [ASK])
        fleet.now += 2 * SECOND
        phone, watch = await gate.open("phone"), await gate.open("watch")
        fleet.now += 5 * SECOND - 1
        await gate.front.turn()
        assert gate.front._waiting.until == fleet.now + 1
        assert phone.shown() == []
        fleet.now += 1
        await gate.front.turn()
        await until(lambda: [phone.shown(), watch.shown()] == [[ASK], [ASK]])
        await until_known(fleet.outbox, [])
        assert gate.front._waiting.until is None


async def test_what_waits_is_handed_over_when_it_is_as_durable_as_it_is_to_be() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        store.refusals = {"confirm": 1}
        assert await gate.front.waiting("ann") == []
        assert store.refusals == {"confirm": 1}, "which nobody needs where nothing waits"
        await gate.front.submit([Input("ann", "go", {})])
        await until_known(fleet.outbox, [ASK])
        with pytest.raises(StoreError, match="no answer"):
            await gate.front.waiting("ann")
        assert [each.message.text for each in await gate.front.waiting("ann")] == [ASK]


# Sessions that come from other gateways.


async def test_a_session_whose_client_is_cut_off_while_it_is_taken_up_can_be_taken_up_again() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Slow(fleet.store, "resume")
        two = await fleet.gate(store)
        phone = await one.open("phone")
        resume = (phone.session.name, 0)
        hello = asyncio.ensure_future(two.open("phone", resume=resume))
        await store.asked.wait()
        await cut_off(hello)
        store.go_on.set()
        await until(lambda: two.front.resumable("ann") == [phone.session.name])
        assert "ann" not in two.front._taking_up
        again = await two.open("phone", resume=resume)
        assert again.session.resumed
        assert two.front.resumable("ann") == []
        await rest([one, two], GRACE)
        await again.say("go")
        await until(lambda: again.shown() == [ASK])
        assert "session.end" not in fleet.worker.types()


async def test_a_session_that_was_cut_off_while_it_was_taken_up_ends_where_nobody_comes() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Slow(fleet.store, "resume")
        two = await fleet.gate(store)
        phone = await one.open("phone")
        hello = asyncio.ensure_future(two.open("phone", resume=(phone.session.name, 0)))
        await store.asked.wait()
        await cut_off(hello)
        store.go_on.set()
        await until(lambda: phone.outgoing.closing is not None)
        await rest([one, two], GRACE)
        await until(lambda: fleet.worker.types() == ["session.start", "session.end"])
        assert await fleet.where() == []


async def test_a_session_is_not_to_end_where_one_of_two_hellos_for_it_is_cut_off() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Slow(fleet.store, "resume")
        two = await fleet.gate(store)
        phone = await one.open("phone")
        resume = (phone.session.name, 0)
        first = asyncio.ensure_future(two.open("phone", resume=resume))
        await store.asked.wait()
        second = asyncio.ensure_future(two.open("phone", resume=resume))
        await asyncio.sleep(0)
        await cut_off(first)
        store.go_on.set()
        assert (await second).session.resumed
        assert two.front.resumable("ann") == []
        assert "ann" not in two.front._taking_up


async def test_a_session_of_which_nobody_knows_whether_it_was_taken_up_is_to_end() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        phone = await one.open("phone")
        store.refusals, store.done = {"resume": 1}, True
        with pytest.raises(WireError, match="cannot write to its store"):
            await two.open("phone", resume=(phone.session.name, 0))
        assert two.front.resumable("ann") == [phone.session.name]
        assert "ann" not in two.front._taking_up


async def test_nothing_of_an_erased_user_is_to_end_though_a_session_of_theirs_was_being_taken_up() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Slow(fleet.store, "resume")
        two = await fleet.gate(store)
        phone = await one.open("phone")
        hello = asyncio.ensure_future(two.open("phone", resume=(phone.session.name, 0)))
        await store.asked.wait()
        await cut_off(hello)
        await until(lambda: fleet.worker.types() == ["session.start"])
        await two.desk.erase("ann")
        store.go_on.set()
        await until(lambda: "ann" not in two.front._taking_up)
        assert two.front.resumable("ann") == []


async def test_the_end_of_a_session_that_another_gateway_has_is_not_to_be_noted() -> None:
    async with a_fleet(1) as (fleet, [two]):
        store = Stubborn(fleet.store)
        one = await fleet.gate(store)
        phone = await one.open("phone")
        store.refusals = {"ingest": 3}
        one.sessions.left(phone.session)
        await until(lambda: one.front.resumable("ann") == [phone.session.name])
        after = await two.open("phone", resume=(phone.session.name, 0))
        assert after.session.resumed
        await until(lambda: one.front.resumable("ann") == [])
        await rest([one, two], 2 * GRACE)
        await after.say("go")
        await until(lambda: after.shown() == [ASK])
        assert "session.end" not in fleet.worker.types()


async def test_a_session_that_a_client_has_is_not_taken_up_by_another_client_of_the_user() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        phone = await gate.open("phone")
        store.refusals = {"resume": 1}
        tablet = await gate.open("tablet", resume=(phone.session.name, 0))
        assert not tablet.session.resumed
        assert tablet.session.name != phone.session.name
        assert gate.sessions.find(phone.session.name) is phone.session
        assert store.refusals == {"resume": 1}, "which is not asked"


async def test_of_two_clients_that_name_one_session_at_once_one_has_it() -> None:
    async with a_fleet() as (_, [one, two]):
        before = await one.open("phone")
        resume = (before.session.name, 0)
        phone, tablet = await asyncio.gather(two.open("phone", resume=resume), two.open("tablet", resume=resume))
        assert [phone.session.resumed, tablet.session.resumed] == [True, False]
        assert tablet.session.name != phone.session.name == before.session.name
        assert "ann" not in two.front._taking_up


async def test_a_session_of_a_plain_client_is_nobodys_to_take_up() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        await gate.name_plainly("ann", "c_1")
        store.refusals = {"resume": 1}
        phone = await gate.open("phone", resume=("c_1", 0))
        assert not phone.session.resumed
        assert store.refusals == {"resume": 1}


async def test_messages_reach_all_though_a_session_that_was_taken_up_could_not_begin() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        phone, desk = await one.open("phone"), await two.open("desk")
        store.refusals = {"ingest": 1}
        hello = Hello("phone", user="ann", resume=(phone.session.name, 0), traits={"name": "Ann"})
        with pytest.raises(WireError, match="cannot write to its store"):
            await two.sessions.open(hello, OPEN)
        await desk.say("go")
        await until(lambda: desk.shown() == [ASK])
        assert await fleet.outbox() == [ASK], "for the phone is to come back"
        again = await two.open("phone", resume=(phone.session.name, 0))
        assert again.session.resumed
        await until(lambda: again.shown() == [ASK])
        await until_known(fleet.outbox, [])


# A gateway that nobody heard of for long.


async def test_what_waited_while_a_gateway_was_silent_is_told_under_a_name_that_others_know() -> None:
    async with a_fleet() as (fleet, [one, two]):
        before = one.name
        fleet.now += LASTS
        await one.front.submit([Input("ann", "at the limit", {})])
        assert one.name == before
        fleet.now += LASTS + 1
        await one.front.submit([Input("ann", "after it", {})])
        assert one.name != before
        fleet.now += LASTS + 1
        with pytest.raises(WireError):
            await one.open("phone")  # for whoever was about to come is asked to come again
        fleet.now += LASTS + 1
        with pytest.raises(WireError):
            await one.name_plainly("ann")
        await rest([one, two], 0)
        assert await fleet.where() == []
        await until(lambda: fleet.worker.types() == ["at the limit", "after it"])
        phone = await one.open("phone")
        assert await fleet.where() == [one.name]
        await phone.say("go")
        await until(lambda: phone.shown() == [ASK])


async def test_a_session_is_taken_up_under_a_name_that_others_know() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, before = await one.open("phone"), two.name
        fleet.now += LASTS + 1
        after = await two.open("phone", resume=(phone.session.name, 0))
        assert after.session.resumed
        assert before != two.name
        assert await fleet.where() == [two.name]


async def test_who_waits_is_told_where_a_silent_gateway_cannot_say_that_it_is_alive() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        fleet.now += LASTS + 1
        store.refusals = {"clock": 1}
        with pytest.raises(StoreError, match="no answer"):
            await gate.front.submit([Input("ann", "a", {}, "d/1", once=True)])
        await gate.front.submit([Input("ann", "a", {}, "d/1", once=True)])
        await until(lambda: fleet.worker.types() == ["a"])


async def test_nothing_is_tried_again_under_a_name_that_others_may_have_forgotten() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        ingest, asked = fleet.store.ingest, []

        async def late(*given: Any) -> Any:
            asked.append(given[2])
            if len(asked) == 1:
                fleet.now += LASTS + 1
                raise StoreError("no answer")
            return await ingest(*given)

        fleet.store.ingest = late  # type: ignore[method-assign]
        before = gate.name
        with pytest.raises(StoreError, match="was not heard of for too long"):
            await gate.front.submit([Input("ann", "a", {}, "d/1", once=True)])
        await gate.front.submit([Input("ann", "a", {}, "d/1", once=True)])
        assert asked == [before, gate.name]
        assert gate.name != before


# Faults.


async def test_everybody_is_told_where_the_store_fails_while_things_go_in_one_by_one() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        ingest = fleet.store.ingest

        async def one_by_one(entries: Any, *given: Any) -> Any:
            if len(entries) > 1:
                raise ValueError("one of them cannot be")
            if entries[0].user == "b":
                raise StoreError("no answer")
            return await ingest(entries, *given)

        fleet.store.ingest = one_by_one  # type: ignore[method-assign]
        pending = [gate.front.begin([Input(user, "a", {})]) for user in "abc"]
        await until(lambda: all(each.done() for each in pending))
        assert [str(each.exception() or "") for each in pending] == ["", "no answer", "no answer"]
        await until(lambda: fleet.worker.types("a") == ["a"])


async def test_a_gateway_that_stops_while_two_primaries_are_away_leaves_nobody_waiting() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        fleet.store.out_of_reach = lambda: frozenset({partition_of("ann", 2)})  # type: ignore[method-assign]

        async def no_answer(*given: Any) -> Any:
            raise StoreError("no answer")

        fleet.store.ingest = no_answer  # type: ignore[method-assign]
        gate.front._taking_in._retry_seconds = (60.0,)  # so long is what is out of reach kept back
        away = gate.front.begin([Input("ann", "a", {})])
        gate.front.end([Input("ann", "session.end", {}, session="s")])
        other = gate.front.begin([Input("cem", "a", {})])
        await gate.front.stop()
        assert (str(other.exception()), away.done()) == ("no answer", True)
        assert str(away.exception()) == "this gateway stops, and could not store it: no answer"
        await gate.front._intake.ended("ann", "s")


async def test_a_fault_at_beating_does_not_end_it() -> None:
    store, tries = MemoryFleetStore(lambda: 0), 0
    done = asyncio.Event()

    async def clock() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("a fault")
        done.set()
        return 0

    async def anew(name: str) -> None:
        raise AssertionError

    store.clock = clock  # type: ignore[method-assign]
    beating = asyncio.create_task(Beating(store, lambda: 0, anew, every_s=0.0).run())
    async with asyncio.timeout(20):
        await done.wait()
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating


async def test_a_fault_at_listening_does_not_make_a_gateway_deaf() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        phone = await gate.open("phone")
        listen, faults = fleet.store.listen, []

        async def faulty(*given: Any) -> Any:
            heard = await listen(*given)
            if not faults:
                faults.append(heard)
                raise ValueError("a fault")
            return heard

        fleet.store.listen = faulty  # type: ignore[method-assign]
        await fleet.store.tell({gate.name: [Notice(user="ann", cancelled="x")]})
        await phone.say("go")
        await fleet.store.tell({gate.name: [Notice(user="ann", cancelled="x")]})
        await until(lambda: phone.shown() == [ASK])
        await until(lambda: bool(faults))
