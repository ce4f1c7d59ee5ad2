"""Entries, commits and messages that the tests of stores are made of, and a way to look at a whole store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis_server import RedisCluster, RedisServer

from engine.core.model import Event, Message
from engine.storage.base import Commit, Entry, Fault, OutboxMessage, Store, partition_of
from engine.storage.memory import MemoryStore
from engine.storage.redis import RedisStore
from engine.storage.sqlite import SqliteStore

PARTITION_COUNT = 4
KINDS = ["memory", "sqlite", "redis", "cluster"]


async def make_store(kind: str, directory: Path, server: RedisServer | RedisCluster | None = None) -> Store:
    """``server``: an empty one, for the kinds that need it."""
    if kind == "memory":
        return MemoryStore(PARTITION_COUNT)
    if server is not None:
        return await RedisStore.open(server.address, partition_count=PARTITION_COUNT)
    return await SqliteStore.open(directory / "test.db", partition_count=PARTITION_COUNT, durability="normal")


async def open_at(path: Path, busy_timeout_ms: int = 5000, read_only: bool = False) -> SqliteStore:
    count = None if read_only else PARTITION_COUNT
    return await SqliteStore.open(path, partition_count=count, busy_timeout_ms=busy_timeout_ms, read_only=read_only)


def users_of(partition: int, count: int) -> list[str]:
    """The first so many of user0, user1 … that belong to the partition."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        if partition_of(f"user{number}", PARTITION_COUNT) == partition:
            names.append(f"user{number}")
        number += 1
    return names


ANN, BOB, CAT = users_of(0, 3)
DAN, *_ = users_of(1, 1)


def event(user: str, at: int, **data: Any) -> Entry:
    return Entry("event", at, user, Event("test.failed", user, at, data, f"e{at}"))


def send(user: str, at: int, text: str = "hello") -> Entry:
    return Entry("send", at, user, message=Message(f"m{at}", "notification", text))


def outgoing(user: str, number: int, *, at: int = 0, expires_at: int | None = None) -> OutboxMessage:
    return OutboxMessage(user, Message(f"{user}-{number}", "question", "Hm?", expires_at=expires_at), at, "idle")


def with_states(commit: Commit, wakes: dict[str, int | None], present: Iterable[str] = ()) -> Commit:
    """The commit, with a state for every user of ``wakes``: the user's name and the commit's cursor."""
    states = {user: f"{user}@{commit.cursor}".encode("utf-8", "surrogatepass") for user in wakes}
    return replace(commit, states=states, wakes=wakes, present={user: user in set(present) for user in wakes})


async def look(store: Store) -> Any:
    """All that a store shows, for comparing before and after."""
    partitions = list(range(PARTITION_COUNT))
    return (
        await store.poll(partitions, 10**15),
        [await store.decisions(partition) for partition in partitions],
        [await store.log(partition, 0, 1000) for partition in partitions],
        sorted(await store.present_users()),
        [await store.pending(user, 0) for user in (ANN, BOB, CAT, DAN)],
        await store.rule_moments(),
        {name: value for name, value in (await store.describe()).items() if name != "bytes"},
    )


def full_commit(version: int, partition: int = 0) -> Commit:
    """A commit that changes everything a commit can, after one entry."""
    commit = Commit(partition, version, 3, [event(ANN, 7), Entry("rules", 8, rules_hash="h")])
    commit = with_states(commit, {ANN: 5, BOB: None}, [BOB])
    fault = Fault(ANN, 7, event(ANN, 7), "a trace")
    return replace(commit, decisions=[(ANN, 7, b"{}")], outbox=[outgoing(ANN, 1)], faults=[fault])
