"""Stores that are moved, the command that moves them, and all that has to be the same when they have been."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from recorded_store import START, record_into
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.core.model import Event, Message
from engine.core.units import MINUTE
from engine.replay.recording import read_recording
from engine.retention import Retention
from engine.storage.base import Commit, Entry, OutboxMessage, Store, partition_of
from engine.storage.opening import open_store
from engine.turn import Turns


def run(*words: str | Path) -> Result:
    strings = [str(word) for word in words]
    return CliRunner().invoke(app_for(strings), strings)


async def fill(store: Store) -> None:
    """Two people, and one who is gone again; half of the log folded; a message that says other words by now."""
    await record_into(store)
    turns = Turns(store)
    await turns.recover()
    now = START + 50 * MINUTE
    gone = Event("edit", "cyd", now, {"secret": "of cyd"})
    await turns.make([Entry("event", now, "cyd", gone, once=True)], now, due=True, tick=True)
    await Retention(store, turns.catch_up).trim(START + 20 * MINUTE)
    await store.erase("cyd")
    number = partition_of("ann", store.partition_count)
    [batch] = await store.poll([number], 0)
    composed = OutboxMessage("ann", Message("m1", "hint", "plain", prompt="write"), now, "stuck", "phone")
    sent = Entry("send", now, "ann", message=Message("s1", "note", "said"), once=True)
    commit = Commit(number, batch.version, batch.cursor + 1, [sent], outbox=[composed], reworded=[("m1", "written")])
    await store.commit([commit])


async def open_one(name: str) -> Store:
    return await open_store(name, durability="local" if name.startswith("redis") else None)


async def make(name: str) -> None:
    store = await open_one(name)
    await fill(store)
    await store.close()


async def known_of(name: str) -> list[object]:
    """All that tells one user's history from another, whatever the partitions."""
    store = await open_store(name, read_only=True)  # which waits for no replica
    recording = await read_recording(name)
    users = ["ann", "bob", "cyd"]
    logged = [
        [(entry.kind, entry.at, entry.event, entry.message, entry.once) for _, entry in reversed(recorded.entries)]
        for recorded in [await store.recorded(user, (10**9, 10**9), 999) for user in users]
    ]
    known = await store.known([("ann", "%send/s1"), ("bob", "%send/s1"), ("cyd", "e")])
    found = [
        recording.decisions,
        recording.bases,
        recording.rule_moments,
        recording.sources,
        await store.load(users),
        [await store.pending(user, 0) for user in users],
        sorted(await store.present_users()),
        await store.next_wake(),
        await store.history(users, 1 << 60, 999),
        logged,
        known,
    ]
    await store.close()
    return found
