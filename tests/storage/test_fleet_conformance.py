"""Every claim of `engine/storage/fleet.py`, made of every store that gateways and workers can share: what is ingested.

What is taken of it is `test_fleet_conformance_taken.py`; what gateways are told and what is known of them is
`test_fleet_conformance_gateways.py`.
"""

from __future__ import annotations

import msgspec
import pytest
from samples_for_fleets import end_of, nameless, told
from samples_for_stores import ANN, BOB, DAN, PARTITION_COUNT, event, send

from engine.core.model import Event, Message
from engine.storage.base import Entry, OutboxMessage
from engine.storage.fleet import SESSIONS_LISTED_MAX, FleetStore, Notice, Presence


@pytest.fixture
def store(fleet_store: FleetStore) -> FleetStore:
    return fleet_store


# What is ingested


async def test_what_is_ingested_is_stamped_by_the_store_and_comes_out_as_it_was_told_to_whoever_ingested_it(
    store: FleetStore,
) -> None:
    before = await store.clock()
    taken = await store.ingest([told(ANN, 1), send(BOB, 7), told(DAN, 2), nameless(ANN)])
    after = await store.clock()
    assert not any(each.is_repeated for each in taken)
    ann, bob, dan, second = [each.entry for each in taken]
    assert before <= ann.at <= bob.at <= second.at <= after
    assert before <= dan.at <= after
    assert await store.log(0, 0, 9) == [ann, bob, second]
    assert await store.log(1, 0, 9) == [dan]
    assert ann.event is not None
    assert second.event is not None
    assert (ann.event.at, ann.event.at_reported, ann.event.data, ann.event.id) == (ann.at, None, {"n": 1}, "told/1")
    assert ann.once
    assert bob.message == Message("m7", "notification", "hello")


async def test_an_event_without_an_id_has_that_of_its_place_on_every_way_out(store: FleetStore) -> None:
    await store.ingest([told(BOB, 1), nameless(ANN)])
    [_, entry] = await store.log(0, 0, 9)
    assert entry.event is not None
    assert entry.event.id == "0-2"
    [batch] = await store.poll([0], 0)
    [share] = await store.take("w1", [0], lease_ms=1000)
    assert batch.entries[1] == share.batch.entries[1] == entry
    assert await store.numbered(0, 1, 9) == [(2, entry)]
    assert await store.history([ANN], entry.at + 1, 9) == {ANN: [entry.event]}
    assert (await store.recorded(ANN, (10, 10), 9)).entries == [(2, entry)]


async def test_a_stamp_that_an_event_reports_is_kept(store: FleetStore) -> None:
    reported = Event("edit", ANN, 0, {}, "e", "session", 5)
    [taken] = await store.ingest([Entry("event", 0, ANN, reported)])
    assert taken.entry.event == msgspec.structs.replace(reported, at=taken.entry.at)
    assert await store.log(0, 0, 9) == [taken.entry]


async def test_what_happens_once_is_not_put_there_again(store: FleetStore) -> None:
    once = msgspec.structs.replace(send(BOB, 9), once=True)
    [first, again, sent] = await store.ingest([told(ANN, 1), told(ANN, 1), once])
    assert (first.is_repeated, again.is_repeated, sent.is_repeated) == (False, True, False)
    assert again.entry == told(ANN, 1)
    repeated = await store.ingest([told(ANN, 1), told(ANN, 2), once, told(BOB, 1)])
    assert [each.is_repeated for each in repeated] == [True, False, True, False]
    assert [entry.once_id for entry in await store.log(0, 0, 9)] == ["told/1", "%send/m9", "told/2", "told/1"]
    assert await store.known([(ANN, "told/1"), (ANN, "told/3")]) == {(ANN, "told/1")}


async def test_no_entry_is_earlier_than_the_last_one_though_the_clock_is(store: FleetStore) -> None:
    later = await store.clock() + 3_600_000_000
    await store.append([event(ANN, later)])
    taken = await store.ingest([told(BOB, 1), nameless(ANN)])
    assert [each.entry.at for each in taken] == [later, later]
    assert [each.entry.event.at_reported for each in taken if each.entry.event] == [None, None]


