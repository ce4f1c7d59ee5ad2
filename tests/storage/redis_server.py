"""A real redis-server, or valkey-server, of one test session: on a free port, with a folder and an append-only file."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.storage.redis_link import Address
from engine.storage.redis_opening import address_of

SERVERS = [name for name in ("redis-server", "valkey-server") if shutil.which(name)]
TRIES = 500  # connections, with `PAUSE_S` of patience each, until the server answers
PAUSE_S = 0.02


class RedisServer:
    """Started and killed as often as a test likes; its folder stays."""

    def __init__(self, folder: Path, program: str = "redis-server", *options: str) -> None:
        self.folder = folder
        self.program = program
        self.options = options
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers and has loaded what it had."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        words += ["--appendonly", "yes", "--databases", "4", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, *words], stdout=log, stderr=log)
        for _ in range(TRIES):
            if self._answers():
                return
            if self.process.poll() is not None:
                break
        raise RuntimeError((self.folder / "log").read_text())

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
                asked.settimeout(1)
                asked.sendall(b"PING\r\n")
                if asked.recv(64).startswith(b"-LOADING"):
                    raise OSError("not yet")
                return True
        except OSError:
            assert self.process is not None
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PAUSE_S)
            return False

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask(self, *words: str | bytes) -> str:
        """What `redis-cli` would say to one command, as it comes."""
        command = b"*%d\r\n" % len(words)
        for word in words:
            raw = word if isinstance(word, bytes) else word.encode()
            command += b"$%d\r\n%b\r\n" % (len(raw), raw)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
            asked.sendall(command)
            return asked.recv(65536).decode("utf-8", "replace")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def address(self) -> Address:
        return address_of(self.url)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running(folder: Path, program: str = "redis-server", *options: str) -> Iterator[RedisServer]:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}: make redis")
    server = RedisServer(folder, program, *options)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
