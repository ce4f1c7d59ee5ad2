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

    def ask(self, *words: str) -> str:
        """What it answers to a command, as it comes."""
        return self.ask_all([list(words)])

    def ask_all(self, commands: list[list[str]]) -> str:
        """What it answers to the last of them."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
            for words in commands:
                asked.sendall(b"*%d\r\n" % len(words))
                asked.sendall(b"".join([b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words]))
                said = asked.recv(65536)
            return said.decode("utf-8", "replace")

    def dump(self) -> str:
        """All keys, and all that they hold."""
        words = ["redis-cli", "-p", str(self.port)]
        asked = subprocess.run([*words, "--scan"], capture_output=True, check=True).stdout.decode("utf-8", "replace")
        shown = [asked]
        for key in asked.splitlines():
            kind = self.ask("TYPE", key).strip("+\r\n")
            look = {
                "hash": ["HGETALL", key],
                "zset": ["ZRANGE", key, "0", "-1"],
                "set": ["SMEMBERS", key],
                "list": ["LRANGE", key, "0", "-1"],
                "stream": ["XRANGE", key, "-", "+"],
                "string": ["GET", key],
            }[kind]
            shown.append(self.ask(*look))
        return "\n".join(shown)

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
