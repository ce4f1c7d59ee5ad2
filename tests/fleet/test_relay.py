"""What is told to which gateway, in which order, and what happens to it while the store takes none."""

from __future__ import annotations

import pytest
from fleet_world import FAIL, World
from relay_world import PROMPTED, TAKEN_BACK, Place, dismissed, everything, opened, said, work
from structlog.testing import capture_logs

from engine.core.units import SECOND
from engine.fleet.relay import AT_ONCE, CROWDED, Relay
from engine.storage.base import OutboxMessage, StoreError
from engine.storage.fleet import Notice, Presence


async def test_the_gateway_of_a_user_is_told_what_is_for_them_and_no_other() -> None:
    world, relay, place = await opened(FAIL)
    other = Place(world, "g2")
    await other.open()
    await world.say("ann", "fail")
    await world.say("bob", "fail")
    await work(world, relay)
    assert said(await place.heard()) == ["1 fail"]
    assert await other.heard() == []
    assert relay.told == 1


async def test_a_user_who_is_at_two_gateways_is_told_at_both() -> None:
    world, relay, place = await opened(FAIL)
    other = Place(world, "g2")
    await other.open()
    await world.store.ingest([], [Presence("ann", "s2")], "g2")
    await world.say("ann", "fail")
    await work(world, relay)
    assert said(await place.heard()) == said(await other.heard()) == ["1 fail"]


async def test_what_caused_a_message_is_told_with_it() -> None:
    world, relay, place = await opened(FAIL.replace("event: fail", "event: message.delivered"))
    await world.say("ann", "message.delivered", message_id="m1")
    await work(world, relay)
    [notice] = await place.heard()
    assert notice.cause == "m1"


@pytest.mark.parametrize("kind", ["message.answered", "message.dismissed", "message.muted", "user.preferences"])
async def test_devices_are_told_what_the_user_did_elsewhere(kind: str) -> None:
    settled: list[tuple[str, str]] = []
    world, relay, place = await opened(FAIL, on_settled=lambda user, message_id: settled.append((user, message_id)))
    await world.say("ann", kind, message_id="m1")
    await world.say("ann", "edit")
    await work(world, relay)
    assert [notice.entry.event.type for notice in await place.heard() if notice.entry and notice.entry.event] == [kind]
    assert settled == ([] if kind == "user.preferences" else [("ann", "m1")])


async def test_what_is_taken_back_is_told_after_what_it_takes_back() -> None:
    world, relay, place = await opened(TAKEN_BACK)
    await world.say("ann", "session.end")
    await world.store.ingest([], [Presence("ann", "s1")], "g1")
    await world.say("ann", "session.end", session="s1")
    await world.store.ingest([], [Presence("ann", "s1")], "g1")
    await work(world, relay)
    await world.say("ann", "edit")
    await work(world, relay)
    first, second = await place.heard()
    assert first.message is not None
    assert (first.message.message.text, second.cancelled) == ("bye", first.message.message.id)


@pytest.mark.parametrize("trouble", ["unconfirmed", "tells_refused"])
async def test_what_could_not_be_told_is_told_later_and_once(trouble: str) -> None:
    world, relay, place = await opened(FAIL)
    await world.say("ann", "fail")
    setattr(world.store, trouble, 2)
    with pytest.raises(StoreError):
        await work(world, relay)
    with pytest.raises(StoreError):
        await relay.tell()
    assert await place.heard() == []
    while relay.is_busy:
        await relay.tell()
    assert said(await place.heard()) == ["1 fail"]


async def with_an_outbox(count: int, partition_count: int = 1) -> tuple[World, Relay, Place]:
    """So many users have a message each that waits, of which nobody was told."""
    world = await World.started(FAIL, partition_count)
    place = Place(world, "g1")
    await place.open()
    relay = Relay(world.store, anew_max=80)
    for number in range(count):
        await world.say(f"u{number}", "fail")
    await world.round()
    await world.round()
    await world.store.ingest([], [Presence(f"u{number}", f"s{number}") for number in range(count)], "g1")
    relay.tell_anew(range(partition_count))
    return world, relay, place


@pytest.mark.parametrize("partition_count", [1, 40])
async def test_outboxes_are_told_together_and_only_so_much_at_a_time(partition_count: int) -> None:
    _, relay, place = await with_an_outbox(160, partition_count)
    await relay.tell()
    assert relay.is_busy
    assert relay.told in range(64, 120)
    while relay.is_busy:
        await relay.tell()
    assert sorted(said(await everything(place))) == ["1 fail"] * 160


