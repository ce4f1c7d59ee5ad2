"""What a gateway tells a store of which a part is out of reach: the rest at once, that part later, all in order."""

from __future__ import annotations

import pytest
from fleet_world import FAIL, World

from engine.core.model import Event, Message
from engine.fleet.taking_in import OUT_OF_REACH, TakingIn
from engine.inbox import Inbox
from engine.observer import SILENT
from engine.pending import Pending
from engine.storage.base import Entry, OutboxMessage, StoreError, partition_of

ANN, DAN, CEM = "ann", "dan", "cem"  # of two partitions the first two are in the second


class Gateway:
    """``now``: seconds that go when a test says so; a try lasts for one second in all."""

    def __init__(self, world: World) -> None:
        self.store = world.store
        self.inbox = Inbox()
        self.now = 0.0
        self.taking_in = TakingIn(
            world.store, self.inbox, SILENT, retry_seconds=(0.0, 1.0), began=lambda users: None,
            seconds=lambda: self.now, kept_back_max=4,
        )  # fmt: skip

    def say(self, *users: str, text: str = "x") -> Pending[list[Entry]]:
        events = [Event("fail", user, 0, {"text": text}, f"{text}/{user}") for user in users]
        return self.inbox.put([Entry("event", 0, event.user, event, once=True) for event in events])

    async def turn(self) -> None:
        await self.taking_in.turn("g1")

    async def logged(self) -> list[str]:
        found = []
        for number in range(2):
            found += [entry.event.id for entry in await self.store.log(number, 0, 100) if entry.event is not None]
        return found


@pytest.fixture
async def gateway() -> Gateway:
    assert [partition_of(user, 2) for user in (ANN, DAN, CEM)] == [1, 1, 0]
    gateway = Gateway(await World.started(FAIL, partition_count=2))
    gateway.store.gone = frozenset({1})
    return gateway


async def test_who_is_at_another_primary_does_not_wait_for_one_that_is_gone(gateway: Gateway) -> None:
    first, other, second = gateway.say(ANN, text="1"), gateway.say(CEM), gateway.say(ANN, text="2")
    await gateway.turn()
    assert (first.done(), other.done(), second.done()) == (False, True, False)
    assert gateway.taking_in.keeps_back
    assert not gateway.taking_in  # nothing that could be told
    gateway.store.gone = frozenset()
    third = gateway.say(ANN, text="3")
    await gateway.turn()
    assert all(said.done() for said in (first, second, third))
    assert await gateway.logged() == ["x/cem", "1/ann", "2/ann", "3/ann"]
    assert not gateway.taking_in.keeps_back


async def test_what_waits_for_too_long_is_refused(gateway: Gateway) -> None:
    said = gateway.say(ANN)
    await gateway.turn()
    gateway.now = 0.9
    later = gateway.say(ANN)
    await gateway.turn()
    gateway.now = 1.0
    await gateway.turn()
    assert (said.done(), later.done()) == (True, False)
    with pytest.raises(StoreError, match=OUT_OF_REACH):
        await said


async def test_a_batch_waits_as_a_whole_and_what_its_users_say_afterwards_behind_it(gateway: Gateway) -> None:
    batch, later = gateway.say(CEM, ANN, text="batch"), gateway.say(CEM, text="later")
    await gateway.turn()
    assert (batch.done(), later.done()) == (False, False)
    gateway.store.gone = frozenset()
    await gateway.turn()
    assert await gateway.logged() == ["batch/cem", "later/cem", "batch/ann"]


async def test_receipts_of_others_do_not_wait(gateway: Gateway) -> None:
    handed = [OutboxMessage(user, Message(user, "suggestion", "x"), 0, "fail") for user in (ANN, CEM, DAN)]
    gateway.inbox.put_receipts(handed, 0)
    await gateway.turn()
    gateway.inbox.put_relayed(handed)
    await gateway.turn()
    assert sorted(gateway.inbox.relayed.values()) == [ANN, DAN]
    gateway.store.gone = frozenset()
    await gateway.turn()
    assert len(await gateway.logged()) == 3
    assert gateway.inbox.receipts_lost == 0


async def test_sessions_that_wait_to_begin_do_not_where_the_gateway_begins_anew(gateway: Gateway) -> None:
    event = Event("session.start", ANN, 0, {}, session="s1")
    starting, said = gateway.inbox.put([Entry("event", 0, ANN, event)]), gateway.say(ANN)
    await gateway.turn()
    gateway.taking_in.refuse_starts(StoreError("anew"))
    with pytest.raises(StoreError, match="anew"):
        await starting
    assert not said.done()
    gateway.taking_in.refuse(StoreError("silent"))
    assert said.done()


async def test_no_more_is_kept_back_than_may_wait(gateway: Gateway) -> None:
    kept = [gateway.say(ANN, DAN, text=str(number)) for number in range(3)]
    await gateway.turn()
    assert [said.done() for said in kept] == [False, False, True]
