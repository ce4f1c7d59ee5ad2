"""The page about `proactive connect` says what it does: its talk is talked through, its lists are the program's."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pages import Block, blocks_of, check_yaml
from rich.console import Console

from engine.app import Server
from engine.cli.commands import HELP
from engine.cli.layout import laid_out
from engine.cli.outbox import WAITING_MAX
from engine.cli.shown import Shown
from tests.cli.test_terminal import Listed, connected, free_port, running

PAGE = Path(__file__).parent.parent.parent / "docs" / "connect.md"
BLOCKS = blocks_of(PAGE)
CONSOLE = Console()
# What is another each time: times, ports.
VARIES = re.compile(r"\b\d\d:\d\d:\d\d\b|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b|127\.0\.0\.1:\d+")


class Paper(Listed):
    """A screen that is a list of the lines that stand on it."""

    def show(self, shown: Shown) -> None:
        for row in laid_out(shown, CONSOLE, None):
            self._add(VARIES.sub("", row.plain))

    def say(self, text: str) -> None:
        for line in f"[{text}]".split("\n"):
            self._add(VARIES.sub("", line))


def block(language: str) -> Block:
    return next(each for each in BLOCKS if each.language == language)


async def test_the_talk_goes_as_the_page_says(start_server: Callable[..., Awaitable[Server]]) -> None:
    rules, port = block("yaml"), free_port()
    check_yaml(rules)
    server = await start_server(rules.text, ws_port=port)
    async with running(server.ws_url, screen=Paper(is_typed_at=True)) as client:
        await client.screen.until(VARIES.sub("", f"[{connected(server.ws_url)}]"))
        for line in block("talk").text.splitlines():
            if line.startswith("> "):
                await client.type(line[2:])
            elif line == "# The server is stopped.":
                await server.stop()
            elif line == "# It is started again.":
                server = await start_server(rules.text, ws_port=port)
            else:
                expected = VARIES.sub("", line)
                assert await client.screen.until(expected) == [expected]


def test_the_page_lists_what_the_program_lists() -> None:
    assert block("text").text == HELP + "\n"
    assert f"At most {WAITING_MAX} lines" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("line", [line for each in BLOCKS if each.language == "sh" for line in each.text.splitlines()])
def test_the_commands_are_those_that_other_tests_run(line: str) -> None:
    assert re.fullmatch(r'(echo ".*" \| )?proactive connect --client-id ann', line)
