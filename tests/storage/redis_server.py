"""A real redis-server, or valkey-server: on a free port, with a folder and an append-only file; a cluster of them, and
a primary with its replica."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from engine.storage.redis_keys import SLOTS
from engine.storage.redis_link import Address
from engine.storage.redis_opening import address_of

# The program of all tests that name none; the variable puts Valkey in its place, or another Redis: `make test-valkey`.
SERVER = os.environ.get("REDIS_TEST_SERVER") or "redis-server"
VALKEY = "valkey-server"
TRIES = 500  # connections, with `PAUSE_S` of patience each, until the server answers
PAUSE_S = 0.02


class RedisServer:
    """Started and killed as often as a test likes; its folder stays."""

    def __init__(self, folder: Path, program: str = SERVER, *options: str) -> None:
        self.folder = folder
        self.program = program
        self.options = options
        self.before: tuple[str, ...] = ()  # words by which it is run: in a network of its own, say
        self.host = "127.0.0.1"  # where it is reached from here
        self.port = free_port()
        self.bus_port = 0  # of a node of a cluster
        self.tls_port = 0  # of one that speaks TLS to the others
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers and has loaded what it had."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        words += ["--appendonly", "yes", "--databases", "4", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*self.before, self.program, *words], stdout=log, stderr=log)
        for _ in range(TRIES):
            if self._answers():
                return
            if self.process.poll() is not None:
                break
        raise RuntimeError((self.folder / "log").read_text())

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as asked:
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
        with socket.create_connection((self.host, self.port), timeout=5) as asked:
            for words in commands:
                asked.sendall(b"*%d\r\n" % len(words))
                asked.sendall(b"".join([b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words]))
                said = asked.recv(65536)
            return said.decode("utf-8", "replace")

    def dump(self) -> str:
        """All keys, and all that they hold."""
        with Redis(port=self.port, decode_responses=True, encoding_errors="replace") as asked:
            keys = list(asked.scan_iter())
        shown = list(keys)
        for key in keys:
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

    def speak(self) -> Redis:
        """A client of its own, for who wants its answers parsed."""
        return Redis(self.host, self.port, decode_responses=True)

    def waits_for(self, section: str, text: str) -> None:
        """Until that section of INFO says so."""
        self._waits_for(["INFO", section], text)

    def waits_for_cluster(self, text: str) -> None:
        """Until CLUSTER INFO says so."""
        self._waits_for(["CLUSTER", "INFO"], text)

    def waits_for_replica(self) -> None:
        """Until one is in step and has answered: of one that was just filled Redis awaits that for up to a second."""
        self.waits_for("replication", "state=online")
        for _ in range(TRIES):
            if self.ask_all([["SET", "x", "x"], ["DEL", "x"], ["WAIT", "1", "1000"]]) != ":0\r\n":
                return

    def waits_for_disks(self) -> None:
        """Until the replica's has what is written: one that was just filled has no file until it has rewritten it."""
        for _ in range(TRIES):
            with self.speak() as asked:
                asked.set("x", "x")
                asked.delete("x")
                if asked.execute_command("WAITAOF", 1, 1, 1000) == [1, 1]:
                    return
        raise RuntimeError((self.folder / "log").read_text())

    def _waits_for(self, words: list[str], text: str) -> None:
        for _ in range(TRIES):
            if text in self.ask(*words):
                return
            time.sleep(PAUSE_S)
        raise RuntimeError((self.folder / "log").read_text())

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def address(self) -> Address:
        return address_of(self.url)


