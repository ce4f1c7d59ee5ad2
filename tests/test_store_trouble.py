"""A real server whose store is full: clients are told, nothing acknowledged is lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from engine import Server
from engine.storage.sqlite import SqliteStore

WITHIN_S = 30.0  # only a hang takes as long
ROOM = 3 * 1024 * 1024
MUCH = "x" * 30_000


def mount(*words: str) -> int:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system with room for `ROOM`; None where only a bound of SQLite's own can be had, since nobody is root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)):
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def bound(server: Server, pages: int) -> None:
    """The file may have so many pages, or as many as it has."""
    store = server._parts().store
    assert isinstance(store, SqliteStore)
    await store._run(lambda: store._db.execute(f"PRAGMA max_page_count = {pages}").fetchall())


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] in ("ack", "error", "welcome"):
                return frame


async def say(socket: ClientConnection, event_id: str) -> dict[str, Any]:
    """An event, and what the client is told of it."""
    await socket.send(json.dumps({"type": "code.saved", "id": event_id, "text": MUCH}))
    return await hear(socket)


async def readiness(server: Server) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession(server.http_url) as http, http.get("/readyz") as response:
        return response.status, await response.json()


async def test_a_full_store_is_told_to_everybody_and_got_over_without_a_restart(
    start_server: Any, small_disk: Path | None, tmp_path: Path
) -> None:
    path = (small_disk or tmp_path) / "live.db"
    server = await start_server(store=f"sqlite:{path}")
    async with connect(server.ws_url, compression=None) as socket:
        await socket.send(json.dumps({"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann"}))
        await hear(socket)
        acknowledged = []
        number = 0
        while True:
            number += 1
            if small_disk is None and number == 5:
                await bound(server, 1)
            told = await say(socket, f"e{number}")
            if told["type"] == "error":
                break
            acknowledged += told["ids"]
        assert (told["code"], told["frameId"], told["retryAfter"]) == ("not_stored", f"e{number}", 5)
        assert len(acknowledged) == number - 1 > 3
        if small_disk is not None:
            await asyncio.to_thread(fill, small_disk)
        while (ready := await readiness(server))[0] == 200:
            # What room the write-ahead log has left, somebody may yet have.
            assert (await say(socket, f"more{number}"))["type"] in ("ack", "error")
        status, body = ready
        assert (status, body["ready"]) == (503, False)
        assert body["reasons"][0].startswith("the store cannot be written to: ")
        assert "database or disk is full: free some space on its disk" in body["reasons"][0]
        if small_disk is None:
            await bound(server, 1_000_000)
        else:
            assert await asyncio.to_thread(mount, "-o", f"remount,size={10 * ROOM}", str(small_disk)) == 0
        # Whoever asks is told so within a second, though no input has come that would have shown it.
        async with asyncio.timeout(WITHIN_S):
            while (await readiness(server))[0] != 200:
                pass
        assert await say(socket, f"e{number}") == {"type": "ack", "ids": [f"e{number}"]}
    store = server._parts().store
    entries = [entry for part in range(store.partition_count) for entry in await store.log(part, 0, 10_000)]
    kept = [entry.event.id for entry in entries if entry.event is not None and entry.event.type == "code.saved"]
    wanted = {f"tab/{name}" for name in (*acknowledged, f"e{number}")}
    assert wanted <= set(kept)
    assert len(kept) == len(set(kept))


def fill(folder: Path) -> None:
    """Until nothing has room any more."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return
