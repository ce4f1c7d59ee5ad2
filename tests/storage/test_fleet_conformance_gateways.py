"""Every claim of `engine/storage/fleet.py`, made of every such store: what gateways are told, rules, forgetting."""

from __future__ import annotations

import asyncio

import pytest
from samples_for_fleets import ids, put, taken_up, told, until
from samples_for_stores import ANN, BOB, DAN, PARTITION_COUNT, event, outgoing, with_states

from engine.storage.base import Conflict, Entry, StoreError
from engine.storage.fleet import NOTICES_MAX, FleetStore, Notice, Presence


@pytest.fixture
def store(fleet_store: FleetStore) -> FleetStore:
    return fleet_store


# What gateways are told


async def test_a_gateway_hears_what_it_was_told_in_order_and_from_where_it_left_off(store: FleetStore) -> None:
    begun = await store.listen("g1", None, 0)
    assert (begun.notices, begun.has_gap) == ([], False)
    notices = [Notice(user=ANN, cancelled=str(number)) for number in range(3)]
    await store.tell({"g1": notices[:2], "g2": [Notice(user=BOB)]})
    await store.tell({"g1": notices[2:]})
    heard = await store.listen("g1", begun.last, 0)
    assert (heard.notices, heard.has_gap, heard.last) == (notices, False, begun.last + 3)
    assert (await store.listen("g1", begun.last + 1, 0)).notices == notices[1:]
    assert (await store.listen("g1", heard.last, 0)).notices == []
    assert (await store.listen("g2", None, 0)).notices == []


async def test_what_is_told_while_a_gateway_listens_is_heard_at_once(store: FleetStore) -> None:
    begun = await store.listen("g1", None, 0)
    listening = asyncio.create_task(store.listen("g1", begun.last, 30))
    from_now_on = asyncio.create_task(store.listen("g2", None, 30))
    await store.beat("gateway", "g2", 10_000)
    for number in range(3):  # others may use the store meanwhile
        await store.ingest([told(ANN, number)])
    await store.tell({"g1": [Notice(user=ANN)]})
    assert (await listening).notices == [Notice(user=ANN)]
    while not from_now_on.done():
        await store.tell({"g2": [Notice(user=BOB)]})
        await asyncio.sleep(0)
    assert (await from_now_on).notices[0] == Notice(user=BOB)


async def test_nobody_is_told_who_was_not_heard_of(store: FleetStore) -> None:
    await store.tell({"nobody": [Notice(user=ANN)], "other": []})
    begun = await store.listen("nobody", None, 0)
    await store.tell({"nobody": [Notice(user=BOB)]})
    assert (await store.listen("nobody", begun.last, 0)).notices == [Notice(user=BOB)]


async def test_of_what_waits_too_long_the_oldest_leaves_and_the_gateway_finds_out(store: FleetStore) -> None:
    begun = await store.listen("g1", None, 0)
    for start in range(0, NOTICES_MAX + 1000, 1000):
        await store.tell({"g1": [Notice(user=ANN, cancelled=str(start + number)) for number in range(1000)]})
    heard = await store.listen("g1", begun.last, 0)
    assert heard.has_gap
    assert len(heard.notices) == 500
    count = len(heard.notices)
    while heard.last < begun.last + NOTICES_MAX + 1000:
        heard = await store.listen("g1", heard.last, 0)
        assert not heard.has_gap
        count += len(heard.notices)
    assert NOTICES_MAX <= count < NOTICES_MAX + 1000
    assert heard.notices[-1].cancelled == str(NOTICES_MAX + 999)


async def test_a_gateway_whose_notices_are_gone_finds_out(store: FleetStore) -> None:
    begun = await store.listen("g1", None, 0)
    await store.tell({"g1": [Notice(user=ANN)] * 2})
    await store.leave("gateway", "g1")
    heard = await store.listen("g1", begun.last, 0)
    assert (heard.notices, heard.has_gap) == ([], True)
    await store.tell({"g1": [Notice(user=BOB)]})
    assert await store.listen("g1", heard.last, 0) == type(heard)([Notice(user=BOB)], heard.last + 1)


# What has reached whom


