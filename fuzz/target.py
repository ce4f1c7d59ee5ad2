"""What a fuzz target is, and what any input may cost. It chooses no inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# An input that takes longer is reported: as processor time of this thread, for other programs may keep it waiting.
SLOW_S = 1.0


@dataclass(frozen=True)
class Target:
    """``attempt`` takes any bytes and raises nothing: what it raises is a finding. ``seeds`` are inputs to begin with,
    ``words`` what is worth putting in. ``size_max``: bytes of one input."""

    attempt: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[str] = ()
    size_max: int = 4096


class TooSlow(Exception):
    """An input took more than `SLOW_S`."""


def attempt_within(target: Target, data: bytes, seconds: float = SLOW_S) -> None:
    """Raises `TooSlow`, and whatever the attempt raises."""
    start = time.thread_time()
    target.attempt(data)
    taken = time.thread_time() - start
    if taken > seconds:
        raise TooSlow(f"{len(data)} bytes took {taken:.1f} s of the processor, expected at most {seconds} s")
