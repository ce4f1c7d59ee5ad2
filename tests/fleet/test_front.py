"""What a gateway takes in stands in the log, and what its users are told reaches them at whatever gateway they are."""

from __future__ import annotations

from typing import Any

import pytest
from gateways import ASK, Gate, Stubborn, a_fleet, over, until, until_known

from engine.core.model import Message
from engine.core.units import SECOND
from engine.fleet.taking_in import WITHDRAWN_MAX, TakingIn
from engine.inbox import CHAIN_MAX, QUEUE_MAX, Inbox, Overloaded
from engine.intake import Input
from engine.observer import SILENT
from engine.storage.base import OutboxMessage, StoreError, partition_of
from engine.storage.fleet import Notice
from engine.storage.memory_fleet import MemoryFleetStore
from engine.transport.decoding import WireError
from engine.transport.outgoing import GOING_AWAY
from engine.transport.session import ERASED


async def ids(gate: Gate, *inputs: Input) -> list[str]:
    return await gate.front.submit(list(inputs))


async def test_what_is_acknowledged_stands_in_the_log_and_has_the_id_that_is_told() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        found = await ids(gate, Input("ann", "a", {}), Input("ann", "b", {}, "own"))
        partition = partition_of("ann", 2)
        entries = await fleet.store.log(partition, 0, 9)
        assert [entry.event.id for entry in entries if entry.event is not None] == found
        assert found == [f"{partition}-1", "own"]


async def test_what_waits_together_goes_in_one_call_in_its_order() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        calls = []
        ingest = fleet.store.ingest

        async def counted(entries: Any, presence: Any = (), gateway: str = "") -> Any:
            calls.append(len(entries))
            return await ingest(entries, presence, gateway)

        fleet.store.ingest = counted  # type: ignore[method-assign]
        pending = [gate.front.begin([Input("ann", f"e{number}", {})]) for number in range(50)]
        for each in pending:
            await each
        assert calls == [50]
        await until(lambda: len(fleet.worker.entries) == 50)
        assert fleet.worker.types() == [f"e{number}" for number in range(50)]


async def test_what_happens_once_is_told_again_where_no_answer_came_and_happens_once() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        store.refusals, store.done = {"ingest": 2}, True
        assert await ids(gate, Input("ann", "a", {}, "d/1", once=True)) == ["d/1"]
        await until(lambda: fleet.worker.types() == ["a"])


async def test_what_may_happen_twice_is_refused_at_once_and_what_happens_once_beside_it_is_not() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        store.refusals = {"ingest": 1}
        twice = gate.front.begin([Input("ann", "twice", {})])
        once = gate.front.begin([Input("ann", "once", {}, "d/1", once=True)])
        with pytest.raises(StoreError, match="no answer"):
            await twice
        assert await once == ["d/1"]
        await until(lambda: fleet.worker.types() == ["once"])


async def test_trouble_with_the_store_is_told_to_who_waits_and_is_over_when_it_is() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        store.refusals = {"ingest": 3}
        with pytest.raises(StoreError, match="no answer"):
            await ids(gate, Input("ann", "a", {}, "d/1", once=True))
        assert gate.front.health()["trouble"] == "no answer"
        store.refusals = {"ingest": 3}
        with pytest.raises(WireError, match="cannot write to its store"):
            await gate.open("phone")
        assert await ids(gate, Input("ann", "a", {}, "d/1", once=True)) == ["d/1"]
        await until(lambda: gate.front.health()["trouble"] is None)


async def test_what_cannot_be_stored_does_not_keep_out_what_came_with_it() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        bad = gate.front.begin([Input("ann", "bad", {}, at_reported=10**30)])
        good = gate.front.begin([Input("ann", "good", {})])
        with pytest.raises(StoreError, match="it cannot be stored: expected a stamp"):
            await bad
        await good
        await until(lambda: fleet.worker.types() == ["good"])


async def test_no_more_than_may_wait_is_taken_in() -> None:
    async with a_fleet(1) as (_, [gate]):
        gate.front.begin([Input("ann", "a", {}) for _ in range(QUEUE_MAX)])
        with pytest.raises(Overloaded):
            await ids(gate, Input("ann", "a", {}))


async def test_a_user_is_where_sessions_of_theirs_are() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone = await one.open("phone")
        await two.open("desk")
        assert await fleet.where() == sorted([one.name, two.name])
        assert await one.front.elsewhere(["ann", "bob"]) == {"ann"}
        assert await one.front.elsewhere(None) == {"ann"}
        one.sessions.left(phone.session)
        await until_known(fleet.where, [two.name])
        assert await two.front.elsewhere(["ann"]) == set()


