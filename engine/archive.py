"""What retention folds away, written to files first: the events of each partition by day, in the order of the log.

`engine.replay.partitioned` has the layout. An entry is in the archive once, whatever happens: files are named by the
numbers of their entries, and what a process that was killed has written and not folded is written anew. The archive
decides nothing of what is folded, and reads nothing back but to compare.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import msgspec

from engine.core.units import format_at
from engine.replay.blocks import read_blocks
from engine.replay.pack import packed
from engine.replay.partitioned import ARCHIVE_FILE, FORMAT, Head, head_in, name_of
from engine.storage.base import Entry, Folded, Store, StoreError, partition_of
from engine.storage.codec import decode_entry, encode_entry

try:
    import fcntl
except ImportError:  # Windows has no flock; there nobody watches over this
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".jsonl.zst"
KINDS = {"event": "", "send": "sends"}  # of entries that are kept, and where below the folder
PAGE_ENTRIES = 500
_NUMBER_DIGITS = 15

Row = tuple[int, Entry]


class Archive:
    """In a folder, for one store. Raises `StoreError` where it is that of another, or cannot be written."""

    def __init__(self, folder: Path, partition_count: int) -> None:
        self.folder = folder
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / ARCHIVE_FILE).exists():
                _write(folder / ARCHIVE_FILE, msgspec.json.encode(Head(FORMAT, partition_count)) + b"\n")
        head = head_in(str(folder))
        if head is None or head.partitions != partition_count:
            parts = "another form" if head is None else f"{head.partitions} partitions"
            raise StoreError(
                f'"{folder}" is the archive of a store of {parts}, this one has {partition_count}: name another folder'
            )

    @contextmanager
    def held(self, partition: int) -> Iterator[None]:
        """Nobody else writes to the partition meanwhile: to be held until what was put there is folded."""
        with self._told():
            place = self.folder / name_of(partition)
            place.mkdir(exist_ok=True)
            file = (place / ".lock").open("a")
        with file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise StoreError(
                        f'partition {partition} of the archive "{self.folder}" is being written by another process: '
                        "try again later",
                        "busy",
                    ) from None
            yield

    async def put(self, store: Store, partition: int, former: Folded, upto: int) -> None:
        """Events and sends behind ``former`` up to that number, on the disk when it returns. It is `held` meanwhile."""
        rows: dict[str, list[Row]] = {kind: [] for kind in KINDS}
        last = former.number
        while page := await store.numbered(partition, last, PAGE_ENTRIES):
            for last, entry in page:
                if entry.kind in rows and last <= upto:
                    rows[entry.kind].append((last, entry))
            if last >= upto:
                break
        for kind, found in rows.items():
            place = self.folder / KINDS[kind] / name_of(partition)
            left = await asyncio.to_thread(_left_over, place, former)
            for path in left:
                await self._check_ours(store, partition, kind, path, former)
            with self._told():
                await asyncio.to_thread(_replace, place, left, found)

    async def put_rules(self, store: Store) -> None:
        """Every rule set that holds from some moment on and is not there yet, as a folder of its files."""
        for at, rules_hash in await store.rule_moments():
            place = self.folder / "rules" / f"{format_at(at)}-{rules_hash}"
            if place.exists():
                continue
            sources = await store.load_rules(rules_hash)
            if sources is not None and all(map(_lies_below, sources)):
                with self._told():
                    await asyncio.to_thread(_put_folder, place, sources)

    async def _check_ours(self, store: Store, partition: int, kind: str, path: Path, former: Folded) -> None:
        """That a file which is to be written anew has what the store still has, and is not of another one."""
        first, until = _numbers_of(path)
        with self._told():
            lines = iter(await asyncio.to_thread(lambda: _lines(path)))
        found, last = 0, first - 1
        is_other = False
        while last < until and (page := await store.numbered(partition, last, PAGE_ENTRIES)):
            for last, entry in page:
                if entry.kind == kind and last <= until:
                    # Looked for behind the one before, since they are in order.
                    is_other = is_other or line_of(entry) not in lines
                    found += 1
        # Where nothing is left of them in the store, their user may have been erased.
        if is_other or (not found and not former.erasures):
            raise StoreError(
                f'"{path}" holds other entries than the store has under these numbers: is it the archive of another '
                "store? move the file away, or name another folder"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise StoreError(f'the archive "{error.filename or self.folder}" cannot be written: {why}', "io") from error


def forget(folder: Path, user: str, progress: Callable[[int], None] | None = None) -> int:
    """Take a user out of an archive: how many entries went. Each file that has any is written anew.

    A repetition goes on where it was broken off. Blocks. Raises `StoreError`, OSError.
    """
    head = head_in(str(folder))
    if head is None:
        raise StoreError(f'"{folder}" is no archive: it has no {ARCHIVE_FILE}')
    partition = partition_of(user, head.partitions)
    count = 0
    with Archive(folder, head.partitions).held(partition):
        for below in KINDS.values():
            for path in sorted((folder / below / name_of(partition)).glob(f"date=*/*{SUFFIX}")):
                count += _forget_in(path, user)
                if progress is not None:
                    progress(path.stat().st_size if path.exists() else 0)
            for rest in (folder / below / name_of(partition)).glob("date=*/.*.part"):
                rest.unlink(missing_ok=True)
    return count


def _forget_in(path: Path, user: str) -> int:
    lines = _lines(path)
    kept = [line for line in lines if decode_entry(line).user != user]
    if not kept:
        path.unlink()
    elif len(kept) < len(lines):
        _write(path, b"".join([line + b"\n" for line in kept]))
    return len(lines) - len(kept)


def line_of(entry: Entry) -> bytes:
    """As a log has it; that something happens once is for the store to know."""
    return encode_entry(msgspec.structs.replace(entry, once=False) if entry.event is not None else entry)


def _lines(path: Path) -> list[bytes]:
    return b"".join(read_blocks(str(path))).splitlines()


def _numbers_of(path: Path) -> tuple[int, int]:
    first, _, last = path.name.removesuffix(SUFFIX).partition("-")
    return int(first), int(last)


def _left_over(place: Path, former: Folded) -> list[Path]:
    """Files of entries that have not been folded; and what was never finished goes."""
    begin = f"date={format_at(former.at)[:10]}" if former.at >= 0 else ""
    found: list[Path] = []
    for day in sorted(place.glob("date=*")):
        if day.name >= begin:
            for rest in day.glob(".*.part"):
                rest.unlink(missing_ok=True)
            found += [path for path in sorted(day.glob(f"*{SUFFIX}")) if _numbers_of(path)[1] > former.number]
    return found


def _replace(place: Path, left: Sequence[Path], rows: list[Row]) -> None:
    by_day: dict[str, list[Row]] = {}
    for number, entry in rows:
        by_day.setdefault(format_at(entry.at)[:10], []).append((number, entry))
    # The store still has all of it, so nothing is lost between these.
    for path in left:
        path.unlink()
        _sync(path.parent)
    for day, some in by_day.items():
        folder = place / f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{some[0][0]:0{_NUMBER_DIGITS}d}-{some[-1][0]:0{_NUMBER_DIGITS}d}{SUFFIX}"
        _write(folder / name, b"".join([line_of(entry) + b"\n" for _, entry in some]))
        for above in (place, place.parent):
            _sync(above)


def _write(path: Path, content: bytes) -> None:
    """All of it, on the disk, or nothing; packed where the name says so."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        with packed(file, path.name) as stream:
            stream.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_folder(place: Path, sources: dict[str, str]) -> None:
    part = place.with_name(f".{place.name}.part")
    for name, text in sources.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", "surrogatepass")
    with suppress(FileNotFoundError):
        part.replace(place)


def _lies_below(name: str) -> bool:
    """Names of rule files come from the store: none of them leads out of the folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