async def test_a_message_leaves_the_outbox_when_all_gateways_of_its_user_have_it(store: FleetStore) -> None:
    await put(store, outgoing(ANN, 1), outgoing(ANN, 2), outgoing(BOB, 1))
    await store.ingest([], [Presence(ANN, "a"), Presence(BOB, "b")], "g1")
    await store.ingest([], [Presence(ANN, "c")], "g2")
    await store.reached("g1", [(ANN, f"{ANN}-1"), (BOB, f"{BOB}-1"), (ANN, "unknown"), (DAN, "unknown")])
    assert (await ids(store, ANN), await ids(store, BOB)) == ([f"{ANN}-1", f"{ANN}-2"], [])
    await store.reached("g1", [(ANN, f"{ANN}-1")])  # twice is once
    assert await ids(store, ANN) == [f"{ANN}-1", f"{ANN}-2"]
    await store.reached("g2", [(ANN, f"{ANN}-1")])
    assert await ids(store, ANN) == [f"{ANN}-2"]


async def test_a_message_no_longer_waits_for_a_session_that_is_over(store: FleetStore) -> None:
    await put(store, outgoing(ANN, 1), outgoing(ANN, 2))
    await store.ingest([], [Presence(ANN, "a")], "g1")
    await store.ingest([], [Presence(ANN, "b"), Presence(ANN, "c")], "g2")
    await store.reached("g1", [(ANN, f"{ANN}-1")])
    await store.ingest([], [Presence(ANN, "b", is_there=False)], "g2")
    assert await ids(store, ANN) == [f"{ANN}-1", f"{ANN}-2"]
    await store.ingest([], [Presence(ANN, "c", is_there=False)], "g2")
    assert await ids(store, ANN) == [f"{ANN}-2"]
    await store.ingest([], [Presence(ANN, "a", is_there=False)], "g1")
    assert await ids(store, ANN) == [f"{ANN}-2"]  # it has reached nobody


async def test_a_message_waits_for_a_gateway_that_the_user_came_to_meanwhile(store: FleetStore) -> None:
    await put(store, outgoing(ANN, 1))
    await store.ingest([], [Presence(ANN, "a")], "g1")
    await store.ingest([], [Presence(ANN, "b")], "g2")
    await store.reached("g1", [(ANN, f"{ANN}-1")])
    assert await store.resume("g3", ANN, "b") == ["g2"]
    assert await ids(store, ANN) == [f"{ANN}-1"]
    assert await store.resume("g1", ANN, "b") == ["g3"]
    assert await ids(store, ANN) == [f"{ANN}-1"]  # what has reached the others there, this one may not have
    await store.reached("g1", [(ANN, f"{ANN}-1")])
    assert await ids(store, ANN) == []


async def test_a_message_waits_for_a_session_that_begins_where_others_have_it(store: FleetStore) -> None:
    await put(store, outgoing(ANN, 1))
    await store.ingest([], [Presence(ANN, "a"), Presence(DAN, "d")], "g1")
    await store.ingest([], [Presence(ANN, "b")], "g2")
    await store.reached("g1", [(ANN, f"{ANN}-1")])
    await store.ingest([], [Presence(ANN, "c")], "g1")
    await store.reached("g2", [(ANN, f"{ANN}-1")])
    assert await ids(store, ANN) == [f"{ANN}-1"]
    await store.reached("g1", [(ANN, f"{ANN}-1")])
    assert await ids(store, ANN) == []


async def test_withdrawn_messages_leave_the_outbox_whomever_they_have_reached(store: FleetStore) -> None:
    await put(store, outgoing(ANN, 1), outgoing(ANN, 2))
    await store.withdraw([(ANN, f"{ANN}-1"), (ANN, "unknown"), (DAN, "unknown")])
    assert await ids(store, ANN) == [f"{ANN}-2"]


async def test_what_waits_in_the_outbox_of_a_partition_is_paged_in_the_order_it_came(store: FleetStore) -> None:
    now = await store.clock()
    await put(store, outgoing(BOB, 1, at=5), outgoing(ANN, 1, at=3), outgoing(BOB, 2, expires_at=now - 1))
    await put(store, outgoing(ANN, 2, expires_at=now + 3_600_000_000), outgoing(ANN, 3))
    await store.withdraw([(ANN, f"{ANN}-3")])
    first = (await store.unsent({0: 0}, 2))[0]
    assert [outgoing.message.id for _, outgoing in first] == [f"{BOB}-1", f"{ANN}-1"]
    rest = await store.unsent({0: first[-1][0], 1: 0}, 2)
    assert [outgoing for _, outgoing in rest[0]] == [outgoing(ANN, 2, expires_at=now + 3_600_000_000)]
    assert rest[1] == []
    assert await store.unsent({0: rest[0][-1][0]}, 2) == {0: []}
    assert (await store.unsent({0: 0}, 9))[0][0][1] == outgoing(BOB, 1, at=5)