@pytest.mark.parametrize(
    "wrong",
    [
        Entry("tick", 5),
        Entry("rules", 5, rules_hash="h"),
        Entry("event", 5, ANN),
        Entry("event", 5, BOB, Event("x", ANN, 5, {})),
        Entry("event", 5, ANN, Event("x", ANN, 5, {}), once=True),
        Entry("send", 5, ANN),
        Entry("send", 5, ANN, message=Message("m", "question", "", expires_at=-1)),
    ],
)
async def test_what_cannot_be_ingested_is_refused_and_nothing_of_its_batch_is_kept(
    store: FleetStore, wrong: Entry
) -> None:
    with pytest.raises(ValueError, match=r"expected|ingested|lacks|got none"):
        await store.ingest([told(ANN, 1), wrong], [Presence(ANN, "s")], "g1")
    assert await store.log(0, 0, 9) == []
    assert await store.where([ANN]) == {}
    with pytest.raises(ValueError, match="at a gateway"):
        await store.ingest([], [Presence(ANN, "s")])


async def test_text_that_is_no_unicode_survives_all_of_it(store: FleetStore) -> None:
    user, text = "u\ud800", "broken \udfff"
    entry = Entry("event", 0, user, Event("x", user, 0, {"text": text}, text, text), once=True)
    [taken] = await store.ingest([entry], [Presence(user, text)], text)
    assert taken.entry.event is not None
    assert (taken.entry.event.data, taken.entry.event.id) == ({"text": text}, text)
    assert await store.where([user]) == {user: [text]}
    assert await store.connected() == [user]
    [place] = [number for number in range(PARTITION_COUNT) if await store.log(number, 0, 1)]
    assert await store.log(place, 0, 9) == [taken.entry]
    assert await store.sessions_at(text, place) == {user: [text]}
    start = (await store.listen(text, None, 0)).last
    message = OutboxMessage(user, Message(text, text, text, (text,), {text: text}), 1, text, text)
    notices = [
        Notice(user=user, message=message, cause=text),
        Notice(user=user, entry=taken.entry),
        Notice(user=user, cancelled=text),
        Notice(user=user, replaced=text),
        Notice(user=user, ended=text),
        Notice(frame={text: [text, 1, None, {"a": 2.5}]}),
        Notice(user=user, erased=True),
    ]
    await store.tell({text: notices})
    assert (await store.listen(text, start, 0)).notices == notices
    assert await store.resume("g2", user, text) == [text]


# Who is where


async def test_users_are_where_their_sessions_are(store: FleetStore) -> None:
    await store.ingest([], [Presence(ANN, "a"), Presence(ANN, "b"), Presence(DAN, "d")], "g2")
    await store.ingest([told(ANN, 1)], [Presence(ANN, "c")], "g1")
    assert await store.where([ANN, BOB, DAN]) == {ANN: ["g1", "g2"], DAN: ["g2"]}
    assert sorted(await store.connected()) == sorted([ANN, DAN])
    assert await store.sessions_at("g2", 0) == {ANN: ["a", "b"]}
    assert await store.sessions_at("g2", 1) == {DAN: ["d"]}
    assert await store.sessions_at("g3", 0) == {}
    await store.ingest([], [Presence(ANN, "a", is_there=False), Presence(DAN, "d", is_there=False)], "g2")
    assert await store.where([ANN, DAN]) == {ANN: ["g1", "g2"]}
    await store.ingest([], [Presence(ANN, "b", is_there=False)], "g2")
    assert await store.where([ANN]) == {ANN: ["g1"]}
    assert await store.sessions_at("g2", 0) == {}
    assert await store.connected() == [ANN]


async def test_a_session_is_at_one_gateway(store: FleetStore) -> None:
    await store.ingest([], [Presence(ANN, "a"), Presence(ANN, "a")], "g1")
    await store.ingest([], [Presence(ANN, "a")], "g2")
    assert await store.where([ANN]) == {ANN: ["g2"]}
    assert await store.sessions_at("g1", 0) == {}
    # The gateway where it was says so late.
    await store.ingest([], [Presence(ANN, "a", is_there=False)], "g1")
    assert await store.sessions_at("g2", 0) == {ANN: ["a"]}
    await store.ingest([], [Presence(ANN, "a", is_there=False)])
    assert await store.where([ANN]) == {}


