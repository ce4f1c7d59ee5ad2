"""Somebody with a device of level 1, for tests that need no more of it than what it says and hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

from tests.level1_client import Connection, Frame, Gone, Level1Client, WebSocketConnection, converse

WITHIN_S = 30.0  # only a hang takes as long


class Person:
    """A client of level 1 that comes back whenever its connection breaks, and the frames that it has heard."""

    def __init__(self, kind: Any, where: Any, client: str = "laptop", user: str = "ann") -> None:
        self.frames: list[Frame] = []
        self.client = Level1Client(client, user, trace=self._note)
        self._kind = kind
        self._where = where  # a server, or a process of one, which has another port when it comes again
        self._said = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def come(self, opened: AsyncExitStack) -> Person:
        opened.push_async_callback(self.go)
        self._task = asyncio.create_task(self._live())
        await until(lambda: self.client.preferences is not None)
        return self

    async def go(self) -> None:
        """The connection breaks, and nobody comes back for now."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def say(self, kind: str, **data: Any) -> str:
        event_id = self.client.say(kind, **data)
        self._said.set()
        return event_id

    def heard(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    async def hear(self, kind: str, count: int = 1) -> Frame:
        await until(lambda: len(self.heard(kind)) >= count)
        return self.heard(kind)[count - 1]

    def _note(self, direction: str, frame: Frame) -> None:
        if direction == "<":
            self.frames.append(frame)

    async def _live(self) -> None:
        while True:
            with suppress(Gone):
                url = self._where.ws_url if self._kind is WebSocketConnection else self._where.http_url
                connection: Connection = await self._kind.open(url, self.client)
                await converse(self.client, connection, self._said)
            await asyncio.sleep(0.01)


async def until(it_holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not it_holds():  # noqa: ASYNC110 - there is nothing to wait for that would not be made for the test
            await asyncio.sleep(0.001)
