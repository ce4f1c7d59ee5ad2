"""The processes under test: ``proactive worker`` and ``proactive gateway``, started, and stopped in whatever way.

It judges nothing, but that nobody may end who was not told to.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = Path(__file__).parent / "rules" / "rules.yaml"
START_S = 120.0  # for a process to say that it has started, on a machine that does much else
STOP_S = 60.0  # for it to end after SIGTERM
LISTENS = re.compile(r"(WebSocket|HTTP) server started on \w+://([0-9.]+):(\d+)")

Role = Literal["worker", "gateway"]


def settings(store: str, **more: str) -> str:
    """The same file for all of them, as it is meant to be."""
    keys = {
        "ws_port": "0",
        "http_port": "0",
        "rules": "rules",
        "store": store,
        "heartbeat": "10s",
        "resume_within": "10m",
        "log": "{format: json, level: info}",
        "limits": "{client_events_per_s: 100000, user_events_per_s: 100000, messages_per_s: 1000000}",
    }
    return "".join([f"{key}: {value}\n" for key, value in (keys | more).items()])


@dataclass(frozen=True)
class Seating:
    """How a process is run. ``words`` go before the command (of another network, say), ``options`` are of `entry`."""

    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    store: str = ""  # where its own way to the store differs from that of the settings
    rules: str = ""  # likewise


@dataclass
class Member:
    """One process."""

    role: Role
    name: str
    folder: Path
    seating: Seating = field(default_factory=Seating)
    host: str = ""
    ws_port: int = 0
    http_port: int = 0
    starts: int = 0
    is_stopped: bool = False  # by SIGSTOP
    is_meant_to_be: bool = True
    process: asyncio.subprocess.Process | None = None
    log: IO[bytes] | None = None
    output: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def is_frozen(self) -> bool:
        """Whether it has been stopped by SIGSTOP, by whomever."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    async def start(self) -> None:
        """Returns when it has started. Raises `RuntimeError` where it does not come to that."""
        self.log = self.log or self.log_path.open("ab")
        self.process = await asyncio.create_subprocess_exec(
            *self.seating.words,
            *(sys.executable, "-m", "tests.scale.entry", *self.seating.options),
            *(self.role, "--config", "config.yaml"),
            cwd=self.folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=self.log,
        )
        assert self.process.stdout is not None
        wanted = {"WebSocket", "HTTP"} if self.role == "gateway" else {"HTTP"}
        ports: dict[str, int] = {}
        async with asyncio.timeout(START_S):
            while not wanted <= ports.keys():
                line = await self.process.stdout.readline()
                self.log.write(line)
                if not line:
                    raise RuntimeError(f"{self.name} did not start; see {self.log_path}")
                if found := LISTENS.search(line.decode()):
                    self.host, ports[found[1]] = found[2], int(found[3])
        self.ws_port, self.http_port = ports.get("WebSocket", 0), ports["HTTP"]
        self.starts += 1
        self.is_stopped = False
        self.output = asyncio.create_task(_drain(self.process.stdout, self.log))

    def _environment(self) -> dict[str, str]:
        given = {"PYTHONPATH": str(ROOT), "SCALE_MEMBER": self.name}
        if self.seating.store:
            given["PROACTIVE_STORE"] = self.seating.store
        if self.seating.rules:
            given["PROACTIVE_RULES"] = self.seating.rules
        return os.environ | given

    def send(self, what: signal.Signals) -> None:
        """To the process, and to whatever runs it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, what)
        self.is_stopped = what is signal.SIGSTOP or (self.is_stopped and what is not signal.SIGCONT)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.send(signal.SIGKILL)
        await self._gone()

    async def stop(self) -> int:
        """SIGTERM, and its exit code; one that does not end by that is killed, which is its own code."""
        assert self.process is not None
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._gone()
        except TimeoutError:
            await self.kill()
        return self.process.returncode or 0

    async def _gone(self) -> None:
        assert self.process is not None
        await self.process.wait()
        if self.output is not None:
            await self.output

    async def close(self) -> None:
        if self.is_alive:
            await self.kill()
        if self.log is not None:
            self.log.close()

    def cpu_s(self) -> float:
        """Seconds of the processor that it has taken so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def _drain(stdout: asyncio.StreamReader, log: IO[bytes]) -> None:
    while line := await stdout.readline():
        log.write(line)
        log.flush()
