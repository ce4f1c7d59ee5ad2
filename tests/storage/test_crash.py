"""A process that is killed while it writes loses nothing that it was told is kept, and leaves nothing half done."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from engine.storage.sqlite import SqliteStore

# Writes for ever: an append now and then, and commits whose states and decisions say to which cursor they belong.
# Every line it prints is a promise: that much is durable.
WRITER = """
import asyncio, sys
from engine.core.model import Event, Message
from engine.storage.base import Commit, Entry, OutboxMessage, partition_of
from engine.storage.sqlite import SqliteStore

def entry(user, at):
    return Entry("event", at, user, Event("x", user, at, {"pad": "p" * 200}))

async def main():
    store = await SqliteStore.open(sys.argv[1], partition_count=2)
    users = [[f"u{n}" for n in range(60) if partition_of(f"u{n}", 2) == partition][:20] for partition in (0, 1)]
    turn = 0
    while True:
        turn += 1
        if turn % 3 == 0:
            await store.append([entry(users[0][turn % 20], 0)])
        commits = []
        for batch in await store.poll([0, 1], 0):
            mine = users[batch.partition]
            at = max(batch.last_at, 0) + 1
            appended = [entry(mine[n], at + n) for n in range(turn % 20)]
            cursor = batch.cursor + len(batch.entries) + len(appended)
            stamp = str(cursor).encode()
            commits.append(Commit(
                batch.partition, batch.version, cursor, appended,
                {user: stamp for user in mine}, {user: cursor for user in mine}, {user: True for user in mine},
                decisions=[(user, at, stamp) for user in mine],
                outbox=[OutboxMessage(mine[0], Message(f"{batch.partition}-{cursor}-{turn}", "question", "?"), at)],
            ))
        await store.commit(commits)
        print(*(commit.cursor for commit in commits), *(commit.version + 1 for commit in commits), flush=True)

asyncio.run(main())
"""


async def write_and_be_killed(path: Path, promises: int, spin: int) -> list[int]:
    """The last promise of a writer that was killed ``spin`` idle rounds after having made so many.

    A promise: the cursors of both partitions, then their versions.
    """
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert writer.stdout is not None
    for _ in range(promises):
        last = await writer.stdout.readline()
    for _ in range(spin):  # so that the kills hit different phases of a commit, however short those are
        pass
    writer.send_signal(signal.SIGKILL)
    rest = (await writer.stdout.read()).splitlines(keepends=True)
    assert await writer.wait() == -signal.SIGKILL
    whole = [line for line in rest if line.endswith(b"\n")]
    return [int(number) for number in (whole[-1] if whole else last).split()]


@pytest.mark.parametrize("read_only", [False, True])
async def test_after_a_kill_at_any_moment_everything_agrees_with_the_cursor(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "crash.db"
    for attempt in range(12):
        promised = await write_and_be_killed(path, 1 + 2 * attempt, 7_000 * attempt)
        store = await SqliteStore.open(path, read_only=read_only)
        batches = await store.poll([0, 1], 10**15)
        # At most the one commit that was under way is there without its promise.
        assert [batch.version for batch in batches] in (promised[2:], [version + 1 for version in promised[2:]])
        for batch in batches:
            assert batch.cursor >= promised[batch.partition]
            entries = await store.log(batch.partition, 0, 10**6)
            assert len(entries) == batch.cursor + len(batch.entries)
            assert all(one.at <= other.at for one, other in pairwise(entries))
            assert len(batch.entries) <= 1  # an append that no commit has taken up yet
            stamp = str(batch.cursor).encode()
            assert set(batch.states.values()) == {stamp}
            assert len(batch.due) == len(batch.states) == 20
            decisions = await store.decisions(batch.partition)
            assert decisions[-20:] == [stamp] * 20
            assert len(decisions) == 20 * batch.version
            waiting = await store.pending(min(batch.states, key=lambda user: int(user[1:])), 0)
            assert len(waiting) == min(batch.version, 200)
            assert waiting[-1].message.id.startswith(f"{batch.partition}-{batch.cursor}-")
        await store.close()
