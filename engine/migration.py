"""All of a store into another one, which is empty, and may be of another kind and number of partitions.

It evaluates nothing, and whoever opens the stores sees to it that nobody else has them. A user's entries, decisions and
messages keep their order. Where partitions come together, what happened at different users is put in order of moments.
Numbers begin behind all that there were, so that no id that is made of them comes again. The source is only read;
`regrouping` has the order, `migrated` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

from engine.regrouping import Group, Item, Moved, Side, groups_of, routed
from engine.storage.base import FAULTS_MAX, Base, Commit, Entry, Fault, Store, StoreError, partition_of
from engine.storage.codec import encode_entry, encode_message
from engine.storage.loading import PAGE, Kept, Loading

TOGETHER = 2_000  # rows that are committed at once, or
TOGETHER_BYTES = 4 << 20

Progress = Callable[[int], None]


async def check_at_rest(source: Side) -> None:
    """Raises `StoreError` where entries wait to be evaluated: what they come to is for a server to say."""
    waiting = sum(stand.last - stand.cursor for stand in await source.contents.stands())
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
        async for items, size in routed(source, group, target.partition_count, frozenset(moments)):
            await writing.add(items, size)
        for number in group.sources:
            async for page in source.contents.states(number):
                await writing.add_states(page)
        for number in group.targets:
            last_at[number] = max(group.last_at, group.folded.at)
    async for messages in source.contents.outbox():
        size = sum([len(encode_message(each.message)) for each in messages])
        await writing.commit_for([(message.user, "outbox", message) for message in messages], size)
        moved.outbox += len(messages)
    for faults in await _newest_faults(source):
        size = sum([len(encode_entry(fault.entry)) for fault in faults])
        await writing.commit_for([(fault.user, "faults", fault) for fault in faults], size)
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
        self._size = 0  # in bytes

    def begin(self, group: Group) -> None:
        for number in group.targets:
            self._cursors[number] = group.folded.number

    async def add(self, items: list[tuple[int, Item]], size: int) -> None:
        for partition, item in items:
            commit = self._commit(partition)
            if isinstance(item, Entry):
                commit.appended.append(item)
                commit.cursor += 1
                self._moved.entries += 1
            else:
                commit.decisions.append((item.user, item.at, item.line))
                self._moved.decisions += 1
        await self._held_more(len(items), size)

    async def add_states(self, page: list[Kept]) -> None:
        for kept in page:
            commit = self._commit(partition_of(kept.user, self._store.partition_count))
            commit.states[kept.user] = kept.state
            commit.wakes[kept.user] = kept.wake
            commit.present[kept.user] = kept.present
        self._moved.users += len(page)
        await self._held_more(len(page), sum(len(kept.state) for kept in page))

    async def commit_for(self, things: list[tuple[str, str, object]], size: int) -> None:
        """Messages and faults, each for its user, under the name that they have in a commit."""
        for user, name, thing in things:
            getattr(self._commit(partition_of(user, self._store.partition_count)), name).append(thing)
        await self._held_more(len(things), size)

    async def _held_more(self, count: int, size: int) -> None:
        self._held += count
        self._size += size
        if self._held >= TOGETHER or self._size >= TOGETHER_BYTES:
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
        self._held = self._size = 0

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
