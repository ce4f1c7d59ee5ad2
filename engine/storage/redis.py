"""The store for more than one machine: Redis 7 or later, or Valkey; each call of a partition is one function there.

It decides nothing. Several stores, in any number of processes, may have one Redis open: who commits to a partition
without knowing its version is refused, and nothing else is needed to keep them apart. What is done about answers that
are lost, see `redis_asking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Self

import msgspec

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.storage.base import (
    PAGE_BYTES,
    Base,
    Batch,
    Commit,
    Conflict,
    Entry,
    Fold,
    Folded,
    OutboxMessage,
    Recorded,
    StoreError,
    partition_of,
)
from engine.storage.order import check_commits, check_evaluated, check_follows, check_partitions, moved_up
from engine.storage.readable import readable_messages
from engine.storage.redis_asking import Asking
from engine.storage.redis_cluster import way_to
from engine.storage.redis_entries import (
    commit_arguments,
    entry_arguments,
    entry_of,
    message_of,
    moment_of,
    once_field,
    pairs,
    past_of,
)
from engine.storage.redis_keys import DECIDED, RULES, from_name, to_bytes, to_name, to_text
from engine.storage.redis_lease import Lease
from engine.storage.redis_link import TIMEOUT_S, Address, Command, Way, told_of
from engine.storage.redis_opening import prepare
from engine.storage.redis_pages import every_row, page, rows_of
from engine.storage.redis_replicas import LOCAL, Promise
from engine.storage.redis_upkeep import Upkeep

DECISIONS_AT_ONCE = 2_000
WAKES_FRESH_S = 1.0  # how long what is known of wake-ups is believed, for others may commit as well


class RedisStore(Asking):
    """Made by `open`, ended by `close`."""

    def __init__(self, link: Way, tags: list[str], info: dict[str, str], *, read_only: bool) -> None:
        super().__init__(link, tags, read_only=read_only)
        self._lines: dict[int, list[bytes]] = {}  # of each partition the rule sets that began to hold, at the last look
        self._wakes: dict[int, int | None] = {}  # the earliest of each partition, as of the last look
        self._wakes_until = 0.0
        self._upkeep = Upkeep(self._keys, self._ask, self._call, self.read_only, info, link)
        self.notes = self._upkeep.notes
        self.figures = self._upkeep.figures

    @classmethod
    async def open(
        cls,
        address: Address,
        *,
        partition_count: int | None = None,
        read_only: bool = False,
        timeout_s: float = TIMEOUT_S,
        promise: Promise = LOCAL,
    ) -> Self:
        """The store at ``address``, made if there is none.

        ``partition_count`` is for one that is made (`redis_opening.PARTITIONS_DEFAULT` unless told). ``read_only``:
        every call that writes raises `StoreError`. ``promise``: what holds of what was written when such a call
        returns. Raises `StoreUnusable`.
        """
        link = way_to(address, timeout_s, promise)
        try:
            tags, info = await prepare(link, partition_count=partition_count, read_only=read_only)
        except BaseException:
            await link.close()
            raise
        return cls(link, tags, info, read_only=read_only)

    async def append(self, entries: list[Entry]) -> None:
        self._check_writable()
        arguments: dict[int, list[Any]] = {}
        for entry in entries:
            moved_up(entry, -1)  # refuses what cannot arrive
            partition = partition_of(entry.user, self.partition_count)
            arguments.setdefault(partition, []).extend(entry_arguments(entry))
        await self._ask(
            [self._call(partition, "append", *values) for partition, values in arguments.items()], durable=True
        )

    async def poll(self, partitions: list[int], due_by: int, entries_max: int = 500, due_max: int = 500) -> list[Batch]:
        check_partitions(partitions, self.partition_count)
        calls = [self._call(partition, "poll", due_by, entries_max, due_max) for partition in partitions]
        replies = await self._ask(calls, again=True)
        return [self._batch(partition, reply) for partition, reply in zip(partitions, replies, strict=True)]

    def _batch(self, partition: int, reply: list[Any]) -> Batch:
        version, cursor, at, entries, due, states, wake = reply
        self._wakes[partition] = _wake_of(wake)
        return Batch(
            partition,
            int(version),
            int(cursor),
            int(at or -1),
            [self._entry(partition, number, packed) for number, packed in enumerate(entries, int(cursor) + 1)],
            [from_name(name) for name in due],
            {from_name(name): state for name, state in pairs(states)},
        )

    async def load(self, users: list[str]) -> dict[str, bytes]:
        grouped: dict[bytes, list[str]] = {}
        for user in dict.fromkeys(users):
            partition = partition_of(user, self.partition_count)
            grouped.setdefault(self._keys.bucketed(partition, b"st", to_name(user)[:1]), []).append(user)
        calls: list[Command] = [("HMGET", key, *map(to_name, some)) for key, some in grouped.items()]
        replies = await self._ask(calls, again=True)
        found = zip((user for some in grouped.values() for user in some), (s for r in replies for s in r), strict=True)
        return {user: state for user, state in found if state is not None}

    async def commit(self, commits: list[Commit]) -> None:
        self._check_writable()
        check_commits(commits, self.partition_count)
        calls = [self._call(commit.partition, "commit", *commit_arguments(commit)) for commit in commits]
        await self._settle(calls)
        try:
            replies = await self._exchange(calls, durable=True)
        except BaseException:
            self._unsure.update(commit.partition for commit in commits)
            self._wakes.clear()
            raise
        for commit, reply in zip(commits, replies, strict=True):
            if isinstance(reply, list) and reply[0]:
                self._wakes[commit.partition] = _wake_of(reply[1])
        self._raise_refused(commits, replies)

    def _raise_refused(self, commits: list[Commit], replies: list[Any]) -> None:
        """Raises what is the matter with those that were not made, if any; the others are made all the same."""
        refused: dict[int, Conflict] = {}
        mistake: ValueError | None = None
        for commit, reply in zip(commits, replies, strict=True):
            if isinstance(reply, Exception):
                raise told_of(reply, self.address) from reply
            if reply[0]:
                continue
            version, cursor, last, at = reply[1:]
            try:
                check_follows(
                    commit, version=int(version), cursor=int(cursor), last_number=int(last), last_at=int(at or -1)
                )
                check_evaluated(commit, None)
            except Conflict as conflict:
                refused[commit.partition] = conflict
            except ValueError as error:
                mistake = error
        if mistake is not None:
            raise mistake
        if refused:
            raise Conflict("; ".join(map(str, refused.values())), frozenset(refused))

    async def known(self, ids: list[tuple[str, str]]) -> set[tuple[str, str]]:
        grouped: dict[bytes, list[tuple[str, str]]] = {}
        for user, once_id in dict.fromkeys(ids):
            partition = partition_of(user, self.partition_count)
            grouped.setdefault(self._keys.bucketed(partition, b"on", to_name(user)[:1]), []).append((user, once_id))
        calls: list[Command] = []
        for key, some in grouped.items():
            names = [(to_name(user), to_bytes(once_id)) for user, once_id in some]
            calls.append(("HMGET", key, *[once_field(name, once_id) for name, once_id in names]))
        replies = await self._ask(calls, again=True)
        found = zip((pair for some in grouped.values() for pair in some), (n for r in replies for n in r), strict=True)
        return {pair for pair, number in found if number is not None}

    async def next_wake(self) -> int | None:
        """Of what others have committed it may know `WAKES_FRESH_S` later."""
        self._check_open()
        now = asyncio.get_running_loop().time()
        everywhere = range(self.partition_count)
        asked = [number for number in everywhere if number not in self._wakes or now >= self._wakes_until]
        if asked:
            calls: list[Command] = [("ZRANGE", self._keys.of(number, b"wk"), 0, 0, "WITHSCORES") for number in asked]
            for number, reply in zip(asked, await self._ask(calls, again=True), strict=True):
                self._wakes[number] = _wake_of(reply[1] if reply else b"")
            if len(asked) == self.partition_count:
                self._wakes_until = now + WAKES_FRESH_S
        return min((wake for wake in self._wakes.values() if wake is not None), default=None)

    async def present_users(self, partitions: Collection[int] | None = None) -> list[tuple[str, bytes]]:
        asked = range(self.partition_count) if partitions is None else sorted(partitions)
        calls: list[Command] = [("SMEMBERS", self._keys.of(number, b"pr")) for number in asked]
        found: list[tuple[str, bytes]] = []
        for names in await self._ask(calls, again=True):
            found += (await self.load([from_name(name) for name in names])).items() if names else ()
        return found

    async def pending(self, user: str, now: int) -> list[OutboxMessage]:
        partition = partition_of(user, self.partition_count)
        [reply] = await self._ask([self._call(partition, "pending", to_name(user))], again=True)
        waiting = readable_messages(message_of, user, *pairs(reply))
        fresh = [each for each in waiting if each.message.expires_at is None or now < each.message.expires_at]
        if len(fresh) < len(waiting) and not self.read_only:
            await self._ask([self._call(partition, "relayed", now)])
        return fresh

    async def relayed(self, message_ids: list[str], now: int) -> None:
        self._check_writable()
        names = [to_bytes(message_id) for message_id in message_ids]
        await self._ask([self._call(number, "relayed", now, *names) for number in range(self.partition_count)])

    async def save_rules(self, rules_hash: str, sources: dict[str, str]) -> None:
        self._check_writable()
        pairs_of_bytes = [(to_bytes(name), to_bytes(text)) for name, text in sources.items()]
        await self._ask([("HSETNX", RULES, to_bytes(rules_hash), msgspec.msgpack.encode(pairs_of_bytes))], durable=True)

    async def load_rules(self, rules_hash: str) -> dict[str, str] | None:
        [packed] = await self._ask([("HGET", RULES, to_bytes(rules_hash))], again=True)
        if packed is None:
            return None
        found = msgspec.msgpack.decode(packed, type=list[tuple[bytes, bytes]])
        return {to_text(name): to_text(text) for name, text in found}

    async def rule_moments(self) -> list[tuple[int, str]]:
        """Of partitions out of reach what they had at the last look: nothing can have been written there since."""
        gone = self.out_of_reach() & self._lines.keys()
        asked = [number for number in range(self.partition_count) if number not in gone]
        calls: list[Command] = [("LRANGE", self._keys.of(number, b"rm"), 0, -1) for number in asked]
        *replies, decided = await self._ask([*calls, ("HGETALL", DECIDED)], again=True)
        self._lines.update(zip(asked, replies, strict=True))
        lines = [line for number in range(self.partition_count) for line in self._lines[number]]
        lines += [b"%b %b" % (at, rules_hash) for at, rules_hash in pairs(decided) if rules_hash]
        return sorted(map(moment_of, dict.fromkeys(lines)), key=lambda moment: moment[0])

    async def decisions(self, partition: int) -> list[bytes]:
        check_partitions([partition], self.partition_count)
        pages = every_row(self._ask, self._keys.of(partition, b"de"), 4, DECISIONS_AT_ONCE)
        return [line async for rows in pages for *_, line in rows]

    async def log(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        found: list[Entry] = []
        while some := await self.numbered(partition, after, entries_max - len(found)):
            found += [entry for _, entry in some]
            after = some[-1][0]
        return found

    async def numbered(
        self, partition: int, after: int, entries_max: int, bytes_max: int = PAGE_BYTES
    ) -> list[tuple[int, Entry]]:
        check_partitions([partition], self.partition_count)
        key = self._keys.of(partition, b"in")
        [flat] = await self._ask([page(key, after, "+", entries_max, bytes_max)], again=True)
        return [(number, self._entry(partition, number, packed)) for number, packed in rows_of(flat, 1)]

    async def history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        calls = [
            self._call(partition_of(user, self.partition_count), "history", to_name(user), max(before, 0), events_max)
            for user in users
        ]
        found: dict[str, list[Event]] = {}
        for user, (logged, past) in zip(users, await self._ask(calls, again=True), strict=True):
            partition = partition_of(user, self.partition_count)
            newest = [self._entry(partition, int(number), packed).event for number, packed in pairs(logged)]
            events = [event for event in reversed(newest) if event is not None]
            if len(events) < events_max:
                earlier = [event for event in past_of(past) if event.at < before]
                events = [*earlier[max(len(earlier) + len(events) - events_max, 0) :], *events]
            if events:
                found[user] = events
        return found

    async def recorded(self, user: str, before: tuple[int, int], items_max: int) -> Recorded:
        partition = partition_of(user, self.partition_count)
        call = self._call(partition, "recorded", to_name(user), *before, items_max)
        [(entries, decisions)] = await self._ask([call], again=True)
        return Recorded(
            [(int(number), self._entry(partition, int(number), packed)) for number, packed in pairs(entries)],
            [(int(number), line) for number, line in pairs(decisions)],
        )

    async def states(self, partition: int, after: int, states_max: int) -> list[tuple[int, str, bytes]]:
        check_partitions([partition], self.partition_count)
        return await self._upkeep.states(partition, after, states_max)

    async def folded(self, partition: int) -> Folded:
        check_partitions([partition], self.partition_count)
        return await self._upkeep.folded(partition)

    async def bases(self, partition: int, users: list[str] | None = None, due_by: int | None = None) -> list[Base]:
        check_partitions([partition], self.partition_count)
        return await self._upkeep.bases(partition, users, due_by)

    async def fold(self, fold: Fold) -> None:
        self._check_writable()
        check_partitions([fold.partition], self.partition_count)
        await self._upkeep.fold(fold)

    async def drop_rules(self, before: int) -> int:
        self._check_writable()
        return await self._upkeep.drop_rules(before)

    async def erase(self, user: str) -> int:
        self._check_writable()
        self._wakes.clear()
        return await self._upkeep.erase(partition_of(user, self.partition_count), user)

    async def probe(self) -> None:
        self._check_writable()
        gone = self.out_of_reach()
        partition = next((number for number in range(self.partition_count) if number not in gone), 0)
        await self._ask([self._call(partition, "probe", b"\0" * 16_384)], durable=True)

    async def describe(self) -> dict[str, Json]:
        return await self._upkeep.describe()

    def lease(self) -> Lease:
        """For whoever wants to be the only server on this store."""
        return Lease(self._link)

    async def close(self) -> None:
        self._closed = True
        await self._link.close()

    # Inside.

    def _entry(self, partition: int, number: int, packed: bytes) -> Entry:
        try:
            return entry_of(packed, partition, number)
        except (msgspec.MsgspecError, Refused, ValueError, RecursionError) as error:
            raise StoreError(
                f"an entry of partition {partition} of {self.address.shown}: {error}", "corrupt"
            ) from error


def _wake_of(score: bytes) -> int | None:
    return int(float(score)) if score else None
