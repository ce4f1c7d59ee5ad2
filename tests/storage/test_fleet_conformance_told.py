"""Claims of `engine/storage/fleet.py`, made of every such store: what was evaluated, and what users settled."""

from __future__ import annotations

import pytest
from samples_for_fleets import taken_up, told, until
from samples_for_stores import ANN, BOB, DAN, outgoing

from engine.core.model import Decision, Event
from engine.storage.base import Entry
from engine.storage.codec import encode_decision
from engine.storage.fleet import FleetStore, Untold
from engine.storage.redis_settled import LOOKED_AT_ONCE

ANSWERED = frozenset({"message.answered"})


@pytest.fixture
def store(fleet_store: FleetStore) -> FleetStore:
    return fleet_store


def sent_and_cancelled(user: str, number: int) -> tuple[str, int, bytes]:
    message = outgoing(user, number).message
    cancelled = Decision(5, user, "r", 0, "cancelled", None, {"kind": "event"}, message=message, was="sent")
    return user, 5, encode_decision(cancelled)


def did(user: str, kind: str) -> Entry:
    """One of another type has the text in it by which Redis looks for it."""
    return Entry("event", 0, user, Event(kind, user, 0, {"type": "message.answered"}))


def at(moment: int, decision: tuple[str, int, bytes]) -> tuple[str, int, bytes]:
    return decision[0], moment, decision[2]


async def evaluate(store: FleetStore, *decisions: tuple[str, int, bytes], told: bool) -> None:
    commit = await taken_up(store)
    commit.decisions, commit.told = list(decisions), told
    await store.commit([commit])


async def untold(store: FleetStore, entries_max: int = 9) -> list[tuple[list[str], list[str]]]:
    """Page by page the ids of events that were evaluated and of messages that were taken back."""
    pages = []
    after: tuple[int, int] | None = (0, 0)
    while after is not None:
        page = (await store.untold({0: after}, entries_max))[0]
        events = [entry.event.id for entry in page.entries if entry.event is not None]
        pages.append((events, [message_id for _, message_id in page.taken_back]))
        after = page.next
    return pages


async def test_what_was_evaluated_is_untold_until_a_later_commit_says_that_it_was_told(store: FleetStore) -> None:
    assert await untold(store) == [([], [])]
    await store.ingest([told(ANN, 1)])
    assert await untold(store) == [([], [])]
    await evaluate(store, sent_and_cancelled(BOB, 1), (ANN, 6, b"{}"), told=True)
    assert await untold(store) == [(["told/1"], [f"{BOB}-1"])]
    await store.ingest([told(BOB, 2)])
    await evaluate(store, sent_and_cancelled(ANN, 2), told=False)
    assert await untold(store) == [(["told/1", "told/2"], [f"{BOB}-1", f"{ANN}-2"])]
    await store.ingest([told(ANN, 3)])
    await evaluate(store, told=True)
    assert await untold(store) == [(["told/3"], [])]
    await evaluate(store, sent_and_cancelled(ANN, 4), told=True)
    assert await untold(store) == [([], [f"{ANN}-4"])]


async def test_what_is_untold_is_paged_by_entries_and_by_decisions(store: FleetStore) -> None:
    await store.ingest([told(ANN, number) for number in range(5)])
    await evaluate(store, sent_and_cancelled(ANN, 0), (ANN, 5, b"{}"), sent_and_cancelled(ANN, 2), told=False)
    first, second, third, *rest = await untold(store, 2)
    assert first == (["told/0", "told/1"], [f"{ANN}-0"])
    assert second == (["told/2", "told/3"], [f"{ANN}-2"])
    assert third == (["told/4"], [])
    assert rest == []


async def test_each_partition_is_untold_by_itself_and_nothing_of_an_erased_user(store: FleetStore) -> None:
    await store.ingest([told(ANN, 1), told(BOB, 2), told(DAN, 3)])
    await evaluate(store, sent_and_cancelled(ANN, 1), told=False)
    await store.erase_everywhere(ANN)
    found = await store.untold({0: (0, 0), 1: (0, 0)}, 9)
    assert [[entry.user for entry in found[number].entries] for number in (0, 1)] == [[BOB], []]
    assert found[0].taken_back == []


async def test_of_a_user_it_is_known_what_they_did_last_and_what_was_taken_back_from_them(store: FleetStore) -> None:
    assert await store.settled(ANN, 0, {"edit"}) == Untold([], [])
    await store.ingest([did(ANN, "message.answered"), did(ANN, "message.dismissed")])
    await until(store, await store.clock() + 1_000)
    since = (await store.ingest([did(BOB, "message.answered")]))[0].entry.at
    mine = [did(ANN, kind) for kind in ("message.answered", "edit", "message.dismissed", "message.muted", *ANSWERED)]
    taken = [each.entry for each in await store.ingest([*mine, did(BOB, "message.answered")])]
    await evaluate(store, sent_and_cancelled(ANN, 1), sent_and_cancelled(BOB, 2), sent_and_cancelled(ANN, 3), told=True)
    found = await store.settled(ANN, since, {*ANSWERED, "message.dismissed"})
    assert found.entries == [taken[0], taken[2], taken[4]]
    assert found.taken_back == [(ANN, f"{ANN}-1"), (ANN, f"{ANN}-3")]
    assert (await store.settled(ANN, taken[4].at + 1_000, ANSWERED)).entries == []


async def test_what_a_user_settled_is_known_though_they_did_much_since_and_much_was_decided(store: FleetStore) -> None:
    [first] = await store.ingest([did(ANN, "message.answered")])
    await store.ingest([told(ANN, number) for number in range(2 * LOOKED_AT_ONCE)])
    others = [(ANN, first.entry.at, b"{}")] * LOOKED_AT_ONCE
    await evaluate(store, at(first.entry.at, sent_and_cancelled(ANN, 1)), *others, told=True)
    await evaluate(store, *others, told=True)
    found = await store.settled(ANN, first.entry.at, ANSWERED)
    assert (found.entries, found.taken_back) == ([first.entry], [(ANN, f"{ANN}-1")])


async def test_what_was_taken_back_by_a_worker_that_was_behind_is_of_an_earlier_moment_and_known(
    store: FleetStore,
) -> None:
    await store.ingest([told(ANN, 1)])
    await evaluate(store, sent_and_cancelled(ANN, 1), (ANN, 6, b"{}"), told=True)
    assert (await store.settled(ANN, await store.clock(), ANSWERED)).taken_back == [(ANN, f"{ANN}-1")]
