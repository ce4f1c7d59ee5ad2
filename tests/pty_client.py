"""A `proactive connect` at a terminal of its own: a real process and a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import sys
import termios
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]


class PtyClient:
    """``async with PtyClient("--url", …) as client``; the process is killed where it has not left by then."""

    def __init__(self, *words: str, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self._words = words
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        self._environment = {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment}
        self._terminal = -1
        self._shown = b""
        self.process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        self._terminal, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        self.process = await asyncio.create_subprocess_exec(
            *COMMAND, "connect", *self._words, env=self._environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(self._shown)  # pytest shows it where a test has waited in vain
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        os.close(self._terminal)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    async def until(self, end: str) -> str:
        """What is written to the terminal until ``end`` is."""
        shown = b""
        while end.encode() not in shown:
            more = await asyncio.to_thread(os.read, self._terminal, 4096)
            shown += more
            self._shown += more
        return shown.decode("utf-8", "replace")
