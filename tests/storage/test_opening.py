"""From the word for a store to the store, and what is said of a word for none."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from samples_for_stores import ANN, event

from engine.storage.base import PARTITIONS_DEFAULT, StoreError, StoreUnusable
from engine.storage.memory import MemoryStore
from engine.storage.opening import open_store
from engine.storage.sqlite import SqliteStore


async def test_a_store_is_opened_by_its_word(tmp_path: Path) -> None:
    memory = await open_store("memory:")
    assert isinstance(memory, MemoryStore)
    assert memory.partition_count == PARTITIONS_DEFAULT
    for url in (f"sqlite:{tmp_path}/any name", *(f"{tmp_path}/b{suffix}" for suffix in (".db", ".sqlite", ".sqlite3"))):
        store = await open_store(url)
        assert isinstance(store, SqliteStore)
        assert store.partition_count == PARTITIONS_DEFAULT
        await store.close()
        reader = await open_store(url, read_only=True)
        with pytest.raises(StoreError):
            await reader.append([event(ANN, 1)])
        await reader.close()
    names = {name.name.removesuffix("-wal").removesuffix("-shm") for name in tmp_path.iterdir()}
    assert names == {"any name", "b.db", "b.sqlite", "b.sqlite3"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", '.sqlite or .sqlite3, got ""'),
        ("memory", 'got "memory"'),
        ("events.jsonl", 'got "events.jsonl"'),
        ("postgres://host/x.db", 'got "postgres://host/x.db"'),
        ("sqlite", 'got "sqlite"'),
        ("sqlite:", 'expected "sqlite:PATH" with the path of a file, got "sqlite:"'),
        ("sqlite:///x.db", 'expected "sqlite:PATH" with the path of a file, got "sqlite:///x.db"'),
        ("sqlite::memory:", 'expected "sqlite:PATH" with the path of a file'),
        ("redis://", 'expected a store such as "redis://HOST:PORT/DB"'),
        ("redis://localhost:x/0", "got one with another port"),
        ("redis://localhost/queue", 'got "redis://localhost/queue"'),
        ("redis://localhost/0?db=1", 'got "redis://localhost/0?db=1"'),
        ("valkey://localhost", 'a store on Redis or Valkey is named "redis://HOST:PORT/DB"'),
        ("unix:///run/redis.sock", 'got "unix:///run/redis.sock"'),
    ],
)
async def test_a_word_for_no_store_is_refused_with_what_is_expected(url: str, said: str) -> None:
    with pytest.raises(StoreUnusable) as refused:
        await open_store(url)
    assert said in str(refused.value)


async def test_a_password_in_the_word_for_a_store_is_refused_and_not_repeated() -> None:
    with pytest.raises(StoreUnusable, match="set PROACTIVE_STORE_PASSWORD") as refused:
        await open_store("redis://me:hunter2@localhost/0")
    assert "hunter2" not in str(refused.value)


def test_without_its_package_a_store_on_redis_says_what_to_install() -> None:
    program = """
import asyncio, sys
sys.modules["redis"] = None
from engine.storage.opening import open_store
asyncio.run(open_store("redis://localhost"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'a store on Redis needs the package redis: pip install "proactive-engine[redis]"' in done.stderr


async def test_memory_cannot_be_opened_to_read() -> None:
    with pytest.raises(StoreUnusable, match="there is nothing to read"):
        await open_store("memory:", read_only=True)
