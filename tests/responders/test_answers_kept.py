"""Answers to sessions outlast connections, sessions and processes; what has none is answered when its asker comes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.server import proactive
from tests.level1_client import WebSocketConnection
from tests.person import Person, until
from tests.responders.model_process import RULES, Process, settings
from tests.responders.openai_server import DONE, chunk, dictated, model_server, saying


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(opened: AsyncExitStack, folder: Path, url: str) -> Process:
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    server = Process(folder, settings(url))
    opened.push_async_callback(server.close)
    await server.start()
    return server


def is_written_down(folder: Path, text: str) -> bool:
    return text.encode() in (folder / "store.db-wal").read_bytes()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("is_written", [True, False])
async def test_whoever_asked_hears_of_the_answer_from_the_next_process(
    opened: AsyncExitStack, tmp_path: Path, how: signal.Signals, is_written: bool
) -> None:
    words: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with model_server(dictated(words), saying("With the end.")) as model:
        server = await started(opened, tmp_path, model.url)
        laptop = await Person(WebSocketConnection, server).come(opened)
        question = laptop.say("chat_message", message="How do I begin?")
        await words.put(chunk("With "))
        await laptop.hear("chat_response_delta")
        await laptop.go()  # it has been acknowledged: the client will not send it again
        if is_written:
            for piece in (chunk("the end."), DONE, None):
                await words.put(piece)
            await until(lambda: is_written_down(tmp_path, "With the end."))
        await server.end(how)
        await server.start()
        await laptop.come(opened)
        answer = await laptop.hear("chat_response")
        assert (answer["message"], answer["to"]) == ("With the end.", question)
        assert (laptop.client.resumed, laptop.heard("error"), len(model.asked)) == (1, [], 1 if is_written else 2)
        assert len(laptop.heard("chat_response_delta")) == 1, "pieces of a second try are no pieces of the first"
        await server.end(signal.SIGTERM)
        assert server.unexpected == []
    code, said = await proactive(tmp_path, "replay", "store.db", "--verify")
    assert code == 0, said
