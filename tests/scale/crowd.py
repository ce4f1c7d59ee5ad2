"""Real clients over real WebSockets, each at any of the gateways that are there; what they say goes into the journal.

The devices are those of the storm (`tests.chaos.people`); here they write down step by step what they say and hear.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from tests.chaos.people import Course, Device
from tests.level1_client import Frame, Gone
from tests.scale.fleet import Member
from tests.scale.journal import Journal

TAKES = frozenset({"hello", "received", "ping"})  # what a client says that is no event


class Doors(Course):
    """Whoever connects takes one of the gateways that are there at that moment, by chance."""

    def __init__(self, gateways: Callable[[], list[Member]], pause_s: float, rng: random.Random) -> None:
        self._gateways = gateways
        self._rng = rng
        super().__init__("", "", pause_s)

    @property
    def ws_url(self) -> str:
        there = [gateway for gateway in self._gateways() if gateway.ws_port]
        if not there:
            return "ws://127.0.0.1:1"  # where nobody listens: the device comes again
        gateway = self._rng.choice(there)
        return f"ws://{gateway.host}:{gateway.ws_port}"

    @ws_url.setter
    def ws_url(self, _: str) -> None:
        """It is chosen anew each time."""


class JournaledDevice(Device):
    """One device of a user of its own."""

    def __init__(self, name: str, journal: Journal, course: Course, rng: random.Random) -> None:
        self._journal = journal
        self._asked_at: dict[str, float] = {}
        super().__init__(name, name, "websocket", course, rng)
        journal.sit(name, name)

    def _note(self, direction: str, frame: Frame) -> None:
        super()._note(direction, frame)
        kind = frame.get("type")
        if direction == ">" and kind not in TAKES and "id" in frame:
            self._journal.say(self.user, self._logged_as(frame["id"]))
            if kind == "asked":
                self._asked_at.setdefault(f"asked {frame['n']}", time.monotonic())
        elif direction == "<" and kind == "error" and not self.client.is_welcome:
            # A `hello` that could not be stored: nobody is welcome until it is said again, by whichever door.
            raise Gone(0, str(frame))
        elif direction == "<" and kind == "ack":
            for event_id in frame["ids"]:
                self._journal.acknowledge(self.user, self._logged_as(event_id))
        elif direction == "<" and "id" in frame and kind != "withdrawn":
            text = frame.get("message", "")
            if self._journal.show(self.name, frame["id"], text) and text in self._asked_at:
                self._journal.delays.append(time.monotonic() - self._asked_at.pop(text))

    def _logged_as(self, event_id: str) -> str:
        return f"{self.name}/{event_id}"


class Crowd:
    """Many devices."""

    def __init__(self, count: int, journal: Journal, doors: Doors, rng: random.Random) -> None:
        self.doors = doors
        self.devices = [
            JournaledDevice(f"device{number}", journal, doors, random.Random(rng.random())) for number in range(count)
        ]
        self._lives: list[asyncio.Task[None]] = []
        self._acts: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """They connect, and come back for ever."""
        self._lives = [asyncio.create_task(one.live(), name=one.name) for one in self.devices]

    def start(self) -> None:
        """They begin to say things."""
        self._acts = [asyncio.create_task(one.act(), name=one.name) for one in self.devices]

    async def end(self) -> None:
        """Nobody says anything new."""
        self.doors.end()
        await asyncio.gather(*self._acts)

    @property
    def connected(self) -> int:
        return sum(device.client.is_welcome for device in self.devices)

    @property
    def is_calm(self) -> bool:
        return all(device.client.is_welcome and not device.client.unacknowledged for device in self.devices)

    @property
    def shown(self) -> int:
        return sum(len(device.client.messages) + device.client.repeated for device in self.devices)

    def complaints(self) -> list[str]:
        """What no server may do, as far as a client can see it."""
        found = []
        for device in self.devices:
            client = device.client
            told = [*client.complaints, *[f"{event_id} refused: {error}" for event_id, error in client.refused.items()]]
            told += [str(error) for error in client.errors if error["code"] in ("internal", "bad_frame")]
            found += [f"{device.name}: {each}" for each in told]
        return found

    async def close(self) -> None:
        for task in (*self._lives, *self._acts):
            task.cancel()
        done = await asyncio.gather(*self._lives, *self._acts, return_exceptions=True)
        for task, result in zip((*self._lives, *self._acts), done, strict=True):
            if isinstance(result, Exception):
                raise RuntimeError(f"{task.get_name()} fell over") from result