@pytest.mark.parametrize(("before", "told"), [(CROWDED - 12, 22), (CROWDED - 11, 21)])
async def test_a_gateway_that_does_not_hear_as_fast_as_it_is_told_is_told_less_at_a_time(
    before: int, told: int
) -> None:
    world, relay, place = await with_an_outbox(11)
    await world.store.tell({"g1": [Notice(user="ann", cancelled="x")] * before})
    await relay.tell()
    assert relay.told == 11
    relay.tell_anew([0])
    await world.store.tell({"g1": [Notice(user="ann", cancelled="x")] * 12})
    await relay.tell()
    assert relay.told == told
    await everything(place)
    while relay.is_busy:
        await relay.tell()
    assert relay.told == 22


async def test_what_a_responder_is_to_write_is_told_when_it_is_written() -> None:
    composing: list[OutboxMessage] = []
    world, relay, place = await opened(PROMPTED, compose=composing.extend, compose_within=5 * SECOND)
    await world.say("ann", "fail")
    await work(world, relay)
    assert await place.heard() == []
    [outgoing] = composing
    relay.hand_over([outgoing])
    await relay.tell()
    assert said(await place.heard()) == ["plain"]


async def test_a_message_of_a_commit_whose_answer_was_lost_is_told_once() -> None:
    world, relay, place = await opened(FAIL)
    await world.say("ann", "fail")
    world.store.lost_answers = 1
    with pytest.raises(StoreError):
        await work(world, relay)
    await work(world, relay)
    await work(world, relay)
    assert said(await place.heard()) == ["1 fail"]
    assert relay.told == 1


@pytest.mark.parametrize(("count", "is_told_of_it"), [(4, False), (5, True)])
async def test_messages_beyond_what_can_wait_are_told_from_the_outbox(count: int, is_told_of_it: bool) -> None:
    world, relay, place = await opened(FAIL, waiting_max=4)
    for _ in range(count):
        await world.say("ann", "fail")
    with capture_logs() as logs:
        await work(world, relay)
    while relay.is_busy:
        await relay.tell()
    assert {*said(await place.heard())} == {f"{number + 1} fail" for number in range(count)}
    told = [line["told_later"] for line in logs if line["event"] == "! more to tell than can wait"]
    assert told == ([4] if is_told_of_it else [])


async def test_what_users_did_beyond_what_can_wait_is_told_from_the_log() -> None:
    world, relay, place = await opened(FAIL, waiting_max=4)
    for number in range(9):
        await world.say("ann", "message.dismissed", message_id=f"m{number}")
    await work(world, relay)
    while relay.is_busy:
        await relay.tell()
    assert {*dismissed(await place.heard())} == {f"m{number}" for number in range(9)}


async def test_a_log_of_many_pages_is_told_in_order() -> None:
    world, relay, place = await opened(FAIL)
    for number in range(AT_ONCE + 1):
        await world.say("ann", "message.dismissed", message_id=f"m{number}")
    for _ in range(5):
        await world.round(relay.untold | {0})
    relay.tell_anew([0])
    while relay.is_busy:
        await relay.tell()
    assert dismissed(await everything(place)) == [f"m{number}" for number in range(AT_ONCE + 1)]


async def test_what_is_handed_over_while_others_are_told_takes_nothing_from_them() -> None:
    world, relay, place = await opened(FAIL, waiting_max=2)
    for _ in range(2):
        await world.say("ann", "fail")
    await world.round()
    waiting = await world.store.pending("ann", world.now)

    async def more() -> None:
        relay.hand_over(waiting)
        relay.hand_over(waiting[:1])  # one more than can wait

    relay.hand_over(waiting)
    world.store.before_tell = more
    await relay.tell()
    while relay.is_busy:
        await relay.tell()
    assert said(await place.heard()) == ["1 fail", "2 fail", "1 fail", "1 fail", "2 fail"]


async def test_a_gateway_that_cannot_be_told_holds_up_no_other_and_is_told_all_when_it_can_be() -> None:
    world, relay, place = await opened(FAIL)
    other = Place(world, "g2")
    await other.open()
    await world.say("bob", "session.start", session="s2")
    await world.store.ingest([], [Presence("bob", "s3")], "g2")
    await work(world, relay)
    world.store.deaf_gateways = frozenset({"g1"})
    for user in ("ann", "bob"):
        await world.say(user, "fail")
        await work(world, relay)
    await world.say("ann", "message.answered", message_id="m1")
    await work(world, relay)
    assert said(await other.heard()) == ["1 fail"]
    assert await place.heard() == []
    await work(world, relay)
    assert not relay.is_busy, "for there is nobody to tell"
    assert relay.untold
    world.store.deaf_gateways = frozenset()
    assert relay.is_busy
    while relay.is_busy:
        await work(world, relay)
    assert not relay.untold
    heard = await place.heard()
    assert sorted(said(heard)) == ["1 fail", "1 fail"]
    assert [notice.entry.user for notice in heard if notice.entry is not None] == ["ann"]
