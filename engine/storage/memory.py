"""A store that forgets: the model that other stores are compared with, and ``memory:`` for trying things out.

It must stay the simplest thing that keeps the contract: no encoding, no index, no thread. Its log grows for
as long as it lives. No method gives way to another while it changes something, so each is all or nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from operator import itemgetter

import msgspec

from engine.core.model import Event, Json
from engine.storage.base import (
    FAULTS_MAX,
    OUTBOX_PER_USER_MAX,
    PAGE_BYTES,
    PARTITIONS_DEFAULT,
    Base,
    Batch,
    Commit,
    Entry,
    Fault,
    Fold,
    Folded,
    OutboxMessage,
    Recorded,
    StoreError,
    Unevaluated,
    partition_of,
)
from engine.storage.order import (
    UNEVALUATED,
    check_commits,
    check_evaluated,
    check_fold,
    check_follows,
    check_partitions,
    moved_up,
)


@dataclass(slots=True)
class _User:
    state: bytes
    wake: int | None
    present: bool


@dataclass(slots=True)
class _Partition:
    """``log`` and ``decisions`` hold what is still there of them, each with its number, in order."""

    version: int = 0
    cursor: int = 0
    last_number: int = 0
    last_at: int = -1
    log: list[tuple[int, Entry]] = field(default_factory=list)
    users: dict[str, _User] = field(default_factory=dict)
    decisions: list[tuple[int, str, int, bytes]] = field(default_factory=list)  # number, user, moment, line
    folded: int = 0
    folded_at: int = -1
    bases: dict[str, Base] = field(default_factory=dict)
    decided: int = 0  # the number of the last decision, whether it is still there or not
    told: tuple[int, int] = (0, 0)  # entry and decision up to which all has been told to whom it concerns

    def put(self, entry: Entry) -> None:
        self.last_number += 1
        self.last_at = max(self.last_at, entry.at)
        self.log.append((self.last_number, entry))

    def after(self, number: int) -> list[tuple[int, Entry]]:
        return self.log[bisect_right(self.log, number, key=itemgetter(0)) :]

    def decide(self, user: str, at: int, line: bytes) -> None:
        self.decided += 1
        self.decisions.append((self.decided, user, at, line))


class MemoryStore:
    def __init__(self, partition_count: int = PARTITIONS_DEFAULT) -> None:
        self.partition_count = partition_count
        self._partitions = [_Partition() for _ in range(partition_count)]
        self._outbox: dict[str, OutboxMessage] = {}  # by message id, in the order in which they came
        self._faults: list[Fault] = []
        self._sources: dict[str, dict[str, str]] = {}
        self._moments: dict[tuple[int, str], None] = {}
        self._erasures = 0
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
            partition.put(entry)

    async def poll(self, partitions: list[int], due_by: int, entries_max: int = 500, due_max: int = 500) -> list[Batch]:
        self._check_open()
        check_partitions(partitions, self.partition_count)
        return [self._batch(number, due_by, entries_max, due_max) for number in partitions]

    def _batch(self, number: int, due_by: int, entries_max: int, due_max: int) -> Batch:
        partition = self._partitions[number]
        entries = [entry for _, entry in partition.after(partition.cursor)[:entries_max]]
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
                last_number=partition.last_number,
                last_at=partition.last_at,
            )
            evaluated = [entry.at for number, entry in partition.log if number == commit.cursor - len(commit.appended)]
            check_evaluated(commit, evaluated[0] if evaluated else None)
            _check_unmoved(commit, partition)
        for commit in commits:
            self._apply(commit, self._partitions[commit.partition])

    def _apply(self, commit: Commit, partition: _Partition) -> None:
        if commit.told:
            partition.told = partition.cursor, partition.decided
        partition.version += 1
        partition.cursor = commit.cursor
        for entry in commit.appended:
            partition.put(entry)
            if entry.kind == "rules":
                self._moments[entry.at, entry.rules_hash] = None
        for name, state in commit.states.items():
            partition.users[name] = _User(state, commit.wakes[name], commit.present[name])
        for decision in commit.decisions:
            partition.decide(*decision)
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
            (entry.user, entry.once_id)
            for number in {partition_of(user, self.partition_count) for user, _ in asked}
            for _, entry in self._partitions[number].log
            if entry.once and (entry.user, entry.once_id) in asked
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
        return [line for _, _, _, line in self._partitions[partition].decisions]

    async def log(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        self._check_open()
        check_partitions([partition], self.partition_count)
        return [entry for _, entry in self._partitions[partition].after(after)[:entries_max]]

    async def numbered(
        self, partition: int, after: int, entries_max: int, bytes_max: int = PAGE_BYTES
    ) -> list[tuple[int, Entry]]:
        """All is in memory already, so nothing is weighed."""
        self._check_open()
        check_partitions([partition], self.partition_count)
        return self._partitions[partition].after(after)[:entries_max]

    async def history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        self._check_open()
        found: dict[str, list[Event]] = {}
        for user in users:
            partition = self._partitions[partition_of(user, self.partition_count)]
            past = partition.bases[user].past if user in partition.bases else ()
            mine = [event for event in past if event.at < before]
            mine += [
                entry.event
                for _, entry in partition.log
                if entry.event is not None and entry.user == user and entry.at < before
            ]
            if mine and events_max:
                found[user] = mine[-events_max:]
        return found

    async def recorded(self, user: str, before: tuple[int, int], items_max: int) -> Recorded:
        self._check_open()
        partition = self._partitions[partition_of(user, self.partition_count)]
        entries = [pair for pair in partition.log if pair[1].user == user]
        decisions = [(number, line) for number, name, _, line in partition.decisions if name == user]
        return Recorded(
            [pair for pair in reversed(entries) if pair[0] < before[0]][:items_max],
            [pair for pair in reversed(decisions) if pair[0] < before[1]][:items_max],
        )

    async def states(self, partition: int, after: int, states_max: int) -> list[tuple[int, str, bytes]]:
        self._check_open()
        check_partitions([partition], self.partition_count)
        users = enumerate(self._partitions[partition].users.items(), 1)
        return [(place, name, user.state) for place, (name, user) in users if place > after][:states_max]

    async def folded(self, partition: int) -> Folded:
        self._check_open()
        check_partitions([partition], self.partition_count)
        return self._folded(self._partitions[partition])

    def _folded(self, partition: _Partition) -> Folded:
        return Folded(partition.folded, partition.folded_at, self._erasures)

    async def bases(self, partition: int, users: list[str] | None = None, due_by: int | None = None) -> list[Base]:
        self._check_open()
        check_partitions([partition], self.partition_count)
        wanted = None if users is None else frozenset(users)
        return [
            base
            for base in self._partitions[partition].bases.values()
            if wanted is None or base.user in wanted or _is_due(base, due_by)
        ]

    async def fold(self, fold: Fold) -> None:
        self._check_open()
        check_partitions([fold.partition], self.partition_count)
        partition = self._partitions[fold.partition]
        pair = next(iter(partition.after(fold.number - 1)), None)
        entry = None if pair is None or pair[0] != fold.number else pair[1]
        check_fold(fold, self._folded(partition), cursor=partition.cursor, entry=entry)
        partition.folded, partition.folded_at = fold.number, fold.at
        partition.log = partition.after(fold.number)
        partition.decisions = [decision for decision in partition.decisions if decision[2] > fold.at]
        if not fold.past_wanted:
            partition.bases = {name: replace(base, past=()) for name, base in partition.bases.items()}
        partition.bases.update((base.user, base) for base in fold.bases)

    async def drop_rules(self, before: int) -> int:
        self._check_open()
        gone = [moment for moment in self._moments if moment[0] < before]
        for moment in gone:
            del self._moments[moment]
        for _, rules_hash in gone:
            if all(rules_hash != kept for _, kept in self._moments):
                self._sources.pop(rules_hash, None)
        return len(gone)

    async def erase(self, user: str) -> int:
        self._check_open()
        partition = self._partitions[partition_of(user, self.partition_count)]
        if any(entry.user == user for _, entry in partition.after(partition.cursor)):
            raise Unevaluated(UNEVALUATED)
        before = self._rows(partition)
        partition.log = [pair for pair in partition.log if pair[1].user != user]
        partition.decisions = [decision for decision in partition.decisions if decision[1] != user]
        partition.users.pop(user, None)
        partition.bases.pop(user, None)
        self._outbox = {name: outgoing for name, outgoing in self._outbox.items() if outgoing.user != user}
        self._faults = [fault for fault in self._faults if fault.user != user]
        self._erasures += 1
        return before - self._rows(partition)

    def _rows(self, partition: _Partition) -> int:
        shared = len(self._outbox) + len(self._faults)
        return shared + len(partition.log) + len(partition.decisions) + len(partition.users) + len(partition.bases)

    async def probe(self) -> None:
        self._check_open()

    async def describe(self) -> dict[str, Json]:
        self._check_open()
        partitions = self._partitions
        return {
            "store": "memory",
            "partitions": self.partition_count,
            "entries": sum(partition.last_number - partition.folded for partition in partitions),
            "folded": sum(partition.folded for partition in partitions),
            "unevaluated": sum(partition.last_number - partition.cursor for partition in partitions),
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


def _is_due(base: Base, by: int | None) -> bool:
    return by is not None and base.wake is not None and base.wake <= by


def _check_unmoved(commit: Commit, partition: _Partition) -> None:
    """What other stores take on trust is looked at here: raises ValueError where it is not so."""
    for name in commit.unmoved:
        user = partition.users.get(name)
        if user is None or (user.wake, user.present) != (commit.wakes[name], commit.present[name]):
            raise ValueError(f"the wake-up and presence of {name!r} are not what the store has, as the commit says")
