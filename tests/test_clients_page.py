"""`docs/clients.md`: its programs run against a server, and do what the page says of them."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from pages import blocks_of

from engine.app import Server
from tests.chaos.proxy import Proxy

PAGE = Path(__file__).parent.parent / "docs" / "clients.md"
BLOCKS = {(block.language, block.word): block.text for block in blocks_of(PAGE)}
WITHIN_S = 30.0

StartServer = Callable[..., Awaitable[Server]]


async def begin(folder: Path, name: str, **environment: str) -> asyncio.subprocess.Process:
    (folder / name).write_text(BLOCKS["python", name], encoding="utf-8")
    return await asyncio.create_subprocess_exec(
        sys.executable,
        name,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_backend_prints_what_the_page_shows(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server()
    program = await begin(tmp_path, "backend.py", TUTOR_HTTP=server.http_url)
    async with asyncio.timeout(WITHIN_S):
        out, err = await program.communicate()
    assert (out.decode(), err.decode()) == (BLOCKS["text", "backend.py"], "")


async def test_the_client_loses_nothing_when_its_connection_breaks(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server()
    port = urlsplit(server.ws_url).port
    assert port is not None
    line = Proxy(lambda: port, random.Random(1))
    line.is_calm = True
    url = f"ws://127.0.0.1:{await line.open()}"
    client = await begin(tmp_path, "client.py", TUTOR_WS=url)
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            for name in ("t1", "t2", "t3"):
                client.stdin.write(f"{name}\n".encode())
                assert (await client.stdout.readline()).decode() == f"{name} fails. Want a hint?\n"
                line.cut_all()
            client.stdin.close()
            out, err = await client.communicate()
    finally:
        await line.close()
        if client.returncode is None:
            client.kill()
            await client.wait()
    assert out == b"", "each came once"
    assert "Traceback" not in err.decode()
    assert client.returncode == 0
    assert {where for where, _ in line.suffered.items()} == {"clear"}
    assert line.suffered["clear"] > 1, "it came back"


async def test_the_client_leaves_when_another_has_its_place(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server()
    first = await begin(tmp_path, "client.py", TUTOR_WS=server.ws_url)
    assert first.stdin is not None
    assert first.stdout is not None
    async with asyncio.timeout(WITHIN_S):
        first.stdin.write(b"t1\n")
        await first.stdout.readline()
        second = await begin(tmp_path, "client.py", TUTOR_WS=server.ws_url)
        _, err = await first.communicate()
        assert err.decode() == "this device has another connection\n"
        assert second.stdin is not None
        second.stdin.close()
        await second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
