"""`proactive connect` at a real terminal, while its server is killed and comes back."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pty_client import COMMAND, ROOT, PtyClient

from engine.app import Server

WITHIN_S = 60.0
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[\d;]+)m")
RULES = """\
version: 1
rules:
  - id: stuck
    trigger: {keywords: {any: [stuck]}}
    message: {type: question, text: "日本 Where?\\e[2J", options: [In a loop, Elsewhere]}
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")


async def test_what_is_typed_while_the_server_is_dead_is_sent_by_the_next_start(
    start_server: Callable[..., Awaitable[Server]], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    words = ("--client-id", "ann", "--url", f"ws://127.0.0.1:{port}")
    state = str(tmp_path / "state")
    async with asyncio.timeout(WITHIN_S):
        serve = await asyncio.create_subprocess_exec(
            *COMMAND, "serve", "--ws-port", str(port), "--http-port", "0", "--store", "sqlite:test.db",
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert serve.stdout is not None
            for _ in range(4):
                await serve.stdout.readline()
            async with PtyClient(*words, XDG_STATE_HOME=state) as client:
                await client.until("[connected to ")
                client.type("I am stuck\n")
                shown = await client.until("Elsewhere")
                assert "日本 Where?\ufffd[2J" in shown
                assert COLOUR.search(shown)
                serve.send_signal(signal.SIGKILL)
                await client.until("trying again")
                client.type("1\n")
                await client.until("[waits for a connection: answered: In a loop]")
                client.type("/chat later\n/quit\n")
                await client.until("[2 lines not sent: kept; ")
                assert await client.process.wait() == 1
        finally:
            if serve.returncode is None:
                serve.kill()
            await serve.communicate()
        [kept] = (tmp_path / "state" / "proactive").glob("*.json")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        server = await start_server(RULES, ws_port=port)
        async with PtyClient(*words, XDG_STATE_HOME=state, NO_COLOR="1", columns=30) as client:
            shown = await client.until("[2 lines that waited sent]")
            assert shown.index("[2 lines from last time") < shown.index("[connected to ")
            await server.send_backend_message_to_client("ann", "日本語のテキストは広い", "question")
            shown += await client.until("広い")
            assert not COLOUR.search(shown)
            client.type("/quit\n")
            assert await client.process.wait() == 0
        assert not kept.exists()
        # Of 30 columns half are left for the text, which has 22: it goes over two rows.
        assert "日本語のテキ" in shown
        assert "日本語のテキストは" not in shown
