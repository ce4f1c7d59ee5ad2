"""``proactive db check``, ``vacuum`` and ``backup`` as an operator runs them: beside a server, and on damaged files."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from engine import Server
from engine.settings import Limits

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()", "db"]
WITHIN_S = 60.0  # only a hang takes as long
UNHURRIED = Limits(client_events_per_s=1_000_000, user_events_per_s=1_000_000)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def shown(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@asynccontextmanager
async def talking(server: Server, user: str) -> AsyncIterator[list[str]]:
    """Somebody who goes on saying things, one after the other; the ids of what was acknowledged so far."""
    acknowledged: list[str] = []

    async def talk(socket: Any) -> None:
        number = 0
        while True:
            number += 1
            await socket.send(json.dumps({"type": "test.failed", "id": f"e{number}", "test": "t" * 2000}))
            while (frame := json.loads(await socket.recv()))["type"] != "ack":
                assert frame["type"] != "error", frame
            acknowledged.extend(frame["ids"])

    async with connect(server.ws_url, compression=None) as socket:
        await socket.send(json.dumps({"type": "hello", "protocol": 1, "clientId": user}))
        task = asyncio.create_task(talk(socket))
        yield acknowledged
        assert not task.done(), task.exception()
        task.cancel()
        await asyncio.wait([task])


async def said(acknowledged: list[str], count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(acknowledged) < count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def rows(path: Path, query: str) -> list[Any]:
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


async def test_beside_a_running_server_a_file_is_checked_packed_and_copied(start_server: Any, tmp_path: Path) -> None:
    path, copy = tmp_path / "live.db", tmp_path / "copy.db"
    server = await start_server(store=f"sqlite:{path}", limits=UNHURRIED)
    async with talking(server, "ann") as acknowledged:
        await said(acknowledged, 50)
        assert shown(await asyncio.to_thread(run, "check", path)) == (0, f"{path} is whole\n", "")
        before = len(acknowledged)
        done = await asyncio.to_thread(run, "backup", path, "--to", copy)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{copy}: {copy.stat().st_size:,} bytes, checked\n"
        for words in (["vacuum", path], ["vacuum", path, "--full"]):
            done = await asyncio.to_thread(run, *words)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith(f"{path}: ")
            assert done.stdout.endswith(" bytes freed\n")
        count = len(acknowledged)
        await said(acknowledged, count + 10)  # the server has gone on all the while, and goes on
    done = await asyncio.to_thread(run, "check", path, "--verify")
    assert (done.returncode, done.stderr) == (0, "")
    whole, verified = done.stdout.splitlines()
    assert whole == f"{path} is whole"
    assert verified.endswith("reproduced exactly")
    # The copy is a store of its own, of a moment when all this was acknowledged.
    assert sorted(each.name for each in tmp_path.glob("copy*")) == ["copy.db"]
    [(kept,)] = rows(copy, "SELECT count(*) FROM log WHERE once_id IS NOT NULL")
    assert kept >= before >= 50
    assert run("check", copy, "--verify").returncode == 0


async def test_room_that_has_become_free_is_given_back(start_server: Any, tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    server = await start_server(store=f"sqlite:{path}", limits=UNHURRIED)
    async with talking(server, "ann") as acknowledged:
        await said(acknowledged, 200)
    await server.stop()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("DELETE FROM log WHERE kind = 'event' AND number < 300")
    db.close()
    before = path.stat().st_size
    done = run("vacuum", path)
    after = path.stat().st_size
    assert done.stdout == f"{path}: {before:,} bytes before, {after:,} bytes after, {before - after:,} bytes freed\n"
    assert after < before * 3 / 4


@pytest.fixture
async def store_file(start_server: Any, tmp_path: Path) -> Path:
    """Of a server that has ended: one user, who was sent something."""
    path = tmp_path / "ended.db"
    server = await start_server(store=f"sqlite:{path}", limits=UNHURRIED)
    async with talking(server, "ann") as acknowledged:
        await said(acknowledged, 3)
    await server.stop()
    return path


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE states SET wake = 7", "the state of user 'ann': its wake-up is "),
        ("UPDATE states SET state = x'00'", "the state of user 'ann' cannot be read: "),
        ("UPDATE states SET present = 1 - present", "the state of user 'ann': whether they are there is not what the"),
        ("UPDATE states SET user = 'bob'", "the state of user 'bob' "),
        ("UPDATE partitions SET cursor = cursor + 9", "beyond the log's last entry"),
        ("UPDATE partitions SET last_at = 0", "the partition says 0"),
        ("DELETE FROM partitions WHERE partition = 3", "partition 3 is missing"),
        ("DELETE FROM log WHERE number = 2", "expected number 2 after 1, and nobody was erased"),
        ("UPDATE log SET line = '{' WHERE kind = 'event'", " cannot be read: "),
        ("UPDATE log SET user = 'bob' WHERE kind = 'event'", "its columns are not those of its line"),
        ("UPDATE decisions SET line = '{}'", " cannot be read: "),
        ("UPDATE decisions SET at = at + 1", "its columns are not those of its line"),
        ("DELETE FROM rule_sets", "are not in the store"),
    ],
)
async def test_what_the_store_promises_and_does_not_hold_is_told(store_file: Path, damage: str, problem: str) -> None:
    db = sqlite3.connect(store_file, isolation_level=None)
    db.execute(damage)
    db.close()
    code, out, err = shown(run("check", store_file))
    assert code == 1
    assert problem in out
    assert all(line.startswith(f"{store_file}: ") for line in out.splitlines())
    assert err.endswith(": put back a backup, or keep the file and ask\n")


async def test_pages_that_are_damaged_are_told(store_file: Path, tmp_path: Path) -> None:
    with store_file.open("r+b") as file:
        file.seek(8200)
        file.write(b"x" * 300)
    code, out, err = shown(run("check", store_file))
    assert code == 1
    assert "damaged" in err or out.startswith(f"{store_file}: ")
    code, out, err = shown(run("backup", store_file, "--to", tmp_path / "copy.db"))
    assert (code, out) == (1, "")
    assert "damaged" in err
    assert list(tmp_path.glob("copy*")) == []


async def test_a_decision_that_the_log_does_not_lead_to_is_found_by_verifying(store_file: Path) -> None:
    db = sqlite3.connect(store_file, isolation_level=None)
    db.execute("UPDATE decisions SET line = replace(line, 'sent', 'muted')")
    db.close()
    assert run("check", store_file).returncode == 0
    code, out, _ = shown(run("check", store_file, "--verify"))
    assert code == 1
    assert 'differs: decision 1 of user "ann"' in out


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["check", "none.db"], 1, 'there is no file "none.db" to read'),
        (["vacuum", "none.db"], 1, 'there is no file "none.db"'),
        (["backup", "none.db", "--to", "b.db"], 1, 'there is no file "none.db" to read'),
        (["backup", "none.db"], 2, "expected where the copy goes: proactive db backup PATH --to NEW"),
        (["backup", "none.db", "--to", "is/not/b.db"], 1, "does not exist: make it, or name a file elsewhere"),
        (["backup", "none.db", "--to", str(ROOT / "README.md")], 1, "exists: name a file that does not"),
        (["check", "none.db", "--full"], 2, '--full is for "vacuum"; leave it out'),
        (["vacuum", "none.db", "--verify"], 2, '--verify is for "check"; leave it out'),
        (["check", str(ROOT / "README.md")], 1, "is not a SQLite database: name another file"),
        (["check", "redis://127.0.0.1/0"], 1, "a store on Redis is no file: redis-check-aof looks through"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(words: list[str], code: int, why: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
