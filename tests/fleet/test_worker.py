"""The loop of a worker: its share, its leases, what it says when the store is away, and how it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from fleet_world import FAIL, World
from structlog.testing import capture_logs

from engine.core.units import MINUTE, SECOND
from engine.fleet.cleaning import Cleaning
from engine.fleet.relay import Relay
from engine.fleet.rounds import LEASE_MS, Rounds
from engine.fleet.worker import CLOCK_OFF_MAX, Worker
from engine.observer import Observer, TurnTold
from engine.storage.base import StoreError

IDLE = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 1m}, message: {type: question, text: "idle"}}
"""


def worker_of(world: World, name: str = "w1", off: int = 0, lease_ms: int = LEASE_MS) -> Worker:
    return Worker(
        world.store,
        name,
        rounds=Rounds(world.store, name),
        relay=Relay(world.store),
        cleaning=Cleaning(world.store),
        clock=lambda: world.now + off,
        lease_ms=lease_ms,
        seconds=lambda: world.now / SECOND,
    )


@asynccontextmanager
async def in_a_long_round(world: World, worker: Worker) -> AsyncIterator[asyncio.Event]:
    """Until the event is set."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def long() -> None:
        begun.set()
        await over.wait()

    world.store.before_commit = long
    await world.say("ann", "fail")
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        await begun.wait()
        yield over
        over.set()
        worker.stop()
        await running


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  (nothing that is waited for can set one)
        await asyncio.sleep(0)


async def test_workers_share_the_partitions_and_give_up_what_is_a_newcomers() -> None:
    world = World(partition_count=8)
    await world.publish(FAIL)
    first, second = worker_of(world), worker_of(world, "w2")
    await first.step()
    assert len(first.rounds.held) == 8
    await second.step()
    assert second.rounds.held == set()  # the first has not heard of it yet
    world.now += SECOND
    await first.step()
    await second.step()
    assert (len(first.rounds.held), len(second.rounds.held)) == (4, 4)
    assert not first.rounds.held & second.rounds.held


async def test_of_a_worker_that_is_gone_the_others_take_over_when_its_leases_end() -> None:
    world = World(partition_count=8)
    await world.publish(FAIL)
    first, second = worker_of(world), worker_of(world, "w2")
    for _ in range(3):
        await first.step()
        await second.step()
        world.now += SECOND
    await world.say("ann", "fail")
    world.now += 2 * SECOND
    await second.step()
    assert len(second.rounds.held) == 8
    assert len(await world.store.pending("ann", world.now)) == 1


async def test_a_worker_that_stops_finishes_and_gives_everything_back() -> None:
    world = World(partition_count=4)
    await world.publish(FAIL)
    worker = worker_of(world)
    await worker.join()
    running = asyncio.ensure_future(worker.run())
    await world.say("ann", "fail")
    await until(lambda: worker.done.entries)
    assert worker.is_running
    worker.stop()
    await running
    assert not worker.is_running
    assert (await world.store.beat("worker", "w2", 1_000)).workers == ["w2"]
    shares = await world.store.take("w2", [0, 1, 2, 3], lease_ms=1_000)
    assert len(shares) == 4
    assert await world.store.pending("ann", world.now)


async def test_a_store_that_is_away_is_told_once_and_the_worker_goes_on_when_it_is_back() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world, "w1")
    await world.say("ann", "fail")
    world.store.refusals = 2
    with capture_logs() as logs:
        running = asyncio.ensure_future(worker.run())
        await until(lambda: worker.trouble)
        await until(lambda: worker.done.entries and not worker.trouble)
        worker.stop()
        await running
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["! store"]
    assert [line["event"] for line in logs].count("= the store is there again") == 1


async def test_a_fault_of_ours_does_not_end_the_loop() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world, "w1")

    async def fault() -> None:
        raise RuntimeError("a fault")

    world.store.before_commit = fault
    await world.say("ann", "fail")
    with capture_logs() as logs:
        running = asyncio.ensure_future(worker.run())
        await until(lambda: worker.done.entries)
        worker.stop()
        await running
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["! round failed"]


@pytest.mark.parametrize("off", [-CLOCK_OFF_MAX - 1, CLOCK_OFF_MAX + 1, 0, CLOCK_OFF_MAX])
async def test_a_clock_that_is_off_is_told_and_changes_nothing(off: int) -> None:
    world = await World.started(FAIL)
    with capture_logs() as logs:
        worker = worker_of(world, off=-off)
        for _ in range(3):
            await worker.step()
            world.now += SECOND
    told = [line for line in logs if line["event"] == "! the clock of this machine is not that of the store"]
    assert len(told) == (abs(off) > CLOCK_OFF_MAX)
    assert worker.clock_off == off
    assert worker.store_clock() == world.now


async def test_the_lag_is_that_of_the_oldest_entry_which_waits() -> None:
    world = World()
    await world.say("ann", "fail")  # there are no rules yet
    worker = worker_of(world)
    await worker.step()
    world.now += 7 * SECOND
    assert worker.lag == 7.0
    await world.publish(FAIL)
    for _ in range(3):
        await worker.step()
    assert worker.lag == 0.0


async def test_what_it_says_of_itself_is_counted() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world)
    await world.say("ann", "fail")
    await worker.step()
    health = worker.health()
    assert (health["name"], health["partitions"], health["rounds"], health["decisions"]) == ("w1", 1, 1, 1)


async def test_users_of_another_workers_partitions_cannot_be_let_adopt() -> None:
    world = await World.started(FAIL)
    with pytest.raises(StoreError, match="another worker"):
        await worker_of(world).adopt(["ann"])


async def test_a_worker_in_a_long_round_is_not_taken_for_dead() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world, lease_ms=30)
    async with in_a_long_round(world, worker):
        world.now += SECOND
        assert (await world.store.beat("worker", "w2", 10_000)).workers == ["w2"]
        while (await world.store.beat("worker", "w2", 10_000)).workers != ["w1", "w2"]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_what_is_a_newcomers_is_given_up_between_rounds() -> None:
    world = World(partition_count=8)
    await world.publish(FAIL)
    worker = worker_of(world, lease_ms=30)
    while not (await worker.step()).done:
        pass
    async with in_a_long_round(world, worker) as over:
        await world.store.beat("worker", "w2", 10_000)
        await until(lambda: worker._roll and "w2" in worker._roll.workers)
        assert len(worker.rounds.held) == len(worker.share) == 8
        over.set()
        await until(lambda: len(worker.rounds.held) == 4)
    assert worker.done.refused == 0


async def test_that_a_worker_is_not_heard_of_is_told_once_until_it_is() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world, lease_ms=30)
    with capture_logs() as logs:
        async with in_a_long_round(world, worker):
            for _ in range(2):
                world.store.unheard = 3
                await until(lambda: not world.store.unheard)
                world.now += SECOND
                while "w1" not in (await world.store.beat("worker", "w2", 10_000)).workers:  # noqa: ASYNC110
                    await asyncio.sleep(0)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["! not heard of"] * 2


async def test_a_fault_of_ours_ends_neither_the_beats_nor_the_look_at_who_is_to_adopt_rules() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world, lease_ms=30)
    with capture_logs() as logs:
        async with in_a_long_round(world, worker):
            world.store.beat_faults = 1
            await until(lambda: not world.store.beat_faults)
            world.now += SECOND
            while "w1" not in (await world.store.beat("worker", "w2", 10_000)).workers:  # noqa: ASYNC110
                await asyncio.sleep(0)
            world.store.faults = 1
            worker._looking = asyncio.create_task(worker._look())
            await until(lambda: not world.store.faults)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["! beat failed", "! adoption failed"]


async def test_how_late_a_wake_up_is_is_told_by_the_clock_of_this_machine() -> None:
    world = World()
    await world.publish(IDLE)
    worker = worker_of(world, off=-3 * SECOND)
    told: list[int | None] = []

    class Seen(Observer):
        def turn_done(self, turn: TurnTold) -> None:
            told.append(turn.due_at)

    worker._observer = Seen()
    await worker.step()
    said_at = world.now
    await world.say("ann", "edit")
    await worker.step()
    world.now += 2 * MINUTE
    await worker.step()
    assert told == [None, None, said_at + MINUTE - 3 * SECOND]


class Faulty(Observer):
    """Raises the first time that it is told of a round, and whenever it is told that the store is away."""

    has_raised = False

    def turn_done(self, turn: TurnTold) -> None:
        if turn.entries and not self.has_raised:
            self.has_raised = True
            raise RuntimeError("a fault of ours")

    def store_trouble(self, state: str | None) -> None:
        raise RuntimeError("a fault of ours")


async def test_what_is_durable_is_told_whatever_fails_behind_it() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world)
    await world.store.beat("gateway", "g1", 100 * SECOND)
    after = (await world.store.listen("g1", None, 0)).last
    await world.say("ann", "session.start", "s_1")
    for _ in range(2):
        await worker.step()
    assert not worker.relay.is_busy
    worker._observer = Faulty()
    await world.say("ann", "message.dismissed", message_id="m1")
    with pytest.raises(RuntimeError):
        await worker.step()
    await world.say("ann", "edit")
    await worker.step()
    heard = await world.store.listen("g1", after, 0)
    assert [each.entry.event.type for each in heard.notices if each.entry and each.entry.event] == ["message.dismissed"]


async def test_a_loop_that_ends_by_a_fault_is_heard_of_no_longer() -> None:
    world = await World.started(FAIL)
    worker = worker_of(world, lease_ms=3)
    worker._observer = Faulty()
    running = asyncio.create_task(worker.run())
    await until(lambda: worker.done.rounds)
    world.store.refusals = 1
    await world.say("ann", "fail")
    with pytest.raises(RuntimeError):
        await running
    assert not worker.is_running
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("beats", "adoption")]


async def test_what_is_lost_behind_a_first_round_that_failed_holds_up_no_telling() -> None:
    world = World(partition_count=2)
    await world.publish(FAIL)
    worker = worker_of(world)
    for user in ("ann", "bob", "cat", "dan"):
        await world.say(user, "fail")
    world.store.refusals = 1
    with pytest.raises(StoreError):
        await worker.step()
    world.store.gone = frozenset({1})
    await worker.step()
    assert worker.rounds.held == {0}
    assert worker.relay.untold <= {0}
