"""Of any log and any cut, on every store: the states stay, the rest verifies, and a second trim finds nothing to do."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_retention import FIRST, SECOND, START, THIRD, play, rules
from test_retention import steps as steps_with

from engine import retention
from engine.core.model import Event
from engine.core.units import HOUR, MINUTE
from engine.observer import Observer
from engine.replay.driver import run_users
from engine.replay.recording import Recording, recorded_rules, recording_of
from engine.replay.verify import Verification
from engine.retention import Retention, keep_trimmed
from engine.storage.base import Entry, Fold, Store, StoreError
from engine.storage.memory import MemoryStore
from engine.storage.sqlite import SqliteStore
from engine.turn import Turns

STEPS = steps_with("tick", "time", FIRST, SECOND, THIRD)


async def new_store(kind: str, folder: str) -> Store:
    if kind == "memory":
        return MemoryStore(2)
    return await SqliteStore.open(Path(folder) / "test.db", partition_count=2, durability="normal")


async def everything(store: Store) -> list[Any]:
    """All that there is of a store but its entries."""
    found: list[Any] = [await store.rule_moments()]
    for number in range(store.partition_count):
        [batch] = await store.poll([number], 1 << 60)
        bases = sorted(await store.bases(number), key=lambda base: base.user)
        found += [batch, await store.states(number, 0, 999), await store.folded(number), bases]
        found += [await store.numbered(number, 0, 99_999), await store.decisions(number)]
    return found


async def states(store: Store) -> list[Any]:
    return [(await store.poll([n], 1 << 60), await store.states(n, 0, 999)) for n in range(store.partition_count)]


def verify(recording: Recording) -> None:
    verification = Verification(recording.decisions)
    for ran in run_users(recording.activity(), [recorded_rules(recording)], came_to=recording.time_came_to):
        verification.see(ran)
    assert verification.difference() is None, verification.difference()


async def trimmed_stays_what_it_was(kind: str, steps: list[Any], cut: int, later: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await new_store(kind, folder)
        await play(store, [(0, FIRST)], START)
        now = await play(store, [*steps, (0, "tick")], START)
        turns = Turns(store)
        await turns.recover()
        await turns.catch_up([user for n in range(2) for _, user, _ in await store.states(n, 0, 999)])
        before = await states(store)
        retention = Retention(store, turns.catch_up)
        await retention.trim(START + cut)
        assert await states(store) == before
        verify(await recording_of(store))
        for number in range(2):
            entries = await store.numbered(number, 0, 99_999)
            ticks = [place for place, (_, entry) in enumerate(entries) if entry.kind == "tick"]
            # No border is left behind which something later stands: all that could be folded is.
            for place in ticks:
                follower = entries[place + 1][1] if place + 1 < len(entries) else None
                assert entries[place][1].at >= START + cut or follower is None or follower.at == entries[place][1].at
        once = await everything(store)
        again = await retention.trim(START + cut)
        assert (again.entries, again.bases, again.rule_sets) == (0, 0, 0)
        assert await everything(store) == once
        now = await play(store, [*later, (30 * MINUTE, "tick")], now)
        verify(await recording_of(store))
        turns = Turns(store)
        await turns.recover()
        await Retention(store, turns.catch_up).trim(now - MINUTE)
        verify(await recording_of(store))
        await store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(steps=STEPS, cut=st.integers(0, 10 * HOUR), later=STEPS)
@settings(max_examples=40, deadline=None)
def test_a_trimmed_store_stays_what_it_was(kind: str, steps: list[Any], cut: int, later: list[Any]) -> None:
    asyncio.run(trimmed_stays_what_it_was(kind, steps, cut, later))


EDITS = [(20 * MINUTE, ("ann", "edit"))] * 3
TICKS = [(MINUTE, "tick")] * 2


async def test_rules_that_begin_later_know_of_what_was_done_before_the_fold_where_it_was_made_after_them() -> None:
    store = MemoryStore(2)
    await play(store, [(0, FIRST), *EDITS, (MINUTE, "tick"), (MINUTE, THIRD), *EDITS, *TICKS], START)
    whole = await store.history(["ann"], 1 << 60, 99)
    turns = Turns(store)
    await turns.recover()
    await Retention(store, turns.catch_up).trim(START + 62 * MINUTE)
    assert (await store.folded(0)).number
    assert (await store.folded(1)).number
    assert await store.history(["ann"], 1 << 60, 99) == whole
    # Once everybody has adopted them and the log begins behind them, nobody will ask for it any more.
    await Retention(store, turns.catch_up).trim(START + 124 * MINUTE)
    assert await store.history(["ann"], 1 << 60, 99) == {}
    verify(await recording_of(store))


class RuledMeanwhile:
    """A store in which rules begin to hold while a fold is being prepared, once."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.folds: list[Fold] = []
        self.is_ruled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def bases(self, *words: Any) -> Any:
        if not self.is_ruled:
            self.is_ruled = True
            turns = Turns(self.inner)
            await turns.recover()
            held = rules(THIRD)
            await self.inner.save_rules(held.hash, held.sources)
            await turns.change_rules(held, START + 9 * HOUR)
        return await self.inner.bases(*words)

    async def fold(self, fold: Fold) -> None:
        self.folds.append(fold)
        await self.inner.fold(fold)


