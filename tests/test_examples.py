"""What is shipped to be tried out: the program that embeds the server, and the rules in `rules/examples`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pages import blocks_of
from typer.testing import CliRunner
from websockets.asyncio.client import connect

from engine.app import Server
from engine.cli.main import app_for
from engine.folder import load_folder_with_tests
from engine.lint.lint import lint
from engine.scenario import run_scenario

ROOT = Path(__file__).parent.parent
WITHIN_S = 30.0
PAGE = blocks_of(ROOT / "docs" / "examples.md")
EXAMPLES = ROOT / "rules" / "examples"
TALKS = [block.text for block in PAGE if block.language == "talk"]
# What a person has time for, and a test has not.
SPANS = {"lasted: 3s": "lasted: 50ms", "within: 10s": "within: 50ms"}
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


def test_the_examples_stand_apart_from_the_shipped_rules_and_hold_what_they_claim() -> None:
    loaded = load_folder_with_tests(ROOT / "rules")
    assert set(loaded.rules.sources) == {"chat.yaml", "tutor.yaml"}
    assert set(loaded.apart) == {f"examples/{path.name}" for path in EXAMPLES.glob("*.yaml")}
    for example in loaded.apart.values():
        assert example.scenarios
        assert example.invariants
        for scenario in example.scenarios:
            assert run_scenario(example.rules, scenario).lines() == [], scenario.name
        assert lint(example.rules) == ()


@pytest.fixture
async def connected(start_server: Callable[..., Awaitable[Server]]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A terminal client, connected to a server that runs the conversation."""
    rules = (EXAMPLES / "conversation.yaml").read_text("utf-8")
    for span, short in SPANS.items():
        assert rules.count(span) == 1
        rules = rules.replace(span, short)
    server = await start_server(rules=rules)
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from engine.cli.main import main; main()", "connect", "--url", server.ws_url),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    yield program
    program.kill()
    await program.wait()


@pytest.mark.parametrize("talk", TALKS, ids=range(len(TALKS)))
async def test_the_conversation_can_be_talked_through_as_the_page_says(
    talk: str, connected: asyncio.subprocess.Process
) -> None:
    assert connected.stdin is not None
    assert connected.stdout is not None
    assert connected.stderr is not None
    async with asyncio.timeout(WITHIN_S):
        assert (await connected.stderr.readline()).startswith(b"[connected to ")
        for line in talk.splitlines():
            if line.startswith("> "):
                connected.stdin.write(line[2:].encode() + b"\n")
                continue
            stream = connected.stderr if line.startswith("[") else connected.stdout
            heard = (await stream.readline()).decode().rstrip("\n")
            assert without_time(heard) == without_time(line)


def without_time(line: str) -> str:
    return re.sub(r"^\d\d:\d\d:\d\d ", "", line)


def test_the_dry_run_of_the_policy_prints_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (text,) = [block.text for block in PAGE if block.language == "text"]
    first, _, expected = text.partition("\n")
    prompt, program, *words = first.split()
    assert (prompt, program) == ("$", "proactive")
    assert CliRunner().invoke(app_for(words), words).stdout == expected
