"""A store that forgets: the model that other stores are compared with, and ``memory:`` for trying things out.

It must stay the simplest thing that keeps the contract: no encoding, no index, no thread. Its log grows for
as long as it lives. No method gives way to another while it changes something, so each is all or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from engine.core.model import Event, Json
from engine.storage.base import (
    FAULTS_MAX,
    OUTBOX_PER_USER_MAX,
    PARTITIONS_DEFAULT,
    Batch,
    Commit,
    Entry,
    Fault,
    OutboxMessage,
    Recorded,
    StoreError,
    partition_of,
)
from engine.storage.order import check_commits, check_follows, check_partitions, moved_up


@dataclass(slots=True)
class _User:
    state: bytes
    wake: int | None
    present: bool


@dataclass(slots=True)
class _Partition:
    """Entry number n is ``log[n - 1]``."""

    version: int = 0
    cursor: int = 0
    log: list[Entry] = field(default_factory=list)
    users: dict[str, _User] = field(default_factory=dict)
    decisions: list[tuple[str, bytes]] = field(default_factory=list)  # each with its user

    @property
    def last_at(self) -> int:
        return self.log[-1].at if self.log else -1


class MemoryStore:
    def __init__(self, partition_count: int = PARTITIONS_DEFAULT) -> None:
        self.partition_count = partition_count
        self._partitions = [_Partition() for _ in range(partition_count)]
        self._outbox: dict[str, OutboxMessage] = {}  # by message id, in the order in which they came
        self._faults: list[Fault] = []
        self._sources: dict[str, dict[str, str]] = {}
        self._moments: dict[tuple[int, str], None] = {}
        self._closed = False

    async def append(self, entries: list[Entry]) -> None:
        self._check_open()
        moved: list[tuple[_Partition, Entry]] = []
        last_at: dict[int, int] = {}
        for entry in entries:
            number = partition_of(entry.user, self.partition_count)
            partition = self._partitions[number]
            entry = moved_up(entry, last_at.get(number, partition.last_at))
            last_at[number] = entry.at
            moved.append((partition, entry))
        for partition, entry in moved:
            partition.log.append(entry)

    async def poll(self, partitions: list[int], due_by: int, entries_max: int = 500, due_max: int = 500) -> list[Batch]:
        self._check_open()
        check_partitions(partitions, self.partition_count)
        return [self._batch(number, due_by, entries_max, due_max) for number in partitions]

    def _batch(self, number: int, due_by: int, entries_max: int, due_max: int) -> Batch:
        partition = self._partitions[number]
        entries = partition.log[partition.cursor : partition.cursor + entries_max]
        wakes = sorted(
            (user.wake, name) for name, user in partition.users.items() if user.wake is not None and user.wake <= due_by
        )
        due = [name for _, name in wakes[:due_max]]
        named = dict.fromkeys([*(entry.user for entry in entries), *due])
        states = {name: partition.users[name].state for name in named if name in partition.users}
        return Batch(number, partition.version, partition.cursor, partition.last_at, entries, due, states)

    async def load(self, users: list[str]) -> dict[str, bytes]:
        self._check_open()
        found = {name: self._users_like(name).get(name) for name in users}
        return {name: user.state for name, user in found.items() if user is not None}

    def _users_like(self, name: str) -> dict[str, _User]:
        return self._partitions[partition_of(name, self.partition_count)].users

    async def commit(self, commits: list[Commit]) -> None:
        self._check_open()
        check_commits(commits, self.partition_count)
        for commit in commits:
            partition = self._partitions[commit.partition]
            check_follows(
                commit,
                version=partition.version,
                cursor=partition.cursor,
                last_number=len(partition.log),
                last_at=partition.last_at,
            )
        for commit in commits:
            self._apply(commit, self._partitions[commit.partition])

    def _apply(self, commit: Commit, partition: _Partition) -> None:
        partition.version += 1
        partition.cursor = commit.cursor
        partition.log.extend(commit.appended)
        for entry in commit.appended:
            if entry.kind == "rules":
                self._moments[entry.at, entry.rules_hash] = None
        for name, state in commit.states.items():
            partition.users[name] = _User(state, commit.wakes[name], commit.present[name])
        partition.decisions.extend((user, line) for user, _, line in commit.decisions)
        for outgoing in commit.outbox:
            self._outbox.setdefault(outgoing.message.id, outgoing)
        for message_id, text in commit.reworded:
            if message_id in self._outbox:
                outgoing = self._outbox[message_id]
                message = msgspec.structs.replace(outgoing.message, text=text, prompt="")
                self._outbox[message_id] = replace(outgoing, message=message)
        for message_id in commit.withdrawn:
            self._outbox.pop(message_id, None)
        for waiting in self._waiting({outgoing.user for outgoing in commit.outbox}).values():
            for outgoing in waiting[:-OUTBOX_PER_USER_MAX]:
                del self._outbox[outgoing.message.id]
        self._faults = [*self._faults, *commit.faults][-FAULTS_MAX:]

    def _waiting(self, users: set[str]) -> dict[str, list[OutboxMessage]]:
        """What waits for each of the users, oldest first."""
        waiting: dict[str, list[OutboxMessage]] = {}
        if users:
            for outgoing in sorted(self._outbox.values(), key=lambda outgoing: outgoing.at):
                if outgoing.user in users:
                    waiting.setdefault(outgoing.user, []).append(outgoing)
        return waiting

    async def known(self, ids: list[tuple[str, str]]) -> set[tuple[str, str]]:
        self._check_open()
        asked = set(ids)
        return {
            (entry.user, entry.event.id)
            for number in {partition_of(user, self.partition_count) for user, _ in asked}
            for entry in self._partitions[number].log
            if entry.once and entry.event is not None and (entry.user, entry.event.id) in asked
        }

    async def next_wake(self) -> int | None:
        self._check_open()
        users = (user for partition in self._partitions for user in partition.users.values())
        return min((user.wake for user in users if user.wake is not None), default=None)

    async def present_users(self) -> list[tuple[str, bytes]]:
        self._check_open()
        users = (pair for partition in self._partitions for pair in partition.users.items())
        return [(name, user.state) for name, user in users if user.present]

    async def pending(self, user: str, now: int) -> list[OutboxMessage]:
        self._check_open()
        self._drop_expired(now)
        return self._waiting({user}).get(user, [])

    async def relayed(self, message_ids: list[str], now: int) -> None:
        self._check_open()
        for message_id in message_ids:
            self._outbox.pop(message_id, None)
        self._drop_expired(now)

    def _drop_expired(self, now: int) -> None:
        self._outbox = {
            message_id: outgoing
            for message_id, outgoing in self._outbox.items()
            if outgoing.message.expires_at is None or now < outgoing.message.expires_at
        }

    async def save_rules(self, rules_hash: str, sources: dict[str, str]) -> None:
        self._check_open()
        self._sources.setdefault(rules_hash, dict(sources))

    async def load_rules(self, rules_hash: str) -> dict[str, str] | None:
        self._check_open()
        sources = self._sources.get(rules_hash)
        return None if sources is None else dict(sources)

    async def rule_moments(self) -> list[tuple[int, str]]:
        self._check_open()
        return sorted(self._moments, key=lambda moment: moment[0])

    async def decisions(self, partition: int) -> list[bytes]:
        self._check_open()
        check_partitions([partition], self.partition_count)
        return [line for _, line in self._partitions[partition].decisions]

    async def log(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        self._check_open()
        check_partitions([partition], self.partition_count)
        return self._partitions[partition].log[after : after + entries_max]

    async def history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        self._check_open()
        found: dict[str, list[Event]] = {}
        for user in users:
            log = self._partitions[partition_of(user, self.partition_count)].log
            mine = [
                entry.event for entry in log if entry.event is not None and entry.user == user and entry.at < before
            ]
            if mine and events_max:
                found[user] = mine[-events_max:]
        return found

    async def recorded(self, user: str, before: tuple[int, int], items_max: int) -> Recorded:
        self._check_open()
        partition = self._partitions[partition_of(user, self.partition_count)]
        entries = [(number, entry) for number, entry in enumerate(partition.log, 1) if entry.user == user]
        decisions = [(number, line) for number, (name, line) in enumerate(partition.decisions, 1) if name == user]
        return Recorded(
            [pair for pair in reversed(entries) if pair[0] < before[0]][:items_max],
            [pair for pair in reversed(decisions) if pair[0] < before[1]][:items_max],
        )

    async def describe(self) -> dict[str, Json]:
        self._check_open()
        partitions = self._partitions
        return {
            "store": "memory",
            "partitions": self.partition_count,
            "entries": sum(len(partition.log) for partition in partitions),
            "unevaluated": sum(len(partition.log) - partition.cursor for partition in partitions),
            "users": sum(len(partition.users) for partition in partitions),
            "decisions": sum(len(partition.decisions) for partition in partitions),
            "outbox": len(self._outbox),
            "faults": len(self._faults),
        }

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")
