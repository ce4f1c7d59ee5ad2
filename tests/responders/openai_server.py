"""A real HTTP server that speaks OpenAI's chat completions, well or badly, as each test tells it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def chunk(content: Any) -> bytes:
    body = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": content}}]}
    return f"data: {json.dumps(body)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


@dataclass
class Model:
    """``answers`` are used up one by one, the last for all that come after. ``left`` counts clients who went away."""

    answers: list[Answer]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: int = 0
    somebody_left: asyncio.Event = field(default_factory=asyncio.Event)
    somebody_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        self.headers.append(dict(request.headers))
        self.somebody_asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            return await answer(request, asked)
        except (asyncio.CancelledError, ConnectionResetError):
            self.left += 1
            self.somebody_left.set()
            raise


def streaming(*pieces: bytes) -> Answer:
    async def answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    return answer


def saying(*words: str) -> Answer:
    return streaming(b": a comment\n\n", *(chunk(word) for word in words), chunk(None), DONE)


def stalling(*pieces: bytes) -> Answer:
    """Says so much, and then nothing, until its client goes."""

    async def answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if pieces:
            await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        await asyncio.Event().wait()
        return response

    return answer


def dictated(pieces: asyncio.Queue[bytes | None]) -> Answer:
    """Says what the test says, when it says it; None is the end."""

    async def answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while (piece := await pieces.get()) is not None:
            await response.write(piece)
        return response

    return answer


def breaking(*pieces: bytes) -> Answer:
    """Says so much, and the line is cut."""

    async def answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if pieces:
            await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


def replying(status: int, body: Any, **headers: str) -> Answer:
    async def answer(request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers=headers)

    return answer


def whole(text: Any) -> Answer:
    return replying(200, {"choices": [{"message": {"role": "assistant", "content": text}}]})


@asynccontextmanager
async def model_server(*answers: Answer) -> AsyncIterator[Model]:
    model = Model(list(answers))
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/v1/chat/completions", model.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield model
    finally:
        await runner.cleanup()
