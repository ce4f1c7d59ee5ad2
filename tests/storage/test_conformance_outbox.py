"""Every claim of `engine/storage/base.py` about the outbox, made of every store."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from samples_for_stores import (
    ANN,
    BOB,
    outgoing,
    send,
)

from engine.core.model import Message
from engine.storage.base import (
    OUTBOX_PER_USER_MAX,
    Commit,
    Conflict,
    OutboxMessage,
    Store,
)


async def test_what_waits_for_a_user_comes_oldest_first_until_it_is_relayed(store: Store) -> None:
    ann = [outgoing(ANN, number, at=number) for number in range(1, 4)]
    await store.commit([Commit(0, 0, 0, outbox=[ann[0], outgoing(BOB, 1), ann[1]])])
    await store.commit([Commit(0, 1, 0, outbox=[ann[2]])])
    assert await store.pending(ANN, 0) == ann
    await store.relayed([ann[1].message.id, "unknown"], 0)
    assert await store.pending(ANN, 0) == [ann[0], ann[2]]
    assert await store.pending(BOB, 0) == [outgoing(BOB, 1)]
    await store.relayed([ann[1].message.id], 0)
    assert (await store.describe())["outbox"] == 3


async def test_messages_of_one_moment_stay_in_the_order_they_were_committed(store: Store) -> None:
    mine = [outgoing(ANN, number, at=5) for number in (3, 1, 2)]
    await store.commit([Commit(0, 0, 0, outbox=mine)])
    assert await store.pending(ANN, 0) == mine


async def test_a_message_that_waits_already_is_not_put_there_twice(store: Store) -> None:
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, 1), outgoing(ANN, 1)])])
    await store.commit([Commit(0, 1, 0, outbox=[outgoing(ANN, 1, at=9)])])
    assert await store.pending(ANN, 0) == [outgoing(ANN, 1)]


async def test_a_send_entry_puts_nothing_into_the_outbox_by_itself(store: Store) -> None:
    await store.commit([Commit(0, 0, 1, [send(ANN, 1)])])
    assert await store.pending(ANN, 0) == []


@pytest.mark.parametrize(("now", "waits"), [(99, True), (100, False), (101, False)])
async def test_a_message_has_expired_at_its_very_expiry(store: Store, now: int, waits: bool) -> None:
    lasting, passing = outgoing(ANN, 1), outgoing(ANN, 2, expires_at=100)
    await store.commit([Commit(0, 0, 0, outbox=[lasting, passing])])
    expected = [lasting, passing] if waits else [lasting]
    assert await store.pending(ANN, now) == expected
    assert await store.pending(ANN, 0) == expected  # it was dropped, not hidden


@pytest.mark.parametrize(("now", "left"), [(99, 1), (100, 0)])
async def test_relayed_drops_what_has_expired_whoever_it_was_for(store: Store, now: int, left: int) -> None:
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, 1), outgoing(BOB, 1, expires_at=100)])])
    await store.relayed([f"{ANN}-1"], now)
    assert (await store.describe())["outbox"] == left


@pytest.mark.parametrize("excess", [-1, 0, 1, 7])
async def test_beyond_the_bound_the_oldest_messages_of_a_user_leave(store: Store, excess: int) -> None:
    mine = [outgoing(ANN, number, at=number) for number in range(OUTBOX_PER_USER_MAX + excess)]
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(BOB, 1), *mine[:100]])])
    await store.commit([Commit(0, 1, 0, outbox=mine[100:])])
    assert await store.pending(ANN, 0) == mine[max(excess, 0) :]
    assert await store.pending(BOB, 0) == [outgoing(BOB, 1)]


async def test_a_message_comes_back_with_all_that_it_had(store: Store) -> None:
    full = Message("m1", "question", "Größe? \ud800", ("Ja", "Nein"), {"link": "/a", "deep": [{"n": 1.0}]}, 10**15)
    sent = OutboxMessage(ANN, full, 5, "")
    await store.commit([Commit(0, 0, 0, outbox=[sent])])
    assert await store.pending(ANN, 0) == [sent]


async def test_what_is_withdrawn_leaves_the_outbox_and_what_does_not_wait_is_nothing_to_it(store: Store) -> None:
    ann = [outgoing(ANN, number, at=number) for number in range(1, 4)]
    await store.commit([Commit(0, 0, 0, outbox=[*ann, outgoing(BOB, 1)])])
    await store.commit([Commit(0, 1, 0, withdrawn=[ann[1].message.id, "unknown"])])
    assert await store.pending(ANN, 0) == [ann[0], ann[2]]
    await store.commit([Commit(0, 2, 0, withdrawn=[ann[1].message.id])])
    assert await store.pending(BOB, 0) == [outgoing(BOB, 1)]
    assert (await store.describe())["outbox"] == 3


async def test_a_message_that_is_sent_and_withdrawn_by_one_commit_never_leaves(store: Store) -> None:
    mine = [outgoing(ANN, number, at=number) for number in range(OUTBOX_PER_USER_MAX + 1)]
    await store.commit([Commit(0, 0, 0, outbox=mine, withdrawn=[mine[-1].message.id])])
    # It has not pushed out the oldest either.
    assert await store.pending(ANN, 0) == mine[:-1]


async def test_a_message_is_for_one_client_or_for_all(store: Store) -> None:
    mine = [replace(outgoing(ANN, 1), client="tab \ud800"), outgoing(ANN, 2)]
    await store.commit([Commit(0, 0, 0, outbox=mine)])
    assert await store.pending(ANN, 0) == mine


async def test_a_reworded_message_keeps_its_place_and_says_the_new_text_without_a_prompt(store: Store) -> None:
    prompt = Message("m1", "question", "plain", ("Yes",), {"a": 1}, 99, "ask kindly")
    mine = [OutboxMessage(ANN, prompt, 1, "idle", "tab"), outgoing(ANN, 2, at=1)]
    await store.commit([Commit(0, 0, 0, outbox=mine)])
    await store.commit([Commit(0, 1, 0, reworded=[("m1", "wörds"), ("unknown", "x")])])
    kept = replace(mine[0], message=msgspec.structs.replace(prompt, text="wörds", prompt=""))
    assert await store.pending(ANN, 0) == [kept, mine[1]]


async def test_a_message_that_is_sent_and_reworded_by_one_commit_says_the_new_text(store: Store) -> None:
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, 1)], reworded=[(f"{ANN}-1", "new")])])
    assert [each.message.text for each in await store.pending(ANN, 0)] == ["new"]


async def test_a_message_that_is_reworded_and_withdrawn_by_one_commit_is_gone(store: Store) -> None:
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, 1)])])
    await store.commit([Commit(0, 1, 0, reworded=[(f"{ANN}-1", "new")], withdrawn=[f"{ANN}-1"])])
    assert await store.pending(ANN, 0) == []


async def test_messages_stay_in_their_order_when_those_before_them_have_left(store: Store) -> None:
    mine = [outgoing(ANN, number, at=5) for number in range(4)]
    await store.commit([Commit(0, 0, 0, outbox=mine[:2])])
    await store.relayed([each.message.id for each in mine[:2]], 0)
    await store.commit([Commit(0, 1, 0, outbox=mine[2:])])
    await store.relayed([mine[3].message.id], 0)
    await store.commit([Commit(0, 2, 0, outbox=[mine[0]])])
    assert await store.pending(ANN, 0) == [mine[2], mine[0]]


async def test_a_commit_that_conflicts_withdraws_nothing(store: Store) -> None:
    await store.commit([Commit(0, 0, 0, outbox=[outgoing(ANN, 1)])])
    with pytest.raises(Conflict):
        await store.commit([Commit(0, 0, 0, withdrawn=[f"{ANN}-1"])])
    assert await store.pending(ANN, 0) == [outgoing(ANN, 1)]
