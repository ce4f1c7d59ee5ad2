"""Who is at work on a store on Redis: read beside them, as they have written it down themselves. It changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.storage.redis import RedisStore
from engine.storage.redis_keys import GATEWAYS, LEASE, META, WORKERS, to_text
from engine.storage.redis_link import Command
from engine.storage.redis_opening import LIBRARY


@dataclass(frozen=True, slots=True)
class Holders:
    """``now`` is the moment by the clock of the store. ``server``: the one that serves alone, "" where none does.

    ``partitions``: by worker, those that it holds at that moment.
    """

    now: int
    server: str = ""
    workers: list[str] = field(default_factory=list)
    gateways: list[str] = field(default_factory=list)
    partitions: dict[str, list[int]] = field(default_factory=dict)


async def holders_of(store: RedisStore) -> Holders:
    """Raises `StoreError`."""
    keys = store._keys  # the parts of a store know each other's keys
    calls: list[Command] = [("FCALL", f"{LIBRARY}_clock", 1, META), ("GET", LEASE)]
    calls += [("ZRANGE", beats, 0, -1, "WITHSCORES") for beats in (WORKERS, GATEWAYS)]
    calls += [("HMGET", stand, "own", "till") for stand in keys.stand]
    clock, lease, workers, gateways, *stands = await store._ask(calls, again=True)
    now = int(clock)
    partitions: dict[str, list[int]] = {}
    for number, (owner, till) in enumerate(stands):
        if owner and till and int(till) > now:
            partitions.setdefault(to_text(owner), []).append(number)
    server = "" if lease is None else to_text(lease).rpartition(" ")[0]
    return Holders(now, server, _alive(workers, now), _alive(gateways, now), partitions)


def _alive(beats: list[bytes], now: int) -> list[str]:
    """Of names, each followed by the moment until which it is taken for alive."""
    return sorted(to_text(name) for name, until in zip(beats[::2], beats[1::2], strict=True) if float(until) > now)
