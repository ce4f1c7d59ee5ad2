"""Decisions as lines, in the order in which they are written: by moment, user, and place of the rule; as they were made
where all three are equal. What is more than memory may hold waits on disk. It opens no file of the user's.
"""

from __future__ import annotations

import marshal
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from engine.replay.driver import Ran
from engine.replay.runs import Runs
from engine.storage.codec import encode_decision

LINE_BYTES = 250  # that a line takes beside its own length: its key, and the objects
CHUNK_LINES = 200

# Moment, user, place of the rule, number among the user's, and the line with its end: no two have the same key.
Line = tuple[int, str, int, int, bytes]


class SortedLines:
    """Takes decisions user by user, and hands out their lines in order. ``memory`` in bytes."""

    def __init__(self, memory: int) -> None:
        self.count = 0
        self._memory = memory
        self._room = 0
        self._at_hand: list[Line] = []
        self._runs = Runs(_merged_blocks)

    def see(self, ran: Ran) -> None:
        for number, decision in enumerate(ran.evaluated[0].decisions):
            line = encode_decision(decision) + b"\n"
            self._at_hand.append((decision.at, ran.user, decision.order, number, line))
            self._room += len(line) + LINE_BYTES
            self.count += 1
        if self._room > self._memory:
            self._at_hand.sort()
            self._runs.add(_blocks(_pieces(self._at_hand)))
            self._at_hand, self._room = [], 0

    def chunks(self) -> Iterator[list[Line]]:
        """All lines, some hundreds at a time."""
        self._at_hand.sort()
        if not self._runs:
            return _pieces(self._at_hand)
        return merged([*map(_read, self._runs.all()), _pieces(self._at_hand)])


def merged(sources: Sequence[Iterator[list[Line]]]) -> Iterator[list[Line]]:
    """The lines of sorted sources as one. A chunk of each is at hand at a time."""
    heads = [(chunk, source) for source in sources if (chunk := next(source, None))]
    while heads:
        # Up to here nothing can come any more from any of them.
        bound = min(chunk[-1] for chunk, _ in heads)
        found: list[Line] = []
        left = []
        for chunk, source in heads:
            end = bisect_right(chunk, bound)
            found += chunk[:end]
            rest = chunk[end:] or next(source, [])
            if rest:
                left.append((rest, source))
        found.sort()
        yield found
        heads = left


def write_lines(
    write: Callable[[bytes], object], chunks: Iterable[list[Line]], progress: Callable[[int], None] | None = None
) -> None:
    for chunk in chunks:
        write(b"".join([line[4] for line in chunk]))
        if progress is not None:
            progress(len(chunk))


def _pieces(lines: Sequence[Line]) -> Iterator[list[Line]]:
    return (list(lines[start : start + CHUNK_LINES]) for start in range(0, len(lines), CHUNK_LINES))


def _blocks(chunks: Iterable[list[Line]]) -> Iterator[bytes]:
    return (marshal.dumps(piece) for chunk in chunks for piece in _pieces(chunk))


def _read(run: Iterable[bytes]) -> Iterator[list[Line]]:
    return (marshal.loads(block) for block in run)


def _merged_blocks(runs: Sequence[Iterable[bytes]]) -> Iterator[bytes]:
    return _blocks(merged([_read(run) for run in runs]))
