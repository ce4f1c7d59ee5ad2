from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis_server import LATER_SERVER, SERVER, RedisCluster, RedisServer, cluster, replicated, running
from samples_for_fleets import FLEET_KINDS, make_fleet_store
from samples_for_stores import KINDS, make_store

from engine.storage.base import Store
from engine.storage.fleet import FleetStore


class Servers:
    """Started when the first test asks, for all tests of the session."""

    def __init__(self, folders: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._folders = folders
        self._stack = stack
        self._running: dict[str, RedisServer] = {}
        self._cluster: RedisCluster | None = None
        self._primary: RedisServer | None = None

    def of_kind(self, kind: str) -> RedisServer | RedisCluster | None:
        """An empty one for a store of that kind; None for one that needs none."""
        if kind == "cluster":
            return self.emptied_cluster()
        if kind == "strict":
            return self.emptied_pair()
        return self.emptied(SERVER) if kind == "redis" else None

    def emptied_cluster(self) -> RedisCluster:
        if self._cluster is None:
            folder = self._folders.mktemp("cluster")
            self._cluster = self._stack.enter_context(cluster(folder, "--appendfsync", "no"))
        self._cluster.ask("FLUSHALL")
        return self._cluster

    def emptied_pair(self) -> RedisServer:
        """The primary of one that knows what is on the disks of both."""
        if self._primary is None:
            options = ["--appendfsync", "always"]
            pair = replicated(self._folders.mktemp("pair"), *options, program=LATER_SERVER)
            self._primary, _ = self._stack.enter_context(pair)
            self._primary.waits_for_disks()
        self._primary.ask("FLUSHALL")
        return self._primary

    def emptied(self, program: str) -> RedisServer:
        if program not in self._running:
            folder = self._folders.mktemp(Path(program).name)
            self._running[program] = self._stack.enter_context(running(folder, program, "--appendfsync", "no"))
        server = self._running[program]
        server.ask("FLUSHALL")
        return server


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory, stack)


@pytest.fixture
def server(servers: Servers) -> RedisServer:
    return servers.emptied(SERVER)


@pytest.fixture
def three(servers: Servers) -> RedisCluster:
    return servers.emptied_cluster()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file may lie whose name says something to SQLite."""
    return tmp_path / "odd name?#%41 ü.db"


@pytest.fixture
def names(tmp_path: Path, server: RedisServer) -> dict[str, str]:
    """What commands call a store of each kind, in which nothing is yet."""
    return {"sqlite": f"sqlite:{tmp_path / 'proactive.db'}", "redis": server.url, "other": f"{tmp_path / 'other.db'}"}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await make_store(request.param, tmp_path, request.getfixturevalue("servers").of_kind(request.param))
    yield store
    await store.close()


@pytest.fixture(params=FLEET_KINDS)
async def fleet_store(request: pytest.FixtureRequest) -> AsyncIterator[FleetStore]:
    store = await make_fleet_store(request.param, request.getfixturevalue("servers").of_kind(request.param))
    yield store
    await store.close()
