"""A whole server with every credential in every right and wrong place: its log, at its loudest, has none of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from guarded_server import WITHIN_S, GuardedServer
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


@pytest.fixture
def served(tmp_path: Path) -> Iterator[GuardedServer]:
    served = GuardedServer(tmp_path)
    yield served
    with served.process:
        served.process.kill()


async def ask_everything(served: GuardedServer, http: aiohttp.ClientSession, credential: str) -> None:
    """The credential in every place of a request where somebody might put it."""
    headers = {"Authorization": f"Bearer {credential}"}
    event = {"type": "test.failed", "test": "t1", "clientId": "tab"}
    hello = {"type": "hello", "protocol": 1, "clientId": "tab", "token": credential}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/events", {"json": event, "headers": headers}),
        ("POST", "/events", {"json": {**event, "test": credential, "token": credential}, "headers": headers}),
        ("POST", "/events", {"json": {**event, "clientId": credential}}),
        ("POST", "/events", {"data": f'{{"type": {credential}', "headers": headers}),
        ("POST", "/chat", {"json": {"type": "chat_message", "message": credential, "clientId": "tab"}}),
        ("POST", "/hello", {"json": hello}),
        ("POST", "/messages", {"json": {"to": {"user": credential}, "type": "x", "text": credential}}),
        ("POST", "/messages", {"json": {"to": {"user": "ann"}, "type": "x", "text": "Hi"}, "headers": headers}),
        ("GET", f"/users/{credential}/timeline", {"headers": headers}),
        ("GET", f"/poll?session=s_0&token={credential}", {}),
        ("GET", f"/stream?session={credential}&token={credential}", {}),
        ("GET", f"/{credential}", {}),
        ("GET", f"/metrics?key={credential}", {"headers": {"Authorization": credential}}),
        ("DELETE", "/users/ann", {"headers": {"Authorization": f"Basic {credential}"}}),
        ("GET", "/metrics", {"headers": {**headers, "Origin": f"https://{credential}.example"}}),
    ]
    for method, path, more in requests:
        async with http.request(method, path, **more) as response:
            await response.read()


async def say_everything(served: GuardedServer, credential: str) -> None:
    """The same over WebSockets, of both levels."""
    hello = {"type": "hello", "protocol": 1, "clientId": "tab"}
    plain = {"type": "chat_message", "message": credential, "clientId": credential}
    bad = {"type": credential, "clientId": {"token": credential}}
    handshakes: list[tuple[str, dict[str, str], list[dict[str, Any]]]] = [
        ("", {"Authorization": f"Bearer {credential}"}, [hello, {"type": "test.failed", "test": credential}, bad]),
        (f"/?token={credential}", {}, [hello, hello, bad]),
        ("", {}, [{**hello, "token": credential}, {"type": "test.failed", "token": credential, "id": credential}]),
        ("", {}, [{**hello, "clientId": credential, "user": credential}]),
        ("", {}, [plain, bad]),
        (f"/{credential}", {"Origin": f"https://{credential}.example"}, []),
    ]
    for path, headers, frames in handshakes:
        try:
            async with connect(served.ws_url + path, additional_headers=headers) as socket:
                for frame in frames:
                    await socket.send(json.dumps(frame))
                await socket.send("not JSON: " + credential)
                while True:
                    if "not JSON" in str(await socket.recv()) or "expected JSON" in str(await socket.recv()):
                        break
        except (ConnectionClosed, InvalidStatus):
            pass


async def test_no_credential_is_ever_written(served: GuardedServer) -> None:
    async with asyncio.timeout(WITHIN_S), aiohttp.ClientSession(served.http_url) as http:
        for credential in served.credentials:
            await ask_everything(served, http, credential)
            await say_everything(served, credential)
    written = served.written()
    for told in ("! token refused", "! backend refused", "= client", "! bad frame"):
        assert told in written
    for credential in served.credentials:
        assert credential not in written
        # Not in pieces that would do either: what signs a token is its last part.
        assert credential.rpartition(".")[2] not in written
