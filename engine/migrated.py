"""Whether a store has all that another one has, and in the same order: read back from both. It writes nothing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from engine.migration import Progress
from engine.regrouping import EntriesOf, Group, Item, Moved, Side, groups_of, routed, share_of
from engine.storage.base import Entry, OutboxMessage, partition_of
from engine.storage.codec import encode_entry
from engine.storage.loading import USERS, Decided

DIGEST_BYTES = 16


class NotAlike(Exception):
    """What was written is not what was read: the text says where."""


async def compare(source: Side, target: Side, moved: Moved, progress: Progress | None = None) -> Moved:
    """How many entries of users and decisions there are. Raises `NotAlike`; `StoreError` where one cannot be read."""
    await _compare_rules(source, target)
    read, written = Moved(), Moved()
    for group in await groups_of(source, target.store.partition_count):
        await _compare_group(source, target, group, read, written, progress)
    _alike("entries of users", read.entries, written.entries)
    _alike("decisions", read.decisions, written.decisions)
    users = await _compare_states(source, target, progress)
    _alike("users", moved.users, users)
    await _compare_bases(source, target)
    await _compare_outbox(source, target)
    described = await target.store.describe()
    _alike("messages that wait", moved.outbox, described["outbox"])
    _alike("events that were set aside", moved.faults, described["faults"])
    return read


def _alike(what: str, before: object, after: object) -> None:
    if before != after:
        raise NotAlike(f"{what}: {before!r} in the source, {after!r} in the target"[:600])


async def _compare_rules(source: Side, target: Side) -> None:
    moments = await source.store.rule_moments()
    _alike("rules and the moments from which they hold", moments, await target.store.rule_moments())
    for _, rules_hash in moments:
        texts = [await side.store.load_rules(rules_hash) for side in (source, target)]
        _alike(f"the texts of the rules {rules_hash}", *texts)


class _Written:
    """What the partition of a target has, one after the other."""

    def __init__(self, target: Side, partition: int, bytes_max: int) -> None:
        self.entries = EntriesOf(target.store, partition, bytes_max=bytes_max)
        self.decisions = 0
        self._pages = target.contents.decisions(partition)
        self._page: list[Decided] = []

    async def next(self, like: type[Item]) -> Item | None:
        if like is Entry:
            if not self.entries.is_filled:
                await self.entries.filled()
            return self.entries.pop()
        if not self._page:
            self._page = (await anext(self._pages, []))[::-1]
        self.decisions += bool(self._page)
        return self._page.pop() if self._page else None


async def _compare_group(
    source: Side, target: Side, group: Group, read: Moved, written: Moved, progress: Progress | None
) -> None:
    """Entries and decisions, one after the other."""
    found = {number: _Written(target, number, share_of(group.targets)) for number in group.targets}
    moments = frozenset(await source.store.rule_moments())
    async for items, _ in routed(source, group, target.store.partition_count, moments, read):
        for partition, item in items:
            before, after = _shown(item), _shown(await found[partition].next(type(item)))
            if before != after:
                _alike(f"partition {partition}", before, after)
        if progress is not None:
            progress(len(items))
    for partition, there in found.items():
        for kind in (Entry, Decided):
            _alike(f"partition {partition}", None, _shown(await there.next(kind)))
        written.entries += there.entries.of_users
        written.decisions += there.decisions


def _shown(item: Item | None) -> Any:
    return encode_entry(item) if isinstance(item, Entry) else item


async def _compare_states(source: Side, target: Side, progress: Progress | None) -> int:
    """The bytes of each state; wake-ups and presence of all users together. How many users the target has."""
    sums, users = [0, 0], 0
    for number in range(source.store.partition_count):
        async for page in source.contents.states(number):
            states = await target.store.load([kept.user for kept in page])
            for kept in page:
                _alike(f"the state of user {kept.user!r}", kept.state, states.get(kept.user))
                sums[0] += _digest(kept.user, kept.wake, kept.present)
            if progress is not None:
                progress(len(page))
    count = target.store.partition_count
    for number in range(count):
        async for page in target.contents.states(number):
            users += len(page)
            for kept in page:
                _alike(f"the partition of user {kept.user!r}", partition_of(kept.user, count), number)
                sums[1] += _digest(kept.user, kept.wake, kept.present)
    _alike("wake-ups, and who is present", *sums)
    return users


def _digest(*values: object) -> int:
    """To be summed up: neither side has its users in the other's order."""
    packed = msgspec.msgpack.encode([repr(value) for value in values])
    return int.from_bytes(blake2b(packed, digest_size=DIGEST_BYTES).digest())


async def _compare_bases(source: Side, target: Side) -> None:
    counts, partitions = [0, 0], target.store.partition_count
    for number in range(source.store.partition_count):
        async for page in source.contents.bases(number):
            counts[0] += len(page)
            users: dict[int, list[str]] = {}
            for base in page:
                users.setdefault(partition_of(base.user, partitions), []).append(base.user)
            there = [await target.store.bases(partition, some) for partition, some in users.items()]
            found = {base.user: base for bases in there for base in bases}
            for base in page:
                _alike(f"what the folded log comes to for user {base.user!r}", base, found.get(base.user))
    for number in range(partitions):
        async for page in target.contents.bases(number):
            counts[1] += len(page)
    _alike("users whose log is folded", *counts)


async def _compare_outbox(source: Side, target: Side) -> None:
    held: dict[str, list[OutboxMessage]] = {}
    async for page in source.contents.outbox():
        for message in page:
            held.setdefault(message.user, []).append(message)
        *whole, last = held  # of the last there may be more
        await _compare_waiting(target, {user: held[user] for user in whole})
        held = {last: held[last]}
    await _compare_waiting(target, held)


async def _compare_waiting(target: Side, waiting: dict[str, list[OutboxMessage]]) -> None:
    users = list(waiting)
    for start in range(0, len(users), USERS):
        some = users[start : start + USERS]
        for user, after in zip(some, await target.contents.pending(some), strict=True):
            _alike(f"what waits for user {user!r}", waiting[user], after)
