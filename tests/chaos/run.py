"""`make chaos`: many clients, a bad network, a server that is killed, rules that are edited; and then the verdict.

``python -m tests.chaos.run --seconds 120 --seed 1``. Prints the figures as a table; exits with 1 if anything was lost
or doubled, and then keeps the store, the server's log and what the devices concerned have said and heard.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.cli.main import COMMANDS
from engine.core.units import MINUTE, SECOND, parse_duration
from tests.chaos.people import Backend, Course, Device, PlainDevice, make_crowd
from tests.chaos.proxy import Proxy
from tests.chaos.server import ServerProcess, proactive
from tests.chaos.verdict import Verdict, judge, read_record
from tests.chaos.world import settings, write_rules

KILL_EVERY_S = 4.0
TERM_EVERY = 4  # one end in so many is a SIGTERM
EDIT_EVERY_S = 3.0
CALM_S = 60.0  # for what waits to arrive when the storm is over, at most
QUIET_S = 2.5  # without anything new: then all has arrived; longer than anything is held or waits to be sent again


@dataclass(frozen=True)
class Plan:
    """``pause_s``: between two events of one device, on average. ``broken``: see `tests.chaos.broken`.

    With a ``resume_within`` under a minute those who switch off stay away for up to three times as long: sessions end,
    and what was said meanwhile is for the next.
    """

    seconds: float = 120.0
    clients: int = 200
    seed: int = 1
    pause_s: float = 2.0
    resume_within: str = "10m"
    broken: str = ""

    @property
    def sessions_last(self) -> bool:
        return parse_duration(self.resume_within) >= MINUTE

    @property
    def away_s(self) -> float:
        return 0.0 if self.sessions_last else 3 * parse_duration(self.resume_within) / SECOND


@dataclass
class Outcome:
    verdict: Verdict
    figures: dict[str, int | str] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)


async def storm(plan: Plan, folder: Path) -> Outcome:
    """Everything, in ``folder``: the store is left there as the server left it."""
    rng = random.Random(plan.seed)
    write_rules(folder, 0, rng)
    server = ServerProcess(folder, settings(plan.resume_within), broken=plan.broken)
    doors = [Proxy(lambda: server.ws_port, rng), Proxy(lambda: server.http_port, rng)]
    try:
        await server.start()
        ws_port, http_port = [await door.open() for door in doors]
        course = Course(f"ws://127.0.0.1:{ws_port}", f"http://127.0.0.1:{http_port}", plan.pause_s, plan.away_s)
        devices, plain = make_crowd(plan.clients, course, rng)
        backend = Backend(sorted({device.user for device in devices}), course, random.Random(rng.random()))
        lives = [asyncio.create_task(one.live(), name=one.name) for one in (*devices, *plain)]
        acts = [asyncio.create_task(one.act(), name=one.name) for one in (*devices, *plain)]
        acts.append(asyncio.create_task(backend.act(), name="backend"))
        ends = await _blow(plan, folder, server, rng, lives)
        course.end()
        for door in doors:
            door.is_calm = True
            door.cut_all()
        await asyncio.wait(acts, timeout=CALM_S)
        calm = await _settle(devices)
        await _cancelled([*lives, *acts])
        await server.end(signal.SIGTERM)
    finally:
        for door in doors:
            await door.close()
        await server.close()
    outcome = await _judge(plan, folder, devices, plain, backend)
    _say_if_failed([*lives, *acts], outcome.verdict)
    for what in server.unexpected:
        outcome.verdict.blame("ends of the server", what)
    keep_traces(folder, outcome.verdict, [*devices, *plain])
    if not calm:
        outcome.verdict.blame("it did not become quiet", f"events or messages were under way after {CALM_S:g} s")
    outcome.counted += course.counted + doors[0].suffered + doors[1].suffered
    outcome.figures |= {
        **ends,
        "connections": course.counted["connections"],
        "resumed sessions": sum(device.client.resumed for device in devices),
        "repeats of events": course.counted["repeats of events"],
        "server's memory, MiB": server.memory_max >> 20,
    }
    return outcome


async def _blow(
    plan: Plan, folder: Path, server: ServerProcess, rng: random.Random, lives: list[asyncio.Task[None]]
) -> dict[str, int | str]:
    """End the server again and again, and edit its rules, until the time is over."""
    until = time.monotonic() + plan.seconds
    next_end = time.monotonic() + KILL_EVERY_S
    next_edit = time.monotonic() + EDIT_EVERY_S
    kills = terms = edits = 0
    while (now := time.monotonic()) < until and not any(life.done() for life in lives):
        await asyncio.sleep(0.1)
        server.look_at_memory()
        if now >= next_edit:
            edits += 1
            write_rules(folder, edits, rng)
            next_edit = now + EDIT_EVERY_S * rng.uniform(0.5, 1.5)
        if now >= next_end:
            polite = (kills + terms) % TERM_EVERY == TERM_EVERY - 1
            await server.end(signal.SIGTERM if polite else signal.SIGKILL)
            kills, terms = kills + (not polite), terms + polite
            await asyncio.sleep(rng.choice((0.0, 0.0, 0.5)))
            edits += 1
            write_rules(folder, edits, rng, may_be_mistaken=False)
            await server.start()
            next_end = time.monotonic() + KILL_EVERY_S * rng.uniform(0.4, 1.6)
    return {"kill -9": kills, "SIGTERM": terms, "edits of rules": edits}


async def _settle(devices: list[Device]) -> bool:
    """Wait until all has been acknowledged and nothing new arrives. False where it does not come to that."""
    until = time.monotonic() + CALM_S
    last: tuple[int, int] = (-1, -1)
    since = time.monotonic()
    while time.monotonic() < until:
        now = (
            sum(len(device.client.messages) + device.client.repeated for device in devices),
            sum(len(device.client.acknowledged) for device in devices),
        )
        ready = all(device.client.is_welcome and not device.client.unacknowledged for device in devices)
        if now != last or not ready:
            last, since = now, time.monotonic()
        if time.monotonic() - since > QUIET_S:
            return True
        await asyncio.sleep(0.1)
    return False


async def _judge(
    plan: Plan, folder: Path, devices: list[Device], plain: list[PlainDevice], backend: Backend
) -> Outcome:
    over_at = time.time_ns() // 1000
    record = await read_record(folder / "store.db")
    verdict = judge(record, devices, plain, backend, over_at=over_at, sessions_last=plan.sessions_last)
    outcome = Outcome(verdict)
    for device in devices:
        for error in device.client.errors:
            outcome.counted[f"error {error['code']}"] += 1
            if error["code"] in ("internal", "bad_frame"):
                verdict.blame("errors", f"{device.name}: {error}", device.name)
    checks: list[tuple[str, ...]] = [("replay", "store.db", "--verify")]
    if "db" in COMMANDS:
        checks.append(("db", "check", "store.db"))
    for words in checks:
        code, said = await proactive(folder, *words)
        outcome.figures[f"proactive {' '.join(words)}"] = "holds" if code == 0 else f"exit code {code}"
        if code:
            verdict.blame(f"proactive {words[0]}", said.strip()[-2_000:])
    outcome.figures["left in the outbox"] = record.outbox
    return outcome


def _say_if_failed(tasks: list[asyncio.Task[None]], verdict: Verdict) -> None:
    """A device that fell over by itself has seen something that its author did not think of."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            verdict.blame("devices that fell over", f"{task.get_name()}: {error!r}", task.get_name())


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def table(plan: Plan, outcome: Outcome) -> str:
    rows: dict[str, int | str] = {
        "clients": plan.clients,
        "seconds": f"{plan.seconds:g}",
        **outcome.figures,
        **outcome.verdict.figures,
    }
    lines = ["| what | how much |", "|---|---:|"]
    lines += [
        f"| {name} | {value:,} |" if isinstance(value, int) else f"| {name} | {value} |" for name, value in rows.items()
    ]
    return "\n".join(lines)


