"""What is measured, each as one function of a dialect and a server under way. It compares nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from benchmarks.live_parts.dialects import Dialect
from benchmarks.live_parts.servers import Served
from benchmarks.live_parts.wire import Wire, close_wires, now, quantile

LOST_AFTER_S = 60.0


@dataclass(frozen=True)
class Throughput:
    """Events that were acknowledged: in a second by the clock, and in a second of the server's CPU time."""

    per_second: float
    per_cpu_second: float


async def idle_bytes(dialect: Dialect, served: Served, count: int) -> tuple[float, list[Wire]]:
    """Resident bytes of the server for one connection that says nothing more; and the connections."""
    # The first connections bring caches and pools that the others share.
    warm = await dialect.connect(served.ports[0], 50, first=1_000_000)
    await asyncio.sleep(0.5)
    before = served.resident_bytes
    wires = await dialect.connect(served.ports[0], count)
    await asyncio.sleep(1.5)
    used = served.resident_bytes - before
    await close_wires(warm)
    return used / count, wires


async def throughput(
    dialect: Dialect, served: Served, connections: int, events: int, window: int, first: int
) -> Throughput:
    """``events`` over all connections, of which each keeps ``window`` on their way. Frames are made beforehand."""
    wires = await dialect.connect(served.ports[0], connections, first=first)
    each = events // connections
    left = each * connections
    done = asyncio.get_running_loop().create_future()
    frames = {wire: [dialect.event(number) for number in range(each)] for wire in wires}
    written = dict.fromkeys(wires, 0)

    def heard(wire: Wire, payload: bytes) -> None:
        nonlocal left
        count = dialect.acknowledged(payload)
        if not count:
            return
        left -= count
        place = written[wire]
        if place < each:
            # Several at once, as a client's own buffer would gather them.
            owed[wire] += count
            if owed[wire] >= together or place + owed[wire] >= each:
                wire.write(b"".join(frames[wire][place : place + owed[wire]]))
                written[wire] = place + owed[wire]
                owed[wire] = 0
        if left <= 0 and not done.done():
            done.set_result(None)

    together = max(window // 4, 1)
    owed = dict.fromkeys(wires, 0)
    cpu = served.cpu_seconds
    began = now()
    for wire in wires:
        wire.heard = heard
        wire.write(b"".join(frames[wire][:window]))
        written[wire] = min(window, each)
    async with asyncio.timeout(LOST_AFTER_S * 2):
        await done
    seconds = now() - began
    used = served.cpu_seconds - cpu
    await close_wires(wires)
    return Throughput(each * connections / seconds, each * connections / max(used, 0.01))


async def push_latencies(dialect: Dialect, wires: list[Wire], asks: int) -> list[float]:
    """Milliseconds from an event to the message that it brings, one at a time, while all others are connected."""
    found = []
    waited: asyncio.Future[float] | None = None

    def heard(wire: Wire, payload: bytes) -> None:
        if waited is not None and not waited.done() and dialect.is_message(payload):
            waited.set_result(now())
            wire.write(dialect.receipt(payload))

    step = max(len(wires) // asks, 1)
    for number in range(asks):
        wire = wires[number * step % len(wires)]
        wire.heard = heard
        waited = asyncio.get_running_loop().create_future()
        began = now()
        wire.write(dialect.ask(number))
        async with asyncio.timeout(LOST_AFTER_S):
            found.append((await waited - began) * 1000)
        await asyncio.sleep(0.002)
    return found


async def broadcast_seconds(dialect: Dialect, served: Served, wires: list[Wire]) -> float:
    """From the asking to the last of all connections that has the message."""
    waiting = set(wires)
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def heard(wire: Wire, payload: bytes) -> None:
        if dialect.is_message(payload):
            waiting.discard(wire)
            if not waiting and not done.done():
                done.set_result(now())
            wire.write(dialect.receipt(payload))

    for wire in wires:
        wire.heard = heard
    began = now()
    await dialect.tell_all(served.ports, wires)
    async with asyncio.timeout(LOST_AFTER_S):
        return await done - began


def spread(values: list[float]) -> str:
    return f"{quantile(values, 0.5):.2f} / {quantile(values, 0.99):.2f}"
