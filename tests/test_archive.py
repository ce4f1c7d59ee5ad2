"""What is folded away is in the archive, once, in order, whatever happens in between; and a dry run reads it."""

# ruff: noqa: ASYNC240 (a test may block: nothing else runs beside it)

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from test_retention import FIRST, SECOND, START, USERS, play
from typer.testing import CliRunner

from engine.archive import KINDS, SUFFIX, Archive, forget
from engine.cli.main import app_for
from engine.core.model import Message
from engine.core.units import DAY, HOUR, MINUTE, format_at
from engine.observer import Observer
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import read_blocks
from engine.replay.members import logs_in
from engine.replay.shares import Share
from engine.retention import Retention, Trimmed, keep_trimmed
from engine.storage.base import Entry, Fold, Store, StoreError, partition_of
from engine.storage.codec import decode_entry
from engine.storage.sqlite import SqliteStore
from engine.turn import Turns

STEPS: list[Any] = [
    (11 * MINUTE, (user, kind))
    for kind in ("session.start", "edit", "test.failed", "chat_message") * 8
    for user in USERS
]


async def fill(store: Store) -> int:
    """A day, in which midnight passes, ticks, and something that the application said. When it ended."""
    now = await play(store, [(0, FIRST)], START)
    turns = Turns(store)
    await turns.recover()
    said = Entry("send", now + 1, "ann", message=Message("s1", "note", "hello"), once=True)
    await turns.make([said], now + 1, due=False)
    for number, step in enumerate(STEPS):
        now = await play(store, [step] if number % 6 else [step, (MINUTE, "tick")], now)
    return await play(store, [(MINUTE, SECOND), (MINUTE, "tick"), (MINUTE, "time"), (MINUTE, ("ann", "edit"))], now)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with that day in it, of which each test has a copy."""
    path = tmp_path_factory.mktemp("filled") / "proactive.db"

    async def make() -> None:
        store = await SqliteStore.open(path, partition_count=4, durability="normal")
        await fill(store)
        await store.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def store(filled: Path, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    shutil.copy(filled, tmp_path / "proactive.db")
    store = await SqliteStore.open(tmp_path / "proactive.db", partition_count=4, durability="normal")
    yield store
    await store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def trim(store: Store, folder: Path, before: int) -> Trimmed:
    turns = Turns(store)
    await turns.recover()
    return await Retention(store, turns.catch_up, archive=Archive(folder, store.partition_count)).trim(before)


async def logged(store: Store) -> dict[tuple[int, str], list[Entry]]:
    """Events and sends by partition."""
    found: dict[tuple[int, str], list[Entry]] = {}
    for number in range(store.partition_count):
        for entry in await store.log(number, 0, 99_999):
            if entry.kind in KINDS:
                found.setdefault((number, entry.kind), []).append(entry)
    return found


def archived(folder: Path, count: int = 4) -> dict[tuple[int, str], list[Entry]]:
    found: dict[tuple[int, str], list[Entry]] = {}
    for number in range(count):
        for kind, below in KINDS.items():
            paths = sorted((folder / below / f"p={number:03d}").glob("date=*/*" + SUFFIX))
            assert all("." + path.name not in str(path) for path in paths)
            for path in paths:
                lines = b"".join(read_blocks(str(path))).splitlines()
                entries = [decode_entry(line) for line in lines]
                assert {f"date={_day(entry)}" for entry in entries} == {path.parent.name}
                found.setdefault((number, kind), []).extend(entries)
    return found


def _day(entry: Entry) -> str:
    return format_at(entry.at)[:10]


def both(folder: Path, rest: dict[tuple[int, str], list[Entry]]) -> dict[tuple[int, str], list[Any]]:
    found: dict[tuple[int, str], list[Any]] = {}
    for part in (archived(folder), rest):
        for key, entries in part.items():
            found.setdefault(key, []).extend((entry.at, entry.event, entry.message) for entry in entries)
    return found


async def test_what_is_folded_is_in_the_archive_once_and_in_order(store: SqliteStore, folder: Path) -> None:
    before = both(folder, await logged(store))
    for hours in (4, 9, 9, 12, 40):
        await trim(store, folder, START + hours * HOUR)
        assert both(folder, await logged(store)) == before
    assert sum(map(len, archived(folder).values())) > 120
    days = {path.name for path in folder.glob("p=*/date=*")}
    assert len(days) == 2
    assert [path.parent.parent.parent.name for path in folder.glob(f"sends/p=*/date=*/*{SUFFIX}")] == ["sends"]
    assert len(list(folder.glob("rules/*/rules.yaml"))) == 2


class Killed(BaseException):
    pass


class DyingStore:
    """It is gone at a fold, before or after that is made."""

    def __init__(self, inner: Store, fold: int, *, is_made: bool) -> None:
        self.inner = inner
        self.left = fold
        self.is_made = is_made

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def fold(self, fold: Fold) -> None:
        self.left -= 1
        if self.left == 0:
            if self.is_made:
                await self.inner.fold(fold)
            raise Killed
        await self.inner.fold(fold)


@pytest.mark.parametrize("is_made", [False, True])
@pytest.mark.parametrize("erased", ["", "ann", "bob", "cyd", "dan"])
async def test_who_is_killed_between_the_two_has_lost_and_doubled_nothing(
    is_made: bool, erased: str, store: SqliteStore, folder: Path
) -> None:
    for fold, hours in enumerate((5, 12, 24), 1):
        with pytest.raises(Killed):
            await trim(DyingStore(store, fold, is_made=is_made), folder, START + hours * HOUR)  # type: ignore[arg-type]
    before = both(folder, await logged(store))
    if erased:
        await store.erase(erased)
        forget(folder, erased)
    await trim(store, folder, START + 20 * HOUR)
    await trim(store, folder, START + 40 * HOUR)
    numbers = [
        tuple(map(int, path.name.removesuffix(SUFFIX).split("-"))) for path in sorted(folder.glob("p=000/*/*.zst"))
    ]
    assert all(first > last for (_, last), (first, _) in pairwise(numbers))
    after = both(folder, await logged(store))
    seen = {
        key: [each for each in entries if each[1] is None or each[1].user != erased] for key, entries in after.items()
    }
    assert seen == after, "nobody who was erased is there"
    whole = {key: list(dict.fromkeys(map(repr, entries))) for key, entries in before.items()}
    if not erased:
        assert {key: list(map(repr, entries)) for key, entries in after.items()} == whole


async def test_what_was_never_finished_goes(store: SqliteStore, folder: Path) -> None:
    for number in range(4):
        place = folder / f"p={number:03d}" / "date=2026-03-28"
        place.mkdir(parents=True)
        (place / ".1-2.jsonl.zst.part").write_text("half")
    await trim(store, folder, START + 40 * HOUR)
    assert not list(folder.rglob(".*.part"))


async def test_an_erased_user_is_in_no_file_and_the_others_are(store: SqliteStore, folder: Path) -> None:
    await trim(store, folder, START + 40 * HOUR)
    before = both(folder, {})
    assert forget(folder, "ann") == 33
    assert forget(folder, "ann") == 0
    after = both(folder, {})
    users = {event.user for entries in after.values() for _, event, _ in entries if event is not None}
    assert users == {"bob", "cyd", "dan"}
    assert not any(b"ann" in b"".join(read_blocks(str(path))) for path in folder.rglob("*.zst"))
    told = await asyncio.to_thread(run, "store", "forget", folder, "--user", "bob")
    assert (told.exit_code, told.stdout) == (0, f"{folder}: 32 entries of bob taken out\n")
    after = both(folder, {})
    for (number, kind), entries in before.items():
        if number not in (partition_of("ann", 4), partition_of("bob", 4)):
            assert after[number, kind] == entries


async def test_the_archive_of_another_store_is_not_written_over(
    store: SqliteStore, folder: Path, tmp_path: Path
) -> None:
    await trim(store, folder, START + 12 * HOUR)
    before = both(folder, {})
    other = await SqliteStore.open(tmp_path / "other.db", partition_count=4, durability="normal")
    await play(other, [(0, FIRST), *[(MINUTE, (user, "edit")) for user in USERS], *[(MINUTE, "tick")] * 3], START)
    with pytest.raises(StoreError, match="is it the archive of another store"):
        await trim(other, folder, START + 40 * HOUR)
    assert both(folder, {}) == before
    await other.close()
    with pytest.raises(StoreError, match="the archive of a store of 4 partitions, this one has 8"):
        Archive(folder, 8)
    (folder / "archive.json").write_text("{}")
    with pytest.raises(StoreError, match="of another form"):
        Archive(folder, 4)


async def test_two_do_not_write_to_a_partition_at_once(store: SqliteStore, folder: Path) -> None:
    with Archive(folder, 4).held(2), pytest.raises(StoreError, match=r"partition 2 of the archive .* another process"):
        await trim(store, folder, START + 40 * HOUR)
    assert [(await store.folded(number)).number > 0 for number in range(4)] == [True, True, False, True]
    await trim(store, folder, START + 40 * HOUR)
    assert (await store.folded(2)).number > 0


async def test_what_cannot_be_archived_is_not_folded(store: SqliteStore, folder: Path) -> None:
    Archive(folder, 4)
    (folder / "p=000").write_text("in the way")
    with pytest.raises(StoreError, match=r"p=000.* cannot be written: file exists"):
        await trim(store, folder, START + 40 * HOUR)
    assert (await store.folded(0)).number == 0


async def test_a_folder_that_is_no_archive_is_told(tmp_path: Path) -> None:
    told = await asyncio.to_thread(run, "store", "forget", tmp_path, "--user", "bob")
    assert (told.exit_code, told.stderr) == (1, f'"{tmp_path}" is no archive: it has no archive.json\n')


class Told(Observer):
    def __init__(self) -> None:
        self.told = asyncio.Event()

    def store_worked(self, work: str, seconds: float, *, ok: bool = True) -> None:
        assert ok
        self.told.set()


async def test_a_server_archives_whole_days(store: SqliteStore, folder: Path) -> None:
    before = await logged(store)
    observer = Told()
    turns = Turns(store)
    await turns.recover()
    now = (START // DAY + 3) * DAY + 5 * HOUR  # two days ago, so in the middle of the day that is the first to stay
    running = asyncio.create_task(
        keep_trimmed(
            store, turns.catch_up, 2 * DAY, clock=lambda: now, seconds=lambda: 1.0, observer=observer, archive=folder
        )
    )
    await observer.told.wait()
    running.cancel()
    first = START // DAY
    assert {path.name for path in folder.glob("p=*/date=*")} == {"date=2026-03-27"}
    rest = await logged(store)
    assert {entry.at // DAY for entries in rest.values() for entry in entries} >= {first + 1}
    assert sum(map(len, archived(folder).values())) + sum(map(len, rest.values())) == sum(map(len, before.values()))


def run(*words: str | Path) -> Result:
    strings = [str(word) for word in words]
    return CliRunner().invoke(app_for(strings), strings)


@pytest.mark.parametrize("jobs", [1, 2, 3, 4, 8])
async def test_a_dry_run_reads_the_archive_the_same_by_however_many(
    jobs: int, store: SqliteStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "rules.yaml").write_text(FIRST)
    before = await logged(store)
    await trim(store, folder, START + 40 * HOUR)
    log = tmp_path / "log.jsonl"
    assert (await asyncio.to_thread(run, "import", folder, "--sort", "--output", log)).exit_code == 0
    events = sum(len(entries) for (_, kind), entries in archived(folder).items() if kind == "event")
    assert log.read_bytes().count(b"\n") == events < sum(map(len, before.values()))
    words = ["--rules", rules, "--decisions", "-", "--jobs", str(jobs)]
    of_log = await asyncio.to_thread(run, "replay", log, *words)
    of_archive = await asyncio.to_thread(run, "replay", folder, *words)
    assert of_archive.exit_code == 0
    assert of_archive.output == of_log.output
    assert f"events       {events}" in of_archive.output
    # Damage is told once, whoever reads the file.
    path = sorted(folder.glob("p=*/*/*.zst"))[-1]
    path.write_bytes(path.read_bytes()[:-9])
    damaged = await asyncio.to_thread(run, "replay", folder, *words)
    assert damaged.output.count("truncated zstd") == of_archive.output.count("truncated zstd") + 2


async def test_partitions_of_others_are_not_even_opened(store: SqliteStore, folder: Path) -> None:
    await trim(store, folder, START + 40 * HOUR)
    every = list(logs_in(str(folder), BadRecords()))
    shares = [list(logs_in(str(folder), BadRecords(), share=Share(number, 2))) for number in range(2)]
    assert sorted([*shares[0], *shares[1]]) == sorted(every)
    assert all(shares)
    thirds = [list(logs_in(str(folder), BadRecords(), share=Share(number, 3))) for number in range(3)]
    assert thirds == [every] * 3
