"""Server-sent events as a browser reads them (HTML standard, section 9.2).

Of the protocol in them it only knows the schema, to which it holds every frame.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
from described import problems

WITHIN_S = 20.0


@dataclass(frozen=True)
class Event:
    """``id`` is the last that came, with this event or before."""

    kind: str
    data: str
    id: str

    @property
    def frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.data)
        return frame


class EventSource:
    """``last_event_id`` and ``retry_ms`` are kept from one connection to the next, as a browser does."""

    def __init__(self, http: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None) -> None:
        self._http = http
        self._path = path
        self._headers = headers or {}
        self.last_event_id = ""
        self.retry_ms = 0
        self.comments = 0
        self.response: aiohttp.ClientResponse

    async def open(self) -> EventSource:
        headers = {"Accept": "text/event-stream", **self._headers}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        self.response = await self._http.get(self._path, headers=headers)
        return self

    async def next(self) -> Event | None:
        """The next event; None where the stream has ended, or was cut."""
        async with asyncio.timeout(WITHIN_S):
            return await self._next()

    async def comment(self) -> None:
        """Until a comment comes; no event may come before."""
        before = self.comments
        async with asyncio.timeout(WITHIN_S):
            while self.comments == before:
                line = await self.response.content.readline()
                assert line.startswith(b":") or line == b"\n", line
                self.comments += line.startswith(b":")

    async def frame(self) -> dict[str, Any]:
        event = await self.next()
        assert event is not None
        assert problems("ServerFrame", event.frame) == []
        return event.frame

    async def frames_until(self, kind: str) -> list[dict[str, Any]]:
        """All frames up to and with the first of that type."""
        frames = [await self.frame()]
        while frames[-1]["type"] != kind:
            frames.append(await self.frame())
        return frames

    def cut(self) -> None:
        """The line is lost: nobody says goodbye."""
        connection = self.response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self.response.close()

    async def _next(self) -> Event | None:
        kind, data, last_id = "message", [], self.last_event_id
        while True:
            try:
                line = await self.response.content.readline()
            except aiohttp.ClientError:
                return None
            if not line.endswith(b"\n"):
                return None
            text = line.decode().removesuffix("\n")
            if not text:
                self.last_event_id = last_id
                if data:
                    return Event(kind, "\n".join(data), last_id)
                kind = "message"
                continue
            field, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if not field:
                self.comments += 1
            elif field == "data":
                data.append(value)
            elif field == "event":
                kind = value
            elif field == "id":
                last_id = value
            elif field == "retry":
                self.retry_ms = int(value)
