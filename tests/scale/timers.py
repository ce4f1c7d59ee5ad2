"""Very many timers that are due within ten seconds, and a worker that is killed in the middle of them.

Whoever arrives at some moment says an event after which a rule waits as long as it is then to the one moment that all
have in common. So it matters little how long it takes until everybody is there.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from pathlib import Path

from engine.core.units import SECOND
from engine.storage.base import Entry
from engine.storage.fleet import FleetStore
from tests.scale import storms
from tests.scale.journal import Journal
from tests.scale.load import Load, StandIn
from tests.scale.oracle import messages_of
from tests.scale.places import a_server
from tests.scale.world import LOOK_S, Outcome, Plan, World

STEP_S = 5
STEPS_MAX = 240
ARRIVALS_PER_S = 2_000.0  # at most; all that counts is that all are there before the moment comes
MARGIN_S = 20.0
SPAN_S = 10.0

HEADING = "version: 1\npolicy: {simultaneous: 9}\nrules:\n"
RULE = """\
  - id: hush-{step}
    trigger: {{inactivity: {{for: {seconds}s, after: hush.{step}}}}}
    message: {{type: notification, text: "hush", expires: 1h}}
"""


def rules() -> str:
    steps = range(1, STEPS_MAX + 1)
    return HEADING + "".join([RULE.format(step=step, seconds=step * STEP_S) for step in steps])


class Hush(StandIn):
    """Users who say one thing as they arrive; ``due_at`` is the moment, by the clock of `time.monotonic`."""

    due_at = 0.0

    def arrival(self, user: str) -> Entry:
        steps = math.ceil((self.due_at - time.monotonic()) / STEP_S)
        return self._entry(f"hush.{min(max(steps, 1), STEPS_MAX)}", user)


async def timers(plan: Plan, folder: Path) -> Outcome:
    """``plan.users`` of them, as far as there is time for all to arrive."""
    server = a_server(folder, "redis")
    await asyncio.to_thread(server.start)
    try:
        async with _TimerWorld(plan, folder, server.url) as world:
            await world.open()
            await world.blow(_kill_in_the_middle)
            await world.settle()
            await world.end()
            outcome = await world.outcome()
    finally:
        if server.process is not None:
            server.kill()
    due = [made.expires_at for made in messages_of(world.history).made.values() if made.expires_at is not None]
    outcome.figures["timers"] = len(due)
    spread = (max(due) - min(due)) / SECOND if due else math.inf
    outcome.figures["due within, s"] = round(spread, 1)
    if spread > SPAN_S:
        outcome.verdict.blame("it proves nothing", f"the timers were due within {spread:.1f} s, not {SPAN_S:g}")
    outcome.prove("timers that ran", len(due), plan.users)
    outcome.prove("kill -9 of a worker", world.counted["kill -9 of a worker"])
    outcome.prove("messages before the kill", world.counted["messages before the kill"])
    return outcome


class _TimerWorld(World):
    def write_settings(self) -> None:
        (self.folder / "rules" / "rules.yaml").write_text(rules(), encoding="utf-8")
        super().write_settings()

    def stand_in(self, name: str, store: FleetStore, users: list[str], journal: Journal, load: Load) -> StandIn:
        if not Hush.due_at or not self.stand_ins:
            Hush.due_at = time.monotonic() + self.plan.users / ARRIVALS_PER_S + MARGIN_S
        return Hush(name, store, users, journal, load, random.Random(self.rng.random()))


async def _kill_in_the_middle(world: World) -> None:
    """As soon as a part of them has been shown, and not yet all."""
    while (shown := sum(len(seat.shown) for seat in world.journal.seats.values())) < world.plan.users / 4:
        if world.is_over:
            break
        await asyncio.sleep(LOOK_S / 4)
    world.counted["messages before the kill"] = shown
    victim = world.rng.choice(world.alive("worker"))
    if shown < world.plan.users:
        await storms.kill(world, victim)
        await storms.calm(world, 1.0)
        await storms.respawn(victim)
