"""A store on Redis as a whole, read and filled page by page: see `loading`.

While it is filled its mark says so, and nobody opens it: what was broken off is never taken for a store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

import msgspec

from engine.storage.base import Base, Fault, Folded, OutboxMessage
from engine.storage.codec import decode_entry
from engine.storage.loading import PAGE, Decided, Kept, Stand
from engine.storage.redis import RedisStore
from engine.storage.redis_entries import base_arguments, base_of, tick_at
from engine.storage.redis_keys import BUCKETS, META, from_name, to_bytes
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

ASKED_AT_ONCE = 16  # users whose messages are read at once

_fault = msgspec.msgpack.Decoder(tuple[int, bytes, bytes])


class RedisContents:
    def __init__(self, store: RedisStore) -> None:
        self._store = store
        # The parts of a store know each other's keys; whoever is outside of `storage` does not.
        self._keys = store._keys
        self._ask = store._ask

    async def stand(self, partition: int) -> Stand:
        [(cursor, last, at), first] = await self._ask(
            [
                ("HMGET", self._keys.stand[partition], "cur", "last", "at"),
                ("ZRANGE", self._keys.of(partition, b"wk"), 0, 0, "WITHSCORES"),
            ],
            again=True,
        )
        wake = int(float(first[1])) if first else None
        return Stand(int(cursor or 0), int(last or 0), int(at or -1), await self._last_tick(partition), wake)

    async def _last_tick(self, partition: int) -> int:
        end = b"+"
        while True:
            call: Command = ("XREVRANGE", self._keys.of(partition, b"in"), end, "-", "COUNT", PAGE)
            [rows] = await self._ask([call], again=True)
            for name, fields in rows or ():
                if (at := tick_at(fields[1])) is not None:
                    return at
                end = b"(" + name
            if not rows:
                return -1

    async def decisions(self, partition: int) -> AsyncIterator[list[Decided]]:
        after = b"-"
        while True:
            [rows] = await self._ask(
                [("XRANGE", self._keys.of(partition, b"de"), after, "+", "COUNT", PAGE)], again=True
            )
            if not rows:
                return
            yield [Decided(from_name(fields[1]), int(fields[3]), fields[7]) for _, fields in rows]
            after = b"(" + rows[-1][0]

    async def states(self, partition: int) -> AsyncIterator[list[Kept]]:
        wakes, present = self._keys.of(partition, b"wk"), self._keys.of(partition, b"pr")
        for names in _pages(await self._names(partition, b"st")):
            calls: list[Command] = []
            for name in names:
                state = self._keys.bucketed(partition, b"st", name[:1])
                calls += [("HGET", state, name), ("ZSCORE", wakes, name), ("SISMEMBER", present, name)]
            replies = iter(await self._ask(calls, again=True))
            rows = zip(names, replies, replies, replies, strict=True)
            yield [
                Kept(from_name(name), state, None if wake is None else int(float(wake)), bool(is_there))
                for name, state, wake, is_there in rows
            ]

    async def bases(self, partition: int) -> AsyncIterator[list[Base]]:
        for names in _pages(await self._names(partition, b"ba")):
            keys = (b"ba", b"bp")
            calls: list[Command] = [
                ("HGET", self._keys.bucketed(partition, key, name[:1]), name) for name in names for key in keys
            ]
            replies = iter(await self._ask(calls, again=True))
            yield [
                base_of(from_name(name), base, past) for name, base, past in zip(names, replies, replies, strict=True)
            ]

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
            for some in _pages(user for user in users if user):
                for start in range(0, len(some), ASKED_AT_ONCE):
                    asked = [self._store.pending(from_name(user), 0) for user in some[start : start + ASKED_AT_ONCE]]
                    yield [message for waiting in await asyncio.gather(*asked) for message in waiting]

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


def _pages(names: Iterable[bytes]) -> Iterator[list[bytes]]:
    every = list(names)
    return (every[start : start + PAGE] for start in range(0, len(every), PAGE))
