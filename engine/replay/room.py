"""How much memory is allowed, and how much events take in it: estimated from a few of them. It keeps nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from engine.core.model import Event
from engine.core.refusal import Refused

MEMORY_DEFAULT = 4_000_000_000
MEMORY_MIN = 16_000_000
SAMPLE_EVERY = 128  # one event in so many is looked at
# What somebody takes of whom there is one event: a place in a table, a list, a name.
USER_BYTES = 300
# Some room lies idle between objects, and lists are longer than what is in them.
SLACK = 1.1
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE | re.ASCII)
_POWERS = "KMGT"


def parse_size(text: str) -> int:
    """``"2GB"`` to bytes: thousands, or with an ``i`` (``GiB``) 1,024s. Raises `Refused`, also for too little."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Refused(f'expected a size such as "500MB" or "4GB", got "{text}"')
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    size = int(float(number) * base ** (_POWERS.index(unit.upper()) + 1 if unit else 0))
    if size < MEMORY_MIN:
        raise Refused(f'expected at least {format_size(MEMORY_MIN)}, got "{text}"')
    return size


def format_size(size: int) -> str:
    """Rounded up to whole megabytes, or to tenths of gigabytes."""
    if size >= 1_000_000_000:
        return f"{-(-size // 100_000_000) / 10:g}GB"
    return f"{-(-size // 1_000_000)}MB"


def room_of(events: Sequence[Event]) -> int:
    """How many bytes the events of a batch take, about; what several of them share counts once."""
    if not events:
        return 0
    sample = events[::SAMPLE_EVERY]
    seen: set[int] = set()
    found = sum(_deep(event, seen) for event in sample)
    return int(SLACK * found * len(events) / len(sample))


def _deep(event: Event, seen: set[int]) -> int:
    size = 8 + _own(event)
    rest: list[Any] = [
        event.type, event.user, event.at, event.data, event.id, event.session, event.at_reported
    ]  # fmt: skip
    while rest:
        value = rest.pop()
        if value is None or value is True or value is False or id(value) in seen:
            continue
        seen.add(id(value))
        size += _own(value)
        if type(value) is dict:
            rest += value.keys()
            rest += value.values()
        elif type(value) is list:
            rest += value
    return size


def _own(value: object) -> int:
    return (sys.getsizeof(value) + 15) & ~15  # objects lie on multiples of 16 bytes