async def test_a_message_reaches_devices_at_two_gateways_and_leaves_the_outbox_when_both_have_it() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, desk = await one.open("phone"), await two.open("desk")
        await phone.say("go")
        await until(lambda: phone.shown() == [ASK])
        await phone.received(1)
        await until(lambda: not one.front.inbox)
        assert await fleet.outbox() == [ASK]
        await until(lambda: desk.shown() == [ASK])
        await until_known(fleet.outbox, [])


async def test_rules_hear_once_that_a_message_has_arrived_at_however_many_gateways() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, desk = await one.open("phone"), await two.open("desk")
        await phone.say("go")
        await until(lambda: [phone.shown(), desk.shown()] == [[ASK], [ASK]])
        await until_known(fleet.outbox, [])
        await phone.say("after")
        await until(lambda: "after" in fleet.worker.types())
        await until(lambda: not (one.front.inbox or two.front.inbox))
        await phone.say("last")
        await until(lambda: "last" in fleet.worker.types())
        assert fleet.worker.types().count("message.delivered") == 1


async def test_an_answer_at_one_gateway_withdraws_the_question_at_the_other() -> None:
    async with a_fleet() as (_, [one, two]):
        phone, desk = await one.open("phone"), await two.open("desk")
        await phone.say("go")
        await until(lambda: [phone.shown(), desk.shown()] == [[ASK], [ASK]])
        asked = phone.hear()[-1]["id"]
        await phone.say("message.answered", message_id=asked, response="well")
        await until(lambda: desk.withdrawn() == {asked: "answered"})
        assert phone.withdrawn() == {}


async def test_an_answered_question_leaves_the_outbox_though_a_dead_gateway_never_handed_it_over() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, _ = await one.open("phone"), await two.open("desk")
        await two.die()
        await phone.say("go")
        await until(lambda: phone.shown() == [ASK])
        assert await fleet.outbox() == [ASK]
        await phone.say("message.answered", message_id=phone.hear()[-1]["id"], response="well")
        await until_known(fleet.outbox, [])


async def test_what_a_user_wishes_is_told_at_all_gateways() -> None:
    async with a_fleet() as (_, [one, two]):
        phone, desk = await one.open("phone"), await two.open("desk")
        await phone.say("user.preferences", level="less")
        for device in (phone, desk):
            await until(lambda device=device: any(frame["type"] == "preferences" for frame in device.hear()))


async def test_a_message_told_twice_is_handed_over_once() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        phone = await gate.open("phone")
        message = OutboxMessage("ann", Message("m", "notification", "hi"), fleet.now, "r")
        await fleet.store.tell({gate.name: [Notice(user="ann", message=message)] * 2})
        await until(lambda: phone.shown() == ["hi"])
        after = OutboxMessage("ann", Message("n", "notification", "after"), fleet.now, "r")
        await fleet.store.tell({gate.name: [Notice(user="ann", message=each) for each in (message, after)]})
        await until(lambda: "after" in phone.shown())
        assert phone.shown() == ["hi", "after"]
        await fleet.store.tell({gate.name: [Notice(user="ann", cancelled="n")]})
        await until(lambda: phone.withdrawn() == {"n": "cancelled"})


async def test_a_chain_of_receipts_comes_to_an_end() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        phone = await gate.open("phone")
        for number in range(CHAIN_MAX + 1):
            message = OutboxMessage("ann", Message(f"m{number}", "notification", str(number)), fleet.now, "r")
            cause = f"m{number - 1}" if number else ""
            await fleet.store.tell({gate.name: [Notice(user="ann", message=message, cause=cause)]})
            await until(lambda number=number: len(phone.shown()) == number + 1)
        await phone.say("last")
        await until(lambda: "last" in fleet.worker.types())
        assert fleet.worker.types().count("message.delivered") == CHAIN_MAX


async def test_a_plain_client_is_handed_once_what_was_committed_before_the_store_knew_of_it() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        fleet.worker.silent = True
        await ids(gate, Input("ann", "go", {"text": "before"}))
        await until_known(fleet.outbox, ["before"])
        hand = gate.desk.hand_waiting

        async def late(connection: str, client: str) -> None:
            await hand(connection, client)
            await ids(gate, Input("ann", "go", {"text": "between"}))
            await until_known(fleet.outbox, ["between"])

        gate.desk.hand_waiting = late  # type: ignore[method-assign]
        outgoing = await gate.name_plainly("ann")
        await until(lambda: len(outgoing) == 2)
        await until_known(fleet.outbox, [])
        assert [outgoing.take_nowait() is not None for _ in range(3)] == [True, True, False]


