"""Routes that tell of the server itself: how it is, its numbers, and the descriptions of what it speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from engine.core.model import Json
from engine.transport.asyncapi import asyncapi
from engine.transport.callers import Callers
from engine.transport.descriptions import frames_schema
from engine.transport.http_replies import read_query, reply
from engine.transport.openapi import openapi


@dataclass(frozen=True, slots=True)
class About:
    """``health`` and ``readiness`` are bodies; the second says ``ready`` in it. ``metrics``: text and content type."""

    health: Callable[[], Awaitable[dict[str, Json]]]
    readiness: Callable[[], Awaitable[dict[str, Json]]]
    metrics: Callable[[str], tuple[bytes, str]]


class AboutRoutes:
    def __init__(self, about: About, callers: Callers) -> None:
        self._about = about
        self._callers = callers

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/healthz", self.health)
        router.add_get("/readyz", self.readiness)
        router.add_get("/metrics", self.metrics)
        router.add_get("/openapi.json", self.openapi)
        router.add_get("/asyncapi.json", self.asyncapi)
        router.add_get("/protocol.schema.json", self.schema)

    async def health(self, request: web.Request) -> web.Response:
        """That it answers; whether somebody should look. 200 whatever it says."""
        return reply(await self._about.health())

    async def readiness(self, request: web.Request) -> web.Response:
        found = await self._about.readiness()
        return reply(found, 200 if found["ready"] else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        self._callers.backend(request, "metrics")
        text, content_type = self._about.metrics(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def openapi(self, request: web.Request) -> web.Response:
        return self._described(request, openapi())

    async def asyncapi(self, request: web.Request) -> web.Response:
        return self._described(request, asyncapi())

    async def schema(self, request: web.Request) -> web.Response:
        return self._described(request, frames_schema())

    def _described(self, request: web.Request, description: dict[str, Json]) -> web.Response:
        read_query(request)
        self._callers.anybody(request)
        return reply(description)