def keep_traces(folder: Path, verdict: Verdict, devices: Sequence[Device | PlainDevice]) -> None:
    """What the devices have said and heard with which something is wrong."""
    traces = folder / "traces"
    traces.mkdir(exist_ok=True)
    for device in devices:
        if device.name in verdict.suspects:
            lines = [json.dumps([round(at, 4), sign, frame]) for at, sign, frame in device.trace]
            (traces / f"{device.name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(coroutine: Coroutine[Any, Any, Outcome]) -> Outcome:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


def main() -> None:
    plan, kept = _arguments()
    folder = kept or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    outcome = run(storm(plan, folder))
    print(table(plan, outcome))
    print(" · ".join(f"{name} {times}" for name, times in sorted(outcome.counted.items())))
    if outcome.verdict.holds:
        if kept is None:
            shutil.rmtree(folder)
        return
    print("\n".join(outcome.verdict.lines()), file=sys.stderr)
    print(f"store, server's log and traces are in {folder}; --seed {plan.seed} draws the same crowd", file=sys.stderr)
    sys.exit(1)


def _arguments() -> tuple[Plan, Path | None]:
    default = Plan()
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument("--clients", type=int, default=default.clients)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--pause", type=float, default=default.pause_s, help="seconds between a device's events")
    parser.add_argument(
        "--resume-within", default=default.resume_within, help="under 1m sessions end in the storm, such as 2s"
    )
    parser.add_argument("--broken", default="", help="a fault to put into the server; see tests/chaos/broken.py")
    parser.add_argument("--keep", type=Path, help="a folder for all that is left, also where everything holds")
    given = parser.parse_args()
    plan = Plan(given.seconds, given.clients, given.seed, given.pause, given.resume_within, given.broken)
    return plan, given.keep


if __name__ == "__main__":
    main()