async def test_whoever_tells_learns_how_much_a_gateway_has_yet_to_hear(store: FleetStore) -> None:
    begun = await store.listen("g1", None, 0)
    some = [Notice(user=ANN, cancelled=str(number)) for number in range(500)]
    assert await store.tell({"g1": some, "nobody": some, "other": []}) == {"g1": 500, "nobody": 0, "other": 0}
    assert await store.tell({"g1": some}) == {"g1": 1000}
    heard = await store.listen("g1", begun.last, 0)
    assert [notice.cancelled for notice in heard.notices] == [notice.cancelled for notice in some]
    rest = await store.listen("g1", heard.last, 0)
    assert (len(rest.notices), rest.has_gap) == (500, False)
    assert (await store.tell({"g1": some}))["g1"] in range(1000, 1101)
    assert (await store.listen("g1", rest.last, 0)).notices == some
    assert not (await store.listen("g1", rest.last, 0)).has_gap


async def test_former_sessions_of_a_client_are_those_that_came_before_wherever_they_are(store: FleetStore) -> None:
    await store.ingest([], [Presence(ANN, "a", client="phone"), Presence(ANN, "b", client="desk")], "g1")
    await store.ingest([], [Presence(ANN, "c", client="phone"), Presence(BOB, "c", client="phone")], "g2")
    await store.ingest([], [Presence(ANN, "plain"), Presence(DAN, "d", client="phone")], "g2")
    assert await store.former(ANN, "c") == [("a", "g1")]
    assert [await store.former(ANN, name) for name in ("a", "b", "plain", "unknown")] == [[]] * 4
    assert await store.former(BOB, "c") == []
    await store.resume("g3", ANN, "a")
    assert (await store.former(ANN, "a"), await store.former(ANN, "c")) == ([("c", "g2")], [])
    await store.ingest([], [Presence(ANN, "c", is_there=False)], "g2")
    assert await store.former(ANN, "a") == []


async def test_a_client_is_found_by_its_name_as_long_as_a_session_of_it_is_there(store: FleetStore) -> None:
    for user in (ANN, BOB, DAN):
        await store.ingest([], [Presence(user, "s", client="phone"), Presence(user, "t", client="phone")], "g1")
    await store.ingest([], [Presence(ANN, "u", client="desk")], "g2")
    assert await store.users_of("phone") == sorted([ANN, BOB, DAN])
    assert (await store.users_of("desk"), await store.users_of("unknown")) == ([ANN], [])
    await store.ingest([], [Presence(ANN, name, is_there=False) for name in ("s", "t")], "g1")
    await store.ingest([], [Presence(BOB, "s", is_there=False)])
    await store.erase_everywhere(DAN)
    assert await store.users_of("phone") == [BOB]


# Who is alive


async def test_who_beats_is_alive_and_who_has_left_is_neither_alive_nor_lost(store: FleetStore) -> None:
    await store.beat("worker", "w2", 60_000)
    await store.beat("worker", "w1", 60_000)
    await store.beat("gateway", "g1", 60_000)
    roll = await store.beat("gateway", "g2", 60_000)
    assert (roll.workers, roll.gateways, roll.lost) == (["w1", "w2"], ["g1", "g2"], {})
    await store.leave("worker", "w1")
    await store.leave("gateway", "g1")
    await store.leave("gateway", "unknown")
    roll = await store.beat("worker", "asking", 0)
    assert (roll.workers, roll.gateways, roll.lost) == (["w2"], ["g2"], {})


async def test_gateways_that_are_not_heard_of_are_lost_until_they_are_heard_of_or_have_left(store: FleetStore) -> None:
    await store.beat("worker", "w1", 1)
    await store.beat("gateway", "g1", 1)
    await store.beat("gateway", "g2", 1)
    await until(store, await store.clock() + 5_000)
    roll = await store.beat("worker", "asking", 0)
    assert (roll.workers, roll.gateways) == ([], [])
    assert list(roll.lost) == ["g1", "g2"]
    assert roll.lost["g1"] >= 4
    await store.leave("gateway", "g2")
    roll = await store.beat("gateway", "g1", 60_000)
    assert (roll.gateways, roll.lost) == (["g1"], {})
    roll = await store.beat("gateway", "g1", 0)
    assert (roll.gateways, list(roll.lost)) == ([], ["g1"])