async def test_rules_that_begin_while_a_fold_is_prepared_find_the_past_kept() -> None:
    store = RuledMeanwhile(MemoryStore(2))
    await play(store.inner, [(0, FIRST), *EDITS, (MINUTE, "tick"), *EDITS], START)
    await Retention(store, lambda users: asyncio.sleep(0)).trim(START + 62 * MINUTE)
    assert store.folds
    assert all(fold.past_wanted for fold in store.folds)
    assert sum(len(base.past) for fold in store.folds for base in fold.bases) == 3


class Told(Observer):
    def __init__(self) -> None:
        self.works: list[tuple[str, float, bool]] = []
        self.told = asyncio.Event()

    def store_worked(self, work: str, seconds: float, *, ok: bool = True) -> None:
        self.works.append((work, seconds, ok))
        self.told.set()


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_server_folds_soon_after_its_start_and_tells_of_it(refuses: bool) -> None:
    store = MemoryStore(2)
    now = await play(store, [(0, FIRST), *EDITS, (MINUTE, "tick"), *EDITS], START)
    turns = Turns(store)
    await turns.recover()
    observer = Told()
    ticks = iter((1.0, 3.5, 4.0))

    async def adopt(users: list[str]) -> None:
        if refuses:
            raise StoreError("the disk said no")
        await turns.make([], now, due=True, tick=True)

    running = asyncio.create_task(
        keep_trimmed(store, adopt, 59 * MINUTE, clock=lambda: now, seconds=lambda: next(ticks), observer=observer)
    )
    await observer.told.wait()
    running.cancel()
    assert observer.works == [("retention", 2.5, not refuses)]
    folded = [await store.folded(number) for number in range(2)]
    assert all(one.number > 0 for one in folded) != refuses


async def test_what_could_not_be_folded_is_tried_again_after_pauses_and_what_comes_is_not_kept_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "LOOK", 100)
    monkeypatch.setattr(retention, "AGAIN", (300, 600))
    store = MemoryStore(2)
    now = await play(store, [(0, FIRST), *EDITS, (MINUTE, "tick"), *EDITS], START)
    looks = 0
    tried: list[int] = []
    enough = asyncio.Event()

    def mine() -> list[int]:
        nonlocal looks
        looks += 1
        if looks == 40:
            enough.set()
        return [0] if looks < 20 else [0, 1]

    async def adopt(users: list[str]) -> None:
        tried.append(looks)
        if len(tried) in (1, 2, 3, 5):
            raise StoreError("another has the lock", "busy")

    running = asyncio.create_task(
        keep_trimmed(store, adopt, 59 * MINUTE, clock=lambda: now, seconds=lambda: 0.0, partitions=mine)
    )
    async with asyncio.timeout(20):
        await enough.wait()
    running.cancel()
    assert tried == [1, 4, 10, 16, 20, 23]
    assert (await store.folded(1)).number > 0


async def test_a_user_of_whom_only_records_are_kept_gets_no_base() -> None:
    store = MemoryStore(1)
    turns = Turns(store)
    await turns.recover()
    await play(store, [(0, FIRST)], START)
    await turns.recover()
    said = Entry(
        "event", START + 9, "ann", Event("message.composed", "ann", START + 9, {"message_id": "m", "text": "x"})
    )
    await turns.make([said], START + 9, due=False)
    await turns.make([], START + 10, due=True, tick=True)
    await turns.make([], START + HOUR, due=True, tick=True)
    assert (await Retention(store, turns.catch_up).trim(START + MINUTE)).bases == 0
    assert (await store.folded(0)).at == START + 10
