"""How late timers are: ``python benchmarks/timers.py``.

10,000 users, each with an inactivity timer armed, on the live driver and a real SQLite file with full durability. Some
of them become due, so many a second, in the last row all of them within one; lateness is from the moment that was due
to the moment at which the message, durably committed, is handed to the hub.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog

from engine.core.units import MILLISECOND, SECOND
from engine.intake import Input
from engine.live import Live
from engine.loading.load import load
from engine.storage.base import OutboxMessage
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS

USERS = 10_000
IDLE_SECONDS = 6
RULES = f"""
version: 1
rules:
  - id: soon
    trigger: {{inactivity: {{for: {IDLE_SECONDS}s, after: ready}}}}
    message: {{type: question, text: "Idle for {{{{ trigger.idle }}}}?"}}
  - id: late
    trigger: {{inactivity: 10m}}
    message: {{type: question, text: "Idle for {{{{ trigger.idle }}}}?"}}
"""
# How many become due, and how many of them a second.
ROUNDS = ((20, 5), (500, 100), (5_000, 1_000), (10_000, 10_000))


def now() -> int:
    return time.time_ns() // 1_000


class Lateness:
    """Takes messages as the hub would, and notes how late each is, in microseconds."""

    def __init__(self, expected: int) -> None:
        self.found: list[int] = []
        self.expected = expected
        self.complete = asyncio.Event()

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        at = now()
        self.found += [at - message.at for message in messages]
        if len(self.found) >= self.expected:
            self.complete.set()
        return [message.message.id for message in messages]

    def row(self, name: str) -> str:
        ordered = sorted(self.found)
        parts = [ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.99, 1)]
        cells = " | ".join(f"{part / MILLISECOND:.1f}" for part in parts)
        within = sum(late <= 50 * MILLISECOND for late in ordered) / len(ordered)
        return f"| {name} | {len(ordered):,} | {cells} | {within:.1%} |"


async def measure(count: int, per_second: int, path: Path) -> str:
    """All users are armed; then ``count`` of them are armed anew, so that ``per_second`` come due each second."""
    lateness = Lateness(count)
    store = await SqliteStore.open(path)
    live = Live(store, load({"rules.yaml": RULES}, KINDS), clock=now, deliver=lateness.deliver)
    await live.start()
    for first in range(0, USERS, 250):
        await live.submit([Input(f"user{number}", "edit", {}) for number in range(first, first + 250)])
    begin = now()
    together = max(per_second // 100, 1)
    for first in range(0, count, together):
        wait = begin + first * SECOND // per_second - now()
        if wait > 0:
            await asyncio.sleep(wait / SECOND)
        await live.submit([Input(f"user{number}", "ready", {}) for number in range(first, first + together)])
    await asyncio.wait_for(lateness.complete.wait(), timeout=60)
    await live.stop()
    await store.close()
    return lateness.row(f"{USERS:,} armed, {per_second:,} due per second")


async def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}\n")
    print("| | timers | p50 ms | p99 ms | max ms | within 50 ms |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for count, per_second in ROUNDS:
            print(await measure(count, per_second, Path(folder) / f"{per_second}.db"), flush=True)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if sys.platform != "win32":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