# Rules, forgetting, the rest


async def test_published_rules_hold_from_one_moment_on_that_is_behind_everything(store: FleetStore) -> None:
    later = await store.clock() + 1_000_000
    await store.append([event(ANN, later)])
    await store.save_rules("h", {"a": "b"})
    at = await store.publish_rules("h")
    assert at > later
    assert await store.rule_moments() == [(at, "h")]
    assert await store.are_decided(at, give_up=False) is True
    for number in range(PARTITION_COUNT):
        assert (await store.log(number, 0, 9))[-1] == Entry("rules", at, rules_hash="h")
    again = await store.publish_rules("h")
    assert again > at
    assert await store.rule_moments() == [(at, "h"), (again, "h")]
    [share] = await store.take("w1", [1], lease_ms=1000)
    tried = [entry for entry in share.batch.entries if await store.are_decided(entry.at, give_up=False)]
    assert tried == [Entry("rules", at, rules_hash="h"), Entry("rules", again, rules_hash="h")]
    assert {entry.kind for entry in share.batch.entries} == {"rules"}


async def test_several_rule_sets_that_are_published_at_once_have_moments_of_their_own(store: FleetStore) -> None:
    moments = await asyncio.gather(*(store.publish_rules(f"h{number}") for number in range(3)))
    assert len(set(moments)) == 3
    assert await store.rule_moments() == sorted(zip(moments, ("h0", "h1", "h2"), strict=True))


async def test_what_is_not_decided_is_decided_once_by_whoever_gives_up(store: FleetStore) -> None:
    assert await store.are_decided(5, give_up=False) is None
    assert await store.are_decided(5, give_up=True) is False
    assert await store.are_decided(5, give_up=False) is False
    at = await store.publish_rules("h")
    assert await store.are_decided(at, give_up=True) is True
    assert await store.rule_moments() == [(at, "h")]


async def test_rules_that_were_published_are_dropped_as_others_are(store: FleetStore) -> None:
    await store.save_rules("h", {"a": "b"})
    await store.save_rules("i", {"a": "c"})
    _, second, third = [await store.publish_rules(name) for name in ("h", "i", "h")]
    assert await store.drop_rules(second) == 1
    assert await store.rule_moments() == [(second, "i"), (third, "h")]
    assert await store.load_rules("h") == {"a": "b"}
    assert await store.drop_rules(third) == 1
    assert await store.load_rules("i") is None
    assert await store.drop_rules(third) == 0
    assert await store.are_decided(third, give_up=False) is True


async def test_whom_a_store_erases_everywhere_is_nowhere_and_no_former_commit_is_made(store: FleetStore) -> None:
    await store.ingest([told(ANN, 1)], [Presence(ANN, "a")], "g1")
    with pytest.raises(StoreError, match="wait to be evaluated"):
        await store.erase_everywhere(ANN)
    assert await store.where([ANN]) == {ANN: ["g1"]}
    await put(store, outgoing(ANN, 1))
    await store.reached("g2", [(ANN, f"{ANN}-1")])
    commit = with_states(await taken_up(store), {ANN: 5})
    assert await store.erase_everywhere(ANN) == 2
    assert (await store.where([ANN]), await store.connected(), await store.sessions_at("g1", 0)) == ({}, [], {})
    with pytest.raises(Conflict):
        await store.commit([commit])
    assert await store.load([ANN]) == {}


async def test_the_clock_of_the_store_does_not_stand(store: FleetStore) -> None:
    before = await store.clock()
    await store.confirm()
    assert await store.clock() > before


async def test_a_closed_store_refuses_all_of_it(store: FleetStore) -> None:
    await store.close()
    calls = [
        store.ingest([told(ANN, 1)]),
        store.take("w1", [0], lease_ms=1000),
        store.where([ANN]),
        store.tell({"g1": [Notice(user=ANN)]}),
        store.listen("g1", None, 0),
        store.beat("worker", "w1", 1000),
        store.publish_rules("h"),
        store.confirm(),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="closed"):
            await call
