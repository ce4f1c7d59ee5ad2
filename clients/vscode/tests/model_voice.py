"""A model whose every word a test speaks: a real HTTP server, in a thread of its own, for a backend to ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.responders.openai_server import DONE, chunk, dictated, model_server


class ModelVoice:
    def __init__(self, loop: asyncio.AbstractEventLoop, pieces: asyncio.Queue[bytes | None], url: str) -> None:
        self.url = url
        self._loop, self._pieces = loop, pieces

    @property
    def settings(self) -> str:
        """For config.yaml."""
        return f'responder: openai\nopenai: {{url: "{self.url}", model: tutor}}'

    def say(self, *words: str, ends: bool = False) -> None:
        """The next words of the answer that is asked for now, or next; ``ends``: the last."""
        for piece in [*map(chunk, words), *([DONE, None] if ends else [])]:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)


@contextmanager
def model_voice() -> Iterator[ModelVoice]:
    started: list[ModelVoice] = []
    is_there, stopping = threading.Event(), asyncio.Event()

    async def serve() -> None:
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        async with model_server(dictated(pieces)) as model:
            started.append(ModelVoice(loop, pieces, model.url))
            is_there.set()
            await stopping.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        assert is_there.wait(20)
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()
