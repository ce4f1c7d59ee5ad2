"""``proactive gateway`` and ``proactive worker`` in processes of their own, and people at them. It claims nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from level1_client import Connection, Gone, Level1Client, WebSocketConnection, converse

ROOT = Path(__file__).resolve().parent.parent.parent
MAIN = "from engine.cli.main import main; main()"
START_S = 60.0
LISTENS = re.compile(r"(WebSocket|HTTP) server started on (\w+://127\.0\.0\.1:\d+)")
RULES = """
version: 1
rules:
  - {id: ask, trigger: {event: stuck}, message: {type: question, text: "Stuck with {{ event.what }}?"}}
"""


Way = Callable[[str, Level1Client], Awaitable[Connection]]


class FleetProcess:
    """``command`` is ``gateway`` or ``worker``; all of one folder share its settings."""

    def __init__(self, command: str, folder: Path) -> None:
        self.command = command
        self.urls: dict[str, str] = {}
        self.lines: list[str] = []
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> FleetProcess:
        """Returns when it listens. Raises `RuntimeError` where it does not come to that."""
        with (self._folder / f"{self.command}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", MAIN, self.command, "--config", "config.yaml"),
                cwd=self._folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        wanted = 2 if self.command == "gateway" else 1
        async with asyncio.timeout(START_S):
            while len(self.urls) < wanted:
                line = (await self._process.stdout.readline()).decode()
                if not line:
                    raise RuntimeError(f"the {self.command} did not start; see {self._folder}")
                self.lines.append(line.rstrip())
                if found := LISTENS.search(line):
                    self.urls[found[1]] = found[2]
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def end(self, how: signal.Signals) -> int:
        """Its exit code."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        return await self._process.wait()

    async def close(self) -> None:
        if self._process is not None:
            await self.end(signal.SIGKILL)
        if self._reading is not None:
            await self._reading

    async def _read(self, output: asyncio.StreamReader) -> None:
        while line := await output.readline():
            self.lines.append(line.decode().rstrip())


class Visitor:
    """A device that comes back whenever it has lost its connection, at the next of the gateways, until it is closed."""

    def __init__(self, client: str, user: str, urls: list[str], way: Way = WebSocketConnection.open) -> None:
        self.client = Level1Client(client, user)
        self.lost = 0
        self._urls = urls
        self._way = way
        self._said = asyncio.Event()
        self._task = asyncio.create_task(self._come())

    def say(self, kind: str, **data: object) -> str:
        event_id = self.client.say(kind, **data)
        self._said.set()
        return event_id

    def tell(self, frame: dict[str, object]) -> None:
        self.client.tell(frame)
        self._said.set()

    def texts(self) -> list[str]:
        return [frame["message"] for frame in self.client.messages.values()]

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _come(self) -> None:
        place = 0
        while True:
            try:
                connection = await self._way(self._urls[place % len(self._urls)], self.client)
                await converse(self.client, connection, self._said)
            except Gone:
                self.lost += 1
                place += 1
                await asyncio.sleep(0.02)  # as a client that is in a hurry; it has nothing to wait for


@asynccontextmanager
async def processes(folder: Path, store: str, gateways: int = 2, **settings: str) -> AsyncIterator[list[FleetProcess]]:
    """So many gateways, and a worker behind them."""
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    lines = {"store": store, "rules": "rules.yaml", "ws_port": "0", "http_port": "0", **settings}
    (folder / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), encoding="utf-8")
    started = [FleetProcess("worker", folder), *(FleetProcess("gateway", folder) for _ in range(gateways))]
    try:
        await asyncio.gather(*(each.start() for each in started))
        yield started
    finally:
        await asyncio.gather(*(each.close() for each in started))


async def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
