"""The server under test: ``proactive serve`` in a process of its own, killed and started again. It judges nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 60.0  # for the process to say where it listens
STOP_S = 30.0  # for it to end after SIGTERM
LISTENS = re.compile(r"(WebSocket|HTTP) server started on \w+://127\.0\.0\.1:(\d+)")


class ServerProcess:
    """``broken`` names a fault of `tests.chaos.broken` to put into it, "" for none."""

    def __init__(self, folder: Path, settings: str, *, broken: str = "") -> None:
        self.ws_port = 0
        self.http_port = 0
        self.starts = 0
        self.unexpected: list[str] = []  # ends that nobody asked for
        self.memory_max = 0  # bytes, as last seen
        self._folder = folder
        self._broken = broken
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] = (folder / "server.log").open("ab")
        self._output: asyncio.Task[None] | None = None
        (folder / "config.yaml").write_text(settings, encoding="utf-8")

    async def start(self) -> None:
        """Returns when it listens. Raises `RuntimeError` where it does not come to that."""
        entry = ["-m", "tests.chaos.broken", self._broken] if self._broken else ["-c", MAIN]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *entry, "serve", "--config", "config.yaml"),
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        ports: dict[str, int] = {}
        async with asyncio.timeout(START_S):
            while len(ports) < 2:
                line = (await self._process.stdout.readline()).decode()
                if not line:
                    raise RuntimeError(f"the server did not start; see {self._folder / 'server.log'}")
                if found := LISTENS.search(line):
                    ports[found[1]] = int(found[2])
        self.ws_port, self.http_port = ports["WebSocket"], ports["HTTP"]
        self.starts += 1
        self._output = asyncio.create_task(_drain(self._process.stdout))

    async def end(self, how: signal.Signals) -> None:
        """Send it ``how`` and wait for its end; one that does not end by SIGTERM is noted, and killed."""
        process = self._process
        assert process is not None
        if process.returncode is not None:
            self.unexpected.append(f"the server ended by itself with {process.returncode}")
            return
        process.send_signal(how)
        try:
            async with asyncio.timeout(STOP_S):
                code = await process.wait()
        except TimeoutError:
            self.unexpected.append(f"the server did not end within {STOP_S:g} s of {how.name}")
            process.kill()
            code = await process.wait()
        if how is signal.SIGTERM and code not in (0, -signal.SIGKILL):
            self.unexpected.append(f"after SIGTERM the server ended with {code}")

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._log.close()

    def look_at_memory(self) -> None:
        """Resident bytes, where the system tells them."""
        if self._process is not None:
            with suppress(OSError, IndexError, ValueError):
                pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
                self.memory_max = max(self.memory_max, pages * os.sysconf("SC_PAGE_SIZE"))


async def proactive(folder: Path, *words: str) -> tuple[int, str]:
    """Run the command in the folder: its exit code, and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, *words),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def _drain(stdout: asyncio.StreamReader) -> None:
    while await stdout.readline():
        pass


MAIN = "from engine.cli.main import main; main()"
