"""`docs/embedding.md`: its programs run, and it names all that `engine` exports."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pages import Block, blocks_of

import engine
from engine.app import Server

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "embedding.md"
BLOCKS = [block for block in blocks_of(PAGE) if block.language == "python"]
WITHIN_S = 30.0
RULES = "version: 1\nrules:\n  - {id: hi, trigger: {event: hi}, message: {type: suggestion, text: Hi}}\n"


def blocks(word: str) -> list[Block]:
    return [block for block in BLOCKS if block.word == word]


def test_every_program_is_run() -> None:
    assert len(blocks("program")) + len(blocks("part")) == len(BLOCKS) > 0


@pytest.mark.parametrize("block", blocks("part"), ids=str)
async def test_a_part_does_what_it_says(
    block: Block, start_server: Callable[..., Awaitable[Server]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("store: 'memory:'\n", encoding="utf-8")
    names: dict[str, Any] = {"server": await start_server()}
    code = compile(block.text, str(PAGE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names)
    if running is not None:
        await running


async def run_program(folder: Path, block: Block) -> asyncio.subprocess.Process:
    (folder / "program.py").write_text(block.text, encoding="utf-8")
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "program.py",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("block", blocks("program"), ids=str)
async def test_a_program_serves_until_it_is_stopped(block: Block, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "hi.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "config.yaml").write_text("ws_port: 0\nhttp_port: 0\n", encoding="utf-8")
    program = await run_program(tmp_path, block)
    assert program.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            assert (await program.stdout.readline()).startswith(b"ws://127.0.0.1:")
            program.send_signal(signal.SIGINT)
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


@pytest.mark.parametrize("block", blocks("program"), ids=str)
@pytest.mark.parametrize(
    ("config", "rules", "error"),
    [
        ("prots: 5\n", RULES, 'config.yaml:1:1: unknown key "prots"'),
        ("", "version: 2\n", "rules/hi.yaml:1:10: "),
        ("store: 'sqlite:rules/hi.yaml'\n", RULES, "rules/hi.yaml"),
    ],
)
async def test_a_program_shows_why_it_cannot_start(
    block: Block, config: str, rules: str, error: str, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "hi.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "config.yaml").write_text(f"{config}http_port: 0\nws_port: 0\n", encoding="utf-8")
    program = await run_program(tmp_path, block)
    async with asyncio.timeout(WITHIN_S):
        _, told = await program.communicate()
    assert program.returncode == 1
    assert error in told.decode()
    assert "Traceback" not in told.decode()


def test_every_name_that_engine_exports_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    for name in engine.__all__:
        assert f"`{name}`" in text or f"`engine.{name}`" in text or f"**`{name}" in text, name


def test_every_public_name_of_a_server_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    for name in vars(Server):
        assert name.startswith("_") or f"{name}" in text, name


def test_what_engine_exports_is_listed_and_loaded_only_when_it_is_asked_for() -> None:
    asked = (
        "import sys, engine; assert set(engine.__all__) <= set(dir(engine)); "
        "assert not [name for name in sys.modules if name.startswith('engine.')]; "
        "assert all(getattr(engine, name) for name in engine.__all__); print(*engine.__all__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True,
        timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == sorted(engine.__all__)
    with pytest.raises(AttributeError):
        engine.Servers  # noqa: B018
