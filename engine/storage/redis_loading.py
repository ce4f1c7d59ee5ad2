"""A store on Redis as a whole, read and filled page by page: see `loading`.

While it is filled its mark says so, and nobody opens it: what was broken off is never taken for a store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain, groupby

import msgspec

from engine.storage.base import PAGE_BYTES, Base, Fault, Folded, OutboxMessage, partition_of
from engine.storage.codec import decode_entry
from engine.storage.loading import PAGE, USERS, Decided, Kept, Stand
from engine.storage.redis import RedisStore
from engine.storage.redis_entries import base_arguments, base_of, message_of, pairs
from engine.storage.redis_keys import BUCKETS, META, from_name, to_bytes, to_name
from engine.storage.redis_link import Command
from engine.storage.redis_opening import FORMAT, LOADING
from engine.storage.redis_pages import by_weight, every_row, within

# Of messages of the outbox, by their ids, whose they are, and how long: what they are packed with only Lua reads.
_USERS = """
local users = {}
for i = 1, #ARGV do
  local packed = redis.call('HGET', KEYS[1], ARGV[i])
  users[2 * i - 1] = packed and cmsgpack.unpack(packed)[1] or ''
  users[2 * i] = packed and #packed or 0
end
return users
"""

PARTITIONS_AT_ONCE = 32  # of which is asked where they stand

# The last tick of a log before an id: its moment or '', and before which id to go on or ''. Most often it is among the
# newest few; more than so many bytes are not looked at in one go.
_LAST_TICK = """#!lua flags=no-writes
local before, count, size, looked = ARGV[1], 5, 0, 0
while size < tonumber(ARGV[2]) and looked < 1000 do
  local found = redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', count)
  for _, row in ipairs(found) do
    local at = string.match(row[2][2], '^(%d+) %d+ %d+ %d+ t')
    if at then return {at, ''} end
    size = size + #row[2][2]
  end
  looked = looked + #found
  if #found < count then return {'', ''} end
  before, count = '(' .. found[#found][1], 50
end
return {'', before}
"""
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
            for number, known, first, ticked, *having in zip(some, *[replies] * 5, strict=True):
                cursor, last, at, fold, fold_at, erasures = known
                tick = await self._last_tick(number, *ticked)
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
            self._tick_call(partition, b"+"),
        ]
        users = [[keys.bucketed(partition, kind, letter.encode()) for letter in BUCKETS] for kind in KINDS]
        calls += [("EXISTS", *some) for some in users]
        return calls

    def _tick_call(self, partition: int, before: bytes) -> Command:
        return ("EVAL", _LAST_TICK, 1, self._keys.of(partition, b"in"), before, PAGE_BYTES)

    async def _last_tick(self, partition: int, at: bytes, before: bytes) -> int:
        while before and not at:
            [(at, before)] = await self._ask([self._tick_call(partition, before)], again=True)
        return int(at or -1)

    async def decisions(self, partition: int) -> AsyncIterator[list[Decided]]:
        async for rows in every_row(self._ask, self._keys.of(partition, b"de"), 4, PAGE):
            yield [Decided(from_name(user), int(at), line) for _, user, at, _, line in rows]

    async def states(self, partition: int) -> AsyncIterator[list[Kept]]:
        wakes, present = self._keys.of(partition, b"wk"), self._keys.of(partition, b"pr")
        states = self._keys.hash_of(partition, b"st")
        async for names in by_weight(self._ask, await self._names(partition, b"st"), states):
            calls: list[Command] = self._fields(partition, b"st", names)
            calls += [("ZMSCORE", wakes, *names), ("SMISMEMBER", present, *names)]
            *found, scores, are_there = await self._ask(calls, again=True)
            yield [
                Kept(from_name(name), state, None if wake is None else int(float(wake)), bool(is_there))
                for name, state, wake, is_there in zip(names, chain(*found), scores, are_there, strict=True)
            ]

    async def bases(self, partition: int) -> AsyncIterator[list[Base]]:
        hashes = [self._keys.hash_of(partition, kind) for kind in (b"ba", b"bp")]
        async for names in by_weight(self._ask, await self._names(partition, b"ba"), *hashes):
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
            users: dict[bytes, int] = {}  # and what they weigh
            for some in _pages(names):
                [found] = await self._ask([("EVAL", _USERS, 1, key, *some)], again=True)
                for user, length in pairs(found):
                    users[user] = users.get(user, 0) + length
            users.pop(b"", None)
            for some in _pages(users, USERS):
                for few in within(some, [users[user] for user in some]):
                    yield [message for waiting in await self.pending(list(map(from_name, few))) for message in waiting]

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
            async for some in self._faults_of(partition):
                yield some

    async def _faults_of(self, partition: int) -> AsyncIterator[list[Fault]]:
        [listed] = await self._ask([("LRANGE", self._keys.of(partition, b"fx"), 0, -1)], again=True)
        users = {number: from_name(user) for number, _, user in [each.partition(b" ") for each in listed]}
        key = self._keys.of(partition, b"fa")
        async for numbers in by_weight(self._ask, list(users), lambda _: key):
            [records] = await self._ask([("HMGET", key, *numbers)], again=True)
            found = zip([users[number] for number in numbers], map(_fault.decode, records), strict=True)
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
