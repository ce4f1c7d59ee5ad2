"""The live server beside others: `make bench-live`, or ``python -m benchmarks.live``.

proactive at full durability, a bare `websockets` server and python-socketio, each in a process of its own, by turns and
in one run; the load comes from this process, and the first row says how much of it there can be. Medians over the
rounds. Then what only proactive has. Prints tables in Markdown. It takes some ten minutes, and two cores that nobody
else uses.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import resource
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import uvloop

from benchmarks.live_parts import alone
from benchmarks.live_parts.dialects import Ceiling, Dialect, Echo, Proactive, SocketIO
from benchmarks.live_parts.measures import broadcast_seconds, idle_bytes, push_latencies, throughput
from benchmarks.live_parts.servers import (
    Served,
    install_socketio,
    serve_ceiling,
    serve_echo,
    serve_proactive,
    serve_socketio,
)
from benchmarks.live_parts.wire import close_wires, quantile
from benchmarks.peers.run import machine

OPEN_FILES = 12_000
WINDOWS = {1: 256, 100: 16}  # events on their way: of one connection, and of each of a hundred
PUSHES = 200
BROADCASTS = 5


@dataclass(frozen=True)
class Contender:
    dialect: Dialect
    serve: Callable[[Path], Served]


@dataclass
class Measured:
    """Of one contender, a value from each round."""

    rates: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    rates_per_cpu: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    idle_kib: list[float] = field(default_factory=list)
    push_ms: list[float] = field(default_factory=list)
    all_ms: list[float] = field(default_factory=list)


def contenders() -> list[Contender]:
    found = [
        Contender(Ceiling(), serve_ceiling),
        Contender(Echo(), serve_echo),
        Contender(Proactive(), serve_proactive),
    ]
    trouble = install_socketio()
    if trouble:
        print(f"python-socketio is not measured: {trouble}", file=sys.stderr)
        return found
    return [
        *found,
        Contender(SocketIO("python-socketio, uvicorn"), lambda folder: serve_socketio(folder, "asgi")),
        Contender(SocketIO("python-socketio, aiohttp"), lambda folder: serve_socketio(folder, "aiohttp")),
        Contender(SocketIO("python-socketio, durable"), lambda folder: serve_socketio(folder, "durable")),
    ]


async def one_round(contender: Contender, measured: Measured, events: int, connections: int) -> None:
    dialect = contender.dialect
    with tempfile.TemporaryDirectory() as folder:
        served = contender.serve(Path(folder))
        try:
            await throughput(dialect, served, 100, 5_000, 16, first=1_000_000)  # everything has been done once
            for count, window in WINDOWS.items():
                found = await throughput(dialect, served, count, events, window, first=2_000_000 + count * 1_000)
                measured.rates[count].append(found.per_second)
                measured.rates_per_cpu[count].append(found.per_cpu_second)
        finally:
            served.stop()
    if isinstance(dialect, Ceiling):
        return
    with tempfile.TemporaryDirectory() as folder:
        served = contender.serve(Path(folder))
        try:
            used, wires = await idle_bytes(dialect, served, connections)
            measured.idle_kib.append(used / 1024)
            measured.push_ms += await push_latencies(dialect, wires, PUSHES)
            for _ in range(BROADCASTS):
                measured.all_ms.append(1000 * await broadcast_seconds(dialect, served, wires))
                await asyncio.sleep(1)
            await close_wires(wires)
        finally:
            served.stop()


def print_rates(found: dict[str, Measured]) -> None:
    bare = found[Echo().name]
    print(
        "\n| events acknowledged | of one client, /s | of 100, /s | of 100, /s of its CPU time | of the bare server's |"
    )
    print("|---|---:|---:|---:|---:|")
    for name, of in found.items():
        one, hundred = median(of.rates[1]), median(of.rates[100])
        share = hundred / median(bare.rates[100])
        cpu = f"{median(of.rates_per_cpu[100]):,.0f}"
        print(f"| {name} | {one:,.0f} | {hundred:,.0f} | {cpu} | {share:.0%} |")


def print_pushes(found: dict[str, Measured], connections: int) -> None:
    print(
        f"\n| {connections:,} connections | KiB of each, idle | a message p50 ms | p99 ms | to all, the last one ms |"
    )
    print("|---|---:|---:|---:|---:|")
    for name, of in found.items():
        if of.idle_kib:
            latency = f"{quantile(of.push_ms, 0.5):.2f} | {quantile(of.push_ms, 0.99):.2f}"
            print(f"| {name} | {median(of.idle_kib):.1f} | {latency} | {median(of.all_ms):.0f} |", flush=True)


async def main(rounds: int, events: int, connections: int, parts: list[str]) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {machine()}; {rounds} rounds")
    if "beside" in parts:
        found: dict[str, Measured] = {}
        racing = contenders()
        for number in range(rounds):
            for contender in racing:
                print(f"round {number + 1}: {contender.dialect.name}", file=sys.stderr, flush=True)
                await one_round(contender, found.setdefault(contender.dialect.name, Measured()), events, connections)
        print_rates(found)
        print_pushes(found, connections)
    for name, measure in (("slow", alone.slow_clients), ("alone", alone.timers_and_reload)):
        if name in parts:
            with tempfile.TemporaryDirectory() as folder:
                await measure(Path(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-live", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=5_000)
    parser.add_argument("--parts", nargs="+", choices=("beside", "slow", "alone"), default=["beside", "slow", "alone"])
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))
    uvloop.run(main(given.rounds, given.events, given.connections, given.parts))