class RedisCluster:
    """Some primaries, each with an equal range of the slots at first; and a replica of each, or none."""

    def __init__(self, servers: list[RedisServer], replicas: list[RedisServer]) -> None:
        self.servers = servers
        self.replicas = replicas

    def join(self) -> None:
        """Returns when all of them know of all, and of every slot."""
        size = len(self.servers)
        bounds = [SLOTS * number // size for number in range(size + 1)]
        first = self.servers[0]
        for number, server in enumerate([*self.servers, *self.replicas]):
            with server.speak() as asked:
                if number < size:
                    asked.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
                if number:
                    asked.execute_command("CLUSTER MEET", "127.0.0.1", first.tls_port or first.port, first.bus_port)
        for server in [*self.servers, *self.replicas]:
            self._until_whole(server)
        for primary, replica in zip(self.servers, self.replicas, strict=False):
            with primary.speak() as asked, replica.speak() as told:
                told.execute_command("CLUSTER REPLICATE", asked.execute_command("CLUSTER MYID"))
            replica.waits_for("replication", "master_link_status:up")
            primary.waits_for_replica()

    def _until_whole(self, server: RedisServer) -> None:
        known = len(self.servers) + len(self.replicas)
        with server.speak() as asked:
            for _ in range(TRIES):
                found = asked.execute_command("CLUSTER INFO")
                if found["cluster_state"] == "ok" and int(found["cluster_known_nodes"]) == known:
                    return
                time.sleep(PAUSE_S)
        raise RuntimeError((server.folder / "log").read_text())

    def ask(self, *words: str) -> str:
        """What the last of the primaries answers; all of them are asked."""
        return [server.ask(*words) for server in self.servers][-1]

    def owner(self, slot: int, asked: RedisServer | None = None) -> RedisServer:
        """As the first says, or whoever is ``asked``."""
        with (asked or self.servers[0]).speak() as node:
            for low, high, place, *_ in node.execute_command("CLUSTER SLOTS"):
                if low <= slot <= high:
                    return next(server for server in self.servers if server.port == place[1])
        raise RuntimeError(f"nobody has slot {slot}")

    def move(self, slot: int, source: RedisServer, target: RedisServer, pause_s: float = 0.0) -> None:
        """As `redis-cli --cluster reshard` does it, key by key; ``pause_s`` is between the keys.

        Returns when all nodes have heard of it: moved on before that, a slot may come to be nobody's.
        """
        with source.speak() as old, target.speak() as new:
            names = {who: who.execute_command("CLUSTER MYID") for who in (old, new)}
            new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[old])
            old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[new])
            while keys := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 1):
                time.sleep(pause_s)
                old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            for who in (new, old):
                who.execute_command("CLUSTER SETSLOT", slot, "NODE", names[new])
        for server in self.servers:
            for _ in range(TRIES):
                if self.owner(slot, asked=server) is target:
                    break
                time.sleep(PAUSE_S)

    @property
    def url(self) -> str:
        scheme = "rediss+cluster" if self.servers[0].tls_port else "redis+cluster"
        return f"{scheme}://" + ",".join(f"127.0.0.1:{server.tls_port or server.port}" for server in self.servers)

    @property
    def address(self) -> Address:
        return address_of(self.url)


@functools.cache
def knows_disks(program: str) -> bool:
    """Whether it can be asked what is on a disk (WAITAOF): Redis 7.2 and later, and every Valkey. False for none."""
    if shutil.which(program) is None:
        return False
    said = subprocess.run([program, "--version"], capture_output=True, check=True, text=True).stdout
    found = re.match(r"(\w+) server v=(\d+)\.(\d+)\.", said)
    assert found is not None, said
    name, major, minor = found.groups()
    return name == "Valkey" or (int(major), int(minor)) >= (7, 2)


# Of the tests that need one that can be asked so.
LATER_SERVER = SERVER if knows_disks(SERVER) else VALKEY


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running(folder: Path, program: str = SERVER, *options: str) -> Iterator[RedisServer]:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}: make {'valkey' if program == VALKEY else 'redis'}")
    server = RedisServer(folder, program, *options)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@contextmanager
def cluster(
    folder: Path, *options: str, size: int = 3, with_tls: bool = False, with_replicas: bool = False
) -> Iterator[RedisCluster]:
    """Its nodes can be started again on their own after a `kill`; they know each other from their files.

    ``with_tls``: they speak it, also to each other; the options name the certificate.
    """
    with ExitStack() as running_nodes:
        servers = []
        for number in range(2 * size if with_replicas else size):
            own = folder / f"node{number}"
            own.mkdir()
            bus_port, tls_port = free_port(), free_port() if with_tls else 0
            words = ["--cluster-enabled", "yes", "--cluster-port", str(bus_port), *options]
            words += ["--tls-port", str(tls_port), "--tls-cluster", "yes"] if with_tls else []
            server = running_nodes.enter_context(running(own, SERVER, *words))
            server.bus_port, server.tls_port = bus_port, tls_port
            servers.append(server)
        made = RedisCluster(servers[:size], servers[size:])
        made.join()
        yield made


@contextmanager
def replicated(folder: Path, *options: str, program: str = SERVER) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A primary and a replica that is in step with it."""
    (folder / "primary").mkdir()
    (folder / "replica").mkdir()
    at_once = ["--repl-diskless-sync-delay", "0", *options]
    with running(folder / "primary", program, *at_once) as primary:
        follow = ["--replicaof", "127.0.0.1", str(primary.port), *at_once]
        with running(folder / "replica", program, *follow) as replica:
            replica.waits_for("replication", "master_link_status:up")
            primary.waits_for_replica()
            yield primary, replica