async def test_a_plain_client_is_told_by_whatever_gateway_it_is_at() -> None:
    async with a_fleet() as (fleet, [one, two]):
        outgoing = await one.name_plainly("ann")
        await ids(two, Input("ann", "go", {}))
        await until(lambda: len(outgoing) == 1)
        await until_known(fleet.outbox, [])


async def test_a_broadcast_reaches_users_and_the_unnamed_of_all_gateways_once() -> None:
    async with a_fleet() as (_, [one, two]):
        phone, desk = await one.open("phone"), await two.open("desk", "bob")
        unnamed = [one.hub.connect("x"), two.hub.connect("y")]
        for _ in range(2):
            sent = await one.desk.send(None, "notification", "all", message_id="m")
            assert (sent.clients, sent.waiting) == (["ann", "bob"], [])
        await until(lambda: [phone.shown(), desk.shown()] == [["all"], ["all"]])
        await until(lambda: [len(each) for each in unnamed] == [1, 1])


async def test_who_is_at_another_gateway_does_not_count_as_absent() -> None:
    async with a_fleet() as (_, [one, two]):
        desk = await two.open("desk", "bob")
        sent = await one.desk.send(["bob", "cem"], "notification", "hi")
        assert sent.waiting == ["cem"]
        await until(lambda: desk.shown() == ["hi"])


async def test_an_erased_user_is_let_go_by_all_gateways_and_nothing_of_them_is_left() -> None:
    async with a_fleet() as (fleet, [one, two]):
        phone, desk = await one.open("phone"), await two.open("desk")
        plain = await two.name_plainly("ann")
        await phone.say("go")
        await until(lambda: desk.shown() == [ASK])
        erased = await one.desk.erase("ann")
        assert erased.rows > 0
        for outgoing in (phone.outgoing, desk.outgoing, plain):
            await until(lambda outgoing=outgoing: outgoing.closing == ERASED)
        assert await fleet.where() == []
        logs = [await fleet.store.log(partition, 0, 99) for partition in range(2)]
        assert [entry for log in logs for entry in log if entry.user] == []
        with pytest.raises(WireError, match="being erased"):
            await two.open("desk")


async def test_what_was_lost_on_the_way_is_looked_for() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        phone, gone = await gate.open("phone"), await gate.open("watch")
        fleet.worker.silent = True
        await phone.say("go")
        await until_known(fleet.outbox, [ASK])
        await fleet.store.ingest([], [over("ann", gone.session.name)])
        for _ in range(11):
            await fleet.store.tell({gate.name: [Notice(user="ann", replaced="x")] * 1000})
        await until(lambda: phone.shown() == [ASK])
        assert gate.front.health()["gaps"] == 1
        assert gone.outgoing.closing == GOING_AWAY, "which another gateway may have"
        assert phone.outgoing.closing is None


async def test_after_trouble_with_listening_it_is_looked_for_what_was_missed() -> None:
    async with a_fleet(0) as (fleet, _):
        store = Stubborn(fleet.store)
        gate = await fleet.gate(store)
        phone = await gate.open("phone")
        fleet.worker.silent = True
        await phone.say("go")
        await until_known(fleet.outbox, [ASK])
        store.refusals = {"listen": 2}
        await fleet.store.tell({gate.name: [Notice(user="ann", cancelled="x")]})
        await until(lambda: phone.shown() == [ASK])


async def test_a_message_that_is_being_written_waits_for_its_text() -> None:
    async with a_fleet(1) as (fleet, [gate]):
        fleet.worker.silent = True
        await ids(gate, Input("ann", "go", {"prompt": "write"}))
        await until_known(fleet.outbox, [ASK])
        assert await gate.front.waiting("ann") == []
        fleet.now += 7 * SECOND
        assert [each.message.text for each in await gate.front.waiting("ann")] == [ASK]


async def test_moments_are_those_of_the_store_whatever_the_clock_of_the_machine_says() -> None:
    async with a_fleet(0) as (fleet, _):
        gate = await fleet.gate(ahead=-3600 * SECOND)
        assert gate.front.now() == fleet.now
        await gate.desk.send(["ann"], "notification", "hi", expires=SECOND)
        await until_known(fleet.outbox, ["hi"])
        fleet.now += SECOND
        assert await gate.front.waiting("ann") == []


async def test_what_is_to_leave_the_outbox_has_a_bound() -> None:
    taking_in = TakingIn(
        MemoryFleetStore(lambda: 0), Inbox(), SILENT, retry_seconds=(), began=lambda users: None
    )  # fmt: skip
    taking_in.withdraw(("ann", str(number)) for number in range(WITHDRAWN_MAX + 1))
    assert not taking_in.is_leaving("0")
    assert taking_in.is_leaving("1")
    assert taking_in.is_leaving(str(WITHDRAWN_MAX))
