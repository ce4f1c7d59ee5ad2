"""What is folded is what it came to: a trimmed store verifies, has the same states, and goes on as one that is whole."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance
from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.state import UserState
from engine.core.units import HOUR, MINUTE
from engine.loading.load import load
from engine.recorded import recorded_timeline
from engine.replay.driver import run_users
from engine.replay.recording import read_recording, recorded_rules
from engine.replay.verify import Verification
from engine.retention import PIECE_ENTRIES, Retention
from engine.storage.base import Entry, Store
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
  - {id: three, trigger: {count: {event: test.failed, at_least: 3, within: 40m}}, message: {type: suggestion, text: three}}
  - {id: ignored, trigger: {response: {to: idle, is: ignored}}, message: {type: notification, text: well}, cooldown: 20m}
"""
# Other spans, and a rule whose memory has to be found out from what was done before it began to hold.
SECOND = (
    FIRST.replace("5m", "3m").replace("at_least: 3", "at_least: 2")
    + "  - {id: twice, trigger: {sequence: {steps: [edit, test.failed], within: 50m}}, message: {type: suggestion, text: two}}\n"
)
THIRD = SECOND.replace("id: three", "id: trio") + "policy: {session_timeout: 10m}\n"


def rules(text: str) -> RuleSet:
    return load({"rules.yaml": text}, KINDS)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 25 * MINUTE),
        st.one_of(
            st.tuples(st.sampled_from(USERS), st.sampled_from(TYPES)),
            st.sampled_from(["tick", "time", FIRST, SECOND, THIRD]),
        ),
    ),
    min_size=5,
    max_size=60,
)


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


async def come_to(store: Store, at: int) -> dict[str, bytes]:
    """Every user's state when time has come to the moment: some may have been let adopt rules earlier than others."""
    timeline = await recorded_timeline(store)
    assert timeline is not None
    states = {}
    for partition in range(store.partition_count):
        for _, user, encoded in await store.states(partition, 0, 1000):
            state = UserState.decode(encoded)
            timeline.history = None if state.rules_since == timeline.moments[-1] else _no_past
            advance(timeline, state, at, [])
            states[user] = state.encode()
    return states


def _no_past(user: str, moment: int) -> list[Event]:
    return []


async def check(directory: Path, before: list[Any], cut: int, after: list[Any]) -> None:
    whole, trimmed = directory / "whole.db", directory / "trimmed.db"
    for file in directory.glob("*.db*"):
        file.unlink()
    store = await new_store(whole)
    now = await play(store, [*before, (0, "tick")], START)
    await store.close()
    shutil.copy(whole, trimmed)
    for path in (whole, trimmed):
        store = await SqliteStore.open(path)
        turns = Turns(store)
        await turns.recover()
        # So that both have the same states: those who are away adopt rules when they come back, or before a fold.
        everybody = [user for n in range(2) for _, user, _ in await store.states(n, 0, 1000)]
        await turns.catch_up(everybody)
        await store.close()
    store = await SqliteStore.open(trimmed)
    await trim(store, START + cut)
    await store.close()
    assert await is_reproduced(trimmed)
    for path in (whole, trimmed):
        store = await SqliteStore.open(path)
        await play(store, [*after, (30 * MINUTE, "tick")], now)
        await store.close()
        assert await is_reproduced(path)
    one, other = await SqliteStore.open(whole), await SqliteStore.open(trimmed)
    assert await come_to(one, now + 99 * HOUR) == await come_to(other, now + 99 * HOUR)
    for number in range(2):
        rest, kept = await one.decisions(number), await other.decisions(number)
        assert sorted(rest)[:0] == [] and set(kept) <= set(rest)
        folded = await other.folded(number)
        assert len(kept) == len([line for line in rest if _at(line) > folded.at])
    await one.close()
    await other.close()
    # And once more, from the bases that there are now.
    store = await SqliteStore.open(trimmed)
    await trim(store, START + 2 * cut)
    await store.close()
    assert await is_reproduced(trimmed)


def _at(line: bytes) -> int:
    import json

    from engine.core.units import parse_at

    return parse_at(json.loads(line)["at"])


@given(before=STEPS, cut=st.integers(0, 10 * HOUR), after=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_trimmed_store_verifies_and_goes_on_as_one_that_is_whole(
    tmp_path: Path, before: list[Any], cut: int, after: list[Any]
) -> None:
    asyncio.run(check(tmp_path, before, cut, after))
