"""A reader that follows a store on Redis from its beginning, and so knows the whole log of one that keeps a part of it.

It reads Redis by itself, judges nothing, and says so where the store let something go that it had not read yet.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.replay.recording import Recording
from engine.storage.base import Entry, Folded, StoreError
from engine.storage.fleet import FleetStore
from engine.storage.redis_entries import entry_of
from engine.storage.redis_keys import Keys, from_name, spread_tags
from tests.scale.oracle import History

EVERY_S = 1.0
PAGE = 1_000


class Tail:
    """``url`` of one Redis, whose only store is ``store``. What it has read it keeps as it lies there, packed."""

    def __init__(self, url: str, store: FleetStore) -> None:
        self._redis = Redis.from_url(url)
        self._store = store
        self._keys = Keys(spread_tags(store.partition_count))
        self._log: list[list[bytes]] = [[] for _ in range(store.partition_count)]
        self._decisions: list[list[tuple[bytes, int, bytes]]] = [[] for _ in range(store.partition_count)]
        self._moments: dict[int, str] = {}
        self._sources: dict[str, dict[str, str] | None] = {}
        self.missed: list[str] = []

    async def follow(self) -> None:
        """For ever, whatever the store is up to."""
        while True:
            with suppress(RedisError, StoreError, OSError):
                await self.read()
            await asyncio.sleep(EVERY_S)

    async def read(self) -> None:
        """All that is there and was not read before."""
        for at, rules_hash in await self._store.rule_moments():
            self._moments[at] = rules_hash
            if self._sources.get(rules_hash) is None:
                self._sources[rules_hash] = await self._store.load_rules(rules_hash)
        for partition in range(len(self._log)):
            while await self._read_entries(partition):
                pass
            while await self._read_decisions(partition):
                pass

    async def _read_entries(self, partition: int) -> bool:
        mine = self._log[partition]
        page = await self._page(partition, b"in", len(mine))
        for number, fields in page:
            if number != len(mine) + 1:
                self.missed.append(f"partition {partition}: entry {number} follows on {len(mine)}")
                raise RuntimeError(self.missed[-1])
            mine.append(next(iter(fields.values())))
        return len(page) == PAGE

    async def _read_decisions(self, partition: int) -> bool:
        mine = self._decisions[partition]
        page = await self._page(partition, b"de", len(mine))
        for number, fields in page:
            if number != len(mine) + 1:
                self.missed.append(f"partition {partition}: decision {number} follows on {len(mine)}")
                raise RuntimeError(self.missed[-1])
            mine.append((fields[b"u"], int(fields[b"a"]), fields[b"d"]))
        return len(page) == PAGE

    async def _page(self, partition: int, name: bytes, after: int) -> list[tuple[int, dict[bytes, bytes]]]:
        found = await self._redis.xrange(self._keys.of(partition, name), f"({after}-0", "+", PAGE)
        return [(int(place.partition(b"-")[0]), fields) for place, fields in found]

    async def close(self) -> None:
        await self._redis.aclose()

    def whole(self, left: History) -> History:
        """What the store would have come to without folding: all of its log, and the states that it has."""
        count = len(self._log)
        recording = Recording(count, folded=[Folded() for _ in range(count)])
        entries: list[list[tuple[int, Entry]]] = []
        for partition, packed in enumerate(self._log):
            mine = [(number, entry_of(line, partition, number)) for number, line in enumerate(packed, 1)]
            entries.append(mine)
            for _, entry in mine:
                if entry.event is not None:
                    recording.events.append(entry.event)
                elif entry.kind == "tick":
                    recording.ticks[partition] = entry.at
            for user, at, line in self._decisions[partition]:
                name = from_name(user)
                recording.decisions.setdefault(name, []).append(line)
                recording.decided_at[name] = max(at, recording.decided_at.get(name, -1))
        recording.rule_moments = sorted(self._moments.items())
        recording.sources = dict(self._sources)
        return replace(left, recording=recording, entries=entries)
