"""The Redis of a scenario: one, a primary with its replica, or three nodes of a cluster. Each in a folder of its own.

How it is broken the scenarios know; here is how it is set up, and what takes several commands.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.storage.redis_keys import SLOTS
from tests.storage.redis_server import SERVER, RedisServer

WAIT_S = 60.0
LOOK_S = 0.05
ANYWHERE = ("--bind", "0.0.0.0", "--protected-mode", "no")


def a_server(folder: Path, name: str, *options: str, program: str = SERVER) -> RedisServer:
    """Not started yet."""
    (folder / name).mkdir(parents=True)
    return RedisServer(folder / name, program, *options)


async def until(what: str, holds: Callable[[], bool], wait_s: float = WAIT_S) -> None:
    """Look until it holds. Raises `TimeoutError` that says what was waited for."""
    try:
        async with asyncio.timeout(wait_s):
            while True:
                if await asyncio.to_thread(holds):
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise TimeoutError(f"{what} did not come to pass within {wait_s:g} s") from None


def info(server: RedisServer, section: str) -> dict[str, str]:
    lines = [line.partition(":") for line in server.ask("INFO", section).splitlines()]
    return {name: value.strip() for name, _, value in lines}


async def follow(replica: RedisServer, primary: RedisServer, by_port: int = 0, by_host: str = "127.0.0.1") -> None:
    """``replica`` becomes that of ``primary``, by a way of its own where one is named; returns when it has all."""
    replica.ask("REPLICAOF", by_host, str(by_port or primary.port))
    await until("replication", lambda: info(replica, "replication").get("master_link_status") == "up")


def cpu_s(server: RedisServer) -> float:
    """Seconds of the processor that it has taken so far."""
    used = info(server, "cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


class Cluster:
    """Three primaries, each with a third of the slots."""

    def __init__(self, folder: Path, *options: str) -> None:
        names = ("one", "two", "three")
        self.nodes = [
            a_server(folder, name, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--databases", "1")
            for name in names
        ]
        for node in self.nodes:
            node.port = _port_of_node()
        self.moved = 0

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join([f"127.0.0.1:{node.port}" for node in self.nodes])

    async def start(self) -> None:
        for node in self.nodes:
            await asyncio.to_thread(node.start)
        share = -(-SLOTS // len(self.nodes))
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "ADDSLOTSRANGE", str(number * share), str(min((number + 1) * share, SLOTS) - 1))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", str(self.nodes[0].port))
        for node in self.nodes:
            await until("the cluster", lambda node=node: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))

    async def move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """As `redis-cli --cluster reshard` does it, key by key, while they are used."""
        await asyncio.to_thread(self._move, slot, source, target)
        self.moved += 1

    def _move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        number, there, here = str(slot), _name(target), _name(source)
        _ok(target.ask("CLUSTER", "SETSLOT", number, "IMPORTING", here))
        _ok(source.ask("CLUSTER", "SETSLOT", number, "MIGRATING", there))
        while keys := _words(source.ask("CLUSTER", "GETKEYSINSLOT", number, "10")):
            said = source.ask("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *keys)
            _ok(said)
        for node in (target, source, *self.nodes):
            _ok(node.ask("CLUSTER", "SETSLOT", number, "NODE", there))


def _port_of_node() -> int:
    """One that is free, and so is that of the nodes among themselves, 10,000 above it, which has to be a port as well.

    Below those that systems give to whoever asks for any.
    """
    while True:
        port = random.randrange(12_000, 22_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


def _name(node: RedisServer) -> str:
    return _words(node.ask("CLUSTER", "MYID"))[0]


def _words(reply: str) -> list[str]:
    """The bulk strings of a reply, one or an array; none of ours has a line feed in it."""
    lines = reply.split("\r\n")
    return [text for mark, text in itertools.pairwise(lines) if mark.startswith("$") and mark != "$-1"]


def _ok(reply: str) -> None:
    if reply.startswith("-"):
        raise RuntimeError(reply.strip())
