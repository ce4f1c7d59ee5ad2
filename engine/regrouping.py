"""A log of other partitions: which of them have users in common, and what happened at them in order of moments.

It writes nothing. A user's entries and decisions keep their order. A tick says that time has come to its moment for all
users of its partition; where partitions come together it stands only if that is so of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from itertools import islice
from math import gcd
from typing import Any, TypeVar

import msgspec

from engine.replay.sorting import SortedLines
from engine.storage.base import PAGE_BYTES, Entry, Folded, Store, partition_of
from engine.storage.codec import encode_entry
from engine.storage.loading import PAGE, Contents, Decided, Stand

SORTED_BYTES = 64 << 20  # of decisions that are put in order at once; what is more waits in files
ASKED_AT_ONCE = 16  # partitions that are asked for something at once
SHARE_BYTES = 128 << 10  # of a page of each, where many are read beside each other
FIRST_PAGE = 8  # entries, where one of the first is enough most often

Item = Entry | Decided
Routed = tuple[list[tuple[int, Item]], int]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Side:
    """A store, and all that it has."""

    store: Store
    contents: Contents


@dataclass(slots=True)
class Moved:
    """How much there was of each."""

    entries: int = 0
    users: int = 0
    decisions: int = 0
    bases: int = 0
    outbox: int = 0
    faults: int = 0
    rule_sets: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Partitions of the source, and those of the target to which their users and no others belong.

    ``folded`` is how far the log of the target's partitions is folded, ``came_to`` up to where time has come for all
    users, ``last_at`` the latest moment of any of the logs.
    """

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    folded: Folded
    came_to: int | None
    last_at: int


async def groups_of(source: Side, count: int) -> list[Group]:
    """The partitions that have users in common, for a target of ``count``."""
    own = source.store.partition_count
    step = gcd(own, count)
    moments = [at for at, _ in await source.store.rule_moments()]
    every = await source.contents.stands()
    begun_at = await _in_turn(_begin_of(source, number, stand) for number, stand in enumerate(every))
    behind = max(stand.last for stand in every)
    groups = []
    for first in range(step):
        sources = tuple(range(first, own, step))
        targets = tuple(range(first, count, step))
        stands = [every[number] for number in sources]
        begins = [begin for number in sources if (begin := begun_at[number]) is not None]
        ends: list[int] = []
        for number in sources:
            if begun_at[number] is not None or every[number].has_states:
                ends += _came_to(every[number], moments)
        is_folded = any(stand.folded.at >= 0 for stand in stands)
        begun = Folded(behind, min(begins)) if is_folded and begins else Folded(behind)
        last_at = max(stand.last_at for stand in stands)
        groups.append(Group(sources, targets, begun, min(ends, default=None), last_at))
    return groups


