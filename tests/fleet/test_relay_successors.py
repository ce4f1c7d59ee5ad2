"""What one worker evaluated and another has to tell: all that was never told, and little that was."""

from __future__ import annotations

import pytest
from fleet_world import FAIL
from relay_world import PROMPTED, TAKEN_BACK, dismissed, opened, said, work, work_off

from engine.core.units import SECOND
from engine.fleet.relay import Relay
from engine.storage.base import OutboxMessage, StoreError
from engine.storage.fleet import Presence


async def test_of_what_was_never_told_a_new_worker_finds_all_in_the_outbox() -> None:
    world, _, place = await opened(FAIL)
    for _ in range(3):
        await world.say("ann", "fail")
    await world.round()
    assert await place.heard() == []
    world.now += 3 * SECOND
    successor = Relay(world.store)
    world.rounds = type(world.rounds)(world.store, "w2")
    await work(world, successor)
    assert said(await place.heard()) == ["1 fail", "2 fail", "3 fail"]


async def test_messages_of_a_partition_that_is_gone_are_its_new_workers_to_tell() -> None:
    world, relay, place = await opened(FAIL)
    await world.say("ann", "fail")
    world.store.tells_refused = 1
    with pytest.raises(StoreError):
        await work(world, relay)
    relay.hold(set())
    assert not relay.is_busy
    await relay.tell()
    assert await place.heard() == []


@pytest.mark.parametrize(("age", "is_written"), [(5 * SECOND - 1, True), (5 * SECOND, False)])
async def test_what_another_worker_was_having_written_is_written_again_while_it_is_young(
    age: int, is_written: bool
) -> None:
    composing: list[OutboxMessage] = []
    world, relay, place = await opened(PROMPTED, compose=composing.extend, compose_within=5 * SECOND)
    await world.say("ann", "fail")
    await world.round()
    world.now += age
    relay.tell_anew([0])
    await relay.tell()
    assert (len(composing), len(await place.heard())) == ((1, 0) if is_written else (0, 1))


async def test_what_was_written_for_a_user_whom_another_worker_has_by_now_is_that_ones_to_tell() -> None:
    world, relay, place = await opened(PROMPTED)
    composing: list[OutboxMessage] = []
    relay = Relay(world.store, compose=composing.extend)
    await world.say("ann", "fail")
    await work(world, relay)
    relay.hold(set())
    relay.hand_over(composing)
    await relay.tell()
    assert (len(composing), await place.heard()) == (1, [])


async def test_what_a_worker_made_durable_and_never_told_the_next_one_tells() -> None:
    world, relay, place = await opened(TAKEN_BACK)
    await world.say("ann", "session.end", session="s1")
    await world.store.ingest([], [Presence("ann", "s1")], "g1")
    await work(world, relay)
    assert said(await place.heard()) == ["bye"]
    await world.say("ann", "message.dismissed", message_id="m1")
    await world.say("ann", "edit")
    await world.round()  # and there it is killed
    world.now += 3 * SECOND
    settled: list[tuple[str, str]] = []
    successor = Relay(world.store, on_settled=lambda user, message_id: settled.append((user, message_id)))
    world.rounds = type(world.rounds)(world.store, "w2")
    await work_off(world, successor)
    heard = await place.heard()
    [bye] = [notice.cancelled for notice in heard if notice.cancelled]
    assert dismissed(heard) == ["m1"]
    assert settled == [("ann", "m1"), ("ann", bye)]


async def test_of_what_was_told_the_next_worker_tells_again_what_the_last_commit_made_alone() -> None:
    world, relay, place = await opened(FAIL)
    for number in range(3):
        await world.say("ann", "message.dismissed", message_id=f"m{number}")
        await work(world, relay)
    assert dismissed(await place.heard()) == ["m0", "m1", "m2"]
    world.now += 3 * SECOND
    world.rounds = type(world.rounds)(world.store, "w2")
    await work_off(world, Relay(world.store))
    assert dismissed(await place.heard()) == ["m2"]


async def test_what_waits_to_be_told_is_not_said_to_be_told_by_the_commits_after_it() -> None:
    world, relay, place = await opened(FAIL)
    world.store.tells_refused = 2
    for number in range(2):
        await world.say("ann", "message.dismissed", message_id=f"m{number}")
        with pytest.raises(StoreError):
            await work(world, relay)
    world.now += 3 * SECOND
    world.rounds = type(world.rounds)(world.store, "w2")
    await work_off(world, Relay(world.store))
    assert dismissed(await place.heard()) == ["m0", "m1"]
