"""Gateways that listen, a worker that tells them what comes of its rounds, and what they have heard."""

from __future__ import annotations

from fleet_world import World

from engine.fleet.relay import Relay
from engine.storage.fleet import Notice

PROMPTED = """
version: 1
rules:
  - {id: written, trigger: {event: fail}, message: {type: question, text: plain, compose: "Say something."}}
"""
TAKEN_BACK = """
version: 1
rules:
  - id: bye
    trigger: {session: end}
    offline: keep
    deliver: {cancel_on: [edit]}
    message: {type: question, text: bye, expires: 11m}
"""


class Place:
    """A gateway that listens."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.after = 0

    async def open(self) -> None:
        await self.world.store.beat("gateway", self.name, 10_000_000)
        self.after = (await self.world.store.listen(self.name, None, 0)).last

    async def heard(self) -> list[Notice]:
        heard = await self.world.store.listen(self.name, self.after, 0)
        self.after = heard.last
        return heard.notices


async def work(world: World, relay: Relay) -> None:
    """One round, and what comes of it told."""
    made = await world.round(relay.untold)
    relay.hold(made.held)
    relay.tell_anew(made.anew)
    for results in made.done.values():
        for result in results:
            relay.note(result)
    await relay.tell()


async def work_off(world: World, relay: Relay) -> None:
    """A round, and all that is to be told."""
    await work(world, relay)
    while relay.is_busy:
        await relay.tell()


async def opened(text: str, **more: object) -> tuple[World, Relay, Place]:
    """A gateway at which ann is, and a worker that has settled."""
    world = await World.started(text)
    place = Place(world, "g1")
    await place.open()
    relay = Relay(world.store, **more)  # type: ignore[arg-type]
    await world.say("ann", "session.start", session="s1")
    await work(world, relay)
    await work(world, relay)
    return world, relay, place


def said(notices: list[Notice]) -> list[str]:
    return [notice.message.message.text for notice in notices if notice.message is not None]


async def everything(place: Place) -> list[Notice]:
    heard = []
    while some := await place.heard():
        heard += some
    return heard


def dismissed(notices: list[Notice]) -> list[str]:
    events = [notice.entry.event for notice in notices if notice.entry is not None]
    return [str(event.data["message_id"]) for event in events if event is not None]
