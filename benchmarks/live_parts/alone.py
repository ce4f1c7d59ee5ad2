"""What only proactive has: timers of many users, a change of many rules, clients that do not read. Prints tables."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from benchmarks.live_parts.asking import Http
from benchmarks.live_parts.dialects import Proactive
from benchmarks.live_parts.servers import Served, serve_proactive
from benchmarks.live_parts.wire import Wire, close_wires, framed, now, quantile

USERS = 100_000
AT_ONCE = 500  # events of one request
IDLE_S = 6
ROUNDS = ((500, 100), (500, 500))  # how many timers become due, and how many of them a second
RULES_MAX = 1_000
PROBES_PER_S = 50
ROOM_S = 240.0  # for whatever is waited for
QUIET_S = 2.0  # in which the server has next to nothing to do: then everybody has adopted the rules

ARMED = f"""\
version: 1
rules:
  - id: soon
    trigger: {{inactivity: {{for: {IDLE_S}s, after: ready}}}}
    message: {{type: suggestion, text: "Idle for {{{{ trigger.idle }}}}?"}}
  - id: late
    trigger: {{inactivity: 20m}}
    message: {{type: suggestion, text: "Idle for {{{{ trigger.idle }}}}?"}}
"""
EDITIONS = ("1,000 more", "the texts of all edited", "what 100 of them wait for edited")
RELOADS = (
    "| 1,000 rules, 100,000 users present | s until they hold | s until all have adopted them "
    "| an event meanwhile, p50 ms | p99 ms |\n|---|---:|---:|---:|---:|"
)
LATENESS = "| 100,000 armed | timers | p50 ms | p99 ms | max ms | within 50 ms |\n|---|---:|---:|---:|---:|---:|"


async def timers_and_reload(folder: Path) -> None:
    """100,000 users with a timer each; of 500 of them who are connected it comes due. Then the rules change."""
    served = serve_proactive(folder, ARMED)
    try:
        http = await Http.open(served.ports[1])
        for first in range(0, USERS, AT_ONCE):
            events = [{"type": "edit", "clientId": f"armed{first + number}"} for number in range(AT_ONCE)]
            await http.ask("POST", "/events", events)
        print(f"\n{LATENESS}", flush=True)
        for count, per_second in ROUNDS:
            late = await lateness(served, count, per_second)
            within = sum(each <= 50 for each in late) / len(late)
            cells = " | ".join(f"{quantile(late, share):.1f}" for share in (0.5, 0.99, 1))
            print(f"| {per_second:,} due per second | {len(late):,} | {cells} | {within:.1%} |", flush=True)
        print(f"\n{RELOADS}", flush=True)
        for edition, name in enumerate(EDITIONS):
            seconds, adopted, waits = await reload(folder, served, http, edition)
            cells = " | ".join(f"{quantile(waits, share):.1f}" for share in (0.5, 0.99))
            print(f"| {name} | {seconds:.2f} | {adopted:.1f} | {cells} |", flush=True)
        http.close()
    finally:
        served.stop()


async def lateness(served: Served, count: int, per_second: int) -> list[float]:
    """Milliseconds from the moment that was due to the message on the wire, the way in of the event included."""
    dialect = Proactive()
    wires = await dialect.connect(served.ports[0], count, first=5_000_000 + count * per_second)
    due: dict[Wire, float] = {}
    late: list[float] = []
    done = asyncio.get_running_loop().create_future()

    def heard(wire: Wire, payload: bytes) -> None:
        if dialect.is_message(payload):
            late.append((now() - due[wire]) * 1000)
            wire.write(dialect.receipt(payload))
            if len(late) == count and not done.done():
                done.set_result(None)

    ready = framed(b'{"type":"ready","id":"r1"}')
    began = now()
    for number, wire in enumerate(wires):
        await asyncio.sleep(max(began + number / per_second - now(), 0))
        wire.heard = heard
        due[wire] = now() + IDLE_S
        wire.write(ready)
    async with asyncio.timeout(ROOM_S):
        await done
    await close_wires(wires)
    return late


async def write_rules(folder: Path, served: Served, http: Http, edition: int) -> float:
    """Put so many rules into the folder; seconds until they hold."""
    lines = ["version: 1", "rules:"]
    for number in range(RULES_MAX):
        field = "level" if edition == 2 and number % 10 == 0 else "line"
        matched = f"event: kind.{number % 200}, where: event.{field} == {number}"
        triggers = (
            f"event: {{{matched}}}",
            f"keywords: {{any: [word{number}], event: said}}",
            f"inactivity: {{for: {20 + number % 40}m, after: kind.{number % 200}}}",
            f"session: {{lasted: {30 + number % 60}m}}",
        )
        text = f"edition {edition} of rule {number}"
        lines.append(
            f"  - {{id: r{number}, trigger: {{{triggers[number % 4]}}}, message: {{type: suggestion, text: {text}}}}}"
        )
    before = (await http.ask("GET", "/healthz"))["rules"]["hash"]
    fresh = folder / "more.fresh"
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    began = now()
    fresh.replace(folder / "rules" / "more.yaml")
    # It happens in another process, which can only be asked.
    while (await http.ask("GET", "/healthz"))["rules"]["hash"] == before and now() - began < ROOM_S:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return now() - began


async def reload(folder: Path, served: Served, http: Http, edition: int) -> tuple[float, float, list[float]]:
    """Seconds until the edited rules hold, until the server was quiet again, and how long events waited until then."""
    [wire] = await Proactive().connect(served.ports[0], 1, first=6_000_000 + edition)
    sent: dict[int, float] = {}
    waits: list[float] = []

    def heard(wire: Wire, payload: bytes) -> None:
        if b'"ack"' in payload:
            waits.extend((now() - sent.pop(number)) * 1000 for number in list(sent) if b'"e%08d"' % number in payload)

    async def probe() -> None:
        number = 0
        while True:
            sent[number] = now()
            wire.write(Proactive().event(number))
            number += 1
            await asyncio.sleep(1 / PROBES_PER_S)

    wire.heard = heard
    probing = asyncio.create_task(probe())
    began = now()
    seconds = await write_rules(folder, served, http, edition)
    # Whoever is present adopts them, some at a time, beside the events that come in meanwhile.
    quiet_at, busy = now(), served.cpu_seconds
    while now() - quiet_at < QUIET_S and now() - began < ROOM_S:
        await asyncio.sleep(0.25)
        used, busy = served.cpu_seconds - busy, served.cpu_seconds
        if used > 0.1:
            quiet_at = now()
    probing.cancel()
    await close_wires([wire])
    return seconds, quiet_at - began, waits


SLOW_CLIENTS, SLOW = 1_000, 50
ASKS = 3_000
ALL_EVERY_S = 1.5


async def slow_clients(folder: Path) -> None:
    """1,000 clients are written to, alone and by broadcasts; then the same with 50 of them that do not read."""
    served = serve_proactive(folder)
    try:
        http = await Http.open(served.ports[1])
        wires = await Proactive().connect(served.ports[0], SLOW_CLIENTS)
        readers = wires[SLOW:]
        rows: dict[str, list[float]] = {"all read": [], "50 do not": []}
        memory = dict.fromkeys(rows, 0)
        for _ in range(3):
            for name, found in rows.items():
                is_slow = name != "all read"
                for wire in wires[:SLOW]:
                    if is_slow:
                        wire.transport.pause_reading()
                    else:
                        wire.transport.resume_reading()
                found += await _pushes(readers, http)
                memory[name] = max(memory[name], served.resident_bytes >> 20)
        print("\n| 1,000 clients | messages | p50 ms | p99 ms | server, MiB | p99, ratio |")
        print("|---|---:|---:|---:|---:|---:|")
        undisturbed = quantile(rows["all read"], 0.99)
        for name, found in rows.items():
            p50, p99 = quantile(found, 0.5), quantile(found, 0.99)
            ratio = p99 / undisturbed
            print(f"| {name} | {len(found):,} | {p50:.2f} | {p99:.2f} | {memory[name]} | {ratio:.2f} |", flush=True)
        await close_wires(wires)
        http.close()
    finally:
        served.stop()


async def _pushes(readers: list[Wire], http: Http) -> list[float]:
    """Milliseconds from events of clients that read to the messages they bring, broadcasts to all under way."""
    dialect = Proactive()
    found: list[float] = []
    asked: dict[Wire, float] = {}
    dice = random.Random(1)
    stamp = int(time.time() * 1000)

    def heard(wire: Wire, payload: bytes) -> None:
        if not dialect.is_message(payload):
            return
        wire.write(dialect.receipt(payload))
        if b'"asked ' in payload and wire in asked:
            found.append((now() - asked.pop(wire)) * 1000)

    async def tell_all() -> None:
        while True:
            await asyncio.sleep(ALL_EVERY_S)
            text = "x" * 2_000
            await http.ask("POST", "/messages", {"to": {"all": True}, "type": "suggestion", "text": text})

    for wire in readers:
        wire.heard = heard
    telling = asyncio.create_task(tell_all())
    for number in range(ASKS // 3):
        wire = dice.choice(readers)
        if wire not in asked:
            asked[wire] = now()
            wire.write(framed(b'{"type":"asked","id":"a%d-%d","n":%d}' % (stamp, number, number)))
        await asyncio.sleep(0.004)
    await asyncio.sleep(1)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    return found
