"""Whoever reads page by page is handed so much as may be read at once, however big some is, and all in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer
from samples_for_stores import ANN, PARTITION_COUNT, event, make_store, users_of

from engine.cli.store_migrate import contents_of
from engine.core.model import Event, Message
from engine.migration import copy
from engine.regrouping import Side
from engine.storage.base import PAGE_BYTES, Base, Commit, Entry, Fault, Folded, OutboxMessage, Store
from engine.storage.codec import encode_entry
from engine.storage.fleet import Untold
from engine.storage.loading import Loading
from engine.storage.redis import RedisStore
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_loading import RedisLoading
from engine.storage.redis_pages import within
from engine.storage.sqlite import SqliteStore
from engine.storage.sqlite_loading import SqliteLoading

MIB = 1 << 20
AT_ONCE = PAGE_BYTES // MIB
MANY = 3 * AT_ONCE
TEXT = "x" * MIB


@pytest.fixture(params=["sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    server = request.getfixturevalue("server") if request.param == "redis" else None
    store = await make_store(request.param, tmp_path, server)
    yield store
    await store.close()


def loading_of(store: Store) -> Loading:
    if isinstance(store, RedisStore):
        return RedisLoading(store)
    assert isinstance(store, SqliteStore)
    return SqliteLoading(store)


async def fill(store: Store, entries: list[Entry], user: str = ANN) -> None:
    """Evaluated, and each with a decision that is as big."""
    for entry in entries:
        await store.append([entry])
    partition = 0
    [batch] = await store.poll([partition], -1, 1)
    decisions = [(user, entry.at, encode_entry(entry)) for entry in entries]
    for place, decision in enumerate(decisions):
        await store.commit([Commit(partition, batch.version + place, place + 1, decisions=[decision])])


async def test_of_big_entries_fewer_are_read_at_once(store: Store) -> None:
    entries = [event(ANN, number, text=TEXT if number > 600 else "") for number in range(1, 601 + MANY)]
    await store.append(entries[:600])
    for entry in entries[600:]:
        await store.append([entry])
    sizes: list[int] = []
    found: list[tuple[int, Entry]] = []
    while page := await store.numbered(0, found[-1][0] if found else 0, 500):
        sizes.append(len(page))
        found += page
    assert found == list(enumerate(entries, 1))
    assert sizes[0] == 500  # little ones
    assert sizes[1] == 100 + AT_ONCE
    assert set(sizes[2:-1]) == {AT_ONCE}
    assert len(await store.numbered(0, 0, 500, 5 * len(encode_entry(entries[0])))) < 9
    assert await store.log(0, 0, 10_000) == entries  # whoever wants all has all


async def test_of_big_decisions_fewer_are_read_at_once(store: Store) -> None:
    entries = [event(ANN, number, text=TEXT) for number in range(MANY)]
    await fill(store, entries)
    pages = [page async for page in contents_of(store).decisions(0)]
    assert [one.at for page in pages for one in page] == list(range(MANY))
    assert max(map(len, pages)) <= AT_ONCE
    assert await store.decisions(0) == [encode_entry(entry) for entry in entries]


async def test_of_big_states_bases_messages_and_faults_fewer_are_read_at_once(store: Store) -> None:
    users = users_of(0, MANY)
    past = [(Event("edit", user, 1, {"text": TEXT}),) for user in users]
    bases = [Base(user, b"{}", None, mine) for user, mine in zip(users, past, strict=True)]
    for base in bases:
        await loading_of(store).put_bases(0, Folded(1, 1), [base])
    for number, user in enumerate(users):
        waiting = OutboxMessage(user, Message(f"m{number}", "hint", TEXT), 5)
        fault = Fault(user, 5, event(user, 5, text=TEXT), "trace")
        commit = Commit(0, number, 1, states={user: b"x" * MIB}, wakes={user: None}, present={user: False})
        commit.outbox, commit.faults = [waiting], [fault]
        await store.commit([commit])
    contents = contents_of(store)
    every: list[list[list[Any]]] = [
        [page async for page in contents.states(0)],
        [page async for page in contents.bases(0)],
        [page async for page in contents.outbox()],
        [page async for page in contents.faults()],
    ]
    for pages in every:
        assert sorted(each.user for page in pages for each in page) == sorted(users)
        assert max(map(len, pages)) <= AT_ONCE
    assert sorted(await store.bases(0), key=lambda base: base.user) == sorted(bases, key=lambda base: base.user)


class Noted:
    """A store of which the sizes of commits are noted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, commits: list[Commit]) -> None:
        lines = [encode_entry(entry) for commit in commits for entry in commit.appended]
        lines += [line for commit in commits for _, _, line in commit.decisions]
        self.sizes.append(sum(map(len, lines)))
        await self._store.commit(commits)


