"""A store on Redis as a whole, read and filled page by page: see `loading`.

While it is filled its mark says so, and nobody opens it: what was broken off is never taken for a store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import msgspec

from engine.storage.base import Base, Fault, Folded, OutboxMessage, partition_of
from engine.storage.codec import decode_entry
from engine.storage.loading import PAGE, USERS, Decided, Kept, Stand
from engine.storage.redis import RedisStore
from engine.storage.redis_entries import base_arguments, base_of, message_of, pairs, tick_at
from engine.storage.redis_keys import BUCKETS, META, from_name, to_bytes, to_name
from engine.storage.redis_link import Command
from engine.storage.redis_opening import FORMAT, LOADING

# Of messages of the outbox, by their ids, whose they are: what they are packed with only Lua reads.
_USERS = """
local users = {}
for i = 1, #ARGV do
  local packed = redis.call('HGET', KEYS[1], ARGV[i])
  users[i] = packed and cmsgpack.unpack(packed)[1] or ''
end
return users
"""

PARTITIONS_AT_ONCE = 256  # of which is asked where they stand
NEWEST = 5  # entries of a log, among which most often there is a tick
KINDS = (b"st", b"ba")  # of sub-hashes that users have

_fault = msgspec.msgpack.Decoder(tuple[int, bytes, bytes])


class RedisContents:
    def __init__(self, store: RedisStore) -> None:
        self._store = store
        # The parts of a store know each other's keys; whoever is outside of `storage` does not.
        self._keys = store._keys
        self._ask = store._ask

    async def stands(self) -> list[Stand]:
        found = []
        for start in range(0, self._store.partition_count, PARTITIONS_AT_ONCE):
            some = range(start, min(start + PARTITIONS_AT_ONCE, self._store.partition_count))
            calls = [command for number in some for command in self._stand_calls(number)]
            replies = iter(await self._ask(calls, again=True))
            for number, known, first, newest, *having in zip(some, *[replies] * 5, strict=True):
                cursor, last, at, fold, fold_at, erasures = known
                tick = await self._last_tick(number, newest)
                wake = int(float(first[1])) if first else None
                folded = Folded(int(fold or 0), int(fold_at or -1), int(erasures or 0))
                stand = Stand(int(cursor or 0), int(last or 0), int(at or -1), tick, wake, folded, *map(bool, having))
                found.append(stand)
        return found

    def _stand_calls(self, partition: int) -> list[Command]:
        keys = self._keys
        calls: list[Command] = [
            ("HMGET", keys.stand[partition], "cur", "last", "at", "fold", "fold_at", "era"),
            ("ZRANGE", keys.of(partition, b"wk"), 0, 0, "WITHSCORES"),
            ("XREVRANGE", keys.of(partition, b"in"), "+", "-", "COUNT", NEWEST),
        ]
        users = [[keys.bucketed(partition, kind, letter.encode()) for letter in BUCKETS] for kind in KINDS]
        calls += [("EXISTS", *some) for some in users]
        return calls

    async def _last_tick(self, partition: int, rows: list[Any]) -> int:
        """``rows`` are the newest of its log."""
        while rows:
            for _, fields in rows:
                if (at := tick_at(fields[1])) is not None:
                    return at
            key, end = self._keys.of(partition, b"in"), b"(" + rows[-1][0]
            [rows] = await self._ask([("XREVRANGE", key, end, "-", "COUNT", PAGE)], again=True)
        return -1

    async def decisions(self, partition: int) -> AsyncIterator[list[Decided]]:
        after = b"-"
        while True:
            [rows] = await self._ask(
                [("XRANGE", self._keys.of(partition, b"de"), after, "+", "COUNT", PAGE)], again=True
            )
            if rows:
                yield [Decided(from_name(fields[1]), int(fields[3]), fields[7]) for _, fields in rows]
            if len(rows) < PAGE:
                return
            after = b"(" + rows[-1][0]

    async def states(self, partition: int) -> AsyncIterator[list[Kept]]:
        wakes, present = self._keys.of(partition, b"wk"), self._keys.of(partition, b"pr")
        for names in _pages(await self._names(partition, b"st")):
            calls: list[Command] = self._fields(partition, b"st", names)
            calls += [("ZMSCORE", wakes, *names), ("SMISMEMBER", present, *names)]
            *states, scores, are_there = await self._ask(calls, again=True)
            yield [
                Kept(from_name(name), state, None if wake is None else int(float(wake)), bool(is_there))
                for name, state, wake, is_there in zip(names, chain(*states), scores, are_there, strict=True)
            ]

    async def bases(self, partition: int) -> AsyncIterator[list[Base]]:
        for names in _pages(await self._names(partition, b"ba")):
            calls = self._fields(partition, b"ba", names)
            replies = await self._ask([*calls, *self._fields(partition, b"bp", names)], again=True)
            bases, pasts = chain(*replies[: len(calls)]), chain(*replies[len(calls) :])
            yield [base_of(from_name(name), *each) for name, *each in zip(names, bases, pasts, strict=True)]

    def _fields(self, partition: int, kind: bytes, names: list[bytes]) -> list[Command]:
        """What asks for the fields of users, who are sorted by their sub-hashes."""
        buckets = groupby(names, key=lambda name: name[:1])
        return [("HMGET", self._keys.bucketed(partition, kind, bucket), *some) for bucket, some in buckets]

    async def _names(self, partition: int, kind: bytes) -> list[bytes]:
        calls: list[Command] = [("HKEYS", self._keys.bucketed(partition, kind, letter.encode())) for letter in BUCKETS]
        return sorted([name for reply in await self._ask(calls, again=True) for name in reply])

    async def outbox(self) -> AsyncIterator[list[OutboxMessage]]:
        for partition in range(self._store.partition_count):
            key = self._keys.of(partition, b"om")
            [names] = await self._ask([("HKEYS", key)], again=True)
            users: dict[bytes, None] = {}
            for some in _pages(names):
                [found] = await self._ask([("EVAL", _USERS, 1, key, *some)], again=True)
                users.update(dict.fromkeys(found))
            for some in _pages((user for user in users if user), USERS):
                yield [message for waiting in await self.pending(list(map(from_name, some))) for message in waiting]

    async def pending(self, users: list[str]) -> list[list[OutboxMessage]]:
        calls = [self._store._call(self._partition_of(user), "pending", to_name(user)) for user in users]
        replies = await self._ask(calls, again=True)
        return [
            [message_of(user, record, words) for record, words in pairs(reply)]
            for user, reply in zip(users, replies, strict=True)
        ]

    def _partition_of(self, user: str) -> int:
        return partition_of(user, self._store.partition_count)

    async def faults(self) -> AsyncIterator[list[Fault]]:
        for partition in range(self._store.partition_count):
            [listed] = await self._ask([("LRANGE", self._keys.of(partition, b"fx"), 0, -1)], again=True)
            for some in _pages(listed):
                words = [each.partition(b" ") for each in some]
                call: Command = ("HMGET", self._keys.of(partition, b"fa"), *[number for number, _, _ in words])
                [records] = await self._ask([call], again=True)
                found = zip([from_name(user) for _, _, user in words], map(_fault.decode, records), strict=True)
                yield [
                    Fault(user, at, decode_entry(line), trace.decode("utf-8", "replace"))
                    for user, (at, line, trace) in found
                ]


class RedisLoading:
    def __init__(self, store: RedisStore) -> None:
        self._keys = store._keys
        self._ask = store._ask

    async def begin(self) -> None:
        await self._ask([("HSET", META, "format", LOADING)], durable=True)

    async def put_bases(self, partition: int, folded: Folded, bases: Sequence[Base]) -> None:
        number, stand = folded.number, self._keys.stand[partition]
        calls: list[Command] = [("HSET", stand, "cur", number, "last", number, "fold", number)]
        if folded.at >= 0:
            calls.append(("HSET", stand, "fold_at", folded.at))
        for base in bases:
            name, wake, packed, past = base_arguments(base)
            calls.append(("HSET", self._keys.bucketed(partition, b"ba", name[:1]), name, packed))
            if wake != "":
                calls.append(("ZADD", self._keys.of(partition, b"bw"), wake, name))
            if past:
                calls.append(("HSET", self._keys.bucketed(partition, b"bp", name[:1]), name, past))
        await self._ask(calls)

    async def put_rules(self, moments: Sequence[tuple[int, str]]) -> None:
        lines = [b"%d " % at + to_bytes(rules_hash) for at, rules_hash in moments]
        if lines:
            partitions = range(len(self._keys.stand))
            await self._ask([("RPUSH", self._keys.of(number, b"rm"), *lines) for number in partitions])

    async def come_to(self, last_at: Sequence[int]) -> None:
        calls: list[Command] = [("HGET", stand, "at") for stand in self._keys.stand]
        reached = [int(at or -1) for at in await self._ask(calls, again=True)]
        moved = [(number, at) for number, at in enumerate(last_at) if at > reached[number]]
        await self._ask([("HSET", self._keys.stand[number], "at", at) for number, at in moved], durable=True)

    async def end(self) -> None:
        await self._ask([("HSET", META, "format", FORMAT)], durable=True)


def _pages(names: Iterable[bytes], size: int = PAGE) -> Iterator[list[bytes]]:
    every = list(names)
    return (every[start : start + size] for start in range(0, len(every), size))
