from __future__ import annotations

from collections.abc import Iterator

import pytest
from storage.redis_server import RedisServer, running


@pytest.fixture(scope="session")
def redis_for_fleets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(redis_for_fleets: RedisServer) -> RedisServer:
    """A real one, with nothing in it."""
    if redis_for_fleets.process is not None and redis_for_fleets.process.poll() is not None:
        redis_for_fleets.start()
    redis_for_fleets.ask("FLUSHALL")
    return redis_for_fleets
