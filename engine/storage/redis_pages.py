"""What is read of a store on Redis at once, bounded by what it weighs: some entries are ten thousand times as big as
others, and nobody knows which before they are read. So it is the server that stops.

Scripts and no functions of the library: a server that is only read may have that of an earlier version.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol

from engine.storage.base import PAGE_BYTES
from engine.storage.redis_link import Command

Row = tuple[int, *tuple[Any, ...]]  # its number, and its values

NAMES = 500  # that are weighed at once

# Rows of a stream, from and to where, how many, and how many bytes: of each its id and its values, one after the other,
# which costs less than rows in rows. Each look takes more of them than the one before, as long as they are small; what
# is looked at beyond the bytes is not sent.
_PAGE = """#!lua flags=no-writes
local from, most, bytes = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local flat, place, size, rows, count = {}, 0, 0, 0, 4
while rows < most and size < bytes do
  count = math.min(count, most - rows)
  local found = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', count)
  for _, row in ipairs(found) do
    local fields = row[2]
    place = place + 1
    flat[place] = row[1]
    for i = 2, #fields, 2 do
      place = place + 1
      flat[place] = fields[i]
      size = size + #fields[i]
    end
    rows = rows + 1
    if size >= bytes then break end
  end
  if #found < count then break end
  from = '(' .. found[count][1]
  count = math.min(4 * count, 64)
end
return flat
"""

# Of fields of a hash how long each is.
_LENGTHS = """#!lua flags=no-writes
local lengths = {}
for i = 1, #ARGV do lengths[i] = redis.call('HSTRLEN', KEYS[1], ARGV[i]) end
return lengths
"""


class Ask(Protocol):
    def __call__(
        self, calls: Sequence[Command], *, again: bool = False, durable: bool = False
    ) -> Awaitable[list[Any]]: ...


def page(key: bytes, after: int, last: int | str, rows_max: int, bytes_max: int = PAGE_BYTES) -> Command:
    """As XRANGE behind a number, with fewer rows where they are big; none where there are none. See `rows_of`."""
    return ("EVAL", _PAGE, 1, key, f"({after}-0", last if isinstance(last, str) else f"{last}-0", rows_max, bytes_max)


def rows_of(flat: Sequence[bytes], values: int) -> list[Row]:
    """Of each row its number, and so many values."""
    columns = [flat[place :: values + 1] for place in range(values + 1)]
    return list(zip([int(name[:-2]) for name in columns[0]], *columns[1:], strict=True))


def size_of(rows: Sequence[Row]) -> int:
    """As the server counts it: a page of fewer rows than were asked for is the last one only where it is smaller than
    was asked for, too."""
    return sum([len(value) for _, *values in rows for value in values])


async def every_row(ask: Ask, key: bytes, values: int, rows_max: int) -> AsyncIterator[list[Row]]:
    """Page by page."""
    after = 0
    while True:
        [flat] = await ask([page(key, after, "+", rows_max)], again=True)
        rows = rows_of(flat, values)
        if not rows:
            return
        yield rows
        after = rows[-1][0]


async def by_weight(ask: Ask, names: Sequence[bytes], *keys: Callable[[bytes], bytes]) -> AsyncIterator[list[bytes]]:
    """Fields of hashes, so many at a time as may be read at once. ``keys``: of a name the hashes in which it is; names
    that have the same hashes stand together."""
    for start in range(0, len(names), NAMES):
        some = names[start : start + NAMES]
        calls: list[Command] = [
            ("EVAL", _LENGTHS, 1, hash_key, *few) for key in keys for hash_key, few in groupby(some, key)
        ]
        lengths = [length for reply in await ask(calls, again=True) for length in reply]
        weights = [sum(lengths[place :: len(some)]) for place in range(len(some))]
        for part in within(some, weights):
            yield part


def within(names: Sequence[bytes], weights: Iterable[int]) -> Iterator[list[bytes]]:
    """Pieces of at most `PAGE_BYTES`, or of one that is bigger."""
    part: list[bytes] = []
    size = 0
    for name, weight in zip(names, weights, strict=True):
        if part and size + weight > PAGE_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += weight
    if part:
        yield part
