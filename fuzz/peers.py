"""Whole servers without sockets: lines are frames of a connection, and whatever comes of them is seen by the rules.

A server is used for many inputs, so that one input meets what others have left behind; it keeps everything in memory.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from functools import cache
from pathlib import Path

from engine.settings import Limits, Settings
from engine.transport.outgoing import Outgoing
from engine.transport.peer import Peer
from engine.wiring import Parts, build
from fuzz.frames import WORDS, seeds
from fuzz.target import Target

INPUTS_MAX = 200  # of one server, whose store in memory forgets nothing
FRAMES_MAX = 100  # of one input
HANG_S = 20
AGAIN = "#again"  # a line that says: another connection from here on
FOLDER = Path(__file__).parent / "folder"
SEQUENCES = (
    ['{"type":"hello","protocol":1,"clientId":"laptop","user":"ann"}', '{"type":"test.failed","id":"1"}',
     '{"type":"test.failed","id":"1"}', '{"type":"received","seq":2}', '{"type":"outcome","id":"m","outcome":"seen"}'],
    ['{"type":"hello","protocol":1,"clientId":"laptop"}', '{"type":"chat_message","message":"hi","id":7}', AGAIN,
     '{"type":"hello","protocol":1,"clientId":"laptop","resume":{"session":"s_1","received":0}}', '{"type":"ping"}'],
    ['{"type":"chat_message","message":"hi","clientId":"a"}', AGAIN, '{"type":"undone","clientId":"a"}'],
    ['{"type":"preferences","level":"less","clientId":"a"}', '{"type":"events","events":[{"type":"x"},{"type":"y"}]}'],
)  # fmt: skip


class _World:
    def __init__(self) -> None:
        self.opened = AsyncExitStack()
        self.inputs = 0
        self.connections = 0
        self.parts: Parts

    async def open(self) -> None:
        limits = Limits(client_events_per_s=None, user_events_per_s=None)
        settings = Settings(store="memory:", rules=FOLDER, limits=limits)
        self.parts = await build(settings, self.opened, responder=None, on_user_response=None, on_report=None)

    async def close(self) -> None:
        await self.opened.aclose()

    def connect(self) -> Peer:
        self.connections += 1
        name = f"c_{self.connections}"
        outgoing = Outgoing(256, lambda: None)
        return Peer(self.parts.reception, name, address="127.0.0.1", credentials=None, outgoing=outgoing)


class _Worlds:
    """The loop that all servers run in, and the one in use."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.world: _World | None = None

    def attempt(self, data: bytes) -> None:
        self.loop.run_until_complete(self._attempt(data))

    async def _attempt(self, data: bytes) -> None:
        async with asyncio.timeout(HANG_S):
            if self.world is not None and self.world.inputs >= INPUTS_MAX:
                world, self.world = self.world, None
                await world.close()
            if self.world is None:
                self.world = _World()
                await self.world.open()
            self.world.inputs += 1
            await _talk(self.world, data.split(b"\n")[:FRAMES_MAX])


async def _talk(world: _World, lines: list[bytes]) -> None:
    live = world.parts.live
    faults = live.counters.faults
    peer = world.connect()
    for line in lines:
        if line == AGAIN.encode():
            await peer.gone()
            peer = world.connect()
            continue
        frame: str | bytes = line
        with suppress(UnicodeDecodeError):
            frame = line.decode()
        peer.receive(frame)
        await asyncio.sleep(0)
        _check_told(peer)
    await live.settled()
    await asyncio.sleep(0)
    _check_told(peer)
    await peer.gone()
    await live.settled()
    assert live.counters.faults == faults, "an event was set aside"


def _check_told(peer: Peer) -> None:
    while (text := peer.outgoing.take_nowait()) is not None:
        frame = json.loads(text)
        assert isinstance(frame["type"], str)
        assert frame.get("code") != "internal", frame


@cache
def _worlds() -> _Worlds:
    return _Worlds()


def all_seeds() -> list[bytes]:
    return ["\n".join(lines).encode() for lines in SEQUENCES] + list(seeds())


PEERS = Target(lambda data: _worlds().attempt(data), all_seeds, (*WORDS, AGAIN, f"\n{AGAIN}\n"), 4096)
