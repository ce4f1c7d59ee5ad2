"""Events as big as the doors take them, and a byte more; and many of one user that wait while no worker is there."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine.storage.base import partition_of
from engine.storage.redis_keys import Keys, spread_tags
from tests.scale import storms
from tests.scale.crowd import Crowd, Doors, JournaledDevice
from tests.scale.fleet import Member
from tests.scale.places import a_server
from tests.scale.storms import CALM_BEFORE_S, calm
from tests.scale.world import Outcome, Plan, World
from tests.storage.redis_server import RedisServer

LIMIT = 1024 * 1024  # of a frame and of a body
LIMITS = "{client_events_per_s: 100000, user_events_per_s: 100000, messages_per_s: 1000000, frame_bytes: 1048576}"
BIG_DEVICES = 3
BIG_EACH = 10  # events of one device
WAITING = 150  # such events of one user, all of one partition, when workers begin
TOGETHER = 4  # requests at a time
AGAIN_S = 0.1


def padded(size: int, **frame: object) -> str:
    """The frame as it goes over the wire, of exactly so many bytes."""
    return json.dumps({**frame, "text": "x" * (size - len(json.dumps({**frame, "text": ""})))})


class BigDevice(JournaledDevice):
    """Says a few things, each as big as a frame may be."""

    async def act(self) -> None:
        for number in range(1, BIG_EACH + 1):
            if not await self._course.goes_on_after(self._rng.expovariate(1 / self._course.pause_s)):
                return
            frame = json.loads(padded(LIMIT, type="saved", id=f"e{number}"))
            event_id = self.client.say("saved", text=frame["text"])
            assert event_id == frame["id"]
            self._has_said.set()


class BigWorld(World):
    def make_crowd(self, doors: Doors) -> Crowd:
        crowd = super().make_crowd(doors)
        crowd.devices += [BigDevice(f"big{number}", self.journal, doors, self.rng) for number in range(BIG_DEVICES)]
        return crowd


def _number(server: RedisServer, key: bytes, field: str) -> int:
    with server.speak() as asked:
        return int(asked.hget(key.decode(), field) or 0)


async def speak_big(server: RedisServer, world: World) -> None:
    gateway = world.alive("gateway")[0]
    await calm(world, CALM_BEFORE_S)
    before = len(world.journal.delays)
    async with aiohttp.ClientSession() as http:
        numbers = itertools.count(1)
        await _too_big(world, http, gateway)
        await _tell(world, http, gateway, next(numbers))
        for worker in world.alive("worker"):
            await storms.kill(world, worker)
        turns = asyncio.Semaphore(TOGETHER)

        async def tell(number: int) -> None:
            async with turns:
                await _tell(world, http, gateway, number)

        await asyncio.gather(*[tell(next(numbers)) for _ in range(WAITING)])
    world.counted["big events by HTTP"] += WAITING + 1
    began = time.monotonic()
    for worker in world.members:
        if worker.role == "worker":
            await storms.respawn(worker)

    place = Keys(spread_tags(world.plan.partitions)).stand[partition_of("big0", world.plan.partitions)]
    last = _number(server, place, "last")

    async def is_caught_up() -> bool:
        return _number(server, place, "cur") >= last

    await world.wait_for("workers that have caught up with big events", is_caught_up)
    world.counted["seconds until workers had caught up"] += round(time.monotonic() - began)
    world.counted["messages of others meanwhile"] += len(world.journal.delays) - before
    while not world.is_over:
        await calm(world, 1.0)


async def _tell(world: World, http: aiohttp.ClientSession, gateway: Member, number: int) -> None:
    """An event as big as a body may be, until it is taken."""
    user, event_id = "big0", f"http-{number}"
    body = padded(LIMIT, type="saved", clientId=user, id=event_id)
    world.journal.say(user, event_id)
    while True:
        with suppress(aiohttp.ClientError):
            async with http.post(f"http://{gateway.host}:{gateway.http_port}/events", data=body) as answer:
                if answer.status == 202:
                    assert (await answer.json())["ids"] == [event_id]
                    world.journal.acknowledge(user, event_id)
                    return
                world.counted[f"big events answered with {answer.status}"] += 1
                if answer.status not in (429, 503):
                    world.unexpected.append(f"a body of {len(body)} bytes: {answer.status} {await answer.text()}")
                    return
        await asyncio.sleep(AGAIN_S)


async def _too_big(world: World, http: aiohttp.ClientSession, gateway: Member) -> None:
    """A byte too many, by either door: it is refused. Did it happen, it would be of nobody who said it."""
    body = padded(LIMIT + 1, type="saved", clientId="big0", id="too-big")
    async with http.post(f"http://{gateway.host}:{gateway.http_port}/events", data=body) as answer:
        said = await answer.json()
        if answer.status != 413 or said["code"] != "too_big":
            world.unexpected.append(f"a body of {len(body)} bytes: {answer.status} {said}")
        world.counted["refused by HTTP"] += answer.status == 413
    async with connect(f"ws://{gateway.host}:{gateway.ws_port}", compression=None, ping_interval=None) as socket:
        try:
            await socket.send(padded(LIMIT + 1, type="saved", clientId="too-big", id="too-big"))
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 0
            if code != 1009:
                world.unexpected.append(f"a frame of {LIMIT + 1} bytes: closed with {code}")
            world.counted["refused by WebSocket"] += code == 1009


async def big_events(plan: Plan, folder: Path) -> Outcome:
    server = a_server(folder, "redis")
    await asyncio.to_thread(server.start)
    try:
        async with BigWorld(replace(plan, settings={**plan.settings, "limits": LIMITS}), folder, server.url) as world:
            await world.open()
            await world.blow(partial(speak_big, server))
            await world.settle()
            await world.end()
            outcome = await world.outcome()
    finally:
        _end(server)
    big = sum(event_id.startswith("big") for _, event_id in world.journal.said)
    outcome.prove("big events by WebSocket", big, BIG_DEVICES * BIG_EACH)
    outcome.prove("big events by HTTP", world.counted["big events by HTTP"], WAITING)
    for what in ("refused by HTTP", "refused by WebSocket", "messages of others meanwhile"):
        outcome.prove(what, world.counted[what])
    return outcome


def _end(server: RedisServer) -> None:
    if server.process is not None and server.process.poll() is None:
        server.kill()
