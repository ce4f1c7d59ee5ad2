"""Events that may be more than memory holds, to be gone through user by user. It reads no log and decides nothing.

While they come they are kept at hand. What is more than the bound is sorted by user and moment, written down as a run,
and merged with the other runs each time that somebody goes through all of them.
"""

from __future__ import annotations

import heapq
import marshal
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from struct import Struct

from engine.core.model import Event
from engine.replay.activity import Activity, InMemory, at_of
from engine.replay.room import USER_BYTES, format_size, room_of
from engine.replay.runs import Runs

BLOCK_EVENTS = 1000  # of one user, that are written at once
_HEAD = Struct("<IIQ")  # the length of the user's name, how many events, how many bytes they take in memory
_parts = attrgetter("type", "user", "at", "data", "id", "session", "at_reported")


class TooLittleMemory(Exception):
    """The events of one user alone take more than is allowed for all."""


class Gathering:
    """Takes events in the order of the log, and hands them out by user. ``memory`` in bytes."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._users: dict[str, list[Event]] = {}
        self._room = 0
        self._runs = Runs(_merged_blocks)
        self._events = 0
        self._first: int | None = None
        self._last: int | None = None

    def add(self, batch: Sequence[Event]) -> None:
        users = self._users
        for event in batch:
            mine = users.get(event.user)
            if mine is None:
                users[event.user] = [event]
            else:
                mine.append(event)
        self._room += room_of(batch)
        if self._room + USER_BYTES * len(users) > self._memory:
            self._spill()

    def activity(self) -> Activity:
        """All of them; nothing can be added any more. Raises `TooLittleMemory`."""
        if not self._runs:
            for mine in self._users.values():
                mine.sort(key=at_of)
            return InMemory(self._users)
        self._spill()
        return Spilled(self._runs, self._events, self._first, self._last, self._memory)

    def _spill(self) -> None:
        users, self._users, self._room = self._users, {}, 0
        if not users:
            return
        for mine in users.values():
            mine.sort(key=at_of)
        self._events += sum(map(len, users.values()))
        first = min(mine[0].at for mine in users.values())
        last = max(mine[-1].at for mine in users.values())
        self._first = first if self._first is None else min(self._first, first)
        self._last = last if self._last is None else max(self._last, last)
        self._runs.add(_blocks(users))


class Spilled:
    """Events in runs on disk."""

    def __init__(self, runs: Runs, events: int, first: int | None, last: int | None, memory: int) -> None:
        self._runs = runs.all()
        self.events = events
        self.first = first
        self.last = last
        self.users = 0
        for user, blocks in _by_user(self._runs, decode=False):
            self.users += 1
            room = sum(room for room, _ in blocks)
            if room > memory:
                raise TooLittleMemory(
                    f'the events of user "{user}" alone take about {format_size(room)}, and may take'
                    f" {format_size(memory)}"
                )

    def __iter__(self) -> Iterator[tuple[str, Sequence[Event]]]:
        for user, blocks in _by_user(self._runs):
            yield user, _decoded(blocks)

    def of(self, user: str) -> Sequence[Event]:
        # Runs are sorted by user, and not written to be searched.
        for name, blocks in _by_user(self._runs):
            if name == user:
                return _decoded(blocks)
            if name > user:
                break
        return ()


def _blocks(users: dict[str, list[Event]]) -> Iterator[bytes]:
    """The events of each user in some blocks, the users in order. They are not kept in ``users``."""
    for user in sorted(users):
        mine = users.pop(user)
        name = user.encode("utf-8", "surrogatepass")
        for start in range(0, len(mine), BLOCK_EVENTS):
            piece = mine[start : start + BLOCK_EVENTS]
            head = _HEAD.pack(len(name), len(piece), room_of(piece))
            # Not MessagePack: it has no whole numbers above 64 bits, which JSON has. Nobody but this process reads it.
            yield b"".join((head, name, marshal.dumps([_parts(event) for event in piece])))


def _split(block: bytes) -> tuple[str, int, memoryview]:
    """User, bytes in memory, and the events as they were written."""
    length, _, room = _HEAD.unpack_from(block)
    start = _HEAD.size
    return str(block[start : start + length], "utf-8", "surrogatepass"), room, memoryview(block)[start + length :]


def _decoded(blocks: Iterable[tuple[int, memoryview]]) -> list[Event]:
    events = [Event(*parts) for _, body in blocks for parts in marshal.loads(body)]
    # Blocks are in the order of the log, so events of the same moment stay in it.
    events.sort(key=at_of)
    return events


def _by_user(
    runs: Sequence[Iterable[bytes]], decode: bool = True
) -> Iterator[tuple[str, Iterable[tuple[int, memoryview]]]]:
    """The blocks of each user, those of older runs first, the users in order."""
    readers = [iter(run) for run in runs]
    heap: list[tuple[str, int, int, memoryview]] = []

    def push(number: int) -> None:
        block = next(readers[number], None)
        if block is not None:
            user, room, body = _split(block)
            heapq.heappush(heap, (user, number, room, body))

    for number in range(len(readers)):
        push(number)
    while heap:
        user = heap[0][0]
        blocks = []
        while heap and heap[0][0] == user:
            _, number, room, body = heapq.heappop(heap)
            blocks.append((room, body if decode else memoryview(b"")))
            push(number)
        yield user, blocks


def _merged_blocks(runs: Sequence[Iterable[bytes]]) -> Iterator[bytes]:
    return heapq.merge(*runs, key=lambda block: _split(block)[0])