async def _in_turn(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """What each comes to, in order; some at once, since each waits for the store."""
    found: list[Result] = []
    waiting = iter(works)
    while some := list(islice(waiting, ASKED_AT_ONCE)):
        found += await asyncio.gather(*some)
    return found


async def _begin_of(source: Side, number: int, stand: Stand) -> int | None:
    """The moment behind which there is all that happened to the users of a partition; None where nothing did."""
    if stand.has_bases:
        return stand.folded.at
    log = EntriesOf(source.store, number, FIRST_PAGE, SHARE_BYTES)
    while (entry := await log.next()) is not None:
        if entry.user:
            return entry.at - 1
    return None


def _came_to(stand: Stand, moments: list[int]) -> list[int]:
    """Up to where time has come for the users of a partition; nothing where it may go on without anything happening.

    It was let run to the last tick. Nothing would come of letting it run on to the earliest wake-up, nor to the next
    change of rules.
    """
    reached = max(stand.last_tick, stand.folded.at)
    later = [moment - 1 for moment in moments if moment > reached]
    if stand.wake is not None:
        later.append(stand.wake - 1)
    return [max(reached, min(later))] if later else []


async def routed(
    source: Side, group: Group, count: int, moments: frozenset[tuple[int, str]], read: Moved | None = None
) -> AsyncIterator[Routed]:
    """Entries and decisions in order of their moments, each with its partition in the target; some at a time, and how
    many bytes they are.

    What was decided at a moment comes before an entry of that moment. Of ticks between which nothing happens the last
    is left; rules that hold begin once in each partition, others nowhere. ``read`` is told how many entries of users
    and decisions there were.
    """
    ways = _Ways(group, count, moments)
    with SortedLines(SORTED_BYTES) as lines:
        for number in group.sources:
            async for page in source.contents.decisions(number):
                if read is not None:
                    read.decisions += len(page)
                for one in page:
                    lines.add(one.at, _packed.encode((one.at, one.user.encode("utf-8", "surrogatepass"), one.line)))
        logs = [EntriesOf(source.store, number, bytes_max=share_of(group.sources)) for number in group.sources]
        async for items, size in _merged(logs, map(_decision_of, lines)):
            yield [routed_item for item in items for routed_item in ways.of(item)], size
        if read is not None:
            read.entries += sum(log.of_users for log in logs)
    yield ways.left(), 0


class _Ways:
    """To which partitions of a group what happened goes. It is told everything in order."""

    def __init__(self, group: Group, count: int, moments: frozenset[tuple[int, str]]) -> None:
        self._group = group
        self._count = count
        self._moments = moments
        self._ticks: dict[int, int] = {}  # by target: that nothing has followed yet
        self._begun: set[tuple[int, str]] = set()

    def of(self, item: Item) -> list[tuple[int, Item]]:
        if isinstance(item, Decided):
            return [(partition_of(item.user, self._count), item)]
        if item.user:
            return self._behind_ticks((partition_of(item.user, self._count),), item)
        if item.at <= self._group.folded.at:
            return []  # of a partition without users, which may have been folded less far
        if item.kind == "tick":
            if self._group.came_to is None or item.at <= self._group.came_to:
                self._ticks.update(dict.fromkeys(self._group.targets, item.at))
            return []
        named = (item.at, item.rules_hash)
        if named in self._begun or named not in self._moments:
            return []
        self._begun.add(named)
        return self._behind_ticks(self._group.targets, item)

    def _behind_ticks(self, receivers: Iterable[int], entry: Entry) -> list[tuple[int, Item]]:
        found: list[tuple[int, Item]] = []
        for target in receivers:
            tick = self._ticks.pop(target, None)
            found += [] if tick is None else [(target, Entry("tick", tick))]
            found.append((target, entry))
        return found

    def left(self) -> list[tuple[int, Item]]:
        """The last ticks."""
        return [(target, Entry("tick", self._ticks[target])) for target in self._group.targets if target in self._ticks]


def share_of(partitions: Sequence[int]) -> int:
    """How big a page of one of them may be, so that those of all are little."""
    return max(PAGE_BYTES // len(partitions), SHARE_BYTES)


class EntriesOf:
    """The entries of a partition, one after the other: `filled` before `pop`, which has None at the end.

    ``first``: how many are read at once to begin with; ``bytes_max`` as in `Store.numbered`.
    """

    def __init__(self, store: Store, partition: int, first: int = PAGE, bytes_max: int = PAGE_BYTES) -> None:
        self._store = store
        self._partition = partition
        self._wanted = first
        self._bytes_max = bytes_max
        self._last = 0
        self._page: list[tuple[int, Entry]] = []
        self._is_read = False
        self._is_weighed = False
        self.of_users = 0  # events and sends that were handed out
        self.bytes = 0  # of the entry that was handed out last; 0 where so many are little

    async def filled(self) -> None:
        if not self._page and not self._is_read:
            page = await self._store.numbered(self._partition, self._last, self._wanted, self._bytes_max)
            self._page = page[::-1]
            self._is_read = not page
            self._is_weighed = len(page) < self._wanted  # a page with all of them is no bigger than any other
            self._wanted = PAGE

    @property
    def is_filled(self) -> bool:
        return bool(self._page) or self._is_read

    def pop(self) -> Entry | None:
        if not self._page:
            return None
        self._last, entry = self._page.pop()
        self.bytes = len(encode_entry(entry)) if self._is_weighed else 0
        self.of_users += entry.kind in ("event", "send")
        return entry

    async def next(self) -> Entry | None:
        await self.filled()
        return self.pop()


async def _merged(logs: list[EntriesOf], decisions: Iterator[Decided]) -> AsyncIterator[tuple[list[Item], int]]:
    heads: list[tuple[int, int, int, Entry]] = []  # no two of one log, so entries are never compared
    for place, entry in enumerate(await _in_turn(log.next() for log in logs)):
        if entry is not None:
            heads.append((entry.at, place, logs[place].bytes, entry))
    heapify(heads)
    decided = next(decisions, None)
    items: list[Item] = []
    size = 0
    while heads or decided is not None:
        if decided is not None and (not heads or decided.at <= heads[0][0]):
            items.append(decided)
            size += len(decided.line)
            decided = next(decisions, None)
        else:
            _, place, weight, entry = heads[0]
            items.append(entry)
            size += weight
            if not logs[place].is_filled:
                await logs[place].filled()
            following = logs[place].pop()
            if following is None:
                heappop(heads)
            else:
                heapreplace(heads, (following.at, place, logs[place].bytes, following))
        if len(items) == PAGE or size >= PAGE_BYTES:
            yield items, size
            items, size = [], 0
    yield items, size


_packed = msgspec.msgpack.Encoder()
_unpacked = msgspec.msgpack.Decoder(tuple[int, bytes, bytes])


def _decision_of(packed: bytes) -> Decided:
    at, user, line = _unpacked.decode(packed)
    return Decided(user.decode("utf-8", "surrogatepass"), at, line)
