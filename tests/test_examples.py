from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

ROOT = Path(__file__).parent.parent
WITHIN_S = 30.0
RULES = "version: 1\nrules:\n  - {id: hi, trigger: {event: hi}, message: {type: suggestion, text: Hi}}\n"


async def test_the_server_embedded_in_a_program_answers_asks_and_hears(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "hi.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "config.yaml").write_text("ws_port: 0\nhttp_port: 0\n", encoding="utf-8")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "embed.py"),
        "0.05",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert program.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            started = (await program.stdout.readline()).decode().split()
            assert started[:-1] == ["WebSocket", "server", "started", "on"]
            async with connect(started[-1]) as client:
                await client.send(
                    json.dumps(
                        {"type": "chat_message", "message": "Why?", "context": {"file": "a.py"}, "clientId": "ann"}
                    )
                )
                answer = await hear_of(client, "chat_response")
                assert answer["message"] == "You asked about a.py: Why?"
                question = await hear_of(client, "backend_message")
                assert (question["message"], question["options"]) == ("How's your progress?", ["Fine", "I am stuck"])
                response = {"type": "user_response", "questionId": question["questionId"], "response": "I am stuck"}
                await client.send(json.dumps(response))
                assert (await hear_of(client, "code_suggestion"))["language"] == "python"
                assert (await program.stdout.readline()).decode() == "ann answered 'I am stuck'\n"
            program.send_signal(signal.SIGINT)
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


async def test_the_program_shows_what_is_wrong_with_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "hi.yaml").write_text(RULES.replace("trigger", "triger"), encoding="utf-8")
    (tmp_path / "config.yaml").write_text("ws_port: 0\nhttp_port: 0\n", encoding="utf-8")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "embed.py"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        _, told = await program.communicate()
    assert program.returncode == 1
    first, *_, last = told.decode().splitlines()
    assert first.startswith("rules/hi.yaml:3:")
    assert last.endswith(" in 1 file")


async def hear_of(client: Any, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(await client.recv())
        if frame["type"] == kind:
            return frame
