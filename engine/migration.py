"""All of a store into another one, which is empty, and may be of another kind and number of partitions.

It evaluates nothing, and whoever opens the stores sees to it that nobody else has them. A user's entries, decisions and
messages keep their order. Where partitions come together, what happened at different users is put in order of moments.
Numbers begin behind all that there were, so that no id that is made of them comes again. The source is only read;
`migrated` compares.

A tick says that time has come to its moment for all users of its partition. Where partitions come together it stands
only if that is so of all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from math import gcd
from operator import attrgetter

import msgspec

from engine.replay.sorting import SortedLines
from engine.storage.base import FAULTS_MAX, Base, Commit, Entry, Fault, Folded, Store, StoreError, partition_of
from engine.storage.loading import PAGE, Contents, Decided, Kept, Loading, Stand

SORTED_BYTES = 64 << 20  # of decisions that are put in order at once; what is more waits in files
TOGETHER = 2_000  # entries and decisions that are committed at once

Item = Entry | Decided
Progress = Callable[[int], None]


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


async def check_at_rest(source: Side) -> None:
    """Raises `StoreError` where entries wait to be evaluated: what they come to is for a server to say."""
    stands = [await source.contents.stand(number) for number in range(source.store.partition_count)]
    waiting = sum(stand.last - stand.cursor for stand in stands)
    if waiting:
        entries = "1 entry waits" if waiting == 1 else f"{waiting:,} entries wait"
        raise StoreError(f"{entries} to be evaluated: start the server (or a worker) on it, stop it, and try again")


async def check_empty(target: Store) -> None:
    """Raises `StoreError` where there is anything."""
    described = await target.describe()
    found = [name for name in ("entries", "folded", "users", "decisions", "outbox", "faults") if described[name]]
    if found or await target.rule_moments():
        what = f"it has {found[0]}" if found else "it has rules"
        raise StoreError(f"expected a store in which nothing is, and {what}: name another one")


async def copy(source: Side, target: Store, loading: Loading, progress: Progress | None = None) -> Moved:
    """Fill ``target``, in which nothing is, and which nobody opens before that is done. Raises `StoreError`."""
    moved = Moved()
    await loading.begin()
    moments = await source.store.rule_moments()
    for _, rules_hash in moments:
        sources = await source.store.load_rules(rules_hash)
        if sources is not None:
            await target.save_rules(rules_hash, sources)
    await loading.put_rules(moments)
    moved.rule_sets = len(moments)
    writing = _Writing(target, moved, progress)
    last_at = [-1] * target.partition_count
    for group in await groups_of(source, target.partition_count):
        await _copy_bases(source, group, loading, target.partition_count, moved)
        writing.begin(group)
        async for partition, item in routed(source, group, target.partition_count, frozenset(moments)):
            await writing.add(partition, item)
        await writing.flush()
        for number in group.sources:
            async for page in source.contents.states(number):
                await writing.add_states(page)
        for number in group.targets:
            last_at[number] = max(group.last_at, group.folded.at)
    async for messages in source.contents.outbox():
        await writing.commit_for([(message.user, "outbox", message) for message in messages])
        moved.outbox += len(messages)
    for faults in await _newest_faults(source):
        await writing.commit_for([(fault.user, "faults", fault) for fault in faults])
        moved.faults += len(faults)
    await writing.flush()
    await loading.come_to(last_at)
    return moved


async def _newest_faults(source: Side) -> Iterator[list[Fault]]:
    """As many as a store keeps of all its partitions, from the oldest on."""
    newest: list[Fault] = []
    async for page in source.contents.faults():
        newest = sorted([*newest, *page], key=attrgetter("at"))[-FAULTS_MAX:]
    return (newest[start : start + PAGE] for start in range(0, len(newest), PAGE))


async def _copy_bases(source: Side, group: Group, loading: Loading, count: int, moved: Moved) -> None:
    if not group.folded.number:
        return
    for number in group.targets:
        await loading.put_bases(number, group.folded, [])
    for number in group.sources:
        async for page in source.contents.bases(number):
            moved.bases += len(page)
            for target, bases in _by_partition(page, count).items():
                await loading.put_bases(target, group.folded, bases)


async def groups_of(source: Side, count: int) -> list[Group]:
    """The partitions that have users in common, for a target of ``count``."""
    own = source.store.partition_count
    step = gcd(own, count)
    moments = [at for at, _ in await source.store.rule_moments()]
    every = [await source.contents.stand(number) for number in range(own)]
    behind = max(stand.last for stand in every)
    groups = []
    for first in range(step):
        sources = tuple(range(first, own, step))
        targets = tuple(range(first, count, step))
        begins: list[int] = []
        ends: list[int] = []
        for number in sources:
            folded = await source.store.folded(number)
            begin = await _begin_of(source, number, folded)
            if begin is not None or await _has_states(source, number):
                ends += _came_to(every[number], folded, moments)
            begins += [] if begin is None else [begin]
        is_folded = any([(await source.store.folded(number)).at >= 0 for number in sources])
        begun = Folded(behind, min(begins)) if is_folded and begins else Folded(behind)
        last_at = max(every[number].last_at for number in sources)
        groups.append(Group(sources, targets, begun, min(ends, default=None), last_at))
    return groups


async def _begin_of(source: Side, number: int, folded: Folded) -> int | None:
    """The moment behind which there is all that happened to the users of a partition; None where nothing did."""
    async for _ in source.contents.bases(number):
        return folded.at
    log = EntriesOf(source.store, number)
    while (entry := await log.next()) is not None:
        if entry.user:
            return entry.at - 1
    return None


async def _has_states(source: Side, number: int) -> bool:
    async for _ in source.contents.states(number):
        return True
    return False


def _came_to(stand: Stand, folded: Folded, moments: list[int]) -> list[int]:
    """Up to where time has come for the users of a partition; nothing where it may go on without anything happening.

    It was let run to the last tick. Nothing would come of letting it run on to the earliest wake-up, nor to the next
    change of rules.
    """
    reached = max(stand.last_tick, folded.at)
    later = [moment - 1 for moment in moments if moment > reached]
    if stand.wake is not None:
        later.append(stand.wake - 1)
    return [max(reached, min(later))] if later else []


async def routed(
    source: Side, group: Group, count: int, moments: frozenset[tuple[int, str]], read: Moved | None = None
) -> AsyncIterator[tuple[int, Item]]:
    """Entries and decisions of a group in order of their moments, each with its partition in the target.

    What was decided at a moment comes before an entry of that moment. Of ticks between which nothing happens the last
    is left; rules that hold begin once in each partition, others nowhere. ``read`` is told how many entries of users
    and decisions there were.
    """
    ticks: dict[int, int] = {}
    begun: set[tuple[int, str]] = set()
    with SortedLines(SORTED_BYTES) as lines:
        for number in group.sources:
            async for page in source.contents.decisions(number):
                if read is not None:
                    read.decisions += len(page)
                for one in page:
                    lines.add(one.at, _packed.encode((one.at, one.user.encode("utf-8", "surrogatepass"), one.line)))
        logs = [EntriesOf(source.store, number) for number in group.sources]
        async for item in _merged(logs, map(_decision_of, lines)):
            if isinstance(item, Entry) and not item.user and item.at <= group.folded.at:
                continue  # of a partition without users, which may have been folded less far
            if isinstance(item, Entry) and item.kind == "tick":
                if group.came_to is None or item.at <= group.came_to:
                    ticks.update(dict.fromkeys(group.targets, item.at))
                continue
            if isinstance(item, Entry) and item.kind == "rules":
                named = (item.at, item.rules_hash)
                if named in begun or named not in moments:
                    continue
                begun.add(named)
                receivers: Iterable[int] = group.targets
            else:
                receivers = (partition_of(item.user, count),)
            for target in receivers:
                tick = ticks.pop(target, None) if isinstance(item, Entry) else None
                if tick is not None:
                    yield target, Entry("tick", tick)
                yield target, item
        if read is not None:
            read.entries += sum(log.of_users for log in logs)
    for target in group.targets:
        if target in ticks:
            yield target, Entry("tick", ticks[target])


class EntriesOf:
    """The entries of a partition, one after the other."""

    def __init__(self, store: Store, partition: int) -> None:
        self._store = store
        self._partition = partition
        self._last = 0
        self._page: list[tuple[int, Entry]] = []
        self.of_users = 0  # events and sends that were handed out

    async def next(self) -> Entry | None:
        if not self._page:
            self._page = (await self._store.numbered(self._partition, self._last, PAGE))[::-1]
            if not self._page:
                return None
        self._last, entry = self._page.pop()
        self.of_users += entry.kind in ("event", "send")
        return entry


async def _merged(logs: list[EntriesOf], decisions: Iterator[Decided]) -> AsyncIterator[Item]:
    heads: list[tuple[int, int, Entry]] = []  # no two of one log, so entries are never compared

    async def push(place: int) -> None:
        entry = await logs[place].next()
        if entry is not None:
            heappush(heads, (entry.at, place, entry))

    for place in range(len(logs)):
        await push(place)
    decided = next(decisions, None)
    while heads or decided is not None:
        if decided is not None and (not heads or decided.at <= heads[0][0]):
            yield decided
            decided = next(decisions, None)
        else:
            _, place, entry = heappop(heads)
            yield entry
            await push(place)


class _Writing:
    """Commits to a store that nobody else knows of; what it does not commit yet is little."""

    def __init__(self, store: Store, moved: Moved, progress: Progress | None) -> None:
        self._store = store
        self._moved = moved
        self._progress = progress
        self._versions = [0] * store.partition_count
        self._cursors = [0] * store.partition_count
        self._open: dict[int, Commit] = {}
        self._held = 0

    def begin(self, group: Group) -> None:
        for number in group.targets:
            self._cursors[number] = group.folded.number

    async def add(self, partition: int, item: Item) -> None:
        commit = self._commit(partition)
        if isinstance(item, Entry):
            commit.appended.append(item)
            commit.cursor += 1
            self._moved.entries += 1
        else:
            commit.decisions.append((item.user, item.at, item.line))
            self._moved.decisions += 1
        self._held += 1
        if self._held >= TOGETHER:
            await self.flush()

    async def add_states(self, page: list[Kept]) -> None:
        for kept in page:
            commit = self._commit(partition_of(kept.user, self._store.partition_count))
            commit.states[kept.user] = kept.state
            commit.wakes[kept.user] = kept.wake
            commit.present[kept.user] = kept.present
        self._moved.users += len(page)
        self._held += len(page)
        await self.flush()

    async def commit_for(self, things: list[tuple[str, str, object]]) -> None:
        """Messages and faults, each for its user, under the name that they have in a commit."""
        for user, name, thing in things:
            getattr(self._commit(partition_of(user, self._store.partition_count)), name).append(thing)
        self._held += len(things)
        if self._held >= TOGETHER:
            await self.flush()

    async def flush(self) -> None:
        commits, self._open = list(self._open.values()), {}
        if commits:
            await self._store.commit(commits)
        for commit in commits:
            self._versions[commit.partition] += 1
            self._cursors[commit.partition] = commit.cursor
        if self._progress is not None:
            self._progress(self._held)
        self._held = 0

    def _commit(self, partition: int) -> Commit:
        commit = self._open.get(partition)
        if commit is None:
            commit = Commit(partition, self._versions[partition], self._cursors[partition])
            self._open[partition] = commit
        return commit


def _by_partition(bases: list[Base], count: int) -> dict[int, list[Base]]:
    found: dict[int, list[Base]] = {}
    for base in bases:
        found.setdefault(partition_of(base.user, count), []).append(base)
    return found


_packed = msgspec.msgpack.Encoder()
_unpacked = msgspec.msgpack.Decoder(tuple[int, bytes, bytes])


def _decision_of(packed: bytes) -> Decided:
    at, user, line = _unpacked.decode(packed)
    return Decided(user.decode("utf-8", "surrogatepass"), at, line)