@pytest.mark.parametrize("big", [0, MIB])
async def test_what_is_moved_is_committed_in_pieces_of_so_many_bytes(store: Store, tmp_path: Path, big: int) -> None:
    entries = [event(ANN, number, text="x" * big) for number in range(1, MANY + 1)]
    await fill(store, entries)
    target = await SqliteStore.open(tmp_path / "target.db", partition_count=PARTITION_COUNT, durability="normal")
    noted: Any = Noted(target)
    moved = await copy(Side(store, contents_of(store)), noted, SqliteLoading(target))
    assert (moved.entries, moved.decisions) == (MANY, MANY)
    assert [entry.event for entry in await target.log(0, 0, 99)] == [entry.event for entry in entries]
    if big:
        assert max(noted.sizes) <= 2 * PAGE_BYTES + 2 * MIB
    else:
        assert len(noted.sizes) == 1  # of little ones many
    await target.close()


async def test_where_no_tick_is_among_the_newest_entries_the_last_one_is_found(store: Store) -> None:
    [batch] = await store.poll([0], -1, 1)
    await store.commit([Commit(0, batch.version, 1, [Entry("tick", 7)])])
    for number in range(MANY):
        await store.append([event(ANN, 10 + number, text=TEXT)])
    stands = await contents_of(store).stands()
    assert [stand.last_tick for stand in stands] == [7, -1, -1, -1]
    await store.append([event(ANN, 100)] * 2_100)
    assert [stand.last_tick for stand in await contents_of(store).stands()] == [7, -1, -1, -1]


async def test_of_what_is_big_and_untold_a_little_is_read_at_once(server: RedisServer) -> None:
    partitions = 40
    store = await RedisFleetStore.open(server.address, partition_count=partitions)
    users = [f"user{number}" for number in range(160)]
    for user in users:
        await store.ingest(
            [Entry("event", 0, user, Event("edit", user, 0, {"text": TEXT[: MIB // 2]}, user), once=True)]
        )
    for share in await store.take("w", list(range(partitions)), lease_ms=60_000, entries_max=20):
        batch = share.batch
        await store.commit([Commit(batch.partition, batch.version, batch.cursor + len(batch.entries), told=False)])
    after = dict.fromkeys(range(partitions), (0, 0))
    told: list[str] = []
    most = 0
    while after:
        pages = await store.untold(after, 2_000)
        assert pages.keys() == after.keys()
        read = [entry for page in pages.values() for entry in page.entries]
        assert read
        told += [entry.user for entry in read]
        most = max(most, len(read))
        after = {number: page.next for number, page in pages.items() if page.next is not None}
    assert sorted(told) == sorted(users)
    assert most * MIB // 2 <= 4 * PAGE_BYTES
    assert await store.untold({0: (10**6, 10**6)}, 9) == {0: Untold([], [])}
    await store.close()


def test_names_are_put_together_as_long_as_they_are_little() -> None:
    assert list(within([], [])) == []
    half = PAGE_BYTES // 2
    weights = {b"a": half, b"b": half, b"c": 1, b"d": PAGE_BYTES + 1, b"e": 0, b"f": PAGE_BYTES}
    pieces = list(within(list(weights), weights.values()))
    assert pieces == [[b"a", b"b"], [b"c"], [b"d"], [b"e", b"f"]]
