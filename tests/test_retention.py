"""What is folded is what it came to: a trimmed store verifies, and goes on as one that is whole."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE, parse_at
from engine.loading.load import load
from engine.replay.driver import run_users
from engine.replay.recording import read_recording, recorded_rules
from engine.replay.verify import Verification
from engine.retention import PIECE_ENTRIES, Retention, Trimmed
from engine.storage.base import Entry, Fold, Store
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS
from engine.turn import Turns

START = 1_774_605_600_000_000
USERS = ("ann", "bob", "cyd", "dan")
TYPES = ("edit", "test.failed", "session.start", "session.end", "user.identify", "chat_message")

FIRST = """
version: 1
rules:
  - id: idle
    trigger: {inactivity: 5m}
    message: {type: question, text: "{{ user.id }}?", options: [Yes, No]}
    max: {max: 2, per: session}
    expires: 7m
  - {id: three, trigger: {count: {event: test.failed, at_least: 3, within: 40m}}, message: {type: hint, text: three}}
  - {id: ignored, trigger: {response: {to: idle, is: ignored}}, message: {type: hint, text: well}, cooldown: 20m}
"""
# Other spans, and a rule whose memory has to be found out from what was done before it began to hold.
SECOND = (
    FIRST.replace("5m", "3m").replace("at_least: 3", "at_least: 2")
    + "  - {id: twice, trigger: {sequence: {steps: [edit, test.failed], within: 50m}}, message: {type: a, text: two}}\n"
)
THIRD = SECOND.replace("id: three", "id: trio") + "policy: {session_timeout: 10m}\n"


def rules(text: str) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


def steps(*others: str) -> st.SearchStrategy[list[Any]]:
    """What happens, each so long after the one before: somebody does something, time passes, or one of ``others``."""
    what = st.one_of(
        st.tuples(st.sampled_from(USERS), st.sampled_from(TYPES)), st.sampled_from(["tick", "time", *others])
    )
    return st.lists(st.tuples(st.integers(0, 25 * MINUTE), what), min_size=5, max_size=60)


async def take(turns: Turns, store: Store, now: int, what: Any) -> None:
    if isinstance(what, tuple):
        user, kind = what
        await turns.make([Entry("event", now, user, Event(kind, user, now, {}, session=None))], now, due=False)
    elif what in ("tick", "time"):
        await turns.make([], now, due=True, tick=what == "tick")
    else:
        held = rules(what)
        await store.save_rules(held.hash, held.sources)
        await turns.change_rules(held, now)
        await turns.catch_up(await turns.users_behind())


async def play(store: Store, steps: list[Any], now: int) -> int:
    turns = Turns(store)
    await turns.recover()
    for gap, what in steps:
        now += gap
        await take(turns, store, now, what)
        await turns.make([], now, due=True)
    return now


async def new_store(path: Path) -> SqliteStore:
    store = await SqliteStore.open(path, partition_count=2, durability="normal")
    await play(store, [(0, FIRST)], START)
    return store


async def trim(store: Store, before: int) -> int:
    turns = Turns(store)
    await turns.recover()
    return (await Retention(store, turns.catch_up).trim(before)).entries


async def is_reproduced(path: Path) -> bool:
    recording = await read_recording(str(path))
    verification = Verification(recording.decisions)
    for ran in run_users(recording.activity(), [recorded_rules(recording)], came_to=recording.time_came_to):
        verification.see(ran)
    difference = verification.difference()
    assert difference is None, difference
    return True


async def states_of(store: Store) -> dict[str, bytes]:
    found = [await store.states(partition, 0, 1000) for partition in range(store.partition_count)]
    return {user: encoded for states in found for _, user, encoded in states}


async def two_stores(directory: Path, before: list[Any], cut: int) -> tuple[Path, Path, int]:
    """A store that is whole and the same trimmed, and what time it is there."""
    whole, trimmed = directory / "whole.db", directory / "trimmed.db"
    for file in directory.glob("*.db*"):
        file.unlink()
    store = await new_store(whole)
    now = await play(store, [*before, (0, "tick")], START)
    # Those who are away adopt rules when they come back, or before a fold: here everybody does, in both.
    turns = Turns(store)
    await turns.recover()
    await turns.catch_up(list(await states_of(store)))
    await store.close()
    shutil.copy(whole, trimmed)
    await trim_file(trimmed, START + cut)
    return whole, trimmed, now


async def trim_file(path: Path, before: int) -> int:
    store = await SqliteStore.open(path)
    entries = await trim(store, before)
    await store.close()
    return entries


async def play_on(path: Path, after: list[Any], now: int) -> tuple[dict[str, bytes], list[list[bytes]], list[int]]:
    """The states and decisions that there are then, and up to where each partition is folded."""
    store = await SqliteStore.open(path)
    await play(store, [*after, (30 * MINUTE, "tick")], now)
    partitions = range(store.partition_count)
    found = (
        await states_of(store),
        [await store.decisions(number) for number in partitions],
        [(await store.folded(number)).at for number in partitions],
    )
    await store.close()
    return found


async def check_goes_on(directory: Path, before: list[Any], cut: int, after: list[Any]) -> None:
    whole, trimmed, now = await two_stores(directory, before, cut)
    assert await is_reproduced(trimmed)
    states, decisions, _ = await play_on(whole, after, now)
    same_states, kept, ends = await play_on(trimmed, after, now)
    assert same_states == states
    assert kept == [[line for line in lines if at_of(line) > end] for lines, end in zip(decisions, ends, strict=True)]
    assert await is_reproduced(trimmed)
    await trim_file(trimmed, START + 2 * cut)  # once more, from the bases that there are now
    assert await is_reproduced(trimmed)


async def check_rules_change(directory: Path, before: list[Any], cut: int, after: list[Any]) -> None:
    _, trimmed, now = await two_stores(directory, before, cut)
    await play_on(trimmed, after, now)
    for times in (1, 2, 3):
        assert await is_reproduced(trimmed)
        await trim_file(trimmed, START + times * cut)
    assert await is_reproduced(trimmed)


def at_of(line: bytes) -> int:
    return parse_at(json.loads(line)["at"])


CUTS = st.integers(0, 10 * HOUR)
UNTIMED = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(before=steps(FIRST, SECOND, THIRD), cut=CUTS, after=steps())
@UNTIMED
def test_a_trimmed_store_verifies_and_goes_on_as_one_that_is_whole(
    tmp_path: Path, before: list[Any], cut: int, after: list[Any]
) -> None:
    asyncio.run(check_goes_on(tmp_path, before, cut, after))


@given(before=steps(FIRST, SECOND, THIRD), cut=CUTS, after=steps(FIRST, SECOND, THIRD))
@UNTIMED
def test_also_where_rules_change_afterwards_a_trimmed_store_verifies(
    tmp_path: Path, before: list[Any], cut: int, after: list[Any]
) -> None:
    asyncio.run(check_rules_change(tmp_path, before, cut, after))


async def test_what_is_folded_is_gone_and_what_is_younger_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await new_store(path)
    now = await play(store, [(10 * MINUTE, ("ann", "edit")), (0, "tick")] * 12, START)
    described = await store.describe()
    taken = await trim(store, START + 65 * MINUTE)
    assert taken > 6
    after = await store.describe()
    assert after["entries"] == described["entries"] - taken
    kept = [entry.at for number in range(2) for entry in await store.log(number, 0, 1000)]
    assert min(kept) > START + 60 * MINUTE
    assert now in kept
    lines = [line for number in range(2) for line in await store.decisions(number)]
    assert min(map(at_of, lines)) > START + 59 * MINUTE
    assert await trim(store, START + 65 * MINUTE) == 0
    await store.close()


async def test_nothing_is_folded_where_nothing_was_ever_judged(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "a.db", partition_count=1)
    await store.append([Entry("event", 5, "ann", Event("edit", "ann", 5, {}))])
    assert await trim(store, START) == 0
    await store.close()


async def test_rule_sets_that_nobody_asks_for_leave_once_everybody_has_adopted_the_next(tmp_path: Path) -> None:
    store = await new_store(tmp_path / "a.db")
    idle = [(9 * MINUTE, ("bob", "edit")), (0, "tick")]
    await play(store, [(1, ("ann", "edit")), *idle * 6, (1, SECOND), *idle * 6, (1, THIRD), *idle * 3], START)
    first, second, third = (text.hash for text in map(rules, (FIRST, SECOND, THIRD)))
    assert [name for _, name in await store.rule_moments()] == [first, second, third]
    await trim(store, START + 90 * MINUTE)
    assert [name for _, name in await store.rule_moments()] == [second, third]
    assert await store.load_rules(first) is None
    assert await store.load_rules(second) is not None
    # Ann has not been there since; she has adopted what holds all the same.
    moments = {name: at for at, name in await store.rule_moments()}
    assert UserState.decode((await store.load(["ann"]))["ann"]).rules_since == moments[third]
    await store.close()


async def test_many_entries_are_folded_piece_by_piece(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "a.db", partition_count=1, durability="normal")
    await play(store, [(0, FIRST)], START)
    turns = Turns(store)
    await turns.recover()
    for round_ in range(1, 8):
        now = START + round_ * MINUTE
        entries = [Entry("event", now, user, Event("edit", user, now, {})) for user in USERS for _ in range(100)]
        await turns.make(entries, now, due=True, tick=True)
    folds = []

    class Watched(Retention):
        async def _fold_next(self, *arguments: Any) -> bool:
            folds.append(await self._store.folded(0))
            return await super()._fold_next(*arguments)

    await Watched(store, turns.catch_up).trim(START + HOUR)
    numbers = [folded.number for folded in folds]
    assert len(numbers) > 3
    assert all(later - earlier <= PIECE_ENTRIES for earlier, later in pairwise(numbers))
    await store.close()
    assert await is_reproduced(tmp_path / "a.db")


async def test_of_big_entries_fewer_are_folded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.retention.PIECE_PAGES", 2)
    store = await SqliteStore.open(tmp_path / "a.db", partition_count=1, durability="normal")
    await play(store, [(0, FIRST)], START)
    turns = Turns(store)
    await turns.recover()
    for round_ in range(1, 20):
        now = START + round_ * MINUTE
        big = Event("edit", "ann", now, {"text": "x" * (1 << 20)})
        await turns.make([Entry("event", now, "ann", big)], now, due=True, tick=True)
    found = []
    retention = Retention(store, turns.catch_up)
    while await retention._fold_next(0, START + HOUR, Trimmed()):
        found.append((await store.folded(0)).number)
    assert len(found) >= 3
    assert all(later - earlier <= 2 * 2 * 4 for earlier, later in pairwise(found))  # of a page 4 and their ticks
    await store.close()


async def test_a_user_who_is_erased_while_the_log_is_folded_does_not_come_back(tmp_path: Path) -> None:
    store = await new_store(tmp_path / "a.db")
    edits = [(10 * MINUTE, (user, "edit")) for user in USERS * 4]
    await play(store, [*edits, (0, "tick"), (1, ("ann", "edit"))], START)

    class Erasing(Retention):
        async def _fold(self, *arguments: Any) -> Fold:
            fold = await super()._fold(*arguments)
            if fold.former.erasures == 0:
                await store.erase("dan")
            return fold

    turns = Turns(store)
    await turns.recover()
    assert (await Erasing(store, turns.catch_up).trim(START + 9 * HOUR)).entries > 10
    assert sorted([base.user for number in range(2) for base in await store.bases(number)]) == ["ann", "bob", "cyd"]
    await store.close()
    assert await is_reproduced(tmp_path / "a.db")
