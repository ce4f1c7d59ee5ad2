"""What it costs to be observed: the same events through the same driver, unobserved, counted, and traced as well.

python benchmarks/observing.py

Rounds of the three take turns, and what counts is the processor's time, the least of each kind. The store is in memory
and messages go nowhere: what an observer costs is shown at its largest share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from opentelemetry.sdk.trace import TracerProvider

from engine.intake import Input
from engine.live import Live
from engine.loading.load import load
from engine.metrics.metrics import Metrics
from engine.observer import SILENT, Observer, Several
from engine.storage.base import OutboxMessage
from engine.storage.memory import MemoryStore
from engine.tracing import Tracing
from engine.triggers import KINDS

ROUNDS = 9
EVENTS = 20_000
USERS = 200
AT_ONCE = 50  # frames of which each tells one event, before any of them is waited for
RULES = """
version: 1
rules:
  - {id: failing, trigger: {event: {event: test.failed}}, cooldown: 1m, message: {type: suggestion, text: A hint?}}
  - id: often
    trigger: {count: {event: test.failed, at_least: 3, within: 5m}}
    message: {type: question, text: Stuck?}
  - {id: idle, trigger: {inactivity: 5m}, message: {type: notification, text: Still there?}}
"""


def now() -> int:
    return time.time_ns() // 1000


def counted() -> Observer:
    return Metrics(now)


def traced() -> Observer:
    return Several([Metrics(now), Tracing(TracerProvider(shutdown_on_exit=False))])


async def run(observer: Observer) -> float:
    """Seconds of the processor for all events."""

    def deliver(messages: list[OutboxMessage]) -> list[str]:
        observer.queued(messages, "pushed")
        return [outgoing.message.id for outgoing in messages]

    live = Live(MemoryStore(), load({"r.yaml": RULES}, KINDS), clock=now, deliver=deliver, observer=observer)
    await live.start()
    began = time.process_time()
    for start in range(0, EVENTS, AT_ONCE):
        waiting = []
        for number in range(start, start + AT_ONCE):
            observer.frames_in("websocket")
            trace = observer.taken_in("websocket", 1)
            done = live.begin([Input(f"u{number % USERS}", "test.failed", {"test": "t1"})], trace)
            waiting.append((done, trace))
        for done, trace in waiting:
            await done
            observer.acknowledged(trace)
            observer.frames_out("websocket")
    took = time.process_time() - began
    await live.stop()
    return took


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    kinds: dict[str, Callable[[], Observer]] = {"unobserved": lambda: SILENT, "counted": counted, "traced": traced}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, make in kinds.items():
            times[name].append(asyncio.run(run(make())))
    least = {name: min(some) for name, some in times.items()}
    print(f"{EVENTS:,} events of {USERS} users, the least of {ROUNDS} rounds")
    for name, seconds in least.items():
        of_one = seconds / EVENTS * 1e6
        print(f"{name:11} {of_one:7.1f} µs an event   {seconds / least['unobserved']:.3f} of unobserved")


if __name__ == "__main__":
    main()