async def test_a_session_is_taken_up_by_the_gateway_that_asks_for_it(store: FleetStore) -> None:
    assert await store.resume("g1", ANN, "a") is None
    assert await store.where([ANN]) == {}
    await store.ingest([], [Presence(ANN, "a"), Presence(ANN, "b")], "g1")
    assert await store.resume("g1", ANN, "a") == []
    assert await store.resume("g2", ANN, "a") == ["g1"]
    assert await store.resume("g2", ANN, "c") is None
    assert await store.sessions_at("g1", 0) == {ANN: ["b"]}
    assert await store.sessions_at("g2", 0) == {ANN: ["a"]}


@pytest.mark.parametrize("count", [SESSIONS_LISTED_MAX - 1, SESSIONS_LISTED_MAX, SESSIONS_LISTED_MAX + 1])
async def test_of_a_user_so_many_sessions_are_listed_at_one_gateway(store: FleetStore, count: int) -> None:
    await store.ingest([], [Presence(ANN, "elsewhere")], "g2")
    await store.ingest([], [Presence(ANN, f"s{number}") for number in range(count)], "g1")
    expected = [f"s{number}" for number in range(max(count - SESSIONS_LISTED_MAX, 0), count)]
    assert await store.sessions_at("g1", 0) == {ANN: expected}
    assert await store.sessions_at("g2", 0) == {ANN: ["elsewhere"]}


async def test_a_session_that_goes_on_elsewhere_is_not_said_to_end_by_a_gateway_where_it_was(store: FleetStore) -> None:
    gone = Presence(ANN, "a", is_there=False)
    await store.ingest([told(ANN, 1)], [Presence(ANN, "a"), Presence(ANN, "b"), Presence(BOB, "a")], "g1")
    assert await store.resume("g2", ANN, "a") == ["g1"]
    others = [Presence(ANN, "b", is_there=False), Presence(BOB, "a", is_there=False)]
    entries = [told(ANN, 1), end_of(ANN, "b"), end_of(ANN, "a"), told(ANN, 2), end_of(BOB, "a"), end_of(ANN, "a")]
    taken = await store.ingest(entries, [gone, *others], "g1")
    assert [each.is_repeated for each in taken] == [True, False, True, False, False, True]
    assert taken[2].entry == entries[2]
    assert await store.where([ANN, BOB]) == {ANN: ["g2"]}
    assert (await store.log(0, 1, 9)) == [taken[1].entry, taken[3].entry, taken[4].entry]
    # It is not known of it that it has ended, so it may.
    [alone] = await store.ingest([end_of(ANN, "a")], [gone], "g1")
    [ended] = await store.ingest([end_of(ANN, "a")], [gone], "g2")
    [again] = await store.ingest([end_of(ANN, "a")], [gone], "g1")
    assert (alone.is_repeated, ended.is_repeated, again.is_repeated) == (True, False, True)
    assert await store.where([ANN]) == {}
    assert await store.log(0, 4, 9) == [ended.entry]


async def test_a_session_ends_where_it_is_and_where_it_is_nowhere_and_for_whoever_is_no_gateway(
    store: FleetStore,
) -> None:
    names = ["a", "b", "c"]
    await store.ingest([], [Presence(ANN, "a"), Presence(ANN, "c")], "g1")
    await store.ingest([], [Presence(BOB, "b")], "g2")  # another's, of that name
    nameless_end = Entry("event", 0, ANN, Event("session.end", ANN, 0, {}))
    entries = [*(end_of(ANN, name) for name in names[:2]), nameless_end]
    taken = await store.ingest(entries, [Presence(ANN, name, is_there=False) for name in names[:2]], "g1")
    taken += await store.ingest([end_of(ANN, "c")], [Presence(ANN, "c", is_there=False)])
    assert [each.is_repeated for each in taken] == [False] * 4
    assert await store.where([ANN, BOB]) == {BOB: ["g2"]}
    # One that begins and ends in one call has been here.
    begun = [Presence(ANN, "d"), Presence(ANN, "d", is_there=False)]
    assert not (await store.ingest([end_of(ANN, "d")], begun, "g1"))[0].is_repeated
    # Who is at a gateway is nothing to what no presence is told of.
    assert not (await store.ingest([end_of(BOB, "b")], [], "g1"))[0].is_repeated
